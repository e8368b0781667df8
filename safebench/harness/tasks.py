"""Tasks by name: their documents, their entries in a card, and lm-eval's object that asks."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from typing import Any

from safebench.card.base import NotReported, require
from safebench.card.card import Card
from safebench.card.pinned import check_same
from safebench.card.task import METRICS, Construct, Estimand, PromptSample, Task
from safebench.errors import CardError, TaskError
from safebench.evidence.scoring import final_checkpoint
from safebench.evidence.submission import Submission
from safebench.harness.sources import documents_of
from safebench.harness.tables import hub_commit, local_copy
from safebench.harness.task_yaml import check_options, read_task_yaml, task_files, task_path
from safebench.models.quiet import quiet, raised_as

# Why a task's data set has no commit, by whether it was published elsewhere.
_NO_COMMIT = {
    True: NotReported(not_reported="read from a local copy; dataset_sha256 pins the prompts"),
    False: NotReported(not_reported="part of safebench; version and dataset_sha256 pin it"),
}


@dataclass(frozen=True)
class LoadedTask:
    """A task with its documents, and what the card says of it."""

    name: str
    version: str
    constructs: tuple[Construct, ...]
    is_published: bool
    """Whether its prompts come from elsewhere."""
    dataset_id: str
    dataset_revision: str | None
    dataset_sha256: str
    documents: tuple[dict[str, Any], ...]
    task: Any
    """lm-eval's task, which lays prompts out; None where nothing is asked."""
    clusters: int | None = None
    """Number of families that its authors say the prompts belong to; None where they do not."""
    chance: float | None = None
    """Score that guessing reaches; None where there is nothing to choose from."""
    available: int | None = None
    """Number of prompts that the task has in all; None where that is not known."""

    @property
    def is_whole(self) -> bool:
        """Whether the documents are known to be all there are."""
        return self.available == len(self.documents)


def documents_by_prompt(tasks: Iterable[LoadedTask]) -> dict[tuple[str, str], dict[str, Any]]:
    """Return the documents of tasks by task and prompt id."""
    return {(task.name, str(d["prompt_id"])): d for task in tasks for d in task.documents}


def task_names() -> list[str]:
    """Return the names of all tasks that can be measured."""
    return list(task_files())


def load_task(
    name: str,
    *,
    file: Path | None = None,
    revision: str | None = None,
    limit: int | None = None,
    sample: PromptSample | None = None,
) -> LoadedTask:
    """Load a task, from a local copy of its published file where one is given.

    A published data set without `revision` is pinned to the commit that its main branch has now.

    Raises:
        TaskError: no task of that name, or its documents cannot be loaded.
    """
    metadata, options = _settings(name, file)
    with quiet(), raised_as(TaskError, f"task {name!r} cannot be loaded"):
        if "dataset_id" in options and "file" not in options:
            # resolved once: a branch could move between reading the rows and writing the card
            commit = revision or hub_commit(options["dataset_id"], options["local_variable"])
            options["revision"] = commit
        found = _read(name, metadata, options, limit, sample)
        return replace(found, task=_for_lm_eval(found))


def read_task(
    name: str,
    *,
    file: Path | None = None,
    limit: int | None = None,
    sample: PromptSample | None = None,
) -> LoadedTask | None:
    """Return a task without lm-eval's part, or None where its documents take the Hub or lm-eval.

    Raises:
        TaskError: no task of that name, or its documents cannot be read.
    """
    metadata, options = _settings(name, file)
    if "dataset_id" in options and ("file" not in options or options.get("layout") == "lm_eval"):
        return None
    with raised_as(TaskError, f"task {name!r} cannot be loaded"):
        return _read(name, metadata, options, limit, sample)


def _settings(name: str, file: Path | None) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return a task's `metadata` and `dataset_kwargs`, with `file` where there is a local copy."""
    config = read_task_yaml(task_path(name))
    options: dict[str, Any] = config.get("dataset_kwargs") or {}
    check_options(name, options)
    variable = options.get("local_variable")
    if variable is None and file is not None:
        raise TaskError(
            f"task {name!r} carries its own prompts, so `path` has no meaning for it",
            fix="leave `path` out",
        )
    local = local_copy(variable, None if file is None else str(file)) if variable else None
    if local is not None:
        options["file"] = str(local)
    return config.get("metadata") or {}, options


