"""Rows of the board: read as they were written, and small enough that a board keeps 10,000."""

from __future__ import annotations

import tracemalloc
from pathlib import Path

import pytest
from pydantic import TypeAdapter

from safebench.site import build
from safebench.site.board_rows import BoardRow
from safebench.site.kept_rows import row_as_json, row_from_json


@pytest.fixture(scope="module")
def rows(board: Path, tmp_path_factory: pytest.TempPathFactory) -> list[BoardRow]:
    return list(build(board, tmp_path_factory.mktemp("site") / "out").entries.rows)


def test_a_row_is_read_as_it_was_written(rows: list[BoardRow]) -> None:
    for row in rows:
        assert row_from_json(row_as_json(row)) == row


def test_a_row_that_is_read_takes_little_memory(rows: list[BoardRow]) -> None:
    text = max(map(row_as_json, rows), key=len)
    plain = TypeAdapter(BoardRow).validate_json

    def size(read: object) -> int:
        assert callable(read)
        tracemalloc.start()
        kept = [read(text) for _ in range(200)]
        size = tracemalloc.get_traced_memory()[0]
        tracemalloc.stop()
        assert len(kept) == 200
        return size

    row_from_json(text)  # what all rows share
    assert size(row_from_json) < 0.5 * size(plain)
