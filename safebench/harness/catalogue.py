"""What every task declares about itself, read from its YAML and README: no network, no lm-eval.

Its `metadata` holds what the list shows and its `dataset_kwargs` do not say:

    metadata:
      version: 1.0
      licence: CC-BY-4.0
      prompts_published: 450
      gated: true            # whether the Hub asks to accept terms; absent is no
      chance: .25            # score that guessing reaches; absent is 0 (harness/tasks.py)
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from safebench import resources
from safebench.errors import TaskError
from safebench.harness.choices import questions
from safebench.harness.published import published_documents
from safebench.harness.tables import local_copy, read_rows
from safebench.harness.task_yaml import (
    check_options,
    constructs_of,
    read_task_yaml,
    task_files,
    task_path,
)

PromptsFrom = Literal["own_file", "local_copy", "as_published"]


@dataclass(frozen=True)
class Entry:
    """One task, as the list shows it."""

    name: str
    version: str
    constructs: tuple[str, ...]
    prompts: int | None
    """Number of prompts; None where it is unknown."""
    prompts_from: PromptsFrom
    dataset_id: str | None
    """Id on the Hub; None for prompts of safebench's own."""
    licence: str
    gated: bool
    local_variable: str | None
    """Environment variable that names a local copy."""
    problem: str | None
    """Why the prompts of the local copy could not be counted."""
    readme: Path


def entries() -> list[Entry]:
    """Return every task, safebench's own first, then by construct and name.

    Raises:
        TaskError: a task's YAML cannot be read.
    """
    found = [entry_of(path) for path in task_files().values()]
    return sorted(found, key=lambda e: (e.dataset_id is not None, e.constructs, e.name))


def entry(name: str, file: Path | None = None) -> Entry:
    """Return one task by its name, counted in the local copy `file` where one is given.

    Raises:
        TaskError: there is no task of that name.
    """
    return entry_of(task_path(name), file)


def entry_of(path: Path, file: Path | None = None) -> Entry:
    """Read the YAML of a task, whose published file has the local copy `file`.

    Raises:
        TaskError: it is not YAML, or lacks what every task has.
    """
    config = read_task_yaml(path)
    options, metadata = config.get("dataset_kwargs"), config.get("metadata") or {}
    if not isinstance(options, dict) or "task" not in config:
        raise TaskError(f"{path}: task or dataset_kwargs missing", fix="see CONTRIBUTING.md")
    check_options(str(config["task"]), options)
    if file is not None:
        options["file"] = str(file)
    prompts, source, problem = _prompts(options, metadata)
    return Entry(
        name=str(config["task"]),
        version=str(metadata.get("version", "unversioned")),
        constructs=constructs_of(options.get("construct", "capability")),
        prompts=prompts,
        prompts_from=source,
        dataset_id=options.get("dataset_id"),
        licence=str(metadata.get("licence", "not stated")),
        gated=bool(metadata.get("gated", False)),
        local_variable=options.get("local_variable"),
        problem=problem,
        readme=path.parent / "README.md",
    )


def _prompts(
    options: Mapping[str, Any], metadata: Mapping[str, Any]
) -> tuple[int | None, PromptsFrom, str | None]:
    """Count the prompts of our own file or of a local copy, else take what was published."""
    if "dataset_id" not in options:
        return len(read_rows(resources.tasks_dir() / str(options.get("file")))), "own_file", None
    published = metadata.get("prompts_published")
    variable = options.get("local_variable")
    if not variable or local_copy(variable, options.get("file")) is None:
        return published, "as_published", None
    try:
        # Choices are counted as they lie there: laying them out may take lm-eval.
        read = questions if "lm_eval" in options else published_documents
        return len(read(options)), "local_copy", None
    except TaskError as problem:
        return published, "as_published", f"{variable}: {problem}"
