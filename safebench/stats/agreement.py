"""Do runs, judges or people agree: flip rates, shares, Cohen's kappa, Krippendorff's alpha."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike

from safebench.errors import StatsError
from safebench.stats._checks import (
    Floats,
    Ints,
    cluster_codes,
    first_bad,
    label_codes,
    positive_weights,
    proportions,
)
from safebench.stats._dist import beta_lower, beta_upper, jackknife_half
from safebench.stats._estimate import CONFIDENCE, TAIL, Estimate

Level = Literal["nominal", "ordinal", "interval", "ratio"]


@dataclass(frozen=True, eq=False)
class FlipRate(Estimate):
    """Mean flip rate over prompts, and each prompt's own rate (P,)."""

    per_prompt: Floats
    n_prompts: int
    n_runs: int


def flip_rate(outcomes: ArrayLike) -> FlipRate:
    """Probability that a prompt's outcome differs between two runs with different seeds.

    `outcomes`: (S, P) of 0 and 1, S >= 2 runs x P prompts. Per prompt with c ones among n = S runs:
    f = 2c(n - c)/(n(n - 1)), the share of discordant pairs of runs; the estimate is its mean over
    prompts, in [0, 1] (at most n/(2(n - 1))).

    Interval: two-sided Clopper-Pearson (1934) on P trials with P * estimate successes, so `upper`
    is the f_up of `stability`: exact at S = 2 and conservative for more seeds, which are not
    counted as further trials because the flips of one prompt depend on each other. Zero flips give
    upper = 1 - .025^(1/P), never 0.

    Raises StatsError on values other than 0 and 1, or fewer than two runs.
    """
    array = proportions("outcomes", outcomes, (2,))
    n_runs, n_prompts = array.shape
    graded = (array != 0) & (array != 1)
    if graded.any():
        raise StatsError(f"{first_bad('outcomes', array, graded)}; a flip needs outcomes of 0 or 1")
    if n_runs < 2:
        raise StatsError("one run cannot flip: outcomes needs at least two rows (training seeds)")
    ones = array.sum(axis=0)
    per_prompt = 2 * ones * (n_runs - ones) / (n_runs * (n_runs - 1))
    estimate = float(per_prompt.mean())
    flips = estimate * n_prompts
    return FlipRate(
        estimate=estimate,
        lower=min(beta_lower(flips, n_prompts, TAIL), estimate),
        upper=max(beta_upper(flips, n_prompts, TAIL), estimate),
        per_prompt=per_prompt,
        n_prompts=n_prompts,
        n_runs=n_runs,
        method="clopper-pearson on prompts",
    )


@dataclass(frozen=True)
class Share(Estimate):
    """A share in [0, 1]; `n_effective` of `n` are independent."""

    n: int
    n_effective: float


def share(
    hits: ArrayLike, clusters: ArrayLike | None = None, weights: ArrayLike | None = None
) -> Share:
    """Share of outcomes that are 1: Clopper-Pearson (1934), by prompt and weight where given.

    `hits`: (n,) in [0, 1]; `clusters`: (n,) labels of those that belong together; `weights`: (n,)
    how much each stands for. With w normalised to sum 1 and r_g = sum_g w (hit - share), the bounds
    are at n_eff = share (1 - share)/sum r_g^2, at most n (Korn & Graubard 1998); without any
    spread at n_eff = 1/sum w_g^2, as many clusters of equal weight.
    """
    x = proportions("hits", hits, (1,))
    w = positive_weights(weights, x.size)
    codes, size = cluster_codes(clusters, x.size)
    estimate = float(w @ x / w.sum())
    trials = _trials(x - estimate, estimate * (1 - estimate), w, codes, size)
    plain = clusters is None and weights is None
    return Share(
        estimate=estimate,
        lower=min(beta_lower(estimate * trials, trials, TAIL), estimate),
        upper=max(beta_upper(estimate * trials, trials, TAIL), estimate),
        n=x.size,
        n_effective=trials,
        method="clopper-pearson" + ("" if plain else ", effective n"),
    )


def _trials(influence: Floats, variance: float, w: Floats, codes: Ints, size: int) -> float:
    """As many independent outcomes of a variance as these give, whose deviations are `influence`.

    At most as many as there are.
    """
    n = influence.size
    worth = float(w.sum() ** 2 / np.sum(np.bincount(codes, weights=w, minlength=size) ** 2))
    sums = np.bincount(codes, weights=w * influence, minlength=size) / w.sum()
    total = float(np.sum(sums**2))
    if size < 2 or variance <= 0 or total <= 1e-18 * variance:
        return worth
    return min(variance / total, float(n))


