"""Checks that every statistic makes of its arguments, and a search for the smallest number."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from safebench.errors import StatsError

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Codes = NDArray[np.integer[Any]]


def first_bad(name: str, array: Floats, bad: NDArray[np.bool_]) -> str:
    """Name the first entry where `bad` holds, and its value: `scores[0, 3] is nan`."""
    place = tuple(int(i) for i in np.unravel_index(int(np.argmax(bad)), array.shape))
    return f"{name}[{', '.join(map(str, place))}] is {array[place]:g}"


def finite(name: str, values: ArrayLike) -> Floats:
    """`values` as a non-empty float array of finite numbers; else StatsError with the place."""
    try:
        array = np.asarray(values, dtype=np.float64)
    except (TypeError, ValueError) as error:
        raise StatsError(f"{name} is not a rectangular array of numbers: {error}") from error
    if array.size == 0:
        raise StatsError(f"{name} is empty (shape {array.shape})")
    bad = ~np.isfinite(array)
    if bad.any():
        raise StatsError(
            f"{first_bad(name, array, bad)}; {int(bad.sum())} of {array.size} values are not "
            "finite",
            fix="drop missing outcomes, or score them, before asking for a statistic",
        )
    return array


def proportions(name: str, values: ArrayLike, ndims: tuple[int, ...] = ()) -> Floats:
    """`values` as finite numbers in [0, 1], with one of `ndims` dimensions if any are given."""
    array = finite(name, values)
    if ndims and array.ndim not in ndims:
        allowed = " or ".join(str(n) for n in ndims)
        raise StatsError(f"{name} has {array.ndim} dimensions (shape {array.shape}), not {allowed}")
    outside = (array < 0) | (array > 1)
    if outside.any():
        raise StatsError(
            f"{first_bad(name, array, outside)}, outside [0, 1]",
            fix="scores are proportions: divide percentages by 100",
        )
    return array


def between(name: str, value: float, low: float, high: float, *, closed: bool = False) -> float:
    """`value` if it lies in (low, high), or [low, high] when `closed`; else StatsError."""
    value = float(value)
    inside = low <= value <= high if closed else low < value < high
    if not inside:
        left, right = ("[", "]") if closed else ("(", ")")
        raise StatsError(f"{name} is {value:g}, outside {left}{low:g}, {high:g}{right}")
    return value


def positive_int(name: str, value: int, least: int = 1) -> int:
    """`value` as an integer of at least `least`; else StatsError."""
    whole = not isinstance(value, bool) and math.isfinite(value) and int(value) == value
    if not whole or value < least:
        raise StatsError(f"{name} is {value!r}, not a whole number of at least {least}")
    return int(value)


def positive_weights(weights: ArrayLike | None, n: int) -> Floats:
    """(n,) weights above 0; all 1 when None."""
    w = np.ones(n) if weights is None else finite("weights", weights)
    if w.shape != (n,) or w.min() <= 0:
        raise StatsError(f"weights has shape {w.shape}, the least is {w.min():g}; not {n} above 0")
    return w


def cluster_codes(clusters: ArrayLike | None, n_prompts: int) -> tuple[Ints, int]:
    """Codes 0..G-1 of each prompt's cluster and G; every prompt its own cluster when None."""
    if clusters is None:
        return np.arange(n_prompts, dtype=np.int64), n_prompts
    codes, size = label_codes("clusters", clusters, n_prompts)
    return codes.astype(np.int64), size


def label_codes(name: str, labels: ArrayLike, n: int) -> tuple[Codes, int]:
    """Codes 0..L-1 of (n,) labels in sorted order, and L."""
    array = np.asarray(labels)
    if array.shape != (n,):
        raise StatsError(f"{name} has shape {array.shape}, not ({n},): one label for each outcome")
    if array.dtype.kind == "f" and np.isnan(array).any():
        raise StatsError(f"{name}[{int(np.argmax(np.isnan(array)))}] is NaN")
    if array.dtype.kind in "iu" and array.min() >= 0:
        return compact(array, int(array.max()) + 1)
    try:
        levels, codes = np.unique(array, return_inverse=True)
    except TypeError as error:
        raise StatsError(f"{name} mixes kinds of labels: {error}") from error
    return codes.astype(np.int64), int(levels.size)


def compact(codes: Codes, bound: int) -> tuple[Any, int]:
    """Codes below `bound` renumbered without gaps, and how many there are."""
    if bound > 4 * codes.size + 1024:  # a table of so many flags would cost more than sorting
        levels, renumbered = np.unique(codes, return_inverse=True)
        return renumbered.astype(np.int64), int(levels.size)
    occurs = np.zeros(bound, dtype=np.bool_)
    occurs[codes] = True
    size = int(np.count_nonzero(occurs))
    return (codes if size == bound else (np.cumsum(occurs) - 1)[codes]), size


def first_that(enough: Callable[[int], bool], fewest: int, most: int) -> int | None:
    """Smallest n in [fewest, most] with `enough(n)`, which once true stays true; None if none is.

    Doubles, then halves: about 2 log2(n) calls.
    """
    low, high = fewest - 1, fewest
    while not enough(high):
        if high >= most:
            return None
        low, high = high, min(2 * high, most)
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if enough(middle) else (middle, high)
    return high
