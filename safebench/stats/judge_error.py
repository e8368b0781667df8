"""Scores corrected for a judge that errs by an audit of these responses: PPI++."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import scipy
from numpy.typing import ArrayLike

from safebench.errors import StatsError
from safebench.stats._checks import Floats, between, cluster_codes, positive_weights, proportions
from safebench.stats._dist import beta_lower, beta_upper, t_quantile
from safebench.stats._estimate import TAIL, Estimate
from safebench.stats._twoway import one_run_per_row, two_way

#: From so many audited outcomes (or clusters) on, quantiles are normal as published.
LARGE_AUDIT = 30

#: With fewer effective disagreements than this, the audit's interval is that of no disagreement.
FEW = 4.0

#: Youden's J of an audit is taken within these: a few labels must not make of it what it cannot be.
LEAST_YOUDEN, MOST_YOUDEN = 0.3, 1.0


@dataclass(frozen=True)
class PPIEstimate(Estimate):
    """A score corrected by an audit, in [0, 1].

    `lam` in [0, 1]: how far the judge is trusted (0: the audit alone). `n_clusters`: audited ones.
    """

    lam: float
    n_clusters: int


def ppi_estimate(
    judged: ArrayLike,
    audited_judged: ArrayLike,
    audited_labels: ArrayLike,
    clusters: tuple[ArrayLike, ArrayLike] | None = None,
    *,
    lam: float | None = None,
    weights: ArrayLike | None = None,
    runs: ArrayLike | None = None,
) -> PPIEstimate:
    """PPI++: the judge's score, corrected by an audit: lam mean(f_U) + mean(Y - lam f_L).

    (Angelopoulos, Duchi & Zrnic 2023, arXiv 2311.01453.)
    `judged`: (N,) verdicts of the judge on responses without a label (f_U). `audited_judged`,
    `audited_labels`: (n,) its verdicts (f_L) and a person's labels (Y) on a **random** sample of
    the same submission's responses. All in [0, 1]. `lam` None: lam* = cov(Y, f)/((1 + n/N) var f),
    clipped to [0, 1]; lam = 1 is classical prediction-powered inference (2023, Science 382).

    Variance lam^2 var f_U/N + var(Y - lam f_L)/n; from 30 audited outcomes on with a normal
    quantile as published, below with n/(n - 1) and t_{n-1}.

    `clusters`: a pair of label arrays, (N,) and (n,), equal labels belonging together in either
    part: outcomes of one prompt over seeds, or, where `judged` holds the audited responses too,
    both entries of one response. With contributions c_g = lam sum_g (f_U - mean)/N + sum_g (Y - lam
    f_L - mean)/n, V = G/(G - 1) sum over labels of c_g^2 (no resampling), G the audited clusters,
    t_{G-1}; lam* is the minimum of V, clipped. One audited cluster gives [0, 1].

    An audit that agrees says less than its spread: with all labels equal, or with fewer than 4
    effective disagreements (sum r^2)^2/sum r^4, r the deviations of Y - lam f_L, the audit's part
    of the half-width is at least 1 - (alpha/2)^(1/n) (by clusters: G), the bound of no event,
    and a covariance with the judged part does not lessen it.

    `weights`: (n,) how many responses each audited one stands for, the inverse of its chance to be
    drawn: audited means, and lam's covariance, are weighted, so that a sample stratified by verdict
    is no other than a random one (Hajek 1971). n is then (sum w)^2/sum w^2 (Kish 1965).

    `runs`: the judge's outcomes as (S, P) or (S, R, P), whose S training seeds are a sample, too.
    half^2 = (half by prompt)^2 + t_{S-1}^2 max(V_s - V_c, 0)/J^2, V_s and V_c as in
    spec/v1/intervals.md, J = cov(Y, f)/var(Y) of the audit, within [.3, 1]; with one seed nothing
    is added, and `method` says so. The bounds are then those of a score: Clopper-Pearson's at
    n_eff = estimate (1 - estimate) (z/half)^2, which near 0 and 1 do not lie evenly about it; but
    not of an audit that agrees, whose half-width is such a bound already.

    Coverage of 95 % intervals: .93 to .96 without seeds that spread (benchmarks/diagnostics.txt);
    with them .91 to .99 at 3 seeds, .95 to 1.00 at 5 and 10 (benchmarks/coverage.txt, `judge`).
    """
    f_u = proportions("judged", judged, (1,))
    f_l = proportions("audited_judged", audited_judged, (1,))
    y = proportions("audited_labels", audited_labels, (1,))
    if f_l.shape != y.shape:
        raise StatsError(f"audited_judged has {f_l.size} outcomes and audited_labels {y.size}")
    if y.size < 2:
        raise StatsError("audited_labels has one outcome; a spread needs at least two")
    if lam is not None:
        lam = between("lam", lam, 0, 1, closed=True)
    w = positive_weights(weights, y.size)
    label = "PPI++" if lam is None else f"PPI, lam = {lam:g}"
    if clusters is None:
        used = _lam(f_u, f_l, y, w) if lam is None else lam
        parts = _independent(f_u, y - used * f_l, w, used)
    else:
        used, parts = _by_cluster(f_u, f_l, y, w, clusters, lam)
        label += ", by cluster"
    label += "" if weights is None else ", weighted"
    estimate = used * float(f_u.mean()) + _mean(y - used * f_l, w)
    agrees = bool(np.ptp(y) == 0) or parts.effective < FEW
    half = _half_width(parts, agrees)
    if runs is not None:
        seeds, n_seeds = _of_seeds(proportions("runs", runs, (2, 3)), f_l, y, w)
        half = math.hypot(half, seeds)
        label += ", seeds" if n_seeds > 1 else ", one seed"
    lower, upper = estimate - half, estimate + half
    if runs is not None and not agrees and 0 < estimate < 1:
        trials = estimate * (1 - estimate) * (scipy.special.ndtri(TAIL) / half) ** 2
        ends = (end(estimate * trials, trials, TAIL) for end in (beta_lower, beta_upper))
        lower, upper = (float(end) for end in ends)
    quantile = "normal" if math.isinf(parts.df) else f"t, df = {parts.df:g}"
    return PPIEstimate(
        estimate=min(max(estimate, 0.0), 1.0),
        lower=min(max(lower, 0.0), 1.0),
        upper=min(max(upper, 0.0), 1.0),
        lam=used,
        n_clusters=parts.audited,
        method=f"{label} ({quantile})",
    )


@dataclass(frozen=True)
class _Parts:
    """The variance of the estimate: the audit's own part, and the rest."""

    audit: float
    rest: float
    df: float
    audited: int  # outcomes, or clusters of them
    worth: float  # as many of equal weight
    effective: float  # of how many of these carry the audit's spread