@dataclass(frozen=True)
class CohenKappa:
    """Agreement of two raters beyond chance, with its interval, in [-1, 1]; None not measured.

    `observed`, `expected`: share on which they disagree, and would by chance. `reason` says why it
    is not measured.
    """

    estimate: float | None
    lower: float | None
    upper: float | None
    observed: float
    expected: float
    n: int
    n_clusters: int
    reason: str
    method: str
    confidence: float = CONFIDENCE


def cohen_kappa(
    first: ArrayLike,
    second: ArrayLike,
    clusters: ArrayLike | None = None,
    weights: ArrayLike | None = None,
) -> CohenKappa:
    """Kappa = 1 - d/e, d the share rated differently, e what chance would make of it (Cohen 1960).

    `first`, `second`: (n,) categories of any kind; `clusters`, `weights` as in `share`. With r_c
    and s_c the shares that either rates c, e = 1 - sum r_c s_c.

    Interval: 1 - d_u/e and 1 - d_l/e, where d_l, d_u are Clopper-Pearson bounds of d at the n that
    has kappa's own linearized variance by cluster (Fleiss, Cohen & Everitt 1969), at most n. The
    published normal interval covers .21 to .95 of 95 % for n of 50 to 500 and kappas of .7 to .99,
    since one disagreement more or less is all its spread; this one .94 to .99, and is wide near 0.

    Not an error but **not measured** (None and the reason) where both rate everything alike.
    """
    a, b = np.asarray(first), np.asarray(second)
    if a.shape != b.shape or a.ndim != 1 or not a.size:
        raise StatsError(f"first has shape {a.shape} and second {b.shape}, not both (n,), n > 0")
    codes, levels = label_codes("ratings", np.concatenate([a, b]), 2 * a.size)
    a, b = codes[: a.size], codes[a.size :]
    w = positive_weights(weights, a.size)
    groups, size = cluster_codes(clusters, a.size)
    of_a, of_b = (np.bincount(x, weights=w, minlength=levels) / w.sum() for x in (a, b))
    differ = (a != b).astype(np.float64)
    observed, agreed = float(w @ differ / w.sum()), float(of_a @ of_b)
    expected = 1 - agreed
    kappa = lower = upper = None
    if expected > 1e-12:
        # The deviation of d/e that each outcome makes, times e.
        influence = differ - observed + observed / expected * (of_b[a] + of_a[b] - 2 * agreed)
        trials = _trials(influence, observed * (1 - observed), w, groups, size)
        kappa = 1 - observed / expected
        most, least = (f(observed * trials, trials, TAIL) for f in (beta_upper, beta_lower))
        lower, upper = max(min(1 - most / expected, kappa), -1.0), max(1 - least / expected, kappa)
    return CohenKappa(
        estimate=kappa,
        lower=lower,
        upper=upper,
        observed=observed,
        expected=expected,
        n=a.size,
        n_clusters=size,
        reason="" if expected > 1e-12 else "not measured: both rate everything alike",
        method="Cohen kappa, clopper-pearson of disagreement at its effective n",
    )


@dataclass(frozen=True)
class KrippendorffAlpha:
    """Agreement beyond chance with its interval over units; None throughout when not measured.

    1 is agreement, 0 what chance would give, below 0 worse. `observed`, `expected`: disagreement
    per pair of ratings (squared difference at this level). `n_units` with at least two ratings,
    `n_ratings` in them. `reason` says why it is not measured.
    """

    estimate: float | None
    lower: float | None
    upper: float | None
    observed: float | None
    expected: float | None
    level: str
    n_raters: int
    n_units: int
    n_ratings: int
    reason: str
    method: str
    confidence: float = CONFIDENCE


