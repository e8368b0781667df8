"""The board as data: JSON, CSV, JSON Lines and Parquet with a schema version, piece by piece."""

from __future__ import annotations

import csv
import io
import json
import zlib
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
from pydantic import BaseModel

from safebench.card.measured import MeasuredScore
from safebench.evidence.columns import array_of
from safebench.rows import spreadsheet_safe
from safebench.site.board import Board
from safebench.site.board_rows import BoardRow, OverJudges, RerunBadge
from safebench.site.columns import COLUMNS, part_of
from safebench.site.sources import LeftOut
from safebench.site.text import clean

SCHEMA = "safebench/leaderboard/2"
_CELLS = {name: path for column in COLUMNS for name, path in column.csv.items()}
_COUNTS = frozenset({"class", "checkpoint", "training_seeds", "stability_pairs"})
_TEXTS = {
    *("schema", "id", "title", "organisation", "base_model", "method", "training_data"),
    *("family", "family_sha256", "below_the_line", "decoding", "trial", "read_as", "level"),
    *("rerun_verdict", "harm_judge_error", "harm_change_judge_error"),
    *("over_refusal_judge_error", "capability_judge_error"),
}
"""Columns that hold text; those that are neither text nor counts hold numbers."""
_ROWS_AT_ONCE = 1000


def formats(
    board: Board, rows: Sequence[BoardRow], left_out: Sequence[LeftOut]
) -> dict[str, Callable[[], Iterator[bytes]]]:
    """Return the name of every download, and what gives its content in pieces."""
    table = cells(rows)  # of four downloads
    return {
        "leaderboard.json": lambda: to_json(board, rows, left_out),
        "leaderboard.jsonl.gz": lambda: _gzipped(_to_jsonl(table)),
        "leaderboard.csv": lambda: to_csv(table),
        "leaderboard.csv.gz": lambda: _gzipped(to_csv(table)),
        "leaderboard.parquet": lambda: iter([to_parquet(table)]),
    }


def cells(rows: Iterable[BoardRow]) -> list[list[Any]]:
    """Return what the flat downloads have of every row, in the order of their columns."""
    return [[part_of(row, path) for path in _CELLS.values()] for row in rows]


def to_json(
    board: Board, rows: Iterable[BoardRow], left_out: Iterable[LeftOut] = ()
) -> Iterator[bytes]:
    """Yield the board as JSON, numbers in full precision, null for what was not measured."""
    head = {"schema": SCHEMA, "title": board.title, "submissions": []}
    tail = {"left_out": [{"name": one.name, "problems": one.problems} for one in left_out]}
    yield _json(head).removesuffix("]\n}").encode("ascii")
    between = "\n"
    for row in rows:
        yield f"{between}{_json(entry(row), 2)}".encode("ascii")
        between = ",\n"
    end = "" if between == "\n" else "\n "
    yield f"{end}],{_json(tail).removeprefix('{')}\n".encode("ascii")


def _json(content: Any, deep: int = 0) -> str:
    text = json.dumps(content, indent=1, ensure_ascii=True)
    return " " * deep + text.replace("\n", "\n" + " " * deep)


def entry(row: BoardRow) -> dict[str, Any]:
    """Return an entry of leaderboard.json."""
    members = {name: path for column in COLUMNS for name, path in column.json.items()}
    return {name: _plain(part_of(row, path)) for name, path in members.items()}


def _to_jsonl(table: Iterable[Sequence[Any]]) -> Iterator[bytes]:
    """Yield one line per submission: what leaderboard.csv has, null for an empty cell."""
    for row in table:
        line = {"schema": SCHEMA} | dict(zip(_CELLS, row, strict=True))
        yield (json.dumps(line, ensure_ascii=True) + "\n").encode("ascii")


def to_csv(table: Iterable[Sequence[Any]]) -> Iterator[bytes]:
    """Yield `cells` as CSV, one line per submission; an empty cell is `not measured`."""
    sink = io.StringIO()
    writer = csv.writer(sink, lineterminator="\n")
    writer.writerow(["schema", *_CELLS])
    for row in table:
        writer.writerow([SCHEMA, *map(_cell, row)])
        if sink.tell() > 2**16:
            yield sink.getvalue().encode("utf-8")
            sink.seek(0)
            sink.truncate()
    yield sink.getvalue().encode("utf-8")


def to_parquet(table: Sequence[Sequence[Any]]) -> bytes:
    """Return `cells` as Parquet, null for an empty cell."""
    schema = pa.schema([(name, _type(name)) for name in ("schema", *_CELLS)])
    sink = pa.BufferOutputStream()
    with pq.ParquetWriter(sink, schema, compression="zstd") as writer:
        for start in range(0, max(len(table), 1), _ROWS_AT_ONCE):
            piece = table[start : start + _ROWS_AT_ONCE]
            columns = {name: [row[n] for row in piece] for n, name in enumerate(_CELLS)}
            columns |= {"schema": [SCHEMA] * len(piece)}
            for name in _TEXTS & columns.keys():
                columns[name] = [None if v is None else clean(v) for v in columns[name]]
            arrays = [array_of(columns[field.name], field.type) for field in schema]
            writer.write_table(pa.Table.from_arrays(arrays, schema=schema))
    content: bytes = sink.getvalue().to_pybytes()
    return content


def _type(name: str) -> pa.DataType:
    if name in _TEXTS:
        return pa.string()
    return pa.int64() if name in _COUNTS else pa.float64()


def _gzipped(pieces: Iterable[bytes]) -> Iterator[bytes]:
    """Yield gzip without a time, so that the same board gives the same bytes."""
    packer = zlib.compressobj(9, zlib.DEFLATED, 31)
    for piece in pieces:
        yield packer.compress(piece)
    yield packer.flush()


def _plain(value: Any) -> Any:
    """Return a value as JSON has it; a score without what is exported beside it, or too long."""
    if isinstance(value, MeasuredScore):
        return value.model_dump(mode="json", exclude={"runs", "stability", "construct"})
    if isinstance(value, BaseModel):
        return value.model_dump(mode="json")
    return vars(value) if isinstance(value, RerunBadge | OverJudges) else value


def _cell(value: Any) -> Any:
    """Return a CSV cell; text that a spreadsheet would run as a formula gets a quote before it."""
    if value is None:
        return ""
    if not isinstance(value, str):
        return repr(value) if isinstance(value, float) else value
    return spreadsheet_safe(clean(value))
