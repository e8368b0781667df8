"""How many seeds or prompts a question needs: exact TOST power, and prompts for a difference."""

from __future__ import annotations

import math
from functools import cache

import numpy as np
import scipy

from safebench.errors import StatsError
from safebench.stats._checks import Floats, between, first_that, positive_int
from safebench.stats._dist import chi2_quantile, t_quantile
from safebench.stats._estimate import CONFIDENCE
from safebench.stats.arms import degrees_of, interval_of_difference
from safebench.stats.stability import FEWEST_SEEDS, agreement_bound
from safebench.stats.transforms import phi

#: Called where an integral is; as a constant it would cost every command 80 ms.
_legendre = cache(np.polynomial.legendre.leggauss)
_MOST_SEEDS = 10_000_000
_LARGEST = math.nextafter(math.inf, 0)


def tost_power(
    sigma: float, margin: float, n1: int, n2: int, alpha: float = 0.05, theta: float = 0.0
) -> float:
    """Exact power of TOST for two independent arms: P(the 1 - 2 alpha interval lies in +-margin).

    power = E_u[(Phi((margin - theta)/se - t u) - Phi(-(margin + theta)/se + t u))^+] with
    se = sigma sqrt(1/n1 + 1/n2), df = n1 + n2 - 2, t the 1 - alpha quantile, df u^2 ~ chi2_df
    (Phillips 1990; Schuirmann 1987), one 1-D integral by 200-node Gauss-Legendre.

    `sigma` SD of one run, `margin` and `theta` (the true difference) in one unit; n1, n2 runs per
    arm, n1 + n2 >= 3. Returns a probability.
    """
    n1, n2 = positive_int("n1", n1), positive_int("n2", n2)
    if n1 + n2 < 3:
        raise StatsError("one run in each arm leaves no degree of freedom: give n1 + n2 >= 3")
    _check(sigma, margin, alpha)
    return power_at(sigma * math.sqrt(1 / n1 + 1 / n2), n1 + n2 - 2, margin, alpha, theta)


def plan_stability(
    sigma: float, lower: float, margin: float = 0.1, floor: float = 0.0
) -> int | None:
    """Smallest number of training seeds whose stability bound is expected to reach `lower`.

    The bound of `stability` at S seeds whose SD comes out as `sigma` (phi scale, radians): the
    smaller of erf(margin/(2 max(sigma sqrt((S-1)/chi2_{.05,S-1}), floor))) and .05^(2/S), at 3
    seeds or more. None when even the point estimate, or the floor, stays below `lower`: no number
    of seeds suffices at this spread.
    """
    between("floor", floor, 0, _LARGEST, closed=True)
    _check(sigma, margin)
    most = margin / (2 * float(scipy.special.erfinv(between("lower", lower, 0, 1))))

    def enough(n: int) -> bool:
        return sigma_upper(sigma, n) <= most and agreement_bound(n) >= lower

    return None if max(sigma, floor) > most else first_that(enough, FEWEST_SEEDS, _MOST_SEEDS)


def sigma_from_points(sigma: float, score: float) -> float:
    """The SD on phi (radians) of a score with SD `sigma` in points: sigma/sqrt(score(1 - score)).

    The delta method, never more than the larger step that phi makes from `score` by `sigma` (cut
    at 0 and 1), which it is at the ends: phi(sigma) at 0 and at 1. Both are proportions.
    """
    sigma = between("sigma", sigma, 0, 1, closed=True)
    score = between("score", score, 0, 1, closed=True)
    centre = phi(score)
    step = max(phi(min(score + sigma, 1.0)) - centre, centre - phi(max(score - sigma, 0.0)))
    variance = score * (1 - score)
    return min(sigma / math.sqrt(variance), step) if variance > 0 else step


def sigma_upper(sigma: float, n: int) -> float:
    """One-sided 95 % bound of an SD seen in `n` runs: sigma sqrt((n - 1)/chi2_{.05,n-1}).

    `n` is at least 2.
    """
    between("sigma", sigma, 0, _LARGEST, closed=True)
    df = positive_int("n", n, 2) - 1
    return sigma * math.sqrt(df / chi2_quantile(1 - CONFIDENCE, df))


