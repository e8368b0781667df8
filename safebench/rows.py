"""Rows of a file: JSON, JSON Lines, CSV and Parquet, each with where it stands.

Whoever reads says which error a file that cannot be read is: training data, a task, a neighbour's
file.
"""

from __future__ import annotations

import csv
import json
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from safebench.errors import SafebenchError, visible

_GIB = 2**30
_MOST_GIB = {".json": 1, ".jsonl": 4, ".csv": 4, ".tsv": 4, ".parquet": 4}
_LONGEST_FIELD = 16 * 2**20
_ROWS_AT_ONCE = 4096
_MOST_NESTED = 100
"""Levels of lists and mappings: more than programs write, fewer than recursion could follow."""
_FORMULA = re.compile(r"'*(?:\s*[=+\-@]|[\t\r])")
"""How a cell begins that a spreadsheet would run, or that was quoted because of it."""


@dataclass(frozen=True, slots=True)
class At:
    """Where something stands, for messages."""

    file: Path
    number: int
    """Line or row, from 1."""
    unit: str = "line"
    """`line` of a text file, else what is counted: `row`, `sample`."""

    def __str__(self) -> str:
        """Return `FILE:12`, or `FILE: row 12`."""
        if self.unit == "line":
            return visible(f"{self.file}:{self.number}")
        return visible(f"{self.file}: {self.unit} {self.number}")


Rows = Iterator[tuple[At, dict[str, Any]]]
Failure = type[SafebenchError]


def read_rows(path: Path, failure: Failure) -> Rows:
    """Read a file of objects; its suffix says how.

    JSON is a list of objects; the first line of CSV names the columns.

    Raises:
        SafebenchError: a `failure`: no such file, too large, of another kind, or damaged; it names
            the line or row.
    """
    suffix = path.suffix.lower()
    reader = _READERS.get(suffix)
    if not path.is_file():
        raise failure(f"{path}: no such file", fix="check the path")
    if reader is None:
        raise failure(
            f"{path}: a file that ends in {path.suffix!r} is not read",
            fix=f"give {', '.join(sorted(_READERS))}",
        )
    most = _MOST_GIB[suffix]
    if path.stat().st_size > most * _GIB:
        raise failure(
            f"{path}: larger than {most} GiB", fix="give a part of it, as JSON Lines or Parquet"
        )
    try:
        yield from reader(path, failure)
    except UnicodeDecodeError:
        raise _encoding(path, failure) from None


def parse_json(text: str | bytes) -> Any:
    """Return the data in a JSON text.

    Raises:
        ValueError: it is not JSON (a JSONDecodeError knows the place), is nested too deeply, or has
            a key twice, of which json.loads alone would keep the last.
    """
    try:
        return json.loads(text, object_pairs_hook=_once)
    except RecursionError:
        raise ValueError("it is nested too deeply") from None


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    data = dict(pairs)
    if len(data) < len(pairs):
        keys = [key for key, _ in pairs]
        twice = next(key for key in keys if keys.count(key) > 1)
        raise ValueError(f"the key {visible(repr(twice))} occurs twice in one mapping")
    return data


def check_data(data: Any) -> None:
    """Check that recursive functions can follow data, and that a file can hold all of its texts.

    Samplers that cut a response inside an emoji write half of it, as a JSON escape.

    Raises:
        ValueError: it is nested too deeply, or holds half a character.
    """
    level: list[tuple[str, Any]] = [("", data)]
    for _ in range(_MOST_NESTED + 1):
        below: list[tuple[str, Any]] = []
        for key, value in level:
            if isinstance(value, dict):
                below += value.items()
                below += zip(value, value, strict=True)  # keys are texts too
            elif isinstance(value, list):
                below += [(key, item) for item in value]
            elif isinstance(value, str) and (half := _lone_surrogate(value)):
                raise ValueError(f"{visible(repr(key))} {half}")
        if not below:
            return
        level = below
    raise ValueError("it is nested too deeply")


def _lone_surrogate(text: str) -> str | None:
    """Return what to say of half a character, which JSON can hold and no file; None if whole."""
    try:
        text.encode()
    except UnicodeEncodeError as problem:
        half = ascii(text[problem.start])
        return f"holds half a character, {half}, at position {problem.start + 1}"
    return None


def spreadsheet_safe(text: str) -> str:
    """Return a text for a CSV cell, with a `'` before what a spreadsheet would run as a formula."""
    return f"'{text}" if _FORMULA.match(text) else text


