"""Files of rows: every format, what is no such file, and cells that hold lists."""

from __future__ import annotations

from pathlib import Path

import pytest

from safebench.errors import TaskError
from safebench.harness.tables import cell, cell_list, found_columns, read_rows


def test_cells_keep_their_line_breaks(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    path.write_bytes('\ufeffprompt,type\r\n"one\r\ntwo, ""three""",a\r\nx\u2028y,b\r\n'.encode())
    assert read_rows(path) == [
        {"prompt": 'one\ntwo, "three"', "type": "a"},
        {"prompt": "x\u2028y", "type": "b"},
    ]


def test_columns_of_rows_that_differ() -> None:
    assert found_columns([{"a": 1}, {"b": 1, "a": 2}]) == ["a", "b"]


@pytest.mark.parametrize(
    ("value", "text"), [(None, ""), (float("nan"), ""), (3, "3"), (" x ", "x")]
)
def test_a_cell_as_text(value: object, text: str) -> None:
    assert cell(value) == text


@pytest.mark.parametrize(
    "value", [["a", "b"], ("a", "b"), '["a", "b"]', "['a', 'b']", ' ["a","b"]']
)
def test_a_cell_that_holds_a_list(value: object) -> None:
    assert cell_list(value, "row 1", what="turns") == ["a", "b"]


@pytest.mark.parametrize("value", [None, "", "a, b", "[]", [], ["a", None], {"a": 1}, "('a'", 3])
def test_a_cell_that_holds_none(value: object) -> None:
    with pytest.raises(TaskError, match="row 1: turns is not a list of texts"):
        cell_list(value, "row 1", what="turns")
