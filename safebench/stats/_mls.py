"""Bounds of sums of mean squares: the modified large-sample method.

Ting, Burdick, Graybill, Jeyaratnam & Lu (1990), J. Stat. Comput. Simul. 35, 135-143; Burdick &
Graybill (1992), Confidence Intervals on Variance Components, ch. 3.
"""

from __future__ import annotations

import math

import numpy as np
import scipy

from safebench.stats._checks import Floats
from safebench.stats._dist import edge


class Reach:
    """Distances of bounds, each leaving `tail`, of any sum of mean squares with these `df`.

    With G = 1 - 1/F_{tail; df, inf} and H = 1/F_{1-tail; df, inf} - 1, the square of the lower
    distance is sum over positive terms of (G x)^2, over negative ones of (H x)^2, and cross terms
    that make it exact where the sum of one positive and one negative term has its bound at 0, or
    that of two positive ones is a multiple of chi-square. The upper distance takes H for G.
    """

    def __init__(self, df: Floats, tail: float) -> None:
        self._g, self._h = relative(df, tail), relative(df, 1 - tail)
        f = np.asarray(scipy.special.fdtri(df[:, None], df, 1 - tail))
        self._below = ((f - 1) ** 2 - (self._g[:, None] * f) ** 2 - self._h**2) / f
        f = np.asarray(scipy.special.fdtri(df[:, None], df, tail))
        self._above = ((f - 1) ** 2 - (self._h[:, None] * f) ** 2 - self._g**2) / f
        both, ratio = df[:, None] + df, df[:, None] / df
        square = (self._g**2)[:, None] * ratio
        self._pair = relative(both, tail) ** 2 * both**2 / (df[:, None] * df) - square - square.T
        np.fill_diagonal(self._pair, 0.0)

    def below(self, terms: Floats) -> float:
        """How far the lower bound lies below the sum of `terms` (weight times mean square)."""
        return self._distance(terms, self._g, self._h, self._below, np.maximum(terms, 0.0))

    def above(self, terms: Floats) -> float:
        """How far the upper bound lies above it."""
        return self._distance(terms, self._h, self._g, self._above, np.maximum(-terms, 0.0))

    def _distance(
        self, terms: Floats, plus: Floats, minus: Floats, cross: Floats, same: Floats
    ) -> float:
        p, m = np.maximum(terms, 0.0), np.maximum(-terms, 0.0)
        squared = (plus * p) @ (plus * p) + (minus * m) @ (minus * m) + p @ cross @ m
        several = int(np.count_nonzero(same))
        if several > 1:
            squared += same @ self._pair @ same / 2 / (several - 1)  # each pair is met twice
        return math.sqrt(max(float(squared), 0.0))


def relative(df: Floats, tail: float) -> Floats:
    """1 - df/chi2 with `tail` above: how far the true mean square lies below, relatively."""
    return np.asarray(1 - df / scipy.special.chdtri(df, tail), dtype=np.float64)


def share_bounds(
    part: Floats, whole: Floats, squares: Floats, df: Floats, tail: float
) -> tuple[float, float]:
    """Bounds in [0, 1] of a ratio of two sums of mean squares.

    The ratio rho is inside while the bounds of part - rho * whole hold 0; for two mean squares
    that is the exact F interval.
    """
    reach = Reach(df, tail)
    terms, everything = part * squares, whole * squares

    def low(rho: float) -> bool:
        rest = terms - rho * everything
        return float(rest.sum()) > reach.below(rest)

    def high(rho: float) -> bool:
        rest = terms - rho * everything
        return -float(rest.sum()) > reach.above(rest)

    total = float(everything.sum())
    middle = min(max(float(terms.sum()) / total, 0.0), 1.0) if total > 0 else 0.5
    return edge(low, 0.0, middle), edge(high, 1.0, middle)