def krippendorff_alpha(ratings: ArrayLike, level: Level = "nominal") -> KrippendorffAlpha:
    """Alpha = 1 - D_o/D_e from coincidences (Krippendorff 2011, Computing Krippendorff's alpha).

    `ratings`: (raters, units) numbers (codes of categories for "nominal"), NaN where a rater did
    not rate; units with a single rating drop out. With n_uc ratings c in unit u, m_u of them in
    all, o_ck = sum_u n_uc (n_uk - [c = k])/(m_u - 1), n_c = sum_k o_ck, n = sum n_c:
    D_o = sum o_ck d_ck/n, D_e = sum n_c n_k d_ck/(n (n - 1)).

    d_ck: nominal [c != k]; ordinal (sum of n_g for g from c to k, less (n_c + n_k)/2)^2; interval
    (c - k)^2; ratio ((c - k)/(c + k))^2, 0 at c = k = 0.

    Interval: t over units by the delete-one jackknife (Efron & Stein 1981), ordinal distances held
    fixed, at most 1; [-1, 1] with one unit. Without any disagreement lower = .025^(1/units): a
    share of units rated by chance that would leave none of them seen. Coverage of 95 % intervals:
    .85 with 10 units, .94 with 30 and 100 (benchmarks/diagnostics.txt).

    Not an error but **not measured** (None and the reason): no unit with two ratings, or all
    ratings equal (D_e = 0: nothing to disagree about).
    Raises StatsError on negative ratings at the ratio level.
    """
    table = _checked_ratings(ratings, level)
    rated = ~np.isnan(table)
    table = table[:, rated.sum(axis=0) >= 2]
    values, counts = _counts(table)
    units, n = counts.shape[0], float(counts.sum())
    estimate = lower = upper = observed = expected = None
    reason = "" if units else "no unit has two ratings"
    if values.size == 1:
        reason = f"all ratings are {values[0]:g}: nothing to disagree about"
    if not reason:
        distance = _distances(values, counts.sum(axis=0), level)
        per_unit = np.sum((counts @ distance) * counts, axis=1) / (counts.sum(axis=1) - 1)
        against = distance @ counts.sum(axis=0)
        pairs = float(counts.sum(axis=0) @ against)
        observed, expected = float(per_unit.sum()) / n, pairs / (n * (n - 1))
        estimate = 1 - observed / expected
        lower, upper = _jackknife(counts, distance, per_unit, estimate)
    return KrippendorffAlpha(
        estimate=estimate,
        lower=lower,
        upper=upper,
        observed=observed,
        expected=expected,
        level=level,
        n_raters=int(rated.shape[0]),
        n_units=units,
        n_ratings=int(n),
        reason=f"not measured: {reason}" if reason else "",
        method=f"Krippendorff alpha, {level}, jackknife over units",
    )


def _checked_ratings(ratings: ArrayLike, level: str) -> Floats:
    if level not in ("nominal", "ordinal", "interval", "ratio"):
        raise StatsError(f"level is {level!r}, not nominal, ordinal, interval or ratio")
    try:
        table = np.asarray(ratings, dtype=np.float64)
    except (TypeError, ValueError) as error:
        raise StatsError(f"ratings is not a rectangular array of numbers: {error}") from error
    if table.ndim != 2:
        raise StatsError(f"ratings has shape {table.shape}, not (raters, units)")
    bad = np.isinf(table) | ((table < 0) if level == "ratio" else False)
    if bad.any():
        need = "a finite number of at least 0" if level == "ratio" else "finite (NaN is missing)"
        raise StatsError(f"{first_bad('ratings', table, bad)}, not {need}")
    return table


def _counts(table: Floats) -> tuple[Floats, Floats]:
    """The distinct values, and how often each unit has each: (V,) and (U, V)."""
    rated = ~np.isnan(table)
    values, codes = np.unique(table[rated], return_inverse=True)
    unit = np.broadcast_to(np.arange(table.shape[1]), table.shape)[rated]
    cells = np.bincount(unit * values.size + codes, minlength=table.shape[1] * values.size)
    return values, cells.reshape(table.shape[1], values.size).astype(np.float64)


def _distances(values: Floats, totals: Floats, level: str) -> Floats:
    """(V, V) squared differences."""
    if level == "nominal":
        return 1.0 - np.eye(values.size)
    if level == "ordinal":
        middle = np.cumsum(totals) - totals / 2
        return np.asarray((middle[:, None] - middle) ** 2)
    gap = values[:, None] - values
    if level == "interval":
        return np.asarray(gap**2)
    total = values[:, None] + values
    return np.asarray(np.divide(gap, total, out=np.zeros_like(gap), where=total > 0) ** 2)


def _jackknife(
    counts: Floats, distance: Floats, per_unit: Floats, estimate: float
) -> tuple[float, float]:
    units = counts.shape[0]
    if units < 2:
        return -1.0, 1.0
    if per_unit.sum() <= 0:
        return float(TAIL ** (1 / units)), 1.0
    totals, sizes = counts.sum(axis=0), counts.sum(axis=1)
    n = totals.sum() - sizes
    without = totals - counts
    pairs = np.sum((without @ distance) * without, axis=1)
    share = np.divide(per_unit.sum() - per_unit, pairs, out=np.ones(units), where=pairs > 0)
    left_out = 1 - np.where(pairs > 0, (n - 1) * share, 1.0)
    half = jackknife_half(left_out)
    return estimate - half, min(estimate + half, 1.0)
