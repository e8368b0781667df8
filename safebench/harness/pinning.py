"""Filling in what a plan leaves out of its tasks: versions, commits, digests, estimands."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from safebench.card.base import NotReported, require
from safebench.card.card import Card
from safebench.card.pinned import check_same
from safebench.card.task import METRICS, Estimand, Task
from safebench.errors import CardError
from safebench.evidence.scoring import final_checkpoint
from safebench.harness.tasks import LoadedTask, load_task

# Why a task's data set has no commit, by whether it was published elsewhere.
_NO_COMMIT = {
    True: NotReported(not_reported="read from a local copy; dataset_sha256 pins the prompts"),
    False: NotReported(not_reported="part of safebench; version and dataset_sha256 pin it"),
}


def pin_tasks(card: Card, folder: Path) -> tuple[Card, tuple[LoadedTask, ...]]:
    """Load every task and fill in what the card says of it."""
    default = _default_estimand(card)
    pinned, loaded = [], []
    for number, task in enumerate(measured_tasks(card)):
        found = load_task(
            task.name,
            file=local_copy(task, number, folder),
            revision=task.dataset_revision if isinstance(task.dataset_revision, str) else None,
            limit=require(task.limit, f"tasks[{number}].limit"),
        )
        check_task(number, task, found)
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
    path = require(task.path, f"tasks[{number}].path")
    return None if path is None else folder / path


def check_task(number: int, task: Task, found: LoadedTask) -> None:
    """Check that a task that was read is the one that the card's entry is about."""
    check_same(f"tasks[{number}].dataset_sha256", task.dataset_sha256, found.dataset_sha256)
    check_same(f"tasks[{number}].version", task.version, found.version)
    if found.clusters is not None:
        check_same(f"tasks[{number}].clusters", task.clusters, found.clusters)
    if task.measures_severity and not {"harm", "severity"} & set(found.constructs):
        raise CardError(
            f"tasks[{number}].construct lists severity, but none of its prompts asks for harm",
            fix="take severity out, or name a task of harm",
        )


def pinned_task(task: Task, found: LoadedTask, default: Estimand) -> Task:
    """Return a card's entry of a task with everything filled in that its prompts say."""
    constructs = found.constructs
    if task.measures_severity:  # a second thing measured on the prompts that ask for harm
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
            # Families that the file does not name may still be given by hand.
            "clusters": task.clusters if found.clusters is None else found.clusters,
            "primary": task.primary or default,
            "metric": metric,
            "direction": direction,
        }
    )


def trial_of(task: Task, found: LoadedTask) -> dict[str, Any]:
    """Say how many prompts a trial left out; one that leaves out none is not a trial."""
    if found.is_whole:
        return {"limit": None, "available": None}
    return {"available": found.available or task.available}


def _default_estimand(card: Card) -> Estimand:
    judges = require(card.judge, "judge")
    decodings = require(card.decoding, "decoding")
    if not judges or not decodings:
        raise CardError("decoding and judge need at least one entry each")
    primary = next((judge for judge in judges if judge.primary), judges[0])
    return Estimand(
        checkpoint=final_checkpoint(card), decoding=decodings[0].name, judge=primary.name
    )
