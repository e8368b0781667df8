"""Filling in what a plan leaves out: digests, commits, versions, seeds."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any, cast

from safebench.card.base import NotReported, require
from safebench.card.card import Card
from safebench.card.data import Dataset, RenderingTemplate
from safebench.card.digest import derive_seeds, generation_seed
from safebench.card.pinned import check_same, update
from safebench.card.training import NoTraining
from safebench.errors import CardError
from safebench.files import sha256_of
from safebench.tuning.interface import Recipe
from safebench.tuning.registry import trained, trainer_of
from safebench.tuning.render import (
    FileTemplate,
    rendered_sha256,
    training_tokenizer,
)
from safebench.tuning.sets import LoadedSet
from safebench.tuning.training_data import TrainingData, read_training_data

_RENDERED_THERE = NotReported(not_reported="the provider renders the examples, and does not show")


def read_data(card: Card, recipe: Recipe, folder: Path, *, hub: bool) -> TrainingData:
    """Read the training sets of a card that are here, and those of the Hub too if `hub`.

    Raises:
        CardError, TuningError: something is missing, is not what the card says, or cannot be run.
    """
    trainer_of(recipe).check(recipe)  # here rather than after a base model was loaded
    data = require(card.data, "data")
    trained_on = require(recipe.data, "hyperparameters.data")
    found = read_training_data(data, trained_on, folder, card.system_prompt, hub=hub)
    for number, one in found.sets.items():
        check_same(f"data[{number}].sha256", data[number].sha256, one.examples.sha256)
    return found


def pin_data(
    card: Card, found: TrainingData, folder: Path, tokenizer: Any
) -> tuple[Card, Any, dict[str, Path | bytes]]:
    """Fill in what the training data are; return the tokenizer for training, and files to carry.

    Sets that the base model answers itself are left as they are. `tokenizer` is the one for
    evaluation. Files are by their path in the submission.
    """
    training, digest = training_tokenizer(card.loadable_model, folder, tokenizer)
    recipe = trained(card)
    if recipe is None:
        return card, training, {}
    card = _pin_batch(card, recipe)
    if digest is not None:
        card = update(card, model={"training_chat_template": {"sha256": digest}})
    pinned = list(require(card.data, "data"))
    files: dict[str, Path | bytes] = {}
    for number, one in found.sets.items():
        digest = rendered_sha256(found.rendered[number], training)
        check_same(f"data[{number}].rendered_sha256", pinned[number].rendered_sha256, digest)
        pinned[number] = _pinned_set(pinned[number], one, digest, files)
    return card.model_copy(update={"data": tuple(pinned)}), training, files


def carry_data(card: Card, folder: Path) -> tuple[Card, dict[str, Path | bytes]]:
    """Digest the files that a provider was given to train on; return them by their new path.

    They are carried as they are: how the provider turns them into text it does not say.
    """
    files: dict[str, Path | bytes] = {}
    if isinstance(card.data, NotReported):
        return card, files
    pinned = []
    for number, dataset in enumerate(card.data):
        if isinstance(dataset.path, str):
            path = folder / dataset.path
            if not path.is_file():
                raise CardError(
                    f"data[{number}].path: {path}: no such file",
                    fix="give the file relative to the card, or path: {not_reported: why}",
                )
            digest = sha256_of(path)
            check_same(f"data[{number}].sha256", dataset.sha256, digest)
            name = f"data/{dataset.name}{path.suffix.lower()}"
            files[name] = path
            changes = {"path": name, "sha256": digest}
            rendered = dataset.rendered_sha256 or _RENDERED_THERE
            dataset = dataset.model_copy(update={**changes, "rendered_sha256": rendered})
        pinned.append(dataset)
    return card.model_copy(update={"data": tuple(pinned)}), files


def _pin_batch(card: Card, recipe: Recipe) -> Card:
    batch = require(recipe.batch_size, "hyperparameters.batch_size")
    effective = math.prod(
        require(getattr(batch, name), f"hyperparameters.batch_size.{name}")
        for name in ("per_device", "gradient_accumulation", "devices")
    )
    return update(
        card, hyperparameters={"batch_size": batch.model_copy(update={"effective": effective})}
    )


def _pinned_set(
    dataset: Dataset, found: LoadedSet, rendered: str, files: dict[str, Path | bytes]
) -> Dataset:
    """Return the card's entry of a set that was read; note the files that carry it."""
    name = f"data/{dataset.name}{found.suffix}"
    files[name] = found.file
    changes: dict[str, Any] = {
        "path": name,
        "sha256": found.examples.sha256,
        "rendered_sha256": rendered,
    }
    if isinstance(found.template, FileTemplate):
        beside = f"data/{dataset.name}.template.jinja"
        files[beside] = found.template.path
        changes["template"] = RenderingTemplate(path=beside, sha256=found.template.sha256)
    return dataset.model_copy(update=changes)


def pin_seeds(card: Card) -> Card:
    """Fill in derived seeds, or see that declared ones are there."""
    seeds = require(card.seeds, "seeds")
    training = cast("int | tuple[int, ...]", require(seeds.training, "seeds.training"))
    if isinstance(card.hyperparameters, NoTraining):
        training = ()
    if seeds.scheme == "declared":
        if isinstance(training, int) or seeds.generation is None:
            raise CardError(
                "seeds.scheme is `declared`, so training and generation need their values",
                fix="list the seeds, or set scheme: derived",
            )
        require(seeds.generation, "seeds.generation")
        return card
    count = training if isinstance(training, int) else len(training)
    filled = {"training": derive_seeds(card, count), "generation": generation_seed(card)}
    for name, stated in (("training", seeds.training), ("generation", seeds.generation)):
        if isinstance(stated, tuple | int) and name == "training" and isinstance(stated, int):
            continue
        if stated is not None and stated != filled[name]:
            raise CardError(
                f"seeds.{name} is {stated}, but scheme `derived` gives {filled[name]}",
                fix="give the number of seeds alone, or set scheme: declared",
            )
    return update(card, seeds=filled)
