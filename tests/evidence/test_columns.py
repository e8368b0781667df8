"""The rows of a table, nulls and chunks included, against plain Python."""

from __future__ import annotations

import pyarrow as pa
from hypothesis import given, settings
from hypothesis import strategies as st

from safebench.evidence.columns import distinct, rows_with

Row = tuple[str | None, int | None]
ROWS = st.lists(st.tuples(st.sampled_from(["a", "b", None]), st.sampled_from([1, 2, None])))


def table(*chunks: list[Row]) -> pa.Table:
    schema = pa.schema([("x", pa.string()), ("y", pa.int64())])
    parts = [pa.Table.from_pylist([{"x": x, "y": y} for x, y in rows], schema) for rows in chunks]
    return pa.concat_tables(parts)


@settings(max_examples=50, deadline=None)
@given(ROWS, ROWS)
def test_every_combination_once(first: list[Row], second: list[Row]) -> None:
    found = distinct(table(first, second), ["x", "y"])
    assert len(found) == len(set(found))
    assert set(found) == set(first + second)


@settings(max_examples=50, deadline=None)
@given(ROWS, ROWS, st.sampled_from(["a", "c", None]), st.sampled_from([2, None]))
def test_rows_that_hold_values(
    first: list[Row], second: list[Row], x: str | None, y: int | None
) -> None:
    found = rows_with(table(first, second), {"x": x, "y": y})
    assert found.to_pylist() == [{"x": x, "y": y}] * (first + second).count((x, y))
