"""Filling in what a plan leaves out: digests, versions and seeds; and moving a card's paths."""

from __future__ import annotations

import math
import os
from pathlib import Path
from typing import Any

from safebench.card.base import NotReported, Section, require
from safebench.card.card import Card
from safebench.card.data import Dataset, RenderingTemplate
from safebench.card.digest import derive_seeds, generation_seed
from safebench.card.judge import ModelJudge
from safebench.card.model import ApiModel
from safebench.card.pinned import check_same, update
from safebench.card.training import NoTraining
from safebench.errors import CardError
from safebench.evidence.registration import (
    REGISTRATION_FILE,
    protocol_departures,
    read_registration,
)
from safebench.evidence.submission import Submission
from safebench.files import sha256_of
from safebench.study.cells import training_seeds
from safebench.tuning.interface import Recipe
from safebench.tuning.registry import trained
from safebench.tuning.render import FileTemplate, rendered_sha256, training_tokenizer
from safebench.tuning.sets import LoadedSet
from safebench.tuning.training_data import TrainingData

Files = dict[str, Path | bytes]
"""Files that become part of a submission, or their content, by their path in it."""
_RENDERED_THERE = NotReported(not_reported="the provider renders the examples, and does not show")


def pin_data(
    submission: Submission, found: TrainingData, tokenizer: Any
) -> tuple[Card, Any, Files]:
    """Pin the training data; return the card, the tokenizer for training, and files to carry.

    Sets that the base model answers itself are left as they are. `tokenizer` is the one for
    evaluation.
    """
    card, files = submission.card, Files()
    training, digest = training_tokenizer(card.loadable_model, submission.folder, tokenizer)
    recipe = trained(card)
    if recipe is None:
        return card, training, files
    card = _pin_batch(card, recipe)
    if digest is not None:
        card = update(card, model={"training_chat_template": {"sha256": digest}})
    pinned = list(require(card.data, "data"))
    for number, one in found.sets.items():
        digest = rendered_sha256(found.rendered[number], training)
        check_same(f"data[{number}].rendered_sha256", pinned[number].rendered_sha256, digest)
        pinned[number] = _pinned_set(pinned[number], one, digest, files)
    return card.model_copy(update={"data": tuple(pinned)}), training, files


def carry_data(submission: Submission) -> tuple[Card, Files]:
    """Digest the files that a provider was given to train on; return them by their new path.

    They are carried unchanged: the provider does not say how it renders them.
    """
    card, files = submission.card, Files()
    if isinstance(card.data, NotReported):
        return card, files
    pinned = []
    for number, dataset in enumerate(card.data):
        if isinstance(dataset.path, str):
            path = submission.path(dataset.path)
            if not path.is_file():
                raise CardError(
                    f"data[{number}].path: {path}: no such file",
                    fix="give the file relative to the card, or path: {not_reported: why}",
                )
            digest = sha256_of(path)
            check_same(f"data[{number}].sha256", dataset.sha256, digest)
            name = f"data/{dataset.name}{path.suffix.lower()}"
            files[name] = path
            rendered = dataset.rendered_sha256 or _RENDERED_THERE
            dataset = dataset.model_copy(
                update={"path": name, "sha256": digest, "rendered_sha256": rendered}
            )
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


def _pinned_set(dataset: Dataset, found: LoadedSet, rendered: str, files: Files) -> Dataset:
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
    """Fill in derived seeds, or check that declared ones are there."""
    seeds = require(card.seeds, "seeds")
    training = training_seeds(card)
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
    reported = {
        # A number of training seeds asks for as many; a list of them must be those derived.
        "training": None if isinstance(seeds.training, int) else seeds.training,
        "generation": seeds.generation,
    }
    for name, value in reported.items():
        if value is not None and value != filled[name]:
            raise CardError(
                f"seeds.{name} is {value}, but scheme `derived` gives {filled[name]}",
                fix="give the number of seeds alone, or set scheme: declared",
            )
    return update(card, seeds=filled)


def registration_of(submission: Submission) -> Files:
    """Return the registration that a submission carries, if any; its card has all digests.

    A registration of another protocol is refused here, before anything is run.

    Raises:
        CardError: the card is not what was registered.
    """
    if not isinstance(getattr(submission.card.seeds, "registration", None), str):
        return {}
    path = submission.path(REGISTRATION_FILE)
    for pointer, message in protocol_departures(submission.card, read_registration(path)):
        raise CardError(
            f"{'.'.join(pointer)}: {message}",
            fix="run the plan as it was registered; for a trial, take nonce and registration out",
        )
    return {REGISTRATION_FILE: path}


def relocate(submission: Submission, target: Path) -> Card:
    """Return a card whose local references still hold when it is written to another folder.

    Data are left as they are: a run carries them into the submission.
    """
    card, model = submission.card, submission.card.model
    base = require(model.base.id, "model.base.id")
    place = submission.path(base)
    if place.is_file() if isinstance(model, ApiModel) else place.is_dir():
        card = update(card, model={"base": {"id": _moved_path(submission, base, target)}})
    moved = {
        "model": _moved(card.model, submission, target),
        "tasks": _moved(card.task_list(), submission, target),
    }
    return relocate_judges(submission.with_card(card.model_copy(update=moved)), target)


def relocate_judges(submission: Submission, target: Path) -> Card:
    """Return a card whose judges find their weights and templates from another folder."""
    judges = []
    for judge in _moved(require(submission.card.judge, "judge"), submission, target):
        name = judge.id if isinstance(judge, ModelJudge) else None
        if isinstance(name, str) and submission.path(name).is_dir():
            judge = judge.model_copy(update={"id": _moved_path(submission, name, target)})
        judges.append(judge)
    return submission.card.model_copy(update={"judge": tuple(judges)})


def _moved(part: Any, submission: Submission, target: Path) -> Any:
    """Return a part of a card in which every `path` starts at another folder."""
    if isinstance(part, tuple):
        return tuple(_moved(one, submission, target) for one in part)
    if not isinstance(part, Section):
        return part
    changes = {
        name: _moved_path(submission, value, target)
        if name == "path" and isinstance(value, str)
        else _moved(value, submission, target)
        for name, value in part
        if name == "path" or isinstance(value, tuple | Section)
    }
    return part.model_copy(update={k: v for k, v in changes.items() if v != getattr(part, k)})


def _moved_path(submission: Submission, path: str, target: Path) -> str:
    place = submission.path(path).resolve()
    return Path(os.path.relpath(place, target.resolve())).as_posix()
