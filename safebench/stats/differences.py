"""The change from base on the same prompts, with every sampling noise in the interval."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import ArrayLike

from safebench.errors import StatsError
from safebench.stats._checks import Floats, Ints, between, cluster_codes, proportions
from safebench.stats._dist import combined_quantile, edge, satterthwaite, t_quantile
from safebench.stats._estimate import Estimate
from safebench.stats._twoway import TwoWay, cluster_variance, one_run_per_row, two_way

#: With fewer effective clusters than this behind the variance, pseudo-prompts are added.
RARE = 10.0
#: p values are not distinguished below this.
SMALLEST = 1e-15


@dataclass(frozen=True)
class Difference(Estimate):
    """mean(b) - mean(a), in proportions (in [-1, 1]).

    `parts`: (variance, degrees of freedom) of the prompts and of the seeds of each arm, whose
    variances add up to `se` squared.
    """

    se: float
    df: float
    n_prompts: int
    n_clusters: int
    n_runs: tuple[int, int]
    parts: tuple[tuple[float, float], ...]

    @property
    def p_value(self) -> float:
        """Two-sided p of no difference, by bisection: at the confidence 1 - p an end is at 0."""
        if self.df == 0:  # one prompt
            return 1.0

        def within(log_p: float) -> bool:
            return _half_width(self.df, self.parts, math.exp(log_p) / 2) > abs(self.estimate)

        return math.exp(edge(within, math.log(SMALLEST), 0.0))


def between_independent(
    first: tuple[float, float, float], second: tuple[float, float, float]
) -> tuple[float, float]:
    """Interval of first minus second, each (estimate, lower, upper) of independent data.

    The difference -+ what the two intervals' own halves add to in squares (MOVER: Newcombe 1998,
    Zou & Donner 2008), at their confidence.
    """
    (a, a_low, a_up), (b, b_low, b_up) = first, second
    return a - b - math.hypot(a - a_low, b_up - b), a - b + math.hypot(a_up - a, b - b_low)


def paired_difference(
    a: ArrayLike,
    b: ArrayLike,
    clusters: ArrayLike | None = None,
    confidence: float = 0.95,
    *,
    names: tuple[str, str] = ("a", "b"),
) -> Difference:
    """Interval of mean(b) - mean(a) over the same prompts, prompts and runs both samples.

    `a`: (S_a, P), `b`: (S_b, P) outcomes in [0, 1], runs (training seeds, or repeats of a base) x
    prompts in the same order; (S, R, P) is averaged over R first. `clusters`: (P,) labels of
    prompts that belong together (paraphrases, families), summed together. `names`: what `method`
    calls the two.

    V = V_d + sum over arms of max(V_seed - V_cell, 0).

    V_d = G/(G-1) sum over clusters of (summed deviation of d_i)^2/P^2 + w 2/G^2 with d_i = mean b_i
    - mean a_i holds the sampling noise of every arm at prompt level, a base measured once included
    (Miller 2024, arXiv 2411.00640). 2/G^2 are the two pseudo-prompts with differences +1 and -1 of
    Bonett & Price (2012), so that few discordant prompts, or none, do not claim certainty; the
    weight w = max(0, 1 - k/10) fades them out as k = (sum r^2)^2 / sum r^4, the effective number of
    clusters that carry the variance, grows.

    V_seed = var(run means)/S and V_cell, the interaction, per arm: the main effect of the training
    seed. An arm with one run has its seed effect **not measured**, which `method` says.

    The interval is estimate -+ q sqrt(V), clipped to [-1, 1], q the larger of t_df with
    Satterthwaite's `df`, itself estimated from few seeds, and of the q at which squared half-widths
    add: q^2 = (t_{G-1}^2 V_d + sum over arms of t_{S-1}^2 (V_seed - V_cell)^+)/V (Graybill & Wang
    1980). At 3 seeds that spread much t_df alone covers .92 to .93 of 95 %, the larger .94 to .95.
    One prompt (or cluster) gives [-1, 1].
    """
    first = one_run_per_row(proportions("a", a, (2, 3)))
    second = one_run_per_row(proportions("b", b, (2, 3)))
    tail = (1 - between("confidence", confidence, 0, 1)) / 2
    if first.shape[1] != second.shape[1]:
        raise StatsError(
            f"a has {first.shape[1]} prompts and b {second.shape[1]}; pairing needs the same ones"
        )
    n_prompts = first.shape[1]
    codes, groups = cluster_codes(clusters, n_prompts)
    arms = [two_way(table, codes, groups) for table in (first, second)]
    estimate = arms[1].mean - arms[0].mean
    deviations = second.mean(axis=0) - first.mean(axis=0) - estimate
    prompt = cluster_variance(deviations, codes, groups)
    prompt += 2 / groups**2 * _rarity(codes, deviations)
    total, df, added = _together(prompt, groups, arms)
    half = _half_width(df, added, tail) if groups > 1 else 2.0
    single = [name for name, arm in zip(names, arms, strict=True) if arm.n_seeds == 1]
    note = f"; run effect of {' and '.join(single)} not measured" if single else ""
    kind = "prompt" if clusters is None else "cluster"
    return Difference(
        estimate=estimate,
        lower=max(estimate - half, -1.0),
        upper=min(estimate + half, 1.0),
        se=math.sqrt(total),
        df=df if groups > 1 else 0.0,
        n_prompts=n_prompts,
        n_clusters=groups,
        n_runs=(first.shape[0], second.shape[0]),
        method=f"paired by {kind}, two-way t{note}",
        confidence=float(confidence),
        parts=tuple(added),
    )


def _together(
    prompt: float, groups: int, arms: Sequence[TwoWay]
) -> tuple[float, float, list[tuple[float, float]]]:
    """Return V, its degrees of freedom, and (variance, df) of prompts and of each arm's seeds."""
    parts, added = [(prompt, groups - 1.0)], [(prompt, groups - 1.0)]
    for arm in arms:
        s = arm.n_seeds - 1.0
        added.append((max(arm.seed - arm.cell, 0.0), s))
        if arm.seed > arm.cell * (1 + 1e-9):
            parts += [(arm.seed, s), (arm.cell, s * (groups - 1))]
    total = prompt + sum(variance for variance, _ in added[1:])
    return total, satterthwaite(total, parts), added


