"""Rows of a published file: CSV, JSON Lines, JSON or Parquet, and what a cell holds.

Nothing here needs the `[run]` extra, so `safebench tasks` can count a local copy.
"""

from __future__ import annotations

import ast
import json
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from safebench import rows
from safebench.errors import TaskError

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
