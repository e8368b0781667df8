"""Variances from few runs, steadied by those of the other entries."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import ArrayLike
from scipy import special

from safebench.errors import StatsError
from safebench.stats._checks import Floats, finite
from safebench.stats._dist import chi2_quantile
from safebench.stats._maxt import checked_df


def moderated_variances(variances: ArrayLike, df: ArrayLike) -> tuple[Floats, Floats]:
    """Shrink variances from few runs towards their common value (Smyth 2004, SAGMB 3).

    `variances`: (n,) estimates >= 0; `df`: a number or (n,), theirs. Returns (variances, df) for
    `rank_intervals`: (d0 s0^2 + d_i s_i^2)/(d0 + d_i) with d0 + d_i degrees of freedom, d0 and s0^2
    fitted to the mean and variance of log s^2 (his section 6.2), the latter at its upper 95 % bound
    (a departure: few entries then lend little); d0 is infinite when even that is no more than
    chance. Zero variances count as the smallest positive one. It assumes that the true variances
    are draws from one scaled inverse chi-square, as those of entries measured alike roughly are:
    meant for boards of 100 entries or more, where equal ones are separated in .02 of the boards
    (.08 if SDs differ tenfold); with 5 to 10 entries at 3 seeds it is .09 (.13), nominal .05
    (benchmarks/ranks.txt). With one entry, or all zero, nothing changes.

    Raises StatsError on NaN, negative variances or df <= 0.
    """
    raw = finite("variances", variances)
    if raw.ndim != 1:
        raise StatsError(f"variances has shape {raw.shape}, not (n,)")
    if (raw < 0).any():
        place = int(np.argmax(raw < 0))
        raise StatsError(f"variances[{place}] is {raw[place]:g}, below 0")
    own_df = checked_df(df, raw.size)
    if own_df.ndim == 2:
        raise StatsError("df has one value per pair; a variance has one of its own")
    if raw.size < 2 or not raw.any() or np.isinf(own_df).any():
        return raw, own_df
    logs = np.log(np.maximum(raw, raw[raw > 0].min()))
    centred = logs - special.digamma(own_df / 2) + np.log(own_df / 2)
    most = float(centred.var(ddof=1)) * (raw.size - 1) / chi2_quantile(0.05, raw.size - 1)
    excess = most - float(special.polygamma(1, own_df / 2).mean())
    if excess <= 0:
        return np.full(raw.size, math.exp(float(centred.mean()))), np.full(raw.size, math.inf)
    half = _trigamma_inverse(excess)
    prior = math.exp(float(centred.mean() + special.digamma(half)) - math.log(half))
    total = 2 * half + own_df
    return (2 * half * prior + own_df * raw) / total, total


def _trigamma_inverse(value: float) -> float:
    """The x > 0 with trigamma(x) = value, by Newton's method on 1/trigamma (Smyth's appendix)."""
    x = 0.5 + 1 / value
    for _ in range(50):
        tri = float(special.polygamma(1, x))
        step = tri * (1 - tri / value) / float(special.polygamma(2, x))
        x += step
        if -step / x < 1e-10:
            break
    return x
