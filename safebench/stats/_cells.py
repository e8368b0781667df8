"""Counts and sums of the cells of any set of facets, each from the smallest table that has them."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from safebench.stats._checks import Codes, Floats, Ints, compact

Facets = frozenset[str]
#: Cells of a dense grid for each outcome, above which only the cells that occur are kept.
DENSE = 2


def cells_of(values: Floats, facets: Mapping[str, tuple[Codes, int]]) -> Cells:
    """Tabulate `values` (n,) by all `facets` (codes and number of levels of each), in one pass.

    Facets of one level do not count: leave them out.
    """
    everything = frozenset(facets)
    shape = [size for _, size in facets.values()]
    bound = math.prod(shape)
    if bound > DENSE * values.size + 1024:
        # A row is a cell of one outcome.
        rows = _Table(np.ones_like(values), values, dict(facets))
        return _Sparse(everything, rows.merged(everything))
    codes = np.zeros(values.size, dtype=np.int64)
    for labels, size in facets.values():
        codes *= size
        codes += labels
    counts = np.bincount(codes, minlength=bound).astype(np.float64).reshape(shape)
    sums = np.bincount(codes, weights=values, minlength=bound).astype(np.float64).reshape(shape)
    return _Grid(tuple(facets), values.size, everything, _Table(counts, sums, {}))


@dataclass
class _Table:
    """Number of outcomes in each cell and their sum; cells may be empty in a grid.

    `levels`: of each facet, the level of every cell and the number of levels; empty in a grid,
    where the facets are axes.
    """

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

    def merged(self, facets: Facets) -> _Table:
        """The table of the cells of `facets` that occur."""
        codes, size = self.owners(facets)
        levels: dict[str, tuple[Codes, int]] = {}
        for name, (labels, bound) in self.levels.items():
            if name in facets:
                merged = np.empty(size, dtype=labels.dtype)
                merged[codes] = labels
                levels[name] = (merged, bound)
        counts, sums = (
            np.bincount(codes, weights=values, minlength=size).astype(np.float64)
            for values in (self.counts, self.sums)
        )
        return _Table(counts, sums, levels)


class Cells(ABC):
    """What Method I asks of a design; tables that were derived once are kept."""

    def __init__(self, everything: Facets, finest: _Table) -> None:
        self._tables = {everything: finest}
        self._counts: dict[Facets, int] = {}

    def table(self, facets: Facets) -> _Table:
        """The table of `facets`, from the smallest one known that has all of them."""
        if facets not in self._tables:
            sizes = {f: t.counts.size for f, t in self._tables.items() if f >= facets}
            source = self._tables[min(sizes, key=sizes.__getitem__)]
            self._tables[facets] = self._derive(source, facets)
        return self._tables[facets]

    def count(self, facets: Facets) -> int:
        """Number of cells that occur."""
        if facets not in self._counts:
            self._counts[facets] = int(np.count_nonzero(self.table(facets).counts))
        return self._counts[facets]

    def squares(self, facets: Facets) -> float:
        """Sum over cells of n^2."""
        return float(np.sum(self.table(facets).counts ** 2))

    def t(self, facets: Facets) -> float:
        """Sum over cells of (sum of y)^2/n."""
        table = self.table(facets)
        return float(np.sum(table.sums**2 / np.maximum(table.counts, 1)))

    @abstractmethod
    def overlap(self, a: Facets, e: Facets) -> float:
        """k_ae = sum over cells A of a, E of e, of n_AE^2/n_A."""

    @abstractmethod
    def _derive(self, source: _Table, facets: Facets) -> _Table:
        """The table of `facets` from one that has more."""


class _Grid(Cells):
    """Tables with an axis for each facet, of one level where a facet is summed over."""

    def __init__(self, axes: tuple[str, ...], n: int, everything: Facets, finest: _Table) -> None:
        super().__init__(everything, finest)
        self._axes, self._n = axes, n
        self._even = bool(finest.counts.min() == finest.counts.max())
        self._squared: dict[Facets, Floats] = {}

    def _without(self, facets: Facets) -> tuple[int, ...]:
        return tuple(i for i, name in enumerate(self._axes) if name not in facets)

    def _derive(self, source: _Table, facets: Facets) -> _Table:
        over = self._without(facets)
        counts, sums = (x.sum(axis=over, keepdims=True) for x in (source.counts, source.sums))
        return _Table(counts, sums, {})

    def overlap(self, a: Facets, e: Facets) -> float:
        both = a | e
        if self._even:  # n K_a/K_ae with K cells
            return self._n * self.count(a) / self.count(both)
        if both not in self._squared:
            self._squared[both] = self.table(both).counts ** 2
        squared = self._squared[both].sum(axis=self._without(a), keepdims=True)
        return float(np.sum(squared / np.maximum(self.table(a).counts, 1)))


class _Sparse(Cells):
    """Tables of the cells that occur, for designs whose grid would be mostly empty."""

    def _derive(self, source: _Table, facets: Facets) -> _Table:
        return source.merged(facets)

    def overlap(self, a: Facets, e: Facets) -> float:
        both = self.table(a | e)
        owner, size = both.owners(a)
        squared, counts = (
            np.bincount(owner, weights=x, minlength=size) for x in (both.counts**2, both.counts)
        )
        return float(np.sum(squared / counts))
