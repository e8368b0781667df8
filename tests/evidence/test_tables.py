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


SPOILT = {
    "score": pa.array(["much"]),
    "repeat": pa.array([2**63], pa.uint64()),
    "task": pa.array([None], pa.string()),
    "verdict": pa.array([b"\xff\xfe"]).view(pa.string()),  # no UTF-8
    "prompt_id": pa.array([b"\xff"]),
    "status": pa.array([["ok"]]),
}


@pytest.mark.parametrize("coded", [True, False])
@pytest.mark.parametrize("name", SPOILT)
def test_a_column_of_another_type(name: str, coded: bool, tmp_path: Path) -> None:
    table = make_table(rows(), OUTCOMES)
    column = pa.concat_arrays([SPOILT[name]] * len(table))
    table = table.set_column(table.column_names.index(name), name, column)
    pq.write_table(table, tmp_path / "outcomes.parquet")
    with pytest.raises(EvidenceError, match="another type"):
        read_table(tmp_path / "outcomes.parquet", OUTCOMES, coded=coded)


def test_a_column_twice(tmp_path: Path) -> None:
    table = make_table(rows(), OUTCOMES)
    pq.write_table(table.append_column("score", table["score"]), tmp_path / "outcomes.parquet")
    with pytest.raises(EvidenceError, match="two columns have one name"):
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
