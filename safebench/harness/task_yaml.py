"""A task's YAML: where it lies, its content as data, and whether its options make sense.

It is read without importing what its `!function` lines name, and without lm-eval.
"""

from __future__ import annotations

from collections.abc import Mapping
from difflib import get_close_matches
from functools import cache
from pathlib import Path
from typing import Any, cast

import yaml

from safebench import resources
from safebench.card.task import Construct
from safebench.errors import TaskError

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


class _Loader(yaml.SafeLoader):
    """Reads `!function` as the text behind it."""


def _function(loader: _Loader, node: yaml.ScalarNode) -> str:
    return str(loader.construct_scalar(node))


_Loader.add_constructor("!function", _function)


def read_task_yaml(path: Path) -> dict[str, Any]:
    """Return the mapping in a task's file, merged into the mapping that it includes.

    Raises:
        TaskError: no such file, not YAML, or no mapping.
    """
    try:
        found = yaml.load(path.read_text(encoding="utf-8"), Loader=_Loader)  # noqa: S506 - safe
    except OSError as problem:
        raise TaskError(f"{path}: {problem.strerror}") from problem
    except (yaml.YAMLError, UnicodeDecodeError) as problem:
        raise TaskError(f"{path}: not YAML ({' '.join(str(problem).split())})") from problem
    if not isinstance(found, dict):
        raise TaskError(f"{path}: expected a mapping, found {type(found).__name__}")
    included = found.pop("include", None)
    return {**read_task_yaml(path.parent / included), **found} if included else found


def task_files() -> dict[str, Path]:
    """Return the YAML of every task by its name; raises TaskError where one cannot be read."""
    paths = sorted(resources.tasks_dir().rglob("*.yaml"))
    return {str(read_task_yaml(path).get("task", path.stem)): path for path in paths}


def constructs_of(construct: str | Mapping[str, Mapping[str, str]]) -> tuple[Construct, ...]:
    """Return every construct that a task's `construct` names, in its order."""
    labels = [{"": construct}] if isinstance(construct, str) else construct.values()
    return tuple(dict.fromkeys(cast("Construct", c) for values in labels for c in values.values()))


def shipped_file(name: str) -> Path | None:
    """Return the YAML of a shipped task, without reading those of all others; None if not one."""
    path = resources.tasks_dir() / name / f"{name}.yaml"
    return path if Path(name).name == name and path.is_file() else None


@cache
def shipped_constructs(name: str) -> tuple[Construct, ...] | None:
    """Return what a shipped task measures, from its own file alone; None for any other task."""
    path = shipped_file(name)
    if path is None:
        return None
    options = read_task_yaml(path).get("dataset_kwargs") or {}
    return constructs_of(options.get("construct", "capability"))


def task_path(name: str) -> Path:
    """Return the YAML of one task.

    Raises:
        TaskError: there is no task of that name; suggests the nearest.
    """
    shipped = shipped_file(name)
    if shipped is not None:
        return shipped
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


def check_options(name: str, options: Mapping[str, Any]) -> None:
    """Check that a task's `dataset_kwargs` are complete and hold nothing unknown.

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
        raise TaskError(f"task {name!r}: columns is not a mapping", fix="write {prompt: question}")
    if not isinstance(construct, str) and not (
        isinstance(construct, Mapping)
        and all(isinstance(values, Mapping) for values in construct.values())
    ):
        raise TaskError(
            f"task {name!r}: construct is neither a name nor a mapping of labels",
            fix="write harm, or {label: {safe: over_refusal, unsafe: harm}}",
        )