def _read(
    name: str,
    metadata: dict[str, Any],
    options: dict[str, Any],
    limit: int | None,
    sample: PromptSample | None,
) -> LoadedTask:
    everything = documents_of(options)
    documents = tuple(everything[:limit])
    if sample is not None:
        taken = sample.taken(name, (str(d["prompt_id"]) for d in documents))
        documents = tuple(d for d in documents if str(d["prompt_id"]) in taken)
    constructs: dict[Any, None] = dict.fromkeys(d["construct"] for d in documents)
    return LoadedTask(
        name=name,
        version=str(metadata.get("version", "unversioned")),
        chance=metadata.get("chance"),
        constructs=tuple(constructs),
        is_published="dataset_id" in options,
        dataset_id=options.get("dataset_id") or f"safebench/{name}",
        dataset_revision=options.get("revision"),
        dataset_sha256=documents_sha256(documents),
        documents=documents,
        task=None,
        clusters=_clusters(documents),
        available=len(everything),
    )


def documents_sha256(documents: Iterable[Mapping[str, Any]]) -> str:
    """Return the digest of documents, one JSON array a line (`tasks[].dataset_sha256`)."""
    digest = hashlib.sha256()
    for document in documents:
        values = [document[name] for name in ("prompt_id", "construct", "prompt", "target")]
        digest.update(json.dumps(values, ensure_ascii=False).encode() + b"\n")
    return digest.hexdigest()


def _for_lm_eval(found: LoadedTask) -> Any:
    """Return lm-eval's task over documents that were read already."""
    from lm_eval.tasks._yaml_loader import load_yaml

    from safebench.harness.sources import as_dataset

    config = load_yaml(task_path(found.name))
    config["custom_dataset"] = lambda **_: as_dataset(found.documents)
    return _manager().load([config])["tasks"][found.name]


@cache
def _manager() -> Any:
    from lm_eval.tasks import TaskManager

    return TaskManager(include_defaults=False)  # indexing lm-eval's own tasks takes seconds


def _clusters(documents: tuple[dict[str, Any], ...]) -> int | None:
    """Count the families of prompts; a prompt that names none is a family of its own."""
    if not documents or "cluster" not in documents[0]:
        return None
    named = [d["cluster"] for d in documents if d["cluster"]]
    return len(set(named)) + len(documents) - len(named)


def pin_tasks(submission: Submission) -> tuple[Card, tuple[LoadedTask, ...]]:
    """Load every task of a card; return the card with what its entries say of them filled in."""
    card = submission.card
    default = _default_estimand(card)
    pinned, loaded = [], []
    for number, task in enumerate(measured_tasks(card)):
        found = load_task(
            task.name,
            file=file_of(task, number, submission.folder),
            revision=task.dataset_revision if isinstance(task.dataset_revision, str) else None,
            limit=require(task.limit, f"tasks[{number}].limit"),
            sample=task.sample,
        )
        check_task(number, task, found)
        pinned.append(pinned_task(task, found, default))
        loaded.append(found)
    return card.model_copy(update={"tasks": tuple(pinned)}), tuple(loaded)


def measured_tasks(card: Card) -> tuple[Task, ...]:
    """Return the card's tasks; raises CardError where it has none."""
    if not card.task_list():
        raise CardError("tasks is empty: nothing would be measured", fix="name at least one task")
    return card.task_list()


def file_of(task: Task, number: int, folder: Path) -> Path | None:
    """Return the local copy that the entry `tasks[number]` names, relative to the card's folder."""
    path = require(task.path, f"tasks[{number}].path")
    return None if path is None else folder / path


def check_task(number: int, task: Task, found: LoadedTask) -> None:
    """Check that the card's entry is about the task that was read."""
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
            "chance": task.chance if found.chance is None else found.chance,
            "metric": metric,
            "direction": direction,
        }
    )


def trial_of(task: Task, found: LoadedTask) -> dict[str, Any]:
    """Return how many prompts a trial left out; a run that leaves out none is not a trial."""
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
