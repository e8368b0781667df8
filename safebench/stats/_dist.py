"""Quantiles, and degrees of freedom of sums of variances.

Through scipy.special alone: scipy.stats takes half a second to import.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

import numpy as np
import scipy

from safebench.stats._checks import Floats
from safebench.stats._estimate import TAIL


def t_quantile(q: float, df: float) -> float:
    """Quantile `q` of Student's t with `df` degrees of freedom (normal when infinite)."""
    if math.isinf(df):
        return float(scipy.special.ndtri(q))
    return float(scipy.special.stdtrit(df, q))


def chi2_quantile(q: float, df: float) -> float:
    """Quantile `q` of chi-square with `df` degrees of freedom."""
    return float(2 * scipy.special.gammaincinv(df / 2, q))


def beta_lower(successes: float, n: float, tail: float) -> float:
    """Clopper-Pearson lower bound leaving `tail` below; real-valued counts interpolate."""
    if successes <= 0:
        return 0.0
    return float(scipy.special.betaincinv(successes, max(n - successes, 0.0) + 1, tail))


def beta_upper(successes: float, n: float, tail: float) -> float:
    """Clopper-Pearson upper bound leaving `tail` above; real-valued counts interpolate."""
    if successes >= n:
        return 1.0
    return float(scipy.special.betaincinv(successes + 1, n - successes, 1 - tail))


def no_rounding(variance: float) -> float:
    """The variance, but 0 for the rounding error of equal scores."""
    return variance if variance > 1e-24 else 0.0


def satterthwaite(total: float, parts: Sequence[tuple[float, float]]) -> float:
    """Satterthwaite's df = V^2 / sum(V_i^2 / df_i) over parts (V_i, df_i) with df_i > 0."""
    below = sum(part**2 / df for part, df in parts if df > 0)
    if below <= 0 or total <= 0:
        return max((df for _, df in parts), default=0.0)
    return total**2 / below


def combined_quantile(main_df: float, others: Sequence[tuple[float, float]], tail: float) -> float:
    """The quantile t at which squared half-widths add: t^2 = sum of share_i t_{df_i}^2.

    `others`: (share of the variance, df); the rest of the variance has `main_df` (Graybill & Wang
    1980, for an upper bound of a sum of variances).
    """
    used = [(share, df) for share, df in others if share > 0]
    square = max(1 - sum(share for share, _ in used), 0.0) * t_quantile(1 - tail, main_df) ** 2
    square += sum(share * t_quantile(1 - tail, df) ** 2 for share, df in used)
    return math.sqrt(square)


def jackknife_half(left_out: Floats) -> float:
    """Half-width of a 95 % interval from (n,) values of a statistic, each with one unit left out.

    t_{n-1} sqrt((n - 1)/n sum (x_i - mean)^2) (Efron & Stein 1981, Ann. Stat. 9).
    """
    n = left_out.size
    squares = float(np.sum((left_out - left_out.mean()) ** 2))
    return t_quantile(1 - TAIL, n - 1) * math.sqrt(squares * (n - 1) / n)


def edge(outside: Callable[[float], bool], far: float, near: float) -> float:
    """Where `outside` ends on the way from `far` to `near`, by bisection; `far` if not true there.

    Between the ends it holds up to one point and not beyond it.
    """
    if not outside(far):
        return far
    for _ in range(60):
        middle = (far + near) / 2
        if outside(middle):
            far = middle
        else:
            near = middle
    return near
