"""The board as data: JSON and CSV with a schema version."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterable
from typing import Any

from pydantic import BaseModel

from safebench.card.measured import MeasuredScore
from safebench.rows import spreadsheet_safe
from safebench.site.board import Board
from safebench.site.board_rows import BoardRow, RerunBadge
from safebench.site.columns import COLUMNS, part_of
from safebench.site.sources import LeftOut
from safebench.site.text import clean

SCHEMA = "safebench/leaderboard/2"


def to_json(board: Board, rows: Iterable[BoardRow], left_out: Iterable[LeftOut] = ()) -> bytes:
    """Return the board as JSON, numbers in full precision, null for what was not measured."""
    members = {name: path for column in COLUMNS for name, path in column.json.items()}
    content = {
        "schema": SCHEMA,
        "title": board.title,
        "submissions": [
            {name: _plain(part_of(row, path)) for name, path in members.items()} for row in rows
        ],
        "left_out": [{"name": one.name, "problems": one.problems} for one in left_out],
    }
    return (json.dumps(content, indent=1, ensure_ascii=True) + "\n").encode("ascii")


def to_csv(rows: Iterable[BoardRow]) -> bytes:
    """Return the board as CSV, one line per submission; an empty cell is `not measured`."""
    cells = {name: path for column in COLUMNS for name, path in column.csv.items()}
    sink = io.StringIO()
    writer = csv.writer(sink, lineterminator="\n")
    writer.writerow(["schema", *cells])
    for row in rows:
        writer.writerow([SCHEMA, *(_cell(part_of(row, path)) for path in cells.values())])
    return sink.getvalue().encode("utf-8")


def _plain(value: Any) -> Any:
    """Return a value as JSON has it; a score without what is exported beside it, or too long."""
    if isinstance(value, MeasuredScore):
        return value.model_dump(mode="json", exclude={"runs", "stability", "construct"})
    if isinstance(value, BaseModel):
        return value.model_dump(mode="json")
    return vars(value) if isinstance(value, RerunBadge) else value


def _cell(value: Any) -> Any:
    """Return a CSV cell; text that a spreadsheet would run as a formula gets a quote before it."""
    if value is None:
        return ""
    if not isinstance(value, str):
        return repr(value) if isinstance(value, float) else value
    return spreadsheet_safe(clean(value))