def _lam(f_u: Floats, f_l: Floats, y: Floats, w: Floats) -> float:
    """The weight that makes the variance least (their section 6), clipped."""
    spread = float(np.concatenate([f_l, f_u]).var(ddof=1)) * (1 + f_l.size / f_u.size)
    if spread <= 1e-28:
        return 0.0
    return float(np.clip(_covariance(y, f_l, w) / spread, 0, 1))


def _mean(values: Floats, w: Floats) -> float:
    return float(w @ values / w.sum())


def _covariance(x: Floats, y: Floats, w: Floats) -> float:
    return _mean((x - _mean(x, w)) * (y - _mean(y, w)), w)


def _of_seeds(runs: Floats, f_l: Floats, y: Floats, w: Floats) -> tuple[float, int]:
    """The half-width that training seeds add, and how many there are."""
    table = one_run_per_row(runs)
    found = two_way(table, *cluster_codes(None, table.shape[1]))
    if found.n_seeds < 2:
        return 0.0, found.n_seeds
    spread = _covariance(y, y, w)
    youden = _covariance(y, f_l, w) / spread if spread > 1e-28 else 0.0
    youden = min(max(youden, LEAST_YOUDEN), MOST_YOUDEN)
    excess = max(found.seed - found.cell, 0.0)
    return t_quantile(1 - TAIL, found.n_seeds - 1) * math.sqrt(excess) / youden, found.n_seeds


