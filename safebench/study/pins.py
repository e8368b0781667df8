"""Filling in what a plan leaves out: digests, commits, versions, seeds."""

from __future__ import annotations

import hashlib
import math
from pathlib import Path
from typing import Any, cast

from safebench.card.base import NotReported, known
from safebench.card.card import Card
from safebench.card.data import Dataset, RenderingTemplate
from safebench.card.digest import derive_seeds, generation_seed
from safebench.card.model import (
    ChatTemplateFromFile,
    ChatTemplateFromTokenizer,
    NoChatTemplate,
)
from safebench.card.task import METRICS, Estimand, Task
from safebench.card.training import NoTraining
from safebench.errors import CardError
from safebench.evidence.scoring import final_checkpoint
from safebench.files import sha256_of
from safebench.harness.tasks import LoadedTask, load_task
from safebench.models.conversation import require_system_prompt
from safebench.study.runnable import loadable, measures_severity, trained
from safebench.tuning.recipe import Recipe, extra_settings
from safebench.tuning.render import (
    FileTemplate,
    rendered_sha256,
    training_tokenizer,
)
from safebench.tuning.sets import LoadedSet
from safebench.tuning.training_data import TrainingData, read_training_data

# Why a task's data set has no commit, by whether it was published elsewhere.
_NO_COMMIT = {
    True: NotReported(not_reported="read from a local copy; dataset_sha256 pins the prompts"),
    False: NotReported(not_reported="part of safebench; version and dataset_sha256 pin it"),
}
_RENDERED_THERE = NotReported(not_reported="the provider renders the examples, and does not show")


def update(card: Card, **changes: dict[str, Any]) -> Card:
    """Return a card with some nested fields replaced."""
    for name, values in changes.items():
        section = getattr(card, name)
        nested = {
            key: getattr(section, key).model_copy(update=value)
            if isinstance(value, dict)
            else value
            for key, value in values.items()
        }
        card = card.model_copy(update={name: section.model_copy(update=nested)})
    return card


def pin_template(card: Card, folder: Path, tokenizer: Any) -> tuple[Card, bool]:
    """Put the card's chat template in place; tell whether there is one."""
    template = cast(
        "ChatTemplateFromTokenizer | ChatTemplateFromFile | NoChatTemplate",
        known(loadable(card).chat_template, "model.chat_template"),
    )
    if isinstance(template, NoChatTemplate):
        return card, False
    if isinstance(template, ChatTemplateFromFile):
        path = template_file(template, folder, "model.chat_template")
        tokenizer.chat_template = path.read_text(encoding="utf-8")
    elif not tokenizer.chat_template:
        raise CardError(
            "model.chat_template.source is `tokenizer`, but the tokenizer carries no template",
            fix="set source: none, or source: file with a path",
        )
    require_system_prompt(tokenizer, stated_system_prompt(card))
    digest = hashlib.sha256(str(tokenizer.chat_template).encode()).hexdigest()
    _see_same("model.chat_template.sha256", template.sha256, digest)
    return update(card, model={"chat_template": {"sha256": digest}}), True


def template_file(template: ChatTemplateFromFile, folder: Path, pointer: str) -> Path:
    """Return the file of a chat template; raises CardError where there is none."""
    path = folder / known(template.path, f"{pointer}.path")
    if not path.is_file():
        raise CardError(f"{pointer}.path: {path}: no such file")
    return path


def pin_tasks(card: Card, folder: Path) -> tuple[Card, tuple[LoadedTask, ...]]:
    """Load every task and fill in what the card says of it."""
    default = _default_estimand(card)
    pinned, loaded = [], []
    for number, task in enumerate(measured_tasks(card)):
        found = load_task(
            task.name,
            file=local_copy(task, number, folder),
            revision=task.dataset_revision if isinstance(task.dataset_revision, str) else None,
            limit=known(task.limit, f"tasks[{number}].limit"),
        )
        see_task(number, task, found)
        pinned.append(pinned_task(task, found, default))
        loaded.append(found)
    return card.model_copy(update={"tasks": tuple(pinned)}), tuple(loaded)


def measured_tasks(card: Card) -> tuple[Task, ...]:
    """Return the entries of what is measured; raises CardError where there are none."""
    if not card.task_list():
        raise CardError("tasks is empty: nothing would be measured", fix="name at least one task")
    return card.task_list()


def local_copy(task: Task, number: int, folder: Path) -> Path | None:
    """Return the file that the entry `tasks[number]` names."""
    path = known(task.path, f"tasks[{number}].path")
    return None if path is None else folder / path


def see_task(number: int, task: Task, found: LoadedTask) -> None:
    """See that a task that was read is the one that the card's entry is about."""
    _see_same(f"tasks[{number}].dataset_sha256", task.dataset_sha256, found.dataset_sha256)
    _see_same(f"tasks[{number}].version", task.version, found.version)
    if found.clusters is not None:
        _see_same(f"tasks[{number}].clusters", task.clusters, found.clusters)
    if measures_severity(task) and not {"harm", "severity"} & set(found.constructs):
        raise CardError(
            f"tasks[{number}].construct lists severity, but none of its prompts asks for harm",
            fix="take severity out, or name a task of harm",
        )


