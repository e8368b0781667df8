"""Files of rows: every format, what is no such file, and cells that hold lists."""

from __future__ import annotations

from pathlib import Path

import pytest

from safebench.errors import TaskError
from safebench.harness.rows import cell, cell_list, found_columns, read_rows


def test_cells_keep_their_line_breaks(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    path.write_bytes('\ufeffprompt,type\r\n"one\r\ntwo, ""three""",a\r\nx\u2028y,b\r\n'.encode())
    assert read_rows(path) == [
        {"prompt": 'one\ntwo, "three"', "type": "a"},
        {"prompt": "x\u2028y", "type": "b"},
    ]


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("a.csv", b"a,b\n1,2\n1,2,3\n", "row 2 has more cells than the header"),
        ("a.csv", b"a,b\n1," + b"x" * 200_000, "row 1: not CSV (field larger"),
        ("a.json", b'{"a": 1}', "expected a list of objects, found dict"),
        ("a.json", b'[{"a": 1}, 2]', "row 2: expected an object, found int"),
        ("a.json", b'[{"a": 1}', "a.json: not JSON"),
        ("a.jsonl", b'{"a": 1}\n{"a"', ":2: not JSON"),
        ("a.jsonl", b"[" * 100_000, ":1: not JSON"),
        ("a.parquet", b"PAR1 and nothing else", "a.parquet: not Parquet"),
        ("a.xlsx", b"PK", "ends in '.xlsx'"),
        ("a", b"x", "ends in ''"),
    ],
)
def test_what_is_no_such_file(name: str, content: bytes, message: str, tmp_path: Path) -> None:
    (tmp_path / name).write_bytes(content)
    with pytest.raises(TaskError) as caught:
        read_rows(tmp_path / name)
    assert message in str(caught.value)


def test_no_file_at_all(tmp_path: Path) -> None:
    with pytest.raises(TaskError, match="no such file"):
        read_rows(tmp_path)


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
    with pytest.raises(TaskError, match="row 1: turns is no list of texts"):
        cell_list(value, "row 1", what="turns")
