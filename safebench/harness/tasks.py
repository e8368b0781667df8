"""Finding lm-eval tasks by name and describing them for the card."""

from __future__ import annotations

import hashlib
import json
import logging
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any
from unittest.mock import patch

from lm_eval.tasks import TaskManager
from lm_eval.tasks._yaml_loader import load_yaml

from safebench.card.task import Construct
from safebench.errors import SafebenchError, TaskError
from safebench.harness.catalogue import no_such_task, see_options
from safebench.harness.hub import hub_commit
from safebench.harness.sources import SPLIT
from safebench.resources import tasks_dir


@dataclass(frozen=True)
class LoadedTask:
    """An lm-eval task with its documents, and what the card says of it."""

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
    clusters: int | None = None
    """Number of families that its authors say the prompts belong to; None where they do not."""


@cache
def _manager() -> TaskManager:
    with quiet():
        return TaskManager(include_path=str(tasks_dir()), include_defaults=False)


def task_names() -> list[str]:
    """Return the names of all tasks that can be measured."""
    return list(_manager().all_subtasks)


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
    names = task_names()
    if name not in names:
        raise no_such_task(name, names)
    config = load_yaml(_manager().task_index[name].yaml_path)
    options = config["dataset_kwargs"]
    see_options(name, options)
    variable = options.get("local_variable")
    local = file or (Path(os.environ[variable]) if os.environ.get(variable or "") else None)
    if variable is None and file is not None:
        raise TaskError(
            f"task {name!r} carries its own prompts, so `path` has no meaning for it",
            fix="leave `path` out",
        )
    if local is not None:
        options["file"] = str(local)
    elif variable is not None:
        options["revision"] = revision or hub_commit(options["dataset_id"], variable)
    try:
        with quiet():
            task = _manager().load([config])["tasks"][name]
    except SafebenchError:
        raise
    except Exception as problem:  # lm-eval raises whatever the loader raised
        raise TaskError(f"task {name!r} cannot be loaded: {problem}") from problem
    return _describe(name, task, options, limit)


def _describe(name: str, task: Any, options: dict[str, Any], limit: int | None) -> LoadedTask:
    documents = tuple(dict(d) for d in task.dataset[SPLIT])[:limit]
    lines = "".join(
        json.dumps([d["prompt_id"], d["construct"], d["prompt"], d["target"]], ensure_ascii=False)
        + "\n"
        for d in documents
    )
    return LoadedTask(
        name=name,
        version=str((task.config.metadata or {}).get("version", "unversioned")),
        constructs=tuple(dict.fromkeys(d["construct"] for d in documents)),
        is_published="dataset_id" in options,
        dataset_id=options.get("dataset_id") or f"safebench/{name}",
        dataset_revision=options.get("revision"),
        dataset_sha256=hashlib.sha256(lines.encode()).hexdigest(),
        documents=documents,
        task=task,
        clusters=_clusters(documents),
    )


def _clusters(documents: tuple[dict[str, Any], ...]) -> int | None:
    """Count the families of prompts; one that names none is a family of its own."""
    if not documents or "cluster" not in documents[0]:
        return None
    named = [d["cluster"] for d in documents if d["cluster"]]
    return len(set(named)) + len(documents) - len(named)


@contextmanager
def quiet() -> Iterator[None]:
    """Silence lm-eval's notes and its progress bars; ours are shown instead."""
    logger = logging.getLogger("lm_eval")
    level = logger.level
    logger.setLevel(logging.ERROR)
    try:
        with patch("lm_eval.api.task.tqdm", lambda items, **_: items):
            yield
    finally:
        logger.setLevel(level)
