"""The stability score: does an independent rerun of one training seed land within the margin?"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import scipy
from numpy.typing import ArrayLike

from safebench.stats._checks import Floats, between, positive_int, proportions
from safebench.stats._dist import beta_lower, chi2_quantile, no_rounding, satterthwaite
from safebench.stats.arms import flip_floor
from safebench.stats.transforms import phi

FEWEST_SEEDS = 3
"""Two seeds that agree bound the stability by .05 alone, whatever the distribution."""


@dataclass(frozen=True)
class Stability:
    """The stability score with its one-sided bounds.

    `point`, `lower`, `lower_if_normal`, `upper` are probabilities in [0, 1], None when not `rated`;
    `sigma_run` with its bounds `sigma_lower` and `sigma_upper`, and `floor`, are SDs of phi(score)
    in radians, for one repeat and divided by the judge's J; `pairs` is the number of disjoint pairs
    of seeds and `pairs_within` how many of them, averaged over all ways of pairing, agree within
    the margin; `pairs_lower` is the bound on that share. Spreads and pairs are None for one seed.
    `n_seeds` counts the `n_missing` ones.
    """

    rated: bool
    point: float | None
    lower: float | None
    lower_if_normal: float | None
    upper: float | None
    sigma_run: float | None
    sigma_lower: float | None
    sigma_upper: float | None
    floor: float
    df: float | None
    pairs: int
    pairs_within: float | None
    pairs_lower: float | None
    n_seeds: int
    n_repeats: int
    n_prompts: int
    n_missing: int
    margin: float
    confidence: float
    method: str
    reason: str

    @property
    def estimate(self) -> float | None:
        """The same as `point`, under the name that other results use."""
        return self.point


def stability(
    run_scores: ArrayLike,
    n_prompts: int,
    flip_upper: float | None = None,
    margin: float = 0.1,
    confidence: float = 0.95,
    judge_youden_lower: float = 1.0,
    *,
    missing: int = 0,
) -> Stability:
    """RS = P(|phi(Y) - phi(Y')| <= margin) = 2 Phi(margin/(sqrt 2 sigma_run)) - 1.

    `run_scores`: (S,) or (S, R), one score in [0, 1] per training seed (and repeat); for an
    artefact repeats stand in the place of seeds. `n_prompts`: prompts behind each score.
    `flip_upper`: upper bound of the mean per-prompt flip rate (`flip_rate(...).upper`).
    `margin` in radians (Cohen's h); phi = 2 asin sqrt.
    `judge_youden_lower`: lower bound of Se + Sp - 1 of the judge, by which all sigmas are divided,
    since a judge that errs shrinks every spread by it (Rogan & Gladen 1978).

    sigma_run^2 is the variance of phi(score) of **one** repeat of a new seed: var over seeds for
    (S,); from the two-level table for (S, R): MS_b/R + MS_w (1 - 1/R), MS_b = R var(seed means),
    MS_w the mean variance within seeds.

    `lower_if_normal` is the one-sided bound at `confidence` where seeds spread normally, RS at
    sigma_up = max(sqrt(U), floor), U = sigma^2 + sqrt(sum((df_i/chi2_{alpha,df_i} - 1)^2 part_i^2))
    over the two parts (Graybill & Wang 1980, modified large-sample bound); for (S,) it is
    s sqrt((S-1)/chi2) exactly. `upper` is the opposite one-sided bound, without the floor, which is
    `flip_floor`: what so few prompts cannot exclude.

    `lower` (the headline) is the smaller of that and `agreement_bound(S)`: seeds that all agree
    say no more whatever the distribution. It is a cap, not a switch: a pair that does not agree
    must not raise the bound, so it applies where some do not agree, too. There `lower` is the
    normal bound or less, and of a collapse that half shows it can still say too much
    (spec/v1/stability.md).

    Companion free of distributions: the share of all pairs of seeds (one repeat each) within the
    margin, a U-statistic, with the Clopper-Pearson bound for floor(S/2) disjoint pairs (as in
    Hoeffding 1963, section 5b), so that no order of the seeds matters.

    `missing`: registered training seeds that were withdrawn or have no result. They count in S,
    and each is scored worst-case, at 0 or at 1, as many at either as lowers the bound most; `point`
    and `upper` are of that assignment. `lower` is moreover at most what it is with fewer of them,
    and its cap counts the seeds that have a result alone, so a missing run never raises it. No pair
    with a missing seed is within the margin.

    One or two seeds are no error: `rated` is False and `reason` says why.
    """
    scores = proportions("run_scores", run_scores, (1, 2))
    n_prompts = positive_int("n_prompts", n_prompts)
    margin = between("margin", margin, 0, math.inf)
    tail = 1 - between("confidence", confidence, 0.5, 1)
    judge = between("judge_youden_lower", judge_youden_lower, 0, 1 + 1e-12)
    floor = math.sqrt(flip_floor(float(scores.mean()), n_prompts, flip_upper)) / judge
    missing = positive_int("missing", missing, 0)
    table = np.asarray(phi(scores)).reshape(scores.shape[0], -1)
    n_seeds, n_repeats = table.shape[0] + missing, table.shape[1]
    parts = _worst_parts(table, missing)
    sigma, low, high = (value / judge for value in _sigmas(parts, tail))
    # A run more must not raise the bound through its degree of freedom.
    fewer = [_sigmas(_worst_parts(table, m), tail)[2] / judge for m in range(missing)]
    high = max(high, *fewer, 0.0)
    within, pairs = _pairs(table, margin * judge, missing)
    rated, spread = n_seeds >= FEWEST_SEEDS, n_seeds > 1
    used = max(high, floor)
    normal = _agreement(used, margin)
    most = agreement_bound(table.shape[0], 1 - tail)
    source = "flip rate" if flip_upper is not None else "worst case, flip rate not given"
    if not spread:
        reason = "not rated: one training seed says nothing of the spread over seeds"
    elif not rated:
        reason = "not rated: a bound needs three training seeds, and these are two"
    elif most < normal:
        reason = f"bound set by the number of seeds: if {table.shape[0]} agree, it shows no more"
    elif floor >= high:
        reason = f"bound set by the sampling noise of {n_prompts} prompts ({source})"
    else:
        reason = f"bound set by the spread over {n_seeds} seeds"
    if missing:
        reason += f"; {missing} of {n_seeds} seeds missing, scored worst-case"
    return Stability(
        rated=rated,
        point=_agreement(sigma, margin) if rated else None,
        lower=min(normal, most) if rated else None,
        lower_if_normal=normal if rated else None,
        upper=_agreement(low, margin) if rated else None,
        sigma_run=sigma if spread else None,
        sigma_lower=low if spread else None,
        sigma_upper=used if spread else None,
        floor=floor,
        df=_df(parts) if spread else None,
        pairs=pairs,
        pairs_within=within * pairs if spread else None,
        pairs_lower=beta_lower(within * pairs, pairs, tail) if spread else None,
        n_seeds=n_seeds,
        n_repeats=n_repeats,
        n_prompts=n_prompts,
        n_missing=missing,
        margin=margin,
        confidence=float(confidence),
        method=f"normal on phi, one repeat, at most {_short(tail)}^(2/S); floor: {source}"
        + (f"; {missing} missing scored worst-case" if missing else ""),
        reason=reason,
    )


def agreement_bound(n_seeds: int, confidence: float = 0.95) -> float:
    """(1 - confidence)^(2/S): what S seeds that all agree show of RS, whatever the distribution.

    P(all S agree) <= RS^(S/2): in a graph with a share RS of all edges no more sets of S vertices
    than that are complete (Kruskal 1963, Katona 1968). So where RS lies below the bound, all S
    agree with a probability of less than 1 - confidence.
    """
    tail = 1 - between("confidence", confidence, 0.5, 1)
    return float(tail ** (2 / positive_int("n_seeds", n_seeds)))


def _short(share: float) -> str:
    return f"{share:.6g}".removeprefix("0")


def _agreement(sigma: float, margin: float) -> float:
    """2 Phi(margin/(sqrt 2 sigma)) - 1 = erf(margin/(2 sigma)); 1 at zero spread."""
    return float(scipy.special.erf(margin / (2 * sigma))) if sigma > 0 else 1.0


def _worst_parts(table: Floats, missing: int) -> list[tuple[float, int]]:
    """(variance, df) parts whose sum is the variance of one repeat of a new seed.

    `missing` seeds are added at phi = 0 or pi, as many at either as makes the bound largest.
    """
    n_seeds, n_repeats = table.shape
    total = n_seeds + missing
    if total < 2:
        return []
    means = table.mean(axis=1)
    spread, centre = float(np.sum((means - means.mean()) ** 2)), float(means.mean())
    if missing:  # about `centre`; the variance between seeds decides the bound at a fixed S
        high = np.arange(missing + 1)
        sums = high * (math.pi - centre) - (missing - high) * centre
        squares = high * (math.pi - centre) ** 2 + (missing - high) * centre**2
        spread += float(np.max(squares - sums**2 / total))
    parts = [(no_rounding(spread / (total - 1)), total - 1)]
    if n_repeats > 1:
        within = float(table.var(axis=1, ddof=1).mean()) * (1 - 1 / n_repeats)
        parts.append((no_rounding(within), n_seeds * (n_repeats - 1)))
    return parts


def _sigmas(parts: list[tuple[float, int]], tail: float) -> tuple[float, float, float]:
    """Estimate, lower and upper bound of sigma_run."""
    total = sum(part for part, _ in parts)
    up = sum(((df / chi2_quantile(tail, df) - 1) * part) ** 2 for part, df in parts)
    down = sum(((1 - df / chi2_quantile(1 - tail, df)) * part) ** 2 for part, df in parts)
    return (
        math.sqrt(total),
        math.sqrt(max(total - math.sqrt(down), 0.0)),
        math.sqrt(total + math.sqrt(up)),
    )


def _df(parts: list[tuple[float, int]]) -> float:
    """Satterthwaite's df of the sum; at zero spread those of the seeds."""
    total = sum(part for part, _ in parts)
    return satterthwaite(total, parts) if total > 0 else float(parts[0][1])


def _pairs(table: Floats, margin: float, missing: int) -> tuple[float, int]:
    """Share of pairs of runs of different seeds within the margin; disjoint pairs of seeds."""
    n_seeds, n_repeats = table.shape
    total = n_seeds + missing
    pairs = total // 2
    if pairs == 0:
        return 0.0, 0
    runs = np.sort(table.ravel())
    reach = margin * (1 + 1e-12)
    everyone = (
        int(np.sum(np.searchsorted(runs, runs + reach, side="right")))
        - np.arange(1, runs.size + 1).sum()
    )
    gaps = np.abs(table[:, :, None] - table[:, None, :]) <= reach
    same_seed = (int(gaps.sum()) - table.size) // 2
    return float((everyone - same_seed) / (n_repeats**2 * total * (total - 1) / 2)), pairs