def verdict_power(
    variances: tuple[float, float],
    sizes: tuple[int, int],
    df: float,
    *,
    score: float,
    floor: float,
    margin: float,
    alpha: float = 0.05,
) -> float:
    """Probability that `rerun_verdict` says `reproduced` where nothing differs.

    `variances`: of one run's phi in each arm, as they are; `df`: degrees of freedom they will be
    estimated with, a common chi-square; `sizes`: runs of each arm; `score`: of both; `floor`: the
    variance that runs which agree cannot exclude (`flip_floor`). P(-margin < D - a and D + b <
    margin), D normal with variance sum of variance/size, a and b the lengths of the verdict's own
    interval at this score, over the chi-square: one 1-D integral. With 1/floor large and scores
    away from 0 and 1 it is the exact power of two one-sided t tests (`tost_power`).
    """
    se = math.sqrt(sum(v / n for v, n in zip(variances, sizes, strict=True)))
    nodes, weights = _chi_nodes(df, 60, (1e-10, 1e-10))
    factor = (nodes * t_quantile(1 - alpha, df) / t_quantile(1 - alpha, math.inf)) ** 2
    widths = tuple(np.maximum(v * factor, max(floor, 1e-18)) for v in variances)
    low, high = interval_of_difference((score, score), sizes, (widths[0], widths[1]), alpha)
    left, right = -margin - low, margin - high  # the differences that are reproduced
    if se <= 0:
        inside = ((left < 0) & (right > 0)).astype(float)
    else:
        inside = np.maximum(scipy.special.ndtr(right / se) - scipy.special.ndtr(left / se), 0.0)
    return float(min(max(np.sum(weights * inside), 0.0), 1.0))


def plan_verdict_seeds(
    sigma: float,
    *,
    score: float,
    floor: float,
    margin: float = 0.1,
    power: float = 0.8,
    alpha: float = 0.05,
    paired: bool = False,
    n_original: int | None = None,
    df: float | None = None,
) -> int | None:
    """Fewest runs in each arm with which a rerun that is equal is `reproduced` so often.

    `sigma`: SD of one run's phi (paired: of a difference, over sqrt 2); `score`, `floor`, `margin`,
    `alpha`: see `verdict_power`. `n_original`: the original's runs as they are, and the answer
    counts new ones. `df`: degrees of freedom of a sigma that is known from elsewhere; by default
    it is estimated from the runs. At least 2 (1 beside others); None where ten million do not
    suffice, and beside a single original run, whose spread is unknown.
    """
    _check(sigma, margin, alpha)
    power = between("power", power, 0, 1)
    about = {"floor": floor, "margin": margin, "alpha": alpha}
    about["score"] = between("score", score, 0, 1, closed=True)
    if n_original is not None and n_original < 2 and df is None:
        return None

    def enough(n: int) -> bool:
        sizes = (n, n) if n_original is None else (n_original, n)
        used = df if df is not None else n - 1.0 if paired else degrees_of(sizes)
        return power <= verdict_power((sigma**2, sigma**2), sizes, used, **about)

    return first_that(enough, 2 if n_original is None else 1, _MOST_SEEDS)


def power_at(se: float, df: float, margin: float, alpha: float = 0.05, theta: float = 0.0) -> float:
    """TOST power for a standard error with `df` degrees of freedom (infinite: known sigma)."""
    if se <= 0:
        return 1.0 if abs(theta) < margin else 0.0
    t = t_quantile(1 - alpha, df)
    up, down = (margin - theta) / se, (margin + theta) / se
    # above u = (up + down)/2t the interval is wider than the margins
    u, weights = _chi_nodes(df, 200, (1e-13, 1e-15), (up + down) / (2 * t))
    inside = scipy.special.ndtr(up - t * u) - scipy.special.ndtr(t * u - down)
    return float(min(max(np.sum(weights * np.maximum(inside, 0.0)), 0.0), 1.0))


def _chi_nodes(
    df: float, n: int, tails: tuple[float, float], most: float = math.inf
) -> tuple[Floats, Floats]:
    """Gauss-Legendre nodes and weights for the mean of a function of u, df u^2 chi-square with df.

    `n` nodes between quantiles that leave `tails`, and up to `most`; one node where df is infinite.
    """
    if math.isinf(df) or df > 1e7:
        return np.ones(1), np.ones(1)
    low = math.sqrt(chi2_quantile(tails[0], df) / df)
    high = min(most, math.sqrt(2 * scipy.special.gammainccinv(df / 2, tails[1]) / df))
    nodes, weights = _legendre(n)
    u = low + max(high - low, 0.0) * (nodes + 1) / 2
    half = df / 2
    log_density = math.log(2) + half * math.log(half) - math.lgamma(half) - half * u**2
    log_density += (df - 1) * np.log(u)
    return u, weights * np.exp(log_density) * max(high - low, 0.0) / 2


def _check(sigma: float, margin: float, alpha: float = 0.05) -> None:
    between("sigma", sigma, 0, _LARGEST, closed=True)
    between("margin", margin, 0, math.inf)
    between("alpha", alpha, 0, 0.5)
