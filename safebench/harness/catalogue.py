"""What every task says of itself, read from its YAML and README: no network, no lm-eval.

A task's `metadata` holds what the list shows beside what its `dataset_kwargs` say:

    metadata:
      version: 1.0
      licence: CC-BY-4.0
      prompts_published: 450
      gated: true            # whether the Hub asks to accept terms; absent is no
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from pathlib import Path
from typing import Any, Literal

from safebench import resources
from safebench.errors import TaskError
from safebench.harness.choices import lm_eval_origin, questions
from safebench.harness.hub import local_copy
from safebench.harness.published import constructs_of, published_documents
from safebench.harness.rows import read_rows
from safebench.harness.yamls import read_task_yaml

PromptsFrom = Literal["own_file", "local_copy", "as_published"]

# By the function that reads a task: options that it needs, and options that it may have.
_OPTIONS: dict[str, tuple[tuple[str, ...], tuple[str, ...]]] = {
    "own": (("file", "construct"), ()),
    "published": (
        ("dataset_id", "split", "local_variable", "prefix", "columns", "construct"),
        ("configs", "keep", "drop", "file", "revision"),
    ),
    "choices": (
        ("dataset_id", "lm_eval", "local_variable", "prefix", "layout", "order"),
        ("file", "revision"),
    ),
}


@dataclass(frozen=True)
class Entry:
    """One task, as the list shows it."""

    name: str
    version: str
    constructs: tuple[str, ...]
    prompts: int | None
    """Number of prompts; None where nothing says it."""
    prompts_from: PromptsFrom
    dataset_id: str | None
    """Id on the Hub; None for prompts of safebench's own."""
    licence: str
    gated: bool
    local_variable: str | None
    """Environment variable that names a local copy."""
    problem: str | None
    """Why the local copy that is named could not be counted."""
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
        TaskError: there is none of that name.
    """
    return entry_of(task_path(name), file)


def task_files() -> dict[str, Path]:
    """Return the YAML of every task by its name; raises TaskError where one cannot be read."""
    paths = sorted(resources.tasks_dir().rglob("*.yaml"))
    return {str(read_task_yaml(path).get("task", path.stem)): path for path in paths}


def task_path(name: str) -> Path:
    """Return the YAML of one task.

    Raises:
        TaskError: there is none of that name; says what was probably meant.
    """
    found = task_files()
    if name in found:
        return found[name]
    asked = name.lower().replace("-", "_")
    near = [
        *get_close_matches(asked, found, n=1),
        *get_close_matches(f"safebench_{asked}", found, n=1),
    ]
    hint = f"did you mean {near[0]}?" if near else f"one of: {', '.join(found)}"
    raise TaskError(f"no task named {name!r}", fix=hint)


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
        return _counted(options), "local_copy", None
    except TaskError as problem:
        return published, "as_published", f"{variable}: {problem}"


def _counted(options: Mapping[str, Any]) -> int:
    if "lm_eval" not in options:
        return len(published_documents(**options))
    dataset_id, variable = str(options["dataset_id"]), str(options["local_variable"])
    origins = [lm_eval_origin(name, dataset_id) for name in options["lm_eval"]]
    return len(questions(origins, dataset_id, variable, None, options.get("file")))


def check_options(name: str, options: Mapping[str, Any]) -> None:
    """See that a task's `dataset_kwargs` have what they need, and nothing misspelt.

    Raises:
        TaskError: an option is missing, not known, or of another shape.
    """
    kind = "own" if "dataset_id" not in options else "choices" if "lm_eval" in options else None
    needed, optional = _OPTIONS[kind or "published"]
    known = (*needed, *optional)
    for option in options:
        if option not in known:
            near = get_close_matches(str(option), known, n=1)
            raise TaskError(
                f"task {name!r}: dataset_kwargs has no {option!r}",
                fix=f"did you mean {near[0]}?" if near else f"one of: {', '.join(known)}",
            )
    missing = [option for option in needed if option not in options]
    if missing:
        raise TaskError(
            f"task {name!r}: dataset_kwargs lacks {', '.join(missing)}",
            fix="see `Adding a task` in CONTRIBUTING.md",
        )
    columns, construct = options.get("columns", {}), options.get("construct", "")
    if not isinstance(columns, Mapping):
        raise TaskError(f"task {name!r}: columns is no mapping", fix="write {prompt: question}")
    if not isinstance(construct, str) and not (
        isinstance(construct, Mapping)
        and all(isinstance(values, Mapping) for values in construct.values())
    ):
        raise TaskError(
            f"task {name!r}: construct is neither a name nor a mapping of labels",
            fix="write harm, or {label: {safe: over_refusal, unsafe: harm}}",
        )
