"""Counts and sums of the cells of any set of facets, each from the smallest table that has them."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

import numpy as np
from numpy.typing import ArrayLike, NDArray

from safebench.errors import StatsError
from safebench.stats._checks import Floats, Ints

Codes = NDArray[np.integer[Any]]
Facets = frozenset[str]
#: Cells of a dense grid for each row, above which only the cells that occur are kept.
DENSE = 2


class Cells(Protocol):
    """What Method I asks of a design. One-level facets do not count: leave them out."""

    def count(self, facets: Facets) -> int:
        """Number of cells that occur."""

    def squares(self, facets: Facets) -> float:
        """Sum over cells of n^2."""

    def t(self, facets: Facets) -> float:
        """Sum over cells of (sum of y)^2/n."""

    def overlap(self, a: Facets, e: Facets) -> float:
        """k_ae = sum over cells A of a, E of e, of n_AE^2/n_A."""


def cells_of(values: Floats, facets: Mapping[str, tuple[Codes, int]]) -> Cells:
    """Tabulate `values` (n,) by all `facets` (codes and number of levels of each), in one pass."""
    shape = [size for _, size in facets.values()]
    if math.prod(shape) > DENSE * values.size + 1024:
        return _sparse(values, facets)
    codes = np.zeros(values.size, dtype=np.int64)
    for labels, size in facets.values():
        codes *= size
        codes += labels
    bound = math.prod(shape)
    counts = np.bincount(codes, minlength=bound).astype(np.float64).reshape(shape)
    sums = np.bincount(codes, weights=values, minlength=bound).astype(np.float64).reshape(shape)
    even = bool(counts.min() == counts.max())
    return Grid(values.size, tuple(facets), even, {frozenset(facets): (counts, sums)})


@dataclass
class Grid:
    """Tables with an axis for each facet, of one level where a facet is summed over."""

    n: int
    axes: tuple[str, ...]
    even: bool  # all cells of the finest table hold as many outcomes
    tables: dict[Facets, tuple[Floats, Floats]]
    _squared: dict[Facets, Floats] = field(default_factory=dict)
    _counts: dict[Facets, int] = field(default_factory=dict)

    def _table(self, facets: Facets) -> tuple[Floats, Floats]:
        if facets not in self.tables:
            counts, sums = self.tables[_smallest(self.tables, facets)]
            over = self._without(facets)
            n, total = (table.sum(axis=over, keepdims=True) for table in (counts, sums))
            self.tables[facets] = n, total
        return self.tables[facets]

    def _without(self, facets: Facets) -> tuple[int, ...]:
        return tuple(i for i, name in enumerate(self.axes) if name not in facets)

    def count(self, facets: Facets) -> int:
        """Number of cells that occur."""
        if facets not in self._counts:
            self._counts[facets] = int(np.count_nonzero(self._table(facets)[0]))
        return self._counts[facets]

    def squares(self, facets: Facets) -> float:
        """Sum over cells of n^2."""
        return float(np.sum(self._table(facets)[0] ** 2))

    def t(self, facets: Facets) -> float:
        """Sum over cells of (sum of y)^2/n."""
        counts, sums = self._table(facets)
        return float(np.sum(sums**2 / np.maximum(counts, 1)))

    def overlap(self, a: Facets, e: Facets) -> float:
        """k_ae, n K_a/K_ae with K cells when all hold as many outcomes."""
        if self.even:
            return self.n * self.count(a) / self.count(a | e)
        both = a | e
        if both not in self._squared:
            self._squared[both] = self._table(both)[0] ** 2
        squared = self._squared[both].sum(axis=self._without(a), keepdims=True)
        return float(np.sum(squared / np.maximum(self._table(a)[0], 1)))


@dataclass
class _Table:
    """Cells that occur: outcomes, their sum, and the level of each facet."""

    counts: Floats
    sums: Floats
    levels: dict[str, tuple[Codes, int]]

    def owners(self, facets: Facets) -> tuple[Ints, int]:
        """Code of the cell of `facets` in which each of these cells lies, and how many."""
        codes, size = np.zeros(self.counts.size, dtype=np.int64), 1
        for name, (labels, levels) in self.levels.items():
            if name in facets:
                codes, size = compact(codes * levels + labels, size * levels)
        return codes, size


@dataclass
class Sparse:
    """Tables of the cells that occur, for designs whose grid would be mostly empty."""

    tables: dict[Facets, _Table]

    def _table(self, facets: Facets) -> _Table:
        if facets not in self.tables:
            source = self.tables[_smallest(self.tables, facets)]
            self.tables[facets] = _merge(source, facets, source.counts, source.sums)
        return self.tables[facets]

    def count(self, facets: Facets) -> int:
        """Number of cells that occur."""
        return self._table(facets).counts.size

    def squares(self, facets: Facets) -> float:
        """Sum over cells of n^2."""
        return float(np.sum(self._table(facets).counts ** 2))

    def t(self, facets: Facets) -> float:
        """Sum over cells of (sum of y)^2/n."""
        table = self._table(facets)
        return float(np.sum(table.sums**2 / table.counts))

    def overlap(self, a: Facets, e: Facets) -> float:
        """k_ae from the cells of a and e together."""
        both = self._table(a | e)
        owner, size = both.owners(a)
        squared = np.bincount(owner, weights=both.counts**2, minlength=size)
        return float(np.sum(squared / np.bincount(owner, weights=both.counts, minlength=size)))


def _sparse(values: Floats, facets: Mapping[str, tuple[Codes, int]]) -> Sparse:
    rows = _Table(values, values, dict(facets))  # a row is a cell of one outcome
    everything = frozenset(facets)
    return Sparse({everything: _merge(rows, everything, None, values)})


def _merge(source: _Table, facets: Facets, counts: Floats | None, sums: Floats) -> _Table:
    codes, size = source.owners(facets)
    levels: dict[str, tuple[Codes, int]] = {}
    for name, (labels, bound) in source.levels.items():
        if name in facets:
            merged = np.empty(size, dtype=labels.dtype)
            merged[codes] = labels
            levels[name] = (merged, bound)
    weights = np.bincount(codes, weights=counts, minlength=size).astype(np.float64)
    totals = np.bincount(codes, weights=sums, minlength=size).astype(np.float64)
    return _Table(weights, totals, levels)


def _smallest(tables: Mapping[Facets, Any], facets: Facets) -> Facets:
    """The known facets with the fewest cells among those that include `facets`."""

    def cells(known: Facets) -> int:
        table = tables[known]
        return int(table.counts.size if isinstance(table, _Table) else table[0].size)

    return min((known for known in tables if known >= facets), key=cells)


def facet_codes(name: str, labels: ArrayLike, n: int) -> tuple[Codes, int]:
    """Codes 0..L-1 of a facet, and L. Raises StatsError on another length or NaN."""
    array = np.asarray(labels)
    if array.shape != (n,):
        raise StatsError(f"factors[{name!r}] has shape {array.shape}, not ({n},) like y")
    if array.dtype.kind == "f" and np.isnan(array).any():
        raise StatsError(f"factors[{name!r}][{int(np.argmax(np.isnan(array)))}] is NaN")
    if array.dtype.kind in "iu" and array.min() >= 0:
        return compact(array, int(array.max()) + 1)
    try:
        levels, codes = np.unique(array, return_inverse=True)
    except TypeError as error:
        raise StatsError(f"factors[{name!r}] mixes kinds of labels: {error}") from error
    return codes.astype(np.int64), int(levels.size)


def compact(codes: Codes, bound: int) -> tuple[Any, int]:
    """Codes renumbered without gaps: linear time while `bound` is not far above the rows."""
    if bound > 4 * codes.size + 1024:
        levels, renumbered = np.unique(codes, return_inverse=True)
        return renumbered.astype(np.int64), int(levels.size)
    seen = np.zeros(bound, dtype=np.bool_)
    seen[codes] = True
    size = int(np.count_nonzero(seen))
    return (codes if size == bound else (np.cumsum(seen) - 1)[codes]), size


def union(sets: Iterable[Iterable[str]]) -> Facets:
    """All facets that any of the effects names."""
    return frozenset(name for facets in sets for name in facets)
