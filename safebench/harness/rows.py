"""Rows of a published file: CSV, JSON Lines, JSON or Parquet, and what a cell holds.

Nothing here needs the `[run]` extra, so `safebench tasks` can count a local copy.
"""

from __future__ import annotations

import ast
import csv
import io
import json
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from safebench.errors import TaskError

Row = Mapping[str, Any]

_MAX_BYTES = 256 * 2**20
_FORMATS = ".csv, .jsonl, .json or .parquet"


def read_rows(path: Path) -> list[dict[str, Any]]:
    """Read a file of objects as mappings, one per row.

    `.csv` has a header, `.jsonl` an object a line, `.json` one list of objects.

    Raises:
        TaskError: no such file, another format, not UTF-8, or a row that is no object.
    """
    if not path.is_file():
        raise TaskError(f"{path}: no such file", fix=f"give a {_FORMATS} file")
    if path.stat().st_size > _MAX_BYTES:
        raise TaskError(f"{path}: larger than {_MAX_BYTES // 2**20} MiB")
    suffix = path.suffix.lower()
    if suffix == ".parquet":
        return _parquet(path)
    if suffix not in (".csv", ".jsonl", ".json"):
        raise TaskError(f"{path}: ends in {path.suffix!r}", fix=f"give a {_FORMATS} file")
    try:
        text = path.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError as problem:
        raise TaskError(f"{path}: not UTF-8 at byte {problem.start}") from problem
    if suffix == ".csv":
        return _csv(text, path)
    if suffix == ".jsonl":
        lines = enumerate(text.split("\n"), 1)
        return [_object(_json(line, f"{path}:{n}"), f"{path}:{n}") for n, line in lines if line]
    values = _json(text, str(path))
    if not isinstance(values, list):
        raise TaskError(f"{path}: expected a list of objects, found {type(values).__name__}")
    return [_object(value, f"{path}: row {n}") for n, value in enumerate(values, 1)]


def _csv(text: str, path: Path) -> list[dict[str, Any]]:
    reader = csv.DictReader(io.StringIO(text, newline=""))
    rows = []
    try:
        for number, row in enumerate(reader, start=1):
            if None in row:
                raise TaskError(
                    f"{path}: row {number} has more cells than the header",
                    fix="put cells that hold a comma in double quotes",
                )
            rows.append(dict(row))
    except csv.Error as problem:
        raise TaskError(f"{path}: row {len(rows) + 1}: not CSV ({problem})") from problem
    return rows


def _parquet(path: Path) -> list[dict[str, Any]]:
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        rows: list[dict[str, Any]] = pq.read_table(path).to_pylist()
    except (pa.ArrowException, OSError) as problem:
        raise TaskError(f"{path}: not Parquet ({str(problem).splitlines()[0]})") from problem
    return rows


def _json(text: str, where: str) -> Any:
    try:
        return json.loads(text)
    except (ValueError, RecursionError) as problem:
        raise TaskError(f"{where}: not JSON ({problem})") from problem


def _object(value: Any, where: str) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise TaskError(f"{where}: expected an object, found {type(value).__name__}")
    return value


def found_columns(rows: Sequence[Row]) -> list[str]:
    """Return the columns of all rows, in the order in which they first occur."""
    return list(dict.fromkeys(name for row in rows for name in row))


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
