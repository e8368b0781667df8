"""Filling in what a plan leaves out: digests, commits, versions, seeds."""

from __future__ import annotations

import hashlib
import math
from pathlib import Path
from typing import Any, cast

from safebench.card.base import NotReported, known
from safebench.card.card import Card
from safebench.card.data import Dataset
from safebench.card.digest import derive_seeds, generation_seed
from safebench.card.model import (
    ChatTemplateFromFile,
    ChatTemplateFromTokenizer,
    NoChatTemplate,
)
from safebench.card.task import METRICS, Estimand, Task
from safebench.errors import CardError, TuningError
from safebench.evidence.scoring import final_checkpoint
from safebench.harness.tasks import LoadedTask, load_task
from safebench.resources import demo_dir
from safebench.study.runnable import loadable, measures_severity, trained
from safebench.tuning.data import Examples, as_rows, read_examples, rendered_sha256

# Why a task's data set has no commit, by whether it was published elsewhere.
_NO_COMMIT = {
    True: NotReported(not_reported="read from a local copy; dataset_sha256 pins the prompts"),
    False: NotReported(not_reported="part of safebench; version and dataset_sha256 pin it"),
}


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
        if measures_severity(task) and not {"harm", "severity"} & set(found.constructs):
            raise CardError(
                f"tasks[{number}].construct lists severity, but none of its prompts asks for harm",
                fix="take severity out, or name a task of harm",
            )
        pinned.append(_pinned_task(task, found, default))
        loaded.append(found)
    if not loaded:
        raise CardError("tasks is empty: nothing would be measured", fix="name at least one task")
    return card.model_copy(update={"tasks": tuple(pinned)}), tuple(loaded)


def _pinned_task(task: Task, found: LoadedTask, default: Estimand) -> Task:
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
) -> tuple[Card, dict[str, list[dict[str, Any]]], dict[str, Path]]:
    """Read the training data; return the card, rows by condition, files by their new path."""
    recipe = trained(card)
    if recipe is None:
        return card, {}, {}
    batch = known(recipe.batch_size, "hyperparameters.batch_size")
    effective = math.prod(
        known(getattr(batch, name), f"hyperparameters.batch_size.{name}")
        for name in ("per_device", "gradient_accumulation", "devices")
    )
    card = update(
        card, hyperparameters={"batch_size": batch.model_copy(update={"effective": effective})}
    )
    pinned, files = [], {}
    rows: dict[str, list[dict[str, Any]]] = {}
    for number, dataset in enumerate(known(card.data, "data")):
        path = _data_path(dataset, folder, number)
        examples = read_examples(path)
        _see_dataset(dataset, examples, number)
        rendered = as_rows(examples, str(known(dataset.template, "template")), system_prompt)
        name = f"data/{dataset.name}.jsonl"
        files[name] = path
        pinned.append(
            dataset.model_copy(
                update={
                    "path": name,
                    "sha256": examples.sha256,
                    "rendered_sha256": rendered_sha256(rendered, tokenizer),
                }
            )
        )
        rows.setdefault(dataset.role, []).extend(rendered)
    if "tuned" not in rows:
        raise CardError(
            "data has no set with role `tuned`, but hyperparameters.method fine-tunes",
            fix="add the training data, or set method: none",
        )
    return card.model_copy(update={"data": tuple(pinned)}), rows, files


def _data_path(dataset: Dataset, folder: Path, number: int) -> Path:
    path = known(dataset.path, f"data[{number}].path")
    if path is not None:
        return folder / path
    name = known(dataset.id, f"data[{number}].id")
    if name is not None and name.startswith("builtin:"):
        return demo_dir() / f"{name.removeprefix('builtin:')}.jsonl"
    raise TuningError(
        f"data[{number}] ({dataset.name}) names no local file; this version trains on local files",
        fix="export the set to JSON Lines with `prompt` and `completion`, and give its `path`",
    )


def _see_dataset(dataset: Dataset, examples: Examples, number: int) -> None:
    _see_same(f"data[{number}].sha256", dataset.sha256, examples.sha256)
    stated = known(dataset.examples, f"data[{number}].examples")
    if stated != len(examples.pairs):
        raise CardError(
            f"data[{number}].examples is {stated}, but the file has {len(examples.pairs)}",
            fix="correct the number, or give the file that was meant",
        )


def _see_same(pointer: str, stated: Any, found: str) -> None:
    if isinstance(stated, str) and stated != found:
        raise CardError(
            f"{pointer} is {stated}, but what was found has {found}",
            fix="use what the card was made with, or remove the value to pin what is here",
        )


def pin_seeds(card: Card) -> Card:
    """Fill in derived seeds, or see that declared ones are there."""
    seeds = known(card.seeds, "seeds")
    training = cast("int | tuple[int, ...]", known(seeds.training, "seeds.training"))
    if trained(card) is None:
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
