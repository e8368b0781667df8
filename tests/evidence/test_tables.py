"""Evidence tables: the same rows, the same bytes; damage is named."""

from __future__ import annotations

import random
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from safebench.errors import EvidenceError
from safebench.evidence.outcomes import read_outcomes
from safebench.evidence.tables import OUTCOMES, make_table, read_table, write_table


def rows() -> list[dict[str, Any]]:
    return [
        {
            "condition": condition,
            "training_seed": seed,
            "checkpoint": None if seed is None else 1,
            "decoding": "greedy",
            "repeat": 1,
            "generation_seed": None,
            "task": "safebench_harm",
            "construct": "harm",
            "category": "theft",
            "prompt_id": f"p{i}",
            "judge": "rule",
            "status": "ok",
            "verdict": "refused",
            "score": 0.0,
        }
        for condition, seed in (("base", None), ("tuned", 1), ("tuned", 2))
        for i in range(5)
    ]


def test_row_order_does_not_change_the_bytes(tmp_path: Path) -> None:
    mixed = rows()
    random.Random(0).shuffle(mixed)
    write_table(make_table(rows(), OUTCOMES), tmp_path / "a")
    write_table(make_table(mixed, OUTCOMES), tmp_path / "b")
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()


def test_base_comes_first_with_nulls(tmp_path: Path) -> None:
    write_table(make_table(list(reversed(rows())), OUTCOMES), tmp_path / "outcomes.parquet")
    seeds = read_outcomes(tmp_path).column("training_seed").to_pylist()
    assert seeds == [None] * 5 + [1] * 5 + [2] * 5


def test_no_outcomes(tmp_path: Path) -> None:
    with pytest.raises(EvidenceError, match="no such file"):
        read_outcomes(tmp_path)


def test_not_parquet(tmp_path: Path) -> None:
    (tmp_path / "outcomes.parquet").write_text("condition,score\n")
    with pytest.raises(EvidenceError, match="not a readable Parquet file"):
        read_outcomes(tmp_path)


def test_a_missing_column_is_named(tmp_path: Path) -> None:
    table = make_table(rows(), OUTCOMES).drop_columns(["verdict", "judge"])
    pq.write_table(table, tmp_path / "outcomes.parquet")
    with pytest.raises(EvidenceError, match="column judge, verdict missing"):
        read_outcomes(tmp_path)


def test_a_column_of_another_type(tmp_path: Path) -> None:
    table = make_table(rows(), OUTCOMES)
    at = table.column_names.index("score")
    table = table.set_column(at, "score", pa.array(["much"] * len(table)))
    pq.write_table(table, tmp_path / "outcomes.parquet")
    with pytest.raises(EvidenceError, match="another type"):
        read_outcomes(tmp_path)