def half_widths(a: ArrayLike, b: ArrayLike, runs: int, confidences: Sequence[float]) -> list[float]:
    """Return half of `paired_difference`'s interval if `b` had so many runs that spread alike.

    `a`, `b`: (S, P) or (S, R, P) outcomes in [0, 1], b of two runs or more; `runs`: at least 2. The
    seeds' variance of b and its interaction with the prompts fall as 1/runs; what the prompts
    themselves and the runs of `a` add stays.
    """
    first, second = (one_run_per_row(proportions(n, x, (2, 3))) for n, x in (("a", a), ("b", b)))
    codes, groups = cluster_codes(None, first.shape[1])
    base, tuned = (two_way(table, codes, groups) for table in (first, second))
    deviations = second.mean(axis=0) - first.mean(axis=0) - (tuned.mean - base.mean)
    prompt = cluster_variance(deviations, codes, groups)
    prompt += 2 / groups**2 * _rarity(codes, deviations)
    share = tuned.n_seeds / runs
    grown = replace(tuned, seed=tuned.seed * share, cell=tuned.cell * share, n_seeds=runs)
    prompt -= min(tuned.cell - grown.cell, prompt)
    total, df, added = _together(prompt, groups, (base, grown))
    return [_half_width(df, added, (1 - c) / 2) if total > 0 else 0.0 for c in confidences]


def _half_width(df: float, parts: Sequence[tuple[float, float]], tail: float) -> float:
    """Return q sqrt(V), q the larger of both quantiles."""
    total = sum(variance for variance, _ in parts)
    shares = [(variance / total, s) for variance, s in parts[1:]]
    added = combined_quantile(parts[0][1], shares, tail)
    return max(t_quantile(1 - tail, df), added) * math.sqrt(total)


def _rarity(codes: Ints, deviations: Floats) -> float:
    """Weight of the pseudo-prompts: 1 without any spread, 0 from 10 effective clusters on."""
    sums = np.bincount(codes, weights=deviations)
    second = float(np.sum(sums**2))
    if second < 1e-16:  # rounding error of equal differences
        return 1.0
    carrying = second**2 / float(np.sum(sums**4))
    return max(0.0, 1 - carrying / RARE)
