"""Files of rows: every format, and what is no such file."""

from __future__ import annotations

import json
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from safebench.errors import InteropError, TaskError
from safebench.rows import At, read_rows

ROWS = [{"a": "one\ntwo", "b": "1"}, {"a": "x\u2028y", "b": "2"}]


def write(path: Path) -> Path:
    if path.suffix == ".parquet":
        pq.write_table(pa.Table.from_pylist(ROWS), path)
    elif path.suffix == ".json":
        path.write_text(json.dumps(ROWS))
    elif path.suffix == ".jsonl":
        path.write_text("".join(json.dumps(row, ensure_ascii=False) + "\n\n" for row in ROWS))
    else:
        mark = "," if path.suffix == ".csv" else "\t"
        lines = [mark.join("ab"), *(mark.join((f'"{r["a"]}"', r["b"])) for r in ROWS)]
        path.write_text("\n".join(lines) + "\n")
    return path


@pytest.mark.parametrize(
    ("suffix", "places"),
    [
        (".jsonl", (":1", ":3")),
        (".json", (": row 1", ": row 2")),
        (".csv", (":3", ":4")),
        (".tsv", (":3", ":4")),
        (".parquet", (": row 1", ": row 2")),
    ],
)
@pytest.mark.parametrize("mark", [b"", b"\xef\xbb\xbf"])
def test_every_format_has_the_same_rows(
    suffix: str, places: tuple[str, str], mark: bytes, tmp_path: Path
) -> None:
    path = write(tmp_path / f"rows{suffix}")
    if suffix != ".parquet":
        path.write_bytes(mark + path.read_bytes())
    found = list(read_rows(path, InteropError))
    assert [row for _, row in found] == ROWS
    assert [str(at) for at, _ in found] == [f"{path}{place}" for place in places]


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("a.csv", b"a,b\n1,2\n1,2,3\n", ":3: 3 cells under 2 column names"),
        ("a.csv", b"a,a\n1,2\n", ":1: two columns have one name"),
        ("a.csv", b"a,b\n1," + b"x" * 20_000_000, "not readable as CSV (field larger"),
        ("a.csv", b'a,b\n"1"2,3\n', "not readable as CSV"),
        ("a.json", b'{"a": 1}', "expected a list of objects, found dict"),
        ("a.json", b'[{"a": 1}, 2]', "row 2: expected an object, found int"),
        ("a.json", b'[{"a": 1}', "a.json: not JSON"),
        ("a.jsonl", b'{"a": 1}\n{"a"', ":2: not JSON"),
        ("a.jsonl", b'{"a": 1}\n{"a"', "cut off here?"),
        ("a.jsonl", b"[" * 100_000, ":1: it is nested too deeply"),
        ("a.jsonl", b'{"a": ' + b"[" * 150 + b"]" * 150 + b"}", ":1: it is nested too deeply"),
        ("a.jsonl", b'{"a": 1}\n{"a": 1, "a": 2}', ":2: the key 'a' occurs twice"),
        ("a.json", b'[{"a": {"b": 1, "b": 2}}]', "the key 'b' occurs twice"),
        (
            "a.jsonl",
            b'{"a": "x\\ud83d"}',
            ":1: 'a' holds half a character, '\\ud83d', at position 2",
        ),
        ("a.json", b'[{"a": ["\\udc00"]}]', "row 1: 'a' holds half a character"),
        ("a.jsonl", b'{"a": 1}\n{"a": "\xff"}\n', ":2: not UTF-8 at byte 16 of the file"),
        ("a.jsonl", '{"a": 1}'.encode("utf-16"), ":1: not UTF-8 at byte 0 of the file; it looks"),
        ("a.json", b'["\xe9"]', ":1: not UTF-8 at byte 2 of the file"),
        ("a.parquet", b"PAR1 and nothing else", "a.parquet: not readable as Parquet"),
        ("a.xlsx", b"PK", "ends in '.xlsx'"),
        ("a", b"x", "ends in ''"),
    ],
)
def test_what_is_no_such_file(name: str, content: bytes, message: str, tmp_path: Path) -> None:
    (tmp_path / name).write_bytes(content)
    with pytest.raises(TaskError) as caught:
        list(read_rows(tmp_path / name, TaskError))
    assert message in str(caught.value)
    assert caught.value.fix


def test_no_file_at_all(tmp_path: Path) -> None:
    with pytest.raises(TaskError, match="no such file"):
        list(read_rows(tmp_path, TaskError))


def test_a_place_is_shown_without_what_could_write_to_a_terminal() -> None:
    assert str(At(Path("a\x1b[31m"), 3, "sample")) == "a\\x1b[31m: sample 3"
