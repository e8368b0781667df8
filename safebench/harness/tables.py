"""Published tables: read from a local copy or the Hub, and what a cell of them holds.

Nothing here needs the `[run]` extra unless the Hub is asked, so `safebench tasks` can count a
local copy.
"""

from __future__ import annotations

import ast
import json
import math
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from safebench import rows
from safebench.errors import TaskError
from safebench.models.quiet import first_line

Row = Mapping[str, Any]


def read_rows(path: Path) -> list[dict[str, Any]]:
    """Read a published file as mappings, one per row; raises TaskError.

    A line break is one character, whatever system wrote the file: prompts have one digest.
    """
    return [
        {name: _lines(value) for name, value in row.items()}
        for _, row in rows.read_rows(path, TaskError)
    ]


def _lines(value: Any) -> Any:
    return value.replace("\r\n", "\n") if isinstance(value, str) else value


def found_columns(table: Sequence[Row]) -> list[str]:
    """Return the columns of all rows, in the order in which they first occur."""
    return list(dict.fromkeys(name for row in table for name in row))


def cell(value: Any) -> str:
    """Return a cell as text without surrounding space; an absent one is empty."""
    if value is None or (isinstance(value, float) and math.isnan(value)):
        return ""
    return str(value).strip()


def cell_list(value: Any, where: str, *, what: str) -> list[str]:
    """Return a cell that holds a list; in CSV it is written as JSON or as Python does.

    Raises:
        TaskError: it holds anything else.
    """
    if isinstance(value, str):
        value = _parsed(value)
    if isinstance(value, Sequence) and not isinstance(value, str | bytes):
        texts = [cell(item) for item in value]
        if texts and all(texts):
            return texts
    raise TaskError(
        f"{where}: {what} is no list of texts",
        fix='write it as JSON does: ["one", "another"]',
    )


def _parsed(text: str) -> Any:
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        pass
    try:
        return ast.literal_eval(text.strip())
    except (ValueError, SyntaxError, RecursionError, MemoryError):
        return None


def local_copy(variable: str, file: str | None) -> Path | None:
    """Return the local copy that is used in place of the Hub, if one is named."""
    named = file or os.environ.get(variable)
    return Path(named) if named else None


def source_rows(
    *,
    dataset_id: str,
    split: str,
    local_variable: str,
    configs: Sequence[str] = (),
    revision: str | None = None,
    file: str | None = None,
) -> tuple[list[dict[str, Any]], str]:
    """Return the published rows and what to call their origin in a message.

    The rows of several `configs` follow each other.

    Raises:
        TaskError: the local copy cannot be read, or the Hub not be reached.
    """
    path = local_copy(local_variable, file)
    if path is not None:
        return read_rows(path), str(path)
    commit = revision or hub_commit(dataset_id, local_variable)
    rows: list[dict[str, Any]] = []
    for config in configs or (None,):
        rows += hub_rows(dataset_id, config, split, commit, local_variable)
    return rows, dataset_id


def hub_rows(
    dataset_id: str, config: str | None, split: str, commit: str, variable: str
) -> list[dict[str, Any]]:
    """Return one configuration of a data set at a commit.

    Raises:
        TaskError: it cannot be loaded.
    """
    import datasets

    try:
        loaded = datasets.load_dataset(dataset_id, config, split=split, revision=commit)
    except Exception as problem:  # the library raises dozens of kinds
        raise _unreachable(dataset_id, variable, problem) from problem
    return [dict(row) for row in loaded]


def hub_commit(dataset_id: str, variable: str) -> str:
    """Return the commit that a data set's main branch points to now.

    Raises:
        TaskError: the Hub cannot be reached, or has no such data set.
    """
    from huggingface_hub import HfApi

    try:
        commit = HfApi().dataset_info(dataset_id).sha
    except Exception as problem:  # network, authorisation, no such data set
        raise _unreachable(dataset_id, variable, problem) from problem
    if not commit:
        raise TaskError(f"data set {dataset_id!r}: the Hub names no commit")
    return str(commit)


def _unreachable(dataset_id: str, variable: str, problem: Exception) -> TaskError:
    gated = "gated" in str(problem).lower()
    access = f"accept its terms at hf.co/datasets/{dataset_id} and set HF_TOKEN, or " * gated
    return TaskError(
        f"data set {dataset_id!r} cannot be loaded from the Hub: {first_line(problem)}",
        fix=f"{access}set {variable} to a local copy, or give `path` in the card's task entry",
    )
