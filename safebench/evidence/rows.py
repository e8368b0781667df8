"""Which rows a table has, and some of them, without what loads pandas.

pyarrow's own `group_by`, and `pa.array` and `pa.scalar`, load pandas where it is installed, which
takes longer than the rest of a light command.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

Ints = npt.NDArray[np.int64]


def distinct(table: pa.Table, names: list[str]) -> list[tuple[Any, ...]]:
    """Return every combination of values that some columns hold, once each."""
    if table.num_rows == 0:
        return []
    place: Ints = np.zeros(table.num_rows, dtype=np.int64)
    first: Ints = place
    columns = [_encoded(table, name) for name in names]
    for codes, values in columns:
        _, first, place = np.unique(
            place * len(values) + codes, return_index=True, return_inverse=True
        )
    return [tuple(values[codes[row]] for codes, values in columns) for row in first]


def rows_with(table: pa.Table, wanted: Mapping[str, Any]) -> pa.Table:
    """Return the rows that hold these values, in their order; None stands for null."""
    mask = np.ones(table.num_rows, dtype=bool)
    for name, value in wanted.items():
        if table.num_rows:
            codes, values = _encoded(table, name)
            mask &= codes == (values.index(value) if value in values else -1)
    rows = np.flatnonzero(mask).astype(np.int64)
    return table.take(pa.Array.from_buffers(pa.int64(), len(rows), [None, pa.py_buffer(rows)]))


def _encoded(table: pa.Table, name: str) -> tuple[Ints, list[Any]]:
    """Return a column as codes and the values they stand for."""
    column = pa.concat_arrays(table.column(name).chunks)
    encoded = column.dictionary_encode(null_encoding="encode")
    indices = encoded.indices
    codes = np.frombuffer(indices.buffers()[1], dtype=np.int32)
    codes = codes[indices.offset : indices.offset + len(indices)]
    return codes.astype(np.int64), encoded.dictionary.to_pylist()
