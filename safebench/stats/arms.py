"""Two arms of runs on the same prompts, compared on phi = 2 asin sqrt.

The runs are a sample, the prompts are not. Runs that agree wholly do not make a difference certain:
they are few, and so are the prompts on which a run could have come out otherwise. The interval that
every verdict rests on is made here, and nowhere else.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import scipy
from numpy.typing import ArrayLike

from safebench.errors import StatsError
from safebench.stats._checks import Floats, between, first_that, positive_int
from safebench.stats._dist import beta_upper, no_rounding, satterthwaite, t_quantile
from safebench.stats.agreement import flip_rate

FEWEST_PROMPTS = 50
"""Prompts below which nothing is decided: the errors of a verdict are measured from here on."""
_FLIP_TAIL = 0.025
_MOST_TRIALS = 1e9


@dataclass(frozen=True)
class Spreads:
    """The variance of one run on phi in each arm, and the degrees of freedom they rest on."""

    variances: tuple[float, float]
    df: float
    method: str

    @property
    def sigma(self) -> float:
        """SD of one run: of both arms, or the root of their mean variance."""
        return math.sqrt(sum(self.variances) / 2)


def spreads_of(before: Floats, after: Floats, *, pool: bool) -> Spreads | None:
    """Return how the runs of two arms spread; None where neither has two runs.

    `before`, `after`: (n,) phi of run scores. One variance for both where `pool`: the within mean
    square, df = n1 + n2 - 2. Else one for each with Welch's df (Welch 1947). An arm of one run
    borrows the spread of the other, with its df.
    """
    sizes = before.size, after.size
    if max(sizes) < 2:
        return None
    if min(sizes) < 2:
        known = before if sizes[0] > 1 else after
        own = no_rounding(float(known.var(ddof=1)))
        return Spreads((own, own), known.size - 1.0, "spread of one arm")
    own_1, own_2 = (no_rounding(float(arm.var(ddof=1))) for arm in (before, after))
    df = sum(sizes) - 2.0
    if pool:
        both = ((sizes[0] - 1) * own_1 + (sizes[1] - 1) * own_2) / df
        return Spreads((both, both), df, "pooled spread")
    parts = [(v / n, n - 1.0) for v, n in zip((own_1, own_2), sizes, strict=True)]
    total = sum(part for part, _ in parts)
    if total > 0:
        df = satterthwaite(total, parts)
    return Spreads((own_1, own_2), df, "Welch")


def degrees_of(sizes: tuple[int, int]) -> float:
    """Return the df that two arms of runs which spread alike can be expected to have."""
    n1, n2 = sizes
    if min(sizes) < 2:
        return max(sizes) - 1.0
    if n1 == n2:
        return n1 + n2 - 2.0
    return satterthwaite(1 / n1 + 1 / n2, [(1 / n1, n1 - 1.0), (1 / n2, n2 - 1.0)])


def flip_floor(p: float, n_prompts: int, flip_upper: float | None) -> float:
    """Return the variance of phi(run score) that runs which agree cannot exclude.

    min(1, f_up/(2 p (1 - p)))/P: the sampling noise f_up/(2 P) of a score p on P fixed prompts,
    carried over to phi by the delta method, and never more than the 1/P of independent outcomes,
    which it is at p = 0, at p = 1, and where `flip_upper` is not known.
    """
    n_prompts = positive_int("n_prompts", n_prompts)
    outcome = p * (1 - p)
    if flip_upper is None or outcome <= 0:
        return 1 / n_prompts
    flip_upper = between("flip_upper", flip_upper, 0, 1, closed=True)
    return min(1.0, flip_upper / (2 * outcome)) / n_prompts


def pooled_flip_upper(before: Floats, after: Floats, *, paired: bool) -> float | None:
    """Return the upper 97.5 % bound of how often one prompt's outcome differs between two runs.

    `before`, `after`: (S, P) outcomes. Paired: the share of (seed, prompt) whose outcome differs;
    else the flip rate within an arm, averaged over the arms of two runs or more. None where
    outcomes are not 0 or 1, or no arm has two runs.
    """
    if not all(bool(np.isin(table, (0.0, 1.0)).all()) for table in (before, after)):
        return None
    n_prompts = before.shape[1]
    if paired:
        rate = float((before != after).mean())
    else:
        rates = [flip_rate(table).estimate for table in (before, after) if table.shape[0] > 1]
        if not rates:
            return None
        rate = sum(rates) / len(rates)
    return beta_upper(rate * n_prompts, n_prompts, _FLIP_TAIL)


def interval_of_difference(
    p: tuple[ArrayLike, ArrayLike],
    n: tuple[ArrayLike, ArrayLike],
    variances: tuple[ArrayLike, ArrayLike],
    tail: float,
) -> tuple[Floats, Floats]:
    """Return the bounds of phi(p2) - phi(p1), each missed with probability `tail`; elementwise.

    Each arm's mean of n runs is worth N = n/variance independent outcomes, `variance` being that of
    one run's phi. Clopper and Pearson's bounds of N p in N, on phi, are put together by the method
    of variance estimates recovery (Zou & Donner 2008, Statistics in Medicine 27): the distances
    from the estimate add as squares. Where runs spread by what a normal law says of them this is
    the t interval; near 0 and 1, and for few prompts, it is longer.
    """
    with np.errstate(divide="ignore"):
        arms = [_arm(*arm, tail) for arm in zip(p, n, variances, strict=True)]
    (m1, l1, u1), (m2, l2, u2) = arms
    return (
        m2 - m1 - np.sqrt((m2 - l2) ** 2 + (u1 - m1) ** 2),
        m2 - m1 + np.sqrt((u2 - m2) ** 2 + (m1 - l1) ** 2),
    )


def _arm(
    p: ArrayLike, n: ArrayLike, variance: ArrayLike, tail: float
) -> tuple[Floats, Floats, Floats]:
    """Return phi of a score and of its Clopper-Pearson bounds."""
    p, n, variance = (np.asarray(x, dtype=np.float64) for x in (p, n, variance))
    trials = np.minimum(n / variance, _MOST_TRIALS)
    x = np.minimum(trials * p, trials)
    lower = np.where(
        x > 0, scipy.special.betaincinv(np.maximum(x, 1e-300), trials - x + 1, tail), 0.0
    )
    upper = np.where(
        x < trials, scipy.special.betaincinv(x + 1, np.maximum(trials - x, 1e-300), 1 - tail), 1.0
    )
    middle, low, high = (2 * np.arcsin(np.sqrt(np.clip(v, 0.0, 1.0))) for v in (p, lower, upper))
    return middle, np.minimum(low, middle), np.maximum(high, middle)


def interval_of_arms(
    means: tuple[float, float],
    sizes: tuple[int, int],
    spreads: Spreads,
    floors: tuple[float, float],
    tail: float,
) -> tuple[float, float] | None:
    """Bounds of phi(mean 2) - phi(mean 1) over two arms of runs; None without any variance.

    Each arm's variance of one run is max(s^2 (t_df/z)^2, floor), with the 1 - `tail` quantiles.
    """
    z = float(scipy.special.ndtri(1 - tail))
    factor = (t_quantile(1 - tail, spreads.df) / z) ** 2
    pairs = zip(spreads.variances, floors, strict=True)
    first, second = (max(spread * factor, floor) for spread, floor in pairs)
    if min(first, second) <= 0:
        return None
    low, high = interval_of_difference(means, sizes, (first, second), tail)
    return float(low), float(high)


def fewest_prompts(seeds: int, score: float, margin: float = 0.1, alpha: float = 0.05) -> int:
    """Prompts from which two arms of `seeds` runs that agree on every prompt are `reproduced`.

    With fewer, no rerun can be, however it comes out: 599 at a score of 0 and two seeds, 29 at .5
    and five. `score` in [0, 1], `margin` in radians, `alpha` of each one-sided test.
    Raises StatsError where a billion prompts are not enough.
    """
    seeds = positive_int("seeds", seeds)
    score = between("score", score, 0, 1, closed=True)
    margin = between("margin", margin, 0, math.inf)
    alpha = between("alpha", alpha, 0, 0.5)

    def enough(prompts: int) -> bool:
        floor = flip_floor(score, prompts, beta_upper(0, prompts, _FLIP_TAIL))
        ends = interval_of_difference((score, score), (seeds, seeds), (floor, floor), alpha)
        return bool(max(-ends[0], ends[1]) < margin)

    found = first_that(enough, 1, int(_MOST_TRIALS))
    if found is None:
        raise StatsError(f"margin is {margin:g}: more than {_MOST_TRIALS:g} prompts are needed")
    return found