def from_spreadsheet(text: str) -> str:
    """Return what `spreadsheet_safe` was given."""
    return text[1:] if text.startswith("'") and _FORMULA.match(text) else text


def _encoding(path: Path, failure: Failure) -> SafebenchError:
    """Return the error for a file in another encoding, with the first place that shows it."""
    line, before = 1, 0
    with path.open("rb") as file:
        start = file.read(2)
        file.seek(0)
        for number, raw in enumerate(file, start=1):
            try:
                raw.decode()
            except UnicodeDecodeError as problem:
                line, before = number, before + problem.start
                break
            before += len(raw)
    wide = "; it looks like UTF-16" if start in (b"\xff\xfe", b"\xfe\xff") else ""
    return failure(
        f"{At(path, line)}: not UTF-8 at byte {before} of the file{wide}",
        fix="save the file as UTF-8",
    )


def _lines(path: Path, failure: Failure) -> Rows:
    with path.open(encoding="utf-8-sig", newline="\n") as file:
        for number, line in enumerate(file, start=1):
            if line.strip():
                at = At(path, number)
                yield at, _object(_parsed(line, str(at), failure), at, failure)


def _list(path: Path, failure: Failure) -> Rows:
    values = _parsed(path.read_text(encoding="utf-8-sig"), str(path), failure)
    if not isinstance(values, list):
        raise failure(
            f"{path}: expected a list of objects, found {type(values).__name__}",
            fix="give a JSON list, or JSON Lines in a file that ends in .jsonl",
        )
    for number, value in enumerate(values, start=1):
        at = At(path, number, "row")
        yield at, _object(value, at, failure)


def _parsed(text: str, where: str, failure: Failure) -> Any:
    try:
        return parse_json(text)
    except ValueError as problem:
        cut = "; the file was cut off here?" if not text.endswith(("}", "}\n", "}\r\n")) else ""
        what = (
            f"not JSON ({problem}){cut}" if isinstance(problem, json.JSONDecodeError) else problem
        )
        raise failure(
            visible(f"{where}: {what}"), fix="correct the file, or copy it again"
        ) from problem


def _object(value: Any, at: At, failure: Failure) -> dict[str, Any]:
    if isinstance(value, dict):
        try:
            check_data(value)
        except ValueError as problem:
            fix = "correct it; U+FFFD can stand in the place of half a character"
            raise failure(f"{at}: {visible(str(problem))}", fix=fix) from None
        return value
    raise failure(
        f"{at}: expected an object, found {type(value).__name__}",
        fix='every row is an object such as {"prompt": "...", ...}',
    )


def _parquet(path: Path, failure: Failure) -> Rows:
    import pyarrow as pa
    import pyarrow.parquet as pq

    number = 0
    try:
        with path.open("rb") as source, pq.ParquetFile(source) as file:
            for batch in file.iter_batches(batch_size=_ROWS_AT_ONCE):
                for value in batch.to_pylist():
                    number += 1
                    yield At(path, number, "row"), value
    except (pa.ArrowException, OSError, ValueError) as problem:
        raise failure(
            f"{path}: not readable as Parquet ({str(problem).splitlines()[0]})",
            fix="write the file again",
        ) from problem


def _csv(path: Path, failure: Failure, delimiter: str = ",") -> Rows:
    before = csv.field_size_limit(_LONGEST_FIELD)
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            reader = csv.reader(file, strict=True, delimiter=delimiter)
            names = next(reader, [])
            if len(set(names)) < len(names):
                raise failure(f"{path}:1: two columns have one name", fix="name every column once")
            for cells in reader:
                at = At(path, reader.line_num)
                if not cells:
                    continue
                if len(cells) != len(names):
                    raise failure(
                        f"{at}: {len(cells)} cells under {len(names)} column names",
                        fix="quote cells that hold a comma or a line break",
                    )
                yield at, dict(zip(names, cells, strict=True))
    except csv.Error as problem:
        raise failure(f"{path}: not readable as CSV ({problem})", fix="correct it") from problem
    finally:
        csv.field_size_limit(before)


_READERS: dict[str, Callable[[Path, Failure], Rows]] = {
    ".jsonl": _lines,
    ".json": _list,
    ".parquet": _parquet,
    ".csv": _csv,
    ".tsv": partial(_csv, delimiter="\t"),
}
