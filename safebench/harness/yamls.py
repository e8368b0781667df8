"""A task's YAML as data, without importing what its `!function` lines name, nor lm-eval."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import yaml

from safebench.errors import TaskError


class _Loader(yaml.SafeLoader):
    """Reads `!function` as the text behind it."""


def _function(loader: _Loader, node: yaml.ScalarNode) -> str:
    return str(loader.construct_scalar(node))


_Loader.add_constructor("!function", _function)


def read_task_yaml(path: Path) -> dict[str, Any]:
    """Return the mapping of a task's file, on top of the one that it includes.

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