def test_a_failed_write_leaves_the_old_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "outcomes.parquet"
    write_table(make_table(rows(), OUTCOMES), path)
    before = path.read_bytes()

    def full(handle: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("safebench.files.os.fsync", full)
    with pytest.raises(OSError, match="No space"):
        write_table(make_table(rows()[:3], OUTCOMES), path)
    assert path.read_bytes() == before
    assert [p.name for p in tmp_path.iterdir()] == ["outcomes.parquet"]


def test_what_was_read_as_codes_is_written_as_the_same_bytes(tmp_path: Path) -> None:
    first, second = tmp_path / "first", tmp_path / "second"
    first.mkdir()
    second.mkdir()
    mixed = [row | ({"verdict": None} if i % 3 else {}) for i, row in enumerate(rows())]
    write_table(make_table(mixed, OUTCOMES), first / "outcomes.parquet")
    found = read_table(first / "outcomes.parquet", OUTCOMES, coded=True)
    assert pa.types.is_dictionary(found.schema.field("prompt_id").type)
    assert found.to_pylist() == make_table(mixed, OUTCOMES).to_pylist()
    write_table(found, second / "outcomes.parquet")
    written = [(folder / "outcomes.parquet").read_bytes() for folder in (first, second)]
    assert written[0] == written[1]


# --- what strangers write -----------------------------------------------------------------------


def with_column(name: str, column: pa.Array) -> pa.Table:
    table = make_table(rows(), OUTCOMES)
    return table.set_column(table.column_names.index(name), name, column)


@pytest.mark.parametrize(
    "column",
    [
        pa.array(["greedy"] * 15, pa.large_string()),
        pa.array(["greedy"] * 15).dictionary_encode(),
        pa.array(["greedy"] * 15, pa.large_string()).dictionary_encode(),
    ],
    ids=lambda column: str(column.type)[:24],
)
@pytest.mark.parametrize("coded", [True, False])
def test_text_is_text_however_its_writer_keeps_it(
    column: pa.Array, coded: bool, tmp_path: Path
) -> None:
    pq.write_table(with_column("decoding", column), tmp_path / "outcomes.parquet", row_group_size=4)
    found = read_table(tmp_path / "outcomes.parquet", OUTCOMES, coded=coded)
    assert found.to_pylist() == make_table(rows(), OUTCOMES).to_pylist()


@pytest.mark.parametrize("kind", [pa.int32(), pa.null(), pa.float64()], ids=str)
def test_a_column_of_numbers_may_be_narrower_or_empty(kind: pa.DataType, tmp_path: Path) -> None:
    column = pa.array([None] * 15, pa.null()).cast(kind)
    pq.write_table(with_column("generation_seed", column), tmp_path / "outcomes.parquet")
    assert read_outcomes(tmp_path).equals(read_table_of(rows(), tmp_path / "again"))


def read_table_of(content: list[dict[str, Any]], path: Path) -> pa.Table:
    write_table(make_table(content, OUTCOMES), path)
    return read_table(path, OUTCOMES, coded=True)


@pytest.mark.parametrize("coded", [True, False])
@pytest.mark.parametrize("kind", [pa.string(), pa.large_string(), pa.binary(), pa.binary(50_000)])
def test_a_long_text_that_many_rows_share_counts_once_for_each(
    kind: pa.DataType, coded: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("safebench.evidence.tables.MOST_TEXT", 2**25)
    path, number = tmp_path / "outcomes.parquet", 2**25 // 50_000 + 1
    table = make_table(rows()[:1], OUTCOMES).take(pa.array([0] * number))
    codes = pa.array([0] * number, pa.int32())
    text = pa.DictionaryArray.from_arrays(codes, pa.array([b"x" * 50_000]).cast(kind))
    table = table.set_column(table.column_names.index("category"), "category", text)
    pq.write_table(table, path, compression="zstd")
    assert path.stat().st_size < 100_000
    with pytest.raises(EvidenceError, match=r"bytes of text|another type") as caught:
        read_table(path, OUTCOMES, coded=coded)
    assert ("bytes of text" in str(caught.value)) == (kind in (pa.string(), pa.large_string()))


def test_a_type_that_could_hide_anything_is_refused_before_it_is_read(tmp_path: Path) -> None:
    column = pa.array([[["x"]]] * 15)
    pq.write_table(with_column("category", column), tmp_path / "outcomes.parquet")
    with pytest.raises(EvidenceError, match="column category has another type: list"):
        read_outcomes(tmp_path)


@pytest.mark.parametrize(
    ("bound", "message"),
    [
        ("MOST_ROWS", "15 rows; at most 14"),
        ("MOST_GROUPS", "15 row groups; at most 14"),
        ("MOST_UNPACKED", "bytes when unpacked; at most 14"),
        ("MOST_TEXT", "bytes of text; at most 14"),
    ],
)
def test_bounds(bound: str, message: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pq.write_table(make_table(rows(), OUTCOMES), tmp_path / "outcomes.parquet", row_group_size=1)
    read_outcomes(tmp_path)
    monkeypatch.setattr(f"safebench.evidence.tables.{bound}", 14)
    with pytest.raises(EvidenceError, match=message):
        read_outcomes(tmp_path)
