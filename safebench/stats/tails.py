"""The bad end: the worst prompts, and how bad a new run may be."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import scipy
from numpy.typing import ArrayLike

from safebench.errors import StatsError
from safebench.stats._checks import Floats, between, proportions
from safebench.stats._dist import satterthwaite, t_quantile
from safebench.stats._estimate import TAIL, Estimate
from safebench.stats._twoway import one_run_per_row, two_way
from safebench.stats.intervals import score_interval
from safebench.stats.transforms import phi, phi_inverse


@dataclass(frozen=True)
class ToleranceBound(Estimate):
    """A bound that a share `coverage` of new scores stays within, in [0, 1]; one side is free.

    `estimate`: where the bound would be if mean and SD were known, z_coverage SDs from the mean on
    phi. `k`: how many SDs the bound is from it.
    """

    k: float
    n: int


def score_tolerance_bound(
    scores: ArrayLike, coverage: float = 0.9, confidence: float = 0.95, upper: bool = True
) -> ToleranceBound:
    """One-sided bound: with `confidence`, a share `coverage` of new runs scores below it.

    `scores`: (S,) run scores in [0, 1], S >= 2 independent runs. The bound is Y + k s on phi = 2
    asin sqrt, where the spread of scores does not depend on their level, mapped back to [0, 1]. k =
    nct_{confidence}(S - 1, z_p sqrt S)/sqrt S with p = coverage (noncentral t; Owen 1968,
    Technometrics 10; Hahn & Meeker 1991, 4.4). `upper` False: Y - k s, which that share is above.

    S equal scores give a bound without width: no normal spread is seen.
    """
    array = np.asarray(phi(proportions("scores", scores, (1,))))
    share = between("coverage", coverage, 0, 1)
    sure = between("confidence", confidence, 0, 1)
    if array.size < 2:
        raise StatsError(f"scores has shape {array.shape}; a spread needs (S,) with S >= 2")
    n = array.size
    z = float(scipy.special.ndtri(share))
    k = float(scipy.special.nctdtrit(n - 1, z * math.sqrt(n), sure)) / math.sqrt(n)
    mean, sd = float(array.mean()), float(array.std(ddof=1)) * (1 if upper else -1)
    bound = phi_inverse(mean + k * sd)
    return ToleranceBound(
        estimate=phi_inverse(mean + z * sd),
        lower=0.0 if upper else bound,
        upper=bound if upper else 1.0,
        k=k,
        n=n,
        method="one-sided normal tolerance bound, noncentral t, on phi",
        confidence=sure,
    )


@dataclass(frozen=True)
class CVaR(Estimate):
    """Mean outcome of the worst share of the prompts, in [0, 1].

    `estimate` is `cross_fitted` (too good when seeds rank the prompts differently), or, of one
    seed, `plug_in` (too bad: picked and scored on the same runs). The interval is for the mean true
    score of the truly worst prompts, which lies between the two.
    """

    plug_in: float
    cross_fitted: float | None


def cvar(scores: ArrayLike, share: float = 0.1, higher_is_worse: bool = True) -> CVaR:
    """Expected outcome of the worst `share` of the prompts (Rockafellar & Uryasev 2000, J Risk 2).

    `scores`: (S, P) outcomes in [0, 1], training seeds x prompts ((S, R, P) is averaged over R), or
    (P,) of one run.

    CVaR = sum w y/(share P), w = 1 for the worst prompts, and what is left to share P spread over
    those tied at the threshold q. Plug-in: y = the prompt means, which also pick. Cross-fitted: for
    each seed the other S - 1 pick and it scores; the mean over seeds. With h = q + (y - q) w/share,
    whose mean is the estimate (its influence function), V is that of `score_interval`, t with
    Satterthwaite's df. `lower` is the cross-fitted one's, `upper` the larger of the two's, since
    the truth lies between. As in `score_interval` no bound is tighter than without any event (or
    non-event) in share P prompts. One prompt gives [0, 1].

    Coverage of nominal 95 % is .98 and more (benchmarks/diagnostics.txt).

    One seed: `lower` is that of the mean over all prompts, which CVaR is never below.
    """
    array = proportions("scores", scores, (1, 2, 3))
    table = array[None] if array.ndim == 1 else one_run_per_row(array)
    share = between("share", share, 0, 1 + 1e-12)
    bad = table if higher_is_worse else 1 - table
    means = bad.mean(axis=0)
    n_seeds = bad.shape[0]
    plug_in, low, high = _interval(_influence(bad, means[None], share), share)
    estimate = plug_in
    if n_seeds > 1:
        others = (bad.sum(axis=0) - bad) / (n_seeds - 1)
        estimate, low, crossed_high = _interval(_influence(bad, others, share), share)
        high = max(high, crossed_high)
    else:
        low = min(score_interval(bad).lower, plug_in)
    if not higher_is_worse:
        estimate, low, high, plug_in = 1 - estimate, 1 - high, 1 - low, 1 - plug_in
    note = "cross-fitted over seeds" if n_seeds > 1 else "plug-in of one seed, biased to the worse"
    return CVaR(
        estimate=estimate,
        lower=low,
        upper=high,
        plug_in=plug_in,
        cross_fitted=estimate if n_seeds > 1 else None,
        method=f"CVaR of the worst {share:.0%}, {note}",
    )


def _influence(scored: Floats, ranked: Floats, share: float) -> Floats:
    """(S, P) values whose mean is the CVaR: `ranked`, (S, P) or (1, P), picks, `scored` scores."""
    ranked = np.round(ranked, 12)  # equal means stay equal
    n_prompts = ranked.shape[1]
    budget = share * n_prompts
    place = n_prompts - max(1, min(n_prompts, math.ceil(budget - 1e-9)))
    threshold = np.partition(ranked, place, axis=1)[:, [place]]
    above, tied = ranked > threshold, ranked == threshold
    left = budget - above.sum(axis=1, keepdims=True)
    weight = above + tied * left / tied.sum(axis=1, keepdims=True)
    return np.asarray(threshold + (scored - threshold) * weight / share)


def _interval(table: Floats, share: float) -> tuple[float, float, float]:
    """The mean of an influence table and its two-sided t interval, in [0, 1]."""
    prompts = table.shape[1]
    m = two_way(table, np.arange(prompts), prompts)
    mean = min(max(m.mean, 0.0), 1.0)
    if prompts < 2:
        return mean, 0.0, 1.0
    s, g = m.n_seeds - 1, prompts - 1
    total = max(m.prompt + m.seed - m.cell, m.prompt, m.seed)
    df = satterthwaite(total, [(m.prompt, g), (m.seed, s), (m.cell, g * s)])
    half = t_quantile(1 - TAIL, df) * math.sqrt(total)
    none_seen = TAIL ** (1 / max(share * prompts, 1.0))
    lower = min(max(mean - half, 0.0), none_seen, mean)
    return mean, lower, max(min(mean + half, 1.0), 1 - none_seen, mean)
