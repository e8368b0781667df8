"""Columns as numbers and codes, and rows by their values, without what loads pandas.

pyarrow's own `group_by`, and `pa.array` and `pa.scalar`, load pandas where it is installed, which
takes longer than the rest of a light command.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

Ints = npt.NDArray[np.int64]
Codes = npt.NDArray[np.int32]
_KINDS = {pa.int64(): np.int64, pa.float64(): np.float64}
_MOST_BYTES = 2**31 - 1
"""What the offsets of a column of text can count."""
_NO_CODES: Codes = np.zeros(0, dtype=np.int32)


def array_of(values: Sequence[Any] | Ints, kind: pa.DataType) -> pa.Array:
    """Return values, None among them, as a column of text, int64 or float64."""
    given = np.array([value is not None for value in values], dtype=np.bool_)
    valid = None if given.all() else pa.py_buffer(np.packbits(given, bitorder="little"))
    if kind == pa.string():
        texts = [b"" if value is None else value.encode() for value in values]
        ends = np.cumsum([0, *map(len, texts)])
        if ends[-1] > _MOST_BYTES:  # rare enough to load pandas for it
            return pa.array(values, kind)
        parts = [pa.py_buffer(ends.astype(np.int32)), pa.py_buffer(b"".join(texts))]
    else:
        numbers = [0 if value is None else value for value in values]
        parts = [pa.py_buffer(np.array(numbers, dtype=_KINDS[kind]))]
    return pa.Array.from_buffers(kind, len(values), [valid, *parts])


def table_of(rows: Sequence[Mapping[str, Any]], schema: pa.Schema) -> pa.Table:
    """Return rows as a table; a field that a row lacks is null."""
    columns = [array_of([row.get(field.name) for row in rows], field.type) for field in schema]
    return pa.Table.from_arrays(columns, schema=schema)


def distinct(table: pa.Table, names: list[str]) -> list[tuple[Any, ...]]:
    """Return every combination of values that some columns hold, once each."""
    return grouped(table, names)[0] if table.num_rows else []


def grouped(table: pa.Table, names: Sequence[str]) -> tuple[list[tuple[Any, ...]], Ints]:
    """Return the different combinations of values in some columns, and the place of each row's."""
    place: Ints = np.zeros(table.num_rows, dtype=np.int64)
    first: Ints = place
    columns = [encoded(table, name) for name in names]
    # Column by column, rows that agree so far get one number.
    for codes, values in columns:
        _, first, place = np.unique(
            place * len(values) + codes, return_index=True, return_inverse=True
        )
    return [tuple(values[codes[row]] for codes, values in columns) for row in first], place


def rows_with(table: pa.Table, values: Mapping[str, Any]) -> pa.Table:
    """Return the rows that hold these values, in their order; None stands for null."""
    mask = np.ones(table.num_rows, dtype=bool)
    for name, value in values.items():
        codes, known = encoded(table, name)
        mask &= np.isin(codes, [code for code, one in enumerate(known) if one == value])
    rows = np.flatnonzero(mask).astype(np.int64)
    return table.take(pa.Array.from_buffers(pa.int64(), len(rows), [None, pa.py_buffer(rows)]))


def encoded(table: pa.Table, name: str) -> tuple[Codes, list[Any]]:
    """Return a column as codes (rows,) and the values they stand for, None among them."""
    column = _whole(table, name)
    if not pa.types.is_dictionary(column.type):
        column = column.dictionary_encode(null_encoding="encode")
    indices, values = column.indices, column.dictionary.to_pylist()
    if not len(indices):
        return _NO_CODES, values
    codes, given = _numbers(indices, np.int32)
    if not given.all():
        codes = np.where(given, codes, len(values)).astype(np.int32)
        values.append(None)
    return codes, values


def floats(table: pa.Table, name: str) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.bool_]]:
    """Return a column of float64 (rows,), NaN for null, and where there is a value."""
    column = _whole(table, name)
    if not len(column):
        return np.zeros(0), np.ones(0, dtype=np.bool_)
    numbers, given = _numbers(column, np.float64)
    return (numbers if given.all() else np.where(given, numbers, np.nan)), given


def _numbers(column: pa.Array, kind: type) -> tuple[npt.NDArray[Any], npt.NDArray[np.bool_]]:
    """The numbers of a column, anything for null, and where there is one."""
    valid, data = column.buffers()
    rows = slice(column.offset, column.offset + len(column))
    given = np.ones(len(column), dtype=np.bool_)
    if valid is not None:
        bits = np.unpackbits(np.frombuffer(valid, dtype=np.uint8), bitorder="little")
        given = bits[rows].astype(np.bool_)
    return np.frombuffer(data, dtype=kind)[rows], given


def _whole(table: pa.Table, name: str) -> pa.Array:
    column = table.column(name)
    if pa.types.is_dictionary(column.type):
        column = column.unify_dictionaries()
    chunks = column.chunks
    if len(chunks) == 1:
        return chunks[0]
    return pa.concat_arrays(chunks) if chunks else pa.nulls(0, column.type)