def _independent(f_u: Floats, residual: Floats, w: Floats, lam: float) -> _Parts:
    n = residual.size
    small = n < LARGE_AUDIT
    deviations = w * (residual - _mean(residual, w)) / w.sum()
    audit = float(np.sum(deviations**2)) * (n / (n - 1) if small else 1)
    return _Parts(
        audit,
        lam**2 * float(f_u.var()) / f_u.size,
        n - 1 if small else math.inf,
        n,
        float(w.sum() ** 2 / np.sum(w**2)),
        _effective(deviations),
    )


def _by_cluster(
    f_u: Floats,
    f_l: Floats,
    y: Floats,
    w: Floats,
    clusters: tuple[ArrayLike, ArrayLike],
    lam: float | None,
) -> tuple[float, _Parts]:
    """Lam and the variance of summed contributions; the audit's part is what lam = 0 leaves."""
    of_judged, of_audited = (np.asarray(labels) for labels in clusters)
    if of_judged.shape != f_u.shape or of_audited.shape != y.shape:
        raise StatsError(
            f"clusters has shapes {of_judged.shape} and {of_audited.shape}, not {f_u.shape} and "
            f"{y.shape}: one label for each judged and each audited outcome"
        )
    both = np.concatenate([of_judged, of_audited])
    codes, total = cluster_codes(both, both.size)
    at_judged, at_audited = codes[: f_u.size], codes[f_u.size :]
    audited = int(np.unique(at_audited).size)

    def sums(at: np.ndarray, values: Floats, w: Floats) -> Floats:
        deviations = w * (values - _mean(values, w)) / w.sum()
        return np.bincount(at, weights=deviations, minlength=total).astype(np.float64)

    alone = sums(at_audited, y, w)
    by_lam = sums(at_judged, f_u, np.ones_like(f_u)) - sums(at_audited, f_l, w)
    used = lam
    if used is None:
        below = float(np.sum(by_lam**2))
        used = float(np.clip(-np.sum(alone * by_lam) / below, 0, 1)) if below > 1e-28 else 0.0
    residual = sums(at_audited, y - used * f_l, w)
    factor = audited / (audited - 1) if audited > 1 else 0.0
    audit = factor * float(np.sum(residual**2))
    whole = factor * float(np.sum((alone + used * by_lam) ** 2))
    worth = float(w.sum() ** 2 / np.sum(np.bincount(at_audited, weights=w) ** 2))
    parts = _Parts(audit, whole - audit, audited - 1, audited, worth, _effective(residual))
    return used, parts


def _effective(deviations: Floats) -> float:
    """(sum r^2)^2/sum r^4; 0 without any spread.

    Rounded, since whole numbers are common, and the order of the rows must not decide on which
    side of `FEW` one falls.
    """
    second = float(np.sum(deviations**2))
    if second < 1e-24:
        return 0.0
    return round(second**2 / float(np.sum(deviations**4)), 9)


def _half_width(parts: _Parts, agrees: bool) -> float:
    if parts.audited < 2:
        return 1.0
    quantile = t_quantile(1 - TAIL, parts.df)
    audit, rest = quantile**2 * parts.audit, quantile**2 * parts.rest
    if agrees:
        # By cluster the rest may be a covariance below zero, which must not take the bound away.
        audit, rest = max(audit, (1 - TAIL ** (1 / parts.worth)) ** 2), max(rest, 0.0)
    return math.sqrt(max(audit + rest, 0.0))