def pinned_task(task: Task, found: LoadedTask, default: Estimand) -> Task:
    """Return a card's entry of a task with everything filled in that its prompts say."""
    constructs = found.constructs
    if measures_severity(task):  # a second thing measured on the prompts that ask for harm
        constructs = tuple(dict.fromkeys((*constructs, "severity")))
    metric, direction = METRICS[constructs[0]] if len(constructs) == 1 else (None, None)
    return task.model_copy(
        update={
            "version": found.version,
            "construct": constructs[0] if len(constructs) == 1 else constructs,
            "dataset_id": found.dataset_id,
            "dataset_revision": found.dataset_revision or _NO_COMMIT[found.is_published],
            "dataset_sha256": found.dataset_sha256,
            "prompts": len(found.documents),
            **trial_of(task, found),
            # Families that the file does not name may still be stated by hand.
            "clusters": task.clusters if found.clusters is None else found.clusters,
            "primary": task.primary or default,
            "metric": metric,
            "direction": direction,
        }
    )


def trial_of(task: Task, found: LoadedTask) -> dict[str, Any]:
    """Say how many prompts a trial left out; one that leaves out none is no trial."""
    if found.is_whole:
        return {"limit": None, "available": None}
    return {"available": found.available or task.available}


def _default_estimand(card: Card) -> Estimand:
    judges = known(card.judge, "judge")
    decodings = known(card.decoding, "decoding")
    if not judges or not decodings:
        raise CardError("decoding and judge need at least one entry each")
    primary = next((judge for judge in judges if judge.primary), judges[0])
    return Estimand(
        checkpoint=final_checkpoint(card), decoding=decodings[0].name, judge=primary.name
    )


def read_data(card: Card, recipe: Recipe, folder: Path, *, hub: bool) -> TrainingData:
    """Read the training sets of a card that are here, and those of the Hub too if `hub`.

    Raises:
        CardError, TuningError: something is missing, is not what the card says, or cannot be run.
    """
    extra_settings(recipe)  # refused here rather than after a base model was loaded
    data = known(card.data, "data")
    trained_on = known(recipe.data, "hyperparameters.data")
    found = read_training_data(data, trained_on, folder, stated_system_prompt(card), hub=hub)
    for number, one in found.sets.items():
        _see_same(f"data[{number}].sha256", data[number].sha256, one.examples.sha256)
    return found


def pin_data(
    card: Card, found: TrainingData, folder: Path, tokenizer: Any
) -> tuple[Card, Any, dict[str, Path | bytes]]:
    """Fill in what the training data are; return the tokenizer for training, and files to carry.

    Sets that the base model answers itself are left as they are. `tokenizer` is the one for
    evaluation. Files are by their path in the submission.
    """
    training, digest = training_tokenizer(loadable(card), folder, tokenizer)
    recipe = trained(card)
    if recipe is None:
        return card, training, {}
    card = _pin_batch(card, recipe)
    if digest is not None:
        card = update(card, model={"training_chat_template": {"sha256": digest}})
    pinned = list(known(card.data, "data"))
    files: dict[str, Path | bytes] = {}
    for number, one in found.sets.items():
        digest = rendered_sha256(found.rendered[number], training)
        _see_same(f"data[{number}].rendered_sha256", pinned[number].rendered_sha256, digest)
        pinned[number] = _pinned_set(pinned[number], one, digest, files)
    return card.model_copy(update={"data": tuple(pinned)}), training, files


def stated_system_prompt(card: Card) -> str | None:
    """Return the system prompt of a card, which training examples get as well."""
    return known(known(card.prompting, "prompting").system_prompt, "prompting.system_prompt")


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
            _see_same(f"data[{number}].sha256", dataset.sha256, digest)
            name = f"data/{dataset.name}{path.suffix.lower()}"
            files[name] = path
            changes = {"path": name, "sha256": digest}
            rendered = dataset.rendered_sha256 or _RENDERED_THERE
            dataset = dataset.model_copy(update={**changes, "rendered_sha256": rendered})
        pinned.append(dataset)
    return card.model_copy(update={"data": tuple(pinned)}), files


def _pin_batch(card: Card, recipe: Recipe) -> Card:
    batch = known(recipe.batch_size, "hyperparameters.batch_size")
    effective = math.prod(
        known(getattr(batch, name), f"hyperparameters.batch_size.{name}")
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


def _see_same(pointer: str, stated: Any, found: str | int) -> None:
    if isinstance(stated, str | int) and stated != found:
        raise CardError(
            f"{pointer} is {stated}, but what was found has {found}",
            fix="use what the card was made with, or remove the value to pin what is here",
        )


def pin_seeds(card: Card) -> Card:
    """Fill in derived seeds, or see that declared ones are there."""
    seeds = known(card.seeds, "seeds")
    training = cast("int | tuple[int, ...]", known(seeds.training, "seeds.training"))
    if isinstance(card.hyperparameters, NoTraining):
        training = ()
    if seeds.scheme == "declared":
        if isinstance(training, int) or seeds.generation is None:
            raise CardError(
                "seeds.scheme is `declared`, so training and generation need their values",
                fix="list the seeds, or set scheme: derived",
            )
        known(seeds.generation, "seeds.generation")
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
