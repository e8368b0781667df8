"""Tasks by name: their documents, what the card says of them, and lm-eval's object that asks."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from typing import Any

from safebench.card.task import Construct
from safebench.errors import TaskError
from safebench.harness.sources import documents_of
from safebench.harness.tables import hub_commit, local_copy
from safebench.harness.task_yaml import check_options, read_task_yaml, task_files, task_path
from safebench.models.quiet import quiet, raised_as


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
    available: int | None = None
    """Number of prompts that the documents are the first of; None where that is not known."""

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
) -> LoadedTask:
    """Load a task, from a local copy of its published file where one is given.

    A published data set without `revision` is pinned to the commit that its main branch has now.

    Raises:
        TaskError: no task of that name, or its documents cannot be loaded.
    """
    version, options = _settings(name, file)
    with quiet(), raised_as(TaskError, f"task {name!r} cannot be loaded"):
        if "dataset_id" in options and "file" not in options:
            commit = revision or hub_commit(options["dataset_id"], options["local_variable"])
            options["revision"] = commit
        found = _read(name, version, options, limit)
        return replace(found, task=_for_lm_eval(found))


def read_task(
    name: str, *, file: Path | None = None, limit: int | None = None
) -> LoadedTask | None:
    """Return a task without lm-eval's part, or None where its documents take the Hub or lm-eval.

    Raises:
        TaskError: no task of that name, or its documents cannot be read.
    """
    version, options = _settings(name, file)
    if "dataset_id" in options and ("file" not in options or options.get("layout") == "lm_eval"):
        return None
    with raised_as(TaskError, f"task {name!r} cannot be loaded"):
        return _read(name, version, options, limit)


def _settings(name: str, file: Path | None) -> tuple[str, dict[str, Any]]:
    """Return a task's version and `dataset_kwargs`, with `file` where there is a local copy."""
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
    return str((config.get("metadata") or {}).get("version", "unversioned")), options


def _read(name: str, version: str, options: dict[str, Any], limit: int | None) -> LoadedTask:
    everything = documents_of(options)
    documents = tuple(everything[:limit])
    lines = "".join(
        json.dumps([d["prompt_id"], d["construct"], d["prompt"], d["target"]], ensure_ascii=False)
        + "\n"
        for d in documents
    )
    constructs: dict[Any, None] = dict.fromkeys(d["construct"] for d in documents)
    return LoadedTask(
        name=name,
        version=version,
        constructs=tuple(constructs),
        is_published="dataset_id" in options,
        dataset_id=options.get("dataset_id") or f"safebench/{name}",
        dataset_revision=options.get("revision"),
        dataset_sha256=hashlib.sha256(lines.encode()).hexdigest(),
        documents=documents,
        task=None,
        clusters=_clusters(documents),
        available=len(everything),
    )


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

    return TaskManager(include_defaults=False)


def _clusters(documents: tuple[dict[str, Any], ...]) -> int | None:
    """Count the families of prompts; one that names none is a family of its own."""
    if not documents or "cluster" not in documents[0]:
        return None
    named = [d["cluster"] for d in documents if d["cluster"]]
    return len(set(named)) + len(documents) - len(named)
