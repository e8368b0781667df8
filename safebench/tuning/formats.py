"""Files of training data: JSON, JSON Lines, Parquet and CSV, as one object per example."""

from __future__ import annotations

import csv
import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from safebench.errors import TuningError

_GIB = 2**30
_MOST_GIB = {".json": 1, ".jsonl": 4, ".csv": 4, ".parquet": 4}
_LONGEST_FIELD = 16 * 2**20
_ROWS_AT_ONCE = 4096

Rows = Iterator[tuple[str, dict[str, Any]]]
"""Where an example stands (`file:line` or `file: row n`), and its columns."""


def read_rows(path: Path) -> Rows:
    """Read a file of examples; its suffix says how.

    JSON is a list of objects; the first line of CSV names the columns.

    Raises:
        TuningError: no such file, too large, of another kind, or damaged; names the line.
    """
    reader = _READERS.get(path.suffix.lower())
    if reader is None:
        raise TuningError(
            f"{path}: a file that ends in {path.suffix!r} is not read",
            fix=f"give {', '.join(sorted(_READERS))}",
        )
    if not path.is_file():
        raise TuningError(f"{path}: no such file", fix="give `path` relative to the card")
    most = _MOST_GIB[path.suffix.lower()]
    if path.stat().st_size > most * _GIB:
        raise TuningError(
            f"{path}: larger than {most} GiB", fix="give a part of it, as JSON Lines or Parquet"
        )
    try:
        yield from reader(path)
    except UnicodeDecodeError as problem:
        raise TuningError(
            f"{path}: not UTF-8 ({problem.reason})", fix="save the file as UTF-8"
        ) from problem


def _lines(path: Path) -> Rows:
    with path.open(encoding="utf-8-sig", newline="\n") as file:
        for number, line in enumerate(file, start=1):
            if line.strip():
                where = f"{path}:{number}"
                yield where, _object(_parsed(line, where), where)


def _list(path: Path) -> Rows:
    values = _parsed(path.read_text(encoding="utf-8-sig"), str(path))
    if not isinstance(values, list):
        raise TuningError(
            f"{path}: expected a list of objects, found {type(values).__name__}",
            fix="give a JSON list, or JSON Lines in a file that ends in .jsonl",
        )
    for number, value in enumerate(values, start=1):
        where = f"{path}: row {number}"
        yield where, _object(value, where)


def _parsed(text: str, where: str) -> Any:
    try:
        return json.loads(text)
    except (ValueError, RecursionError) as problem:
        raise TuningError(f"{where}: not JSON ({problem})", fix="correct the file") from problem


def _object(value: Any, where: str) -> dict[str, Any]:
    if isinstance(value, dict):
        return value
    raise TuningError(
        f"{where}: expected an object, found {type(value).__name__}",
        fix='every example is an object such as {"prompt": "...", "completion": "..."}',
    )


def _parquet(path: Path) -> Rows:
    number = 0
    try:
        with pq.ParquetFile(path) as file:
            for batch in file.iter_batches(batch_size=_ROWS_AT_ONCE):
                for value in batch.to_pylist():
                    number += 1
                    yield f"{path}: row {number}", value
    except (pa.ArrowException, OSError, ValueError) as problem:
        raise TuningError(
            f"{path}: not readable as Parquet ({str(problem).splitlines()[0]})",
            fix="write the file again",
        ) from problem


def _csv(path: Path) -> Rows:
    before = csv.field_size_limit(_LONGEST_FIELD)
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            reader = csv.reader(file, strict=True)
            names = next(reader, [])
            if len(set(names)) < len(names):
                raise TuningError(
                    f"{path}:1: two columns have one name", fix="name every column once"
                )
            for cells in reader:
                where = f"{path}:{reader.line_num}"
                if not cells:
                    continue
                if len(cells) != len(names):
                    raise TuningError(
                        f"{where}: {len(cells)} cells under {len(names)} column names",
                        fix="quote cells that hold a comma or a line break",
                    )
                yield where, dict(zip(names, cells, strict=True))
    except csv.Error as problem:
        raise TuningError(f"{path}: not readable as CSV ({problem})", fix="correct it") from problem
    finally:
        csv.field_size_limit(before)


_READERS: dict[str, Callable[[Path], Rows]] = {
    ".jsonl": _lines,
    ".json": _list,
    ".parquet": _parquet,
    ".csv": _csv,
}
