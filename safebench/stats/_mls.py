"""Intervals of sums and differences of mean squares: modified large-sample bounds.

Ting, Burdick, Graybill, Jeyaratnam & Lu (1990), Journal of Statistical Computation and Simulation
35, 135-143; Burdick & Graybill (1992), Confidence Intervals on Variance Components, 3.3. For
gamma = sum c_j theta_j with mean squares S_j^2 ~ theta_j chi2_{n_j}/n_j they choose the weights of
the cross products so that the bounds are exact when all but one theta is 0, and when gamma is 0
with two.
"""

from __future__ import annotations

import math

import numpy as np
from scipy import special

from safebench.stats._checks import Floats


class MeanSquares:
    """Mean squares (k,) with df (k,) > 0, and the bounds of their sums that leave `tail` out."""

    def __init__(self, squares: Floats, df: Floats, tail: float) -> None:
        self._squares = squares
        n = df[:, None]
        # F(n, infinity) is chi2_n/n: G = 1 - 1/F at its upper point, H = 1/F - 1 at its lower one
        self._g = 1 - df / (2 * special.gammaincinv(df / 2, 1 - tail))
        self._h = df / (2 * special.gammaincinv(df / 2, tail)) - 1
        g, h = self._g[:, None], self._h[None, :]
        f = special.fdtri(n, df[None, :], 1 - tail)
        self._mixed = ((f - 1) ** 2 - (g * f) ** 2 - h**2) / f
        both = n + df[None, :]
        joint = 1 - both / (2 * special.gammaincinv(both / 2, 1 - tail))
        ratio = n / df[None, :]
        self._same = (joint * both) ** 2 / (n * df[None, :]) - g**2 * ratio - g.T**2 / ratio

    def lower(self, coefficients: Floats) -> float:
        """Bound that leaves `tail` below, of sum of coefficients (k,) x mean squares."""
        parts = coefficients * self._squares
        plus, minus = np.maximum(parts, 0.0), np.maximum(-parts, 0.0)
        total = float(np.sum((self._g * plus) ** 2) + np.sum((self._h * minus) ** 2))
        total += float(plus @ self._mixed @ minus)
        several = int(np.count_nonzero(plus))
        if several > 1:
            pairs = plus @ self._same @ plus - np.sum(np.diag(self._same) * plus**2)
            total += float(pairs) / 2 / (several - 1)
        return float(np.sum(parts)) - math.sqrt(max(total, 0.0))

    def upper(self, coefficients: Floats) -> float:
        """Bound that leaves `tail` above: minus the lower bound of the opposite sum."""
        return -self.lower(-coefficients)
