"""Many tests at once, and the exact test of two single runs.

Holm over the categories of a task, Benjamini-Hochberg over the flips of its prompts. "Every
category passes" needs neither: each is tested at the full level (intersection-union).
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike
from scipy import special

from safebench.stats._checks import Floats, positive_int, proportions


def holm(p_values: ArrayLike) -> Floats:
    """Adjusted p values that keep the chance of **any** false finding (Holm 1979, Scand J Stat 6).

    `p_values`: (m,) in [0, 1], however dependent. Returns (m,) in the same order: the running
    maximum of (m - i + 1) p_(i) from the smallest on, at most 1; reject where it is <= alpha.
    Raises StatsError on NaN (with its position) or values outside [0, 1].
    """
    p = proportions("p_values", p_values, (1,))
    order = np.argsort(p, kind="stable")
    scaled = np.maximum.accumulate(p[order] * np.arange(p.size, 0, -1))
    return _put_back(np.minimum(scaled, 1.0), order)


def benjamini_hochberg(p_values: ArrayLike) -> Floats:
    """Adjusted p values that keep the **share** of false findings (Benjamini & Hochberg 1995).

    `p_values`: (m,) in [0, 1], independent or positively dependent. Returns (m,) in the same
    order: the running minimum of m p_(i)/i from the largest on; reject where it is <= the false
    discovery rate. Raises StatsError on NaN (with its position) or values outside [0, 1].
    """
    p = proportions("p_values", p_values, (1,))
    order = np.argsort(p, kind="stable")
    scaled = p[order] * p.size / np.arange(1, p.size + 1)
    return _put_back(np.minimum.accumulate(scaled[::-1])[::-1], order)


def _put_back(ordered: Floats, order: np.ndarray) -> Floats:
    result = np.empty_like(ordered)
    result[order] = ordered
    return result


def mcnemar_exact(b: int, c: int, mid_p: bool = False) -> float:
    """Two-sided p that two single runs flip prompts both ways alike (McNemar 1947).

    `b`, `c`: prompts that changed one way and the other; those that did not change say nothing.
    p = 2 P(X <= min(b, c)), X ~ Bin(b + c, 1/2), at most 1; 1 without any change. `mid_p` counts
    half of P(X = min(b, c)) (Fagerland, Lydersen & Laake 2013: the exact test is conservative).
    Prompts are the sample: two seeds alone say nothing of other seeds.

    Raises StatsError on counts that are not whole numbers of at least 0.
    """
    b, c = positive_int("b", b, 0), positive_int("c", c, 0)
    n, low = b + c, min(b, c)
    if n == 0 or b == c:
        return 1.0
    p = 2 * float(special.bdtr(low, n, 0.5))
    if mid_p:
        at_low = float(special.bdtr(low, n, 0.5))
        p -= at_low - (float(special.bdtr(low - 1, n, 0.5)) if low else 0.0)
    return min(p, 1.0)
