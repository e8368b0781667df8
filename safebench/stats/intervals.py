"""The interval of a score: training seeds and prompts are both samples."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import scipy
from numpy.typing import ArrayLike, NDArray

from safebench.errors import StatsError
from safebench.stats._checks import Floats, between, cluster_codes, proportions
from safebench.stats._estimate import Estimate
from safebench.stats._twoway import one_run_per_row, two_way

#: With fewer effective events (or non-events) than this, Satterthwaite's df is noise.
RARE = 10.0
#: Effective events (and non-events) from which the normal limit takes the place of the beta.
COUNTLESS = 1e7


@dataclass(frozen=True)
class Interval(Estimate):
    """A mean score, in [0, 1].

    `n` is the number of outcomes averaged, `n_effective` how many independent ones they are worth.
    """

    n: int
    df: float
    n_seeds: int
    n_prompts: int
    n_clusters: int
    n_effective: float


def score_interval(
    scores: ArrayLike,
    clusters: ArrayLike | None = None,
    confidence: float = 0.95,
    prompts_fixed: bool = False,
) -> Interval:
    """Two-sided interval of the mean score when seeds and prompts are both samples.

    `scores`: (S, P) outcomes in [0, 1], training seeds x prompts, or (S, R, P) with repeats,
    which are averaged first. `clusters`: (P,) labels of prompts that belong together.

    V = V_prompt + V_seed - V_cell, floored at max(V_prompt, V_seed) and at the variance of
    independent outcomes: V_prompt = G/(G-1) sum over clusters of (summed deviation)^2 / P^2
    (Miller 2024, arXiv 2411.00640), V_seed = var(seed means)/S, V_cell the same for the
    interaction (Cameron, Gelbach & Miller 2011). With S = 1 only V_prompt is measured, and
    `method` says so.

    The quantile q is the larger of t_df with Satterthwaite's (1946) `df`, itself estimated from
    few seeds, and of the q at which the squared half-widths of the components add (Graybill & Wang
    1980): q^2 = (t_{G-1}^2 V_prompt + t_{S-1}^2 (V - V_prompt))/V. With fewer than 10 effective
    events (or non-events) that df is noise, and the second is taken alone. At 3 seeds that spread
    much t_df alone covers .93 of 95 %, the larger .94 (benchmarks/coverage.txt).

    The bounds are Korn & Graubard's (1998, Survey Methodology 24): Clopper-Pearson (Beta) with
    n_eff = p(1-p)/V * (t_{n-1}/q)^2 trials, n = p(1-p)/V. Away from 0 and 1 this is p -+ q sqrt(V);
    near them both tails keep their nominal error where the clipped t interval misses 5 to 8 %
    above. Without any event, or any spread, each prompt cluster counts as **one** trial however
    many seeds saw it (n_eff = G), and no bound is tighter than these zero-event ones,
    1 - (alpha/2)^(1/G) and (alpha/2)^(1/G). No interval can exclude a rare seed that collapses.

    `prompts_fixed=True`: the prompts are the population of interest. V = max(V_seed, V_cell) with
    S - 1 degrees of freedom (repeats stand in for seeds when S = 1 and R > 1, which `method`
    says); max(P, S) replaces G; zero spread gets the noise of the largest flip rate that zero
    flips in P prompts leave possible.

    Raises StatsError on fixed prompts with a single run (nothing varies).
    """
    array = proportions("scores", scores, (2, 3))
    confidence = between("confidence", confidence, 0, 1)
    over_repeats = prompts_fixed and array.ndim == 3 and array.shape[0] == 1
    table = array[0] if over_repeats else one_run_per_row(array)
    codes, n_clusters = cluster_codes(clusters, table.shape[1])
    m = two_way(table, codes, n_clusters)
    if prompts_fixed:
        if m.n_seeds < 2:
            raise StatsError(
                "prompts_fixed=True with a single run: nothing varies",
                fix="give two training seeds (or repeats), or treat the prompts as a sample",
            )
        # Who stands beside whom in a cluster does not matter where no prompt is a sample.
        m = two_way(table, *cluster_codes(None, table.shape[1]))
        label = "repeats only, prompts fixed" if over_repeats else "seeds, prompts fixed"
    else:
        label = "two-way, seeds x " if m.n_seeds > 1 else "one seed, "
        label += "prompts" if clusters is None else "prompt clusters"
    variances = m.prompt, m.seed, m.cell, float(array.var()) / array.size
    found = interval_from(
        m.mean, *variances, m.n_seeds, m.n_clusters, confidence, prompts_fixed=prompts_fixed
    )
    return Interval(
        estimate=m.mean,
        lower=float(found.lower),
        upper=float(found.upper),
        n=array.size,
        method=f"beta ({label})",
        df=float(found.df),
        confidence=confidence,
        n_seeds=array.shape[0],
        n_prompts=table.shape[1],
        n_clusters=n_clusters,
        n_effective=float(found.n_effective),
    )


@dataclass(frozen=True, eq=False)
class Bounds:
    """Ends of an interval, its degrees of freedom and effective n, each of the inputs' shape.

    `rare`: whether there are fewer than `RARE` effective events, or non-events.
    """

    lower: Floats
    upper: Floats
    df: Floats
    n_effective: Floats
    rare: NDArray[np.bool_]


def interval_from(
    p: ArrayLike,
    v_prompt: ArrayLike,
    v_seed: ArrayLike,
    v_cell: ArrayLike,
    v_independent: ArrayLike,
    n_seeds: ArrayLike,
    n_prompts: ArrayLike,
    confidence: float = 0.95,
    *,
    prompts_fixed: bool = False,
) -> Bounds:
    """The bounds of a score from the variances of its mean: the one place where they are made.

    `score_interval` passes the moments of a table, and a plan what another design would make of
    them, so that both give the same bounds at the same design. `p`: the score in [0, 1];
    `v_prompt`, `v_seed`, `v_cell`: variances of the mean over an (S, P) table, as in
    spec/v1/intervals.md; `v_independent`: that of its outcomes if they were independent;
    `n_seeds`, `n_prompts`: S and P (clusters, where prompts have them). All broadcast together.
    Terms of the seeds are left out where S = 1; the bounds are [0, 1] at P = 1 but for what one
    trial says. `prompts_fixed`: see `score_interval`.
    """
    tail = (1 - between("confidence", confidence, 0, 1)) / 2
    p, v_prompt, v_seed, v_cell, v_independent, n_seeds, n_prompts = (
        np.asarray(x, dtype=np.float64)
        for x in np.broadcast_arrays(p, v_prompt, v_seed, v_cell, v_independent, n_seeds, n_prompts)
    )
    s, g = n_seeds - 1, n_prompts - 1
    with np.errstate(divide="ignore", invalid="ignore"):
        if prompts_fixed:
            none_seen = scipy.special.betaincinv(1, n_prompts, 1 - tail) / 2 / (n_seeds * n_prompts)
            total = np.maximum(v_seed, (v_seed + g * v_cell) / n_prompts)
            total = np.where(total <= 1e-9 * none_seen, none_seen, total)
            df = main_df = s
            trials, excess = np.maximum(n_prompts, n_seeds), np.zeros_like(p)
        else:
            two = np.maximum.reduce([v_prompt + v_seed - v_cell, v_prompt, v_seed])
            total = np.where(g > 0, np.maximum(two, v_independent), 0.0)
            below = _over(v_prompt, g) + _over(v_seed, s) + _over(v_cell, s * g)
            known = (below > 0) & (total > 0)
            df = np.where(known, total**2 / below, np.maximum(np.maximum(s, g), s * g) * (g > 0))
            main_df, trials, excess = g, n_prompts, two - v_prompt
        raw = p * (1 - p) / total
        raw = np.maximum(raw, np.minimum(raw * trials / np.maximum(trials - 1, 1), trials))
        rare = raw * np.minimum(p, 1 - p) < RARE
        share, least = excess / total, np.maximum(1 - excess / total, 0.0)
        quantile = np.sqrt(
            least * _t(main_df, tail) ** 2 + np.where(share > 0, share * _t(s, tail) ** 2, 0.0)
        )
        quantile = np.where(rare, quantile, np.maximum(quantile, _t(df, tail)))
        implied = _t(np.maximum(raw - 1, df), tail)
        n_effective = raw * np.minimum(1.0, implied / quantile) ** 2
        blind = (p * (1 - p) <= 0) | (total <= 1e-18 * p * (1 - p))
        n_effective = np.where(blind, trials, n_effective)
    # With more events the normal limit is the same to the last digit kept, and betaincinv slow.
    with np.errstate(divide="ignore", invalid="ignore"):
        half = -scipy.special.ndtri(tail) * np.sqrt(p * (1 - p) / n_effective)
    countless = n_effective * np.minimum(p, 1 - p) > COUNTLESS
    trials_used = np.where(countless, 1.0, n_effective)
    x = trials_used * p
    lower = np.where(x > 0, scipy.special.betaincinv(x, trials_used - x + 1, tail), 0.0)
    upper = np.where(p < 1, scipy.special.betaincinv(x + 1, trials_used - x, 1 - tail), 1.0)
    lower, upper = np.where(countless, p - half, lower), np.where(countless, p + half, upper)
    none = tail ** (1 / trials)
    lower, upper = np.minimum.reduce([lower, none, p]), np.maximum.reduce([upper, 1 - none, p])
    return Bounds(lower, upper, df, n_effective, rare)


def _over(variance: Floats, df: Floats) -> Floats:
    """Part of Satterthwaite's denominator; nothing where there is no degree of freedom."""
    return np.where(df > 0, variance**2 / df, 0.0)


def _t(df: Floats, tail: float) -> Floats:
    return np.asarray(scipy.special.stdtrit(df, 1 - tail))
