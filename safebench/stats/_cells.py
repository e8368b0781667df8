"""Counts and sums of the cells of any set of facets, in time linear in the outcomes.

Where the grid of all facets is not far larger than the number of outcomes (a study that measures
what it planned), one pass makes its counts and sums, and those of fewer facets are sums over axes
of a grid already known. Elsewhere (facets nested with codes of their own, most of a grid missing)
the cells are numbered outcome by outcome.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import ArrayLike

from safebench.errors import StatsError
from safebench.stats._checks import Floats, Ints


class Cells:
    """Cells of sets of facets; a facet with one level does not count."""

    def __init__(self, values: Floats, codes: Mapping[str, tuple[Ints, int]]) -> None:
        self.n = values.size
        self.levels = {name: size for name, (_, size) in codes.items()}
        self._counts: dict[frozenset[str], Floats] = {}
        self._sums: dict[frozenset[str], Floats] = {}

    def key(self, facets: Sequence[str] | frozenset[str]) -> frozenset[str]:
        """The facets among these that have more than one level."""
        return frozenset(facet for facet in facets if self.levels[facet] > 1)

    def count(self, facets: Sequence[str] | frozenset[str]) -> int:
        """Number of non-empty cells."""
        raise NotImplementedError

    def sizes(self, facets: Sequence[str]) -> Floats:
        """Number of outcomes in each non-empty cell."""
        raise NotImplementedError

    def squares(self, facets: Sequence[str]) -> float:
        """T(a): sum over cells of (sum of the outcomes)^2/n."""
        raise NotImplementedError

    def overlap(self, a: Sequence[str], e: Sequence[str]) -> float:
        """k_ae: sum over cells A of a and E of e of n_AE^2/n_A."""
        raise NotImplementedError


class DenseCells(Cells):
    """Cells on a grid with an axis for each facet."""

    def __init__(self, values: Floats, codes: Mapping[str, tuple[Ints, int]]) -> None:
        super().__init__(values, codes)
        self._axes = [name for name, size in self.levels.items() if size > 1]
        shape = tuple(self.levels[name] for name in self._axes)
        flat = np.zeros(values.size, dtype=np.int64)
        for name in self._axes:
            flat *= self.levels[name]
            flat += codes[name][0]
        size = math.prod(shape)
        full = frozenset(self._axes)
        counts = np.bincount(flat, minlength=size).reshape(shape).astype(np.float64)
        self._counts[full] = counts
        sums: Floats = np.bincount(flat, weights=values, minlength=size).astype(np.float64)
        self._sums[full] = sums.reshape(shape)
        self._equal = bool(counts.min() == counts.max())
        self._squared: dict[tuple[frozenset[str], frozenset[str]], Floats] = {}

    def _onto(self, known: dict[frozenset[str], Floats], key: frozenset[str]) -> Floats:
        """Sum a grid over the facets that are not in `key`, from the smallest one known."""
        if key not in known:
            above = min((k for k in known if key < k), key=lambda k: known[k].size)
            axes = [name for name in self._axes if name in above]
            away = tuple(i for i, name in enumerate(axes) if name not in key)
            known[key] = known[above].sum(axis=away)
        return known[key]

    def count(self, facets: Sequence[str] | frozenset[str]) -> int:
        key = self.key(facets)
        if self._equal:
            return math.prod(self.levels[name] for name in key)
        return int(np.count_nonzero(self._onto(self._counts, key)))

    def sizes(self, facets: Sequence[str]) -> Floats:
        counts = self._onto(self._counts, self.key(facets))
        return counts[counts > 0]

    def squares(self, facets: Sequence[str]) -> float:
        key = self.key(facets)
        counts, sums = self._onto(self._counts, key), self._onto(self._sums, key)
        return float(np.sum(sums**2 / np.maximum(counts, 1.0)))

    def overlap(self, a: Sequence[str], e: Sequence[str]) -> float:
        owner, both = self.key(a), self.key((*a, *e))
        if both == owner:
            return float(self.n)
        if self._equal:
            return self.n * self.count(owner) / self.count(both)
        if (both, both) not in self._squared:
            self._squared[both, both] = self._onto(self._counts, both) ** 2
        known = {k: grid for (b, k), grid in self._squared.items() if b == both}
        self._squared[both, owner] = self._onto(known, owner)
        counts = self._onto(self._counts, owner)
        return float(np.sum(self._squared[both, owner] / np.maximum(counts, 1.0)))


class SparseCells(Cells):
    """Cells numbered outcome by outcome."""

    def __init__(self, values: Floats, codes: Mapping[str, tuple[Ints, int]]) -> None:
        super().__init__(values, codes)
        self._values = values
        nothing = np.zeros(self.n, dtype=np.int64)
        self._known: dict[frozenset[str], tuple[Ints, int]] = {frozenset(): (nothing, 1)}
        for name, found in codes.items():
            if found[1] > 1:
                self._known[frozenset((name,))] = found

    def _codes(self, key: frozenset[str]) -> tuple[Ints, int]:
        """Code of each outcome's cell, and the number of cells."""
        if key not in self._known:
            name = max(key)
            left, left_size = self._codes(key - {name})
            right, right_size = self._known[frozenset((name,))]
            self._known[key] = compact(left * right_size + right, left_size * right_size)
        return self._known[key]

    def count(self, facets: Sequence[str] | frozenset[str]) -> int:
        return self._codes(self.key(facets))[1]

    def sizes(self, facets: Sequence[str]) -> Floats:
        key = self.key(facets)
        if key not in self._counts:
            codes, size = self._codes(key)
            self._counts[key] = np.bincount(codes, minlength=size).astype(np.float64)
        return self._counts[key]

    def squares(self, facets: Sequence[str]) -> float:
        codes, size = self._codes(self.key(facets))
        sums = np.bincount(codes, weights=self._values, minlength=size)
        return float(np.sum(sums**2 / self.sizes(facets)))

    def overlap(self, a: Sequence[str], e: Sequence[str]) -> float:
        owner, both = self.key(a), self.key((*a, *e))
        if both == owner:
            return float(self.n)
        joint, size = self._codes(both)
        belongs = np.empty(size, dtype=np.int64)
        belongs[joint] = self._codes(owner)[0]
        return float(np.sum(self.sizes(tuple(both)) ** 2 / self.sizes(a)[belongs]))


