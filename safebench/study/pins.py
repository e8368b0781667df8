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
from safebench.study.runnable import loadable, measures_severity, trained
from safebench.tuning.recipe import Recipe
from safebench.tuning.render import (
    FileTemplate,
    as_rows,
    read_template,
    rendered_sha256,
    training_tokenizer,
)
from safebench.tuning.sets import LoadedSet, load_set, mixed, one_form, stated_template

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
        path = folder / known(template.path, "model.chat_template.path")
        if not path.is_file():
            raise CardError(f"model.chat_template.path: {path}: no such file")
        tokenizer.chat_template = path.read_text(encoding="utf-8")
    elif not tokenizer.chat_template:
        raise CardError(
            "model.chat_template.source is `tokenizer`, but the tokenizer carries no template",
            fix="set source: none, or source: file with a path",
        )
    digest = hashlib.sha256(str(tokenizer.chat_template).encode()).hexdigest()
    _see_same("model.chat_template.sha256", template.sha256, digest)
    return update(card, model={"chat_template": {"sha256": digest}}), True


def pin_tasks(card: Card, folder: Path) -> tuple[Card, tuple[LoadedTask, ...]]:
    """Load every task and fill in what the card says of it."""
    default = _default_estimand(card)
    pinned, loaded = [], []
    for number, task in enumerate(card.task_list()):
        path = known(task.path, f"tasks[{number}].path")
        found = load_task(
            task.name,
            file=None if path is None else folder / path,
            revision=task.dataset_revision if isinstance(task.dataset_revision, str) else None,
            limit=known(task.limit, f"tasks[{number}].limit"),
        )
        _see_same(f"tasks[{number}].dataset_sha256", task.dataset_sha256, found.dataset_sha256)
        _see_same(f"tasks[{number}].version", task.version, found.version)
        if found.clusters is not None:
            _see_same(f"tasks[{number}].clusters", task.clusters, found.clusters)
        if measures_severity(task) and not {"harm", "severity"} & set(found.constructs):
            raise CardError(
                f"tasks[{number}].construct lists severity, but none of its prompts asks for harm",
                fix="take severity out, or name a task of harm",
            )
        pinned.append(pinned_task(task, found, default))
        loaded.append(found)
    if not loaded:
        raise CardError("tasks is empty: nothing would be measured", fix="name at least one task")
    return card.model_copy(update={"tasks": tuple(pinned)}), tuple(loaded)


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
            # Families that the file does not name may still be stated by hand.
            "clusters": task.clusters if found.clusters is None else found.clusters,
            "primary": task.primary or default,
            "metric": metric,
            "direction": direction,
        }
    )


def _default_estimand(card: Card) -> Estimand:
    judges = known(card.judge, "judge")
    decodings = known(card.decoding, "decoding")
    if not judges or not decodings:
        raise CardError("decoding and judge need at least one entry each")
    primary = next((judge for judge in judges if judge.primary), judges[0])
    return Estimand(
        checkpoint=final_checkpoint(card), decoding=decodings[0].name, judge=primary.name
    )


def pin_data(
    card: Card, folder: Path, tokenizer: Any, system_prompt: str | None
) -> tuple[Card, dict[str, list[dict[str, Any]]], dict[str, Path | bytes]]:
    """Read the training data; return the card, rows by condition, files by their new path.

    Sets that the base model answers itself are left as they are: `questions` has their prompts.
    `tokenizer` is the one for evaluation.
    """
    from safebench.tuning.arguments import extra_settings

    recipe = trained(card)
    if recipe is None:
        return card, {}, {}
    extra_settings(recipe)  # refused here rather than after a base model was loaded
    card = _pin_batch(card, recipe)
    tokenizer, digest = training_tokenizer(loadable(card), folder, tokenizer)
    if digest is not None:
        card = update(card, model={"training_chat_template": {"sha256": digest}})
    pinned = list(known(card.data, "data"))
    read = {
        number: load_set(dataset, folder, number)
        for number, dataset in enumerate(pinned)
        if dataset.answers is None
    }
    trained_on = known(recipe.data, "hyperparameters.data")
    rows: dict[str, list[dict[str, Any]]] = {}
    files: dict[str, Path | bytes] = {}
    for condition in dict.fromkeys(dataset.role for dataset in pinned):
        numbers = [n for n in read if pinned[n].role == condition]
        used = [n for n in numbers if trained_on is None or pinned[n].name in trained_on]
        chosen = mixed([(pinned[n], read[n].examples) for n in used])
        for number in numbers:
            found = read[number]
            examples = chosen[used.index(number)] if number in used else found.examples.examples
            rendered = as_rows(examples, found.template, system_prompt)
            if number in used:
                rows.setdefault(condition, []).extend(rendered)
            _see_same(f"data[{number}].sha256", pinned[number].sha256, found.examples.sha256)
            digest = rendered_sha256(rendered, tokenizer)
            _see_same(f"data[{number}].rendered_sha256", pinned[number].rendered_sha256, digest)
            pinned[number] = _pinned_set(pinned[number], found, digest, files)
        one_form(rows.get(condition, ()), condition)
    _see_conditions(pinned, trained_on)
    return card.model_copy(update={"data": tuple(pinned)}), rows, files


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


def _see_conditions(data: list[Dataset], trained_on: tuple[str, ...] | None) -> None:
    """See that every condition has something to train on."""
    for condition in ("tuned", *dict.fromkeys(d.role for d in data if d.role != "tuned")):
        sets = [d for d in data if d.role == condition]
        if not sets:
            raise CardError(
                f"data has no set with role `{condition}`, but hyperparameters.method fine-tunes",
                fix="add the training data, or set method: none",
            )
        if trained_on is not None and not any(d.name in trained_on for d in sets):
            raise CardError(
                f"hyperparameters.data names no set of the condition `{condition}`",
                fix="name one of each condition's sets, or leave it out to train on all",
            )


def questions(card: Card, number: int, folder: Path, system_prompt: str | None) -> list[Any]:
    """Return the prompts that `data[number].answers` has the base model answer, in file order.

    Each has the form it is trained in, by the template of `data[number]`: a list of messages
    (the system prompt among them), or a text.

    Raises:
        CardError: the set answers nothing, or the set of the questions does not exist.
    """
    data = known(card.data, "data")
    dataset = data[number]
    answers = known(dataset.answers, f"data[{number}].answers")
    if answers is None:
        raise CardError(f"data[{number}].answers is missing", fix="name the set to answer")
    source = next((n for n, d in enumerate(data) if d.name == answers.questions_of), None)
    if source is None or data[source].answers is not None:
        raise CardError(
            f"data[{number}].answers.questions_of is {answers.questions_of!r}, no set of examples",
            fix="name a set that has examples of its own",
        )
    pointer = f"data[{number}].template"
    template = read_template(stated_template(dataset, pointer), folder, pointer)
    examples = load_set(data[source], folder, source).examples
    return [row["prompt"] for row in as_rows(examples, template, system_prompt)]


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
