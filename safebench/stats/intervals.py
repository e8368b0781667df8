"""The interval of a score: training seeds and prompts are both samples."""

from __future__ import annotations

from dataclasses import dataclass

from numpy.typing import ArrayLike

from safebench.errors import StatsError
from safebench.stats._checks import Floats, between, cluster_codes, proportions
from safebench.stats._dist import beta_lower, beta_upper, t_quantile
from safebench.stats._twoway import (
    TwoWay,
    combined_quantile,
    one_run_per_row,
    satterthwaite,
    two_way,
)  # fmt: skip

#: With fewer effective events (or non-events) than this, Satterthwaite's df is noise.
RARE = 10.0


@dataclass(frozen=True)
class Interval:
    """An estimate with its two-sided interval, all proportions in [0, 1].

    `n` is the number of outcomes averaged, `n_effective` how many independent ones they are worth.
    """

    estimate: float
    lower: float
    upper: float
    n: int
    method: str
    df: float
    confidence: float
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
    interaction (Cameron, Gelbach & Miller 2011; with single-prompt clusters the ANOVA estimate
    (MS_p + MS_s - MS_ps)/(SP)). With S = 1 only V_prompt is measured, and `method` says so.

    The quantile q is the larger of t_df with Satterthwaite's (1946) `df`, itself estimated from
    few seeds, and of the q at which the squared half-widths of the components add (Graybill & Wang
    1980): q^2 = (t_{G-1}^2 V_prompt + t_{S-1}^2 (V - V_prompt))/V. With fewer than 10 effective
    events (or non-events) that df is noise, and the second is taken alone. At 3 seeds that spread
    much t_df alone covers .93 of 95 %, the larger .94; the price is width where they hardly spread,
    a tenth at 3 seeds, nearly half at 2 (benchmarks/coverage.txt).

    The bounds are Korn & Graubard's (1998, Survey Methodology 24): Clopper-Pearson (Beta) with
    n_eff = p(1-p)/V * (t_{n-1}/q)^2 trials, n = p(1-p)/V. Away from 0 and 1 this is p -+ q sqrt(V);
    near them both tails keep their nominal error where the clipped t interval misses 5 to 8 %
    above; with one seed and binary outcomes it is Clopper-Pearson itself.

    Without any event, or without any spread, the design effect cannot be estimated: each prompt
    cluster then counts as **one** trial however many seeds saw it (n_eff = G), since outcomes of
    one prompt over seeds may be perfectly dependent. So that observing more harm never lowers the
    bound below this, the upper limit is never below the zero-event bound 1 - (alpha/2)^(1/G), the
    lower one never above (alpha/2)^(1/G). No interval can exclude a rare seed that collapses.

    `prompts_fixed=True`: the prompts are the population of interest. V = max(V_seed, V_cell) with
    S - 1 degrees of freedom (repeats stand in for seeds when S = 1 and R > 1, which `method`
    says); max(P, S) replaces G; zero spread gets the noise of the largest flip rate that zero
    flips in P prompts leave possible.

    Raises StatsError on NaN (with its position), scores outside [0, 1], wrong shapes, confidence
    outside (0, 1), or fixed prompts with a single run (nothing varies).
    """
    array = proportions("scores", scores, (2, 3))
    tail = (1 - between("confidence", confidence, 0, 1)) / 2
    over_repeats = prompts_fixed and array.ndim == 3 and array.shape[0] == 1
    table = array[0] if over_repeats else one_run_per_row(array)
    codes, n_clusters = cluster_codes(clusters, table.shape[1])
    moments = two_way(table, codes, n_clusters)
    if prompts_fixed:
        spread = _fixed_spread(table, tail)
        label = "repeats only, prompts fixed" if over_repeats else "seeds, prompts fixed"
    else:
        spread = _random_spread(moments, array)
        label = "two-way, seeds x " if moments.n_seeds > 1 else "one seed, "
        label += "prompts" if clusters is None else "prompt clusters"
    n_effective = _effective(moments.mean, spread, tail)
    lower = beta_lower(n_effective * moments.mean, n_effective, tail)
    upper = beta_upper(n_effective * moments.mean, n_effective, tail)
    return Interval(
        estimate=moments.mean,
        lower=min(lower, tail ** (1 / spread.trials), moments.mean),
        upper=max(upper, 1 - tail ** (1 / spread.trials), moments.mean),
        n=array.size,
        method=f"beta ({label})",
        df=float(spread.df),
        confidence=float(confidence),
        n_seeds=array.shape[0],
        n_prompts=table.shape[1],
        n_clusters=n_clusters,
        n_effective=n_effective,
    )


@dataclass(frozen=True)
class _Spread:
    """The variance of the mean, its degrees of freedom, and what a zero-event count is worth."""

    variance: float
    df: float
    trials: int  # n_eff where the design effect cannot be estimated
    seed_excess: float  # the part of the variance that only the seeds explain
    seed_df: float
    main_df: float  # degrees of freedom of the rest


def _random_spread(m: TwoWay, outcomes: Floats) -> _Spread:
    """Prompts and seeds both random."""
    two = max(m.prompt + m.seed - m.cell, m.prompt, m.seed)
    total = max(two, float(outcomes.var()) / outcomes.size)
    g, s = m.n_clusters - 1, m.n_seeds - 1
    if g == 0:  # one cluster: nothing is known of other prompts
        return _Spread(0.0, 0.0, 1, 0.0, s, g)
    df = satterthwaite(total, [(m.prompt, g), (m.seed, s), (m.cell, g * s)])
    return _Spread(total, df, m.n_clusters, two - m.prompt, s, g)


def _fixed_spread(table: Floats, tail: float) -> _Spread:
    """Only seeds random."""
    n_seeds, n_prompts = table.shape
    if n_seeds < 2:
        raise StatsError(
            "prompts_fixed=True with a single run: nothing varies",
            fix="give two training seeds (or repeats), or treat the prompts as a sample",
        )
    seed = float(table.mean(axis=1).var(ddof=1)) / n_seeds
    within = float(table.var(axis=0, ddof=1).mean()) / table.size
    none_seen = beta_upper(0, n_prompts, tail) / 2 / table.size
    variance = max(seed, within)
    if variance <= 1e-9 * none_seen:
        variance = none_seen
    return _Spread(variance, n_seeds - 1, max(table.shape), 0.0, 0.0, n_seeds - 1)


def _effective(p: float, spread: _Spread, tail: float) -> float:
    """The number of independent trials the outcomes are worth."""
    outcome = p * (1 - p)
    if outcome <= 0 or spread.variance <= 1e-18 * outcome:
        return float(spread.trials)
    n_raw = outcome / spread.variance
    n_raw = max(n_raw, min(n_raw * spread.trials / max(spread.trials - 1, 1), spread.trials))
    share = spread.seed_excess / spread.variance
    quantile = combined_quantile(spread.main_df, [(share, spread.seed_df)], tail)
    if n_raw * min(p, 1 - p) >= RARE:
        quantile = max(quantile, t_quantile(1 - tail, spread.df))
    implied = t_quantile(1 - tail, max(n_raw - 1, spread.df))
    return n_raw * min(1.0, implied / quantile) ** 2