def make_cells(values: Floats, factors: Mapping[str, ArrayLike]) -> Cells:
    """Return the cells of outcomes (n,) under facets, each (n,) codes or labels."""
    codes = {name: _facet_codes(name, labels, values.size) for name, labels in factors.items()}
    grid = math.prod(size for _, size in codes.values())
    kind = DenseCells if grid <= 2 * values.size + 1024 else SparseCells
    return kind(values, codes)


def _facet_codes(name: str, labels: ArrayLike, n: int) -> tuple[Ints, int]:
    """Codes 0..L-1 of a facet and L."""
    array = np.asarray(labels)
    if array.shape != (n,):
        raise StatsError(f"factors[{name!r}] has shape {array.shape}, not ({n},) like y")
    if array.dtype.kind == "f" and np.isnan(array).any():
        raise StatsError(f"factors[{name!r}][{int(np.argmax(np.isnan(array)))}] is NaN")
    if array.dtype.kind in "iu" and array.min() >= 0 and array.max() < 2**40:
        return compact(array, int(array.max()) + 1)
    try:
        levels, codes = np.unique(array, return_inverse=True)
    except TypeError as error:
        raise StatsError(f"factors[{name!r}] mixes kinds of labels: {error}") from error
    return codes.astype(np.int64), int(levels.size)


def compact(codes: Ints, bound: int) -> tuple[Ints, int]:
    """Codes renumbered without gaps: linear time while `bound` is not far above the rows."""
    if bound > 4 * codes.size + 1024:
        levels, numbered = np.unique(codes, return_inverse=True)
        return numbered.astype(np.int64), int(levels.size)
    seen = np.zeros(bound, dtype=np.bool_)
    seen[codes] = True
    if seen.all():
        return codes.astype(np.int64, copy=False), bound
    return (np.cumsum(seen) - 1)[codes], int(seen.sum())
