"""Ranks with their uncertainty: which entries of a board can be separated, from which variances."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

import numpy as np
import scipy
from numpy.typing import ArrayLike, NDArray

from safebench.errors import StatsError
from safebench.stats._checks import Floats, Ints, between, finite, first_bad
from safebench.stats._dist import chi2_quantile
from safebench.stats._maxt import (
    centred,
    checked_covariance,
    checked_df,
    correlation,
    relevant_draws,
    upper_quantile,
)

#: Up to this many entries the critical value is simulated (method "max-T").
MOST_SIMULATED = 500

#: Rows compared at once by the pairwise path.
BLOCK = 128

#: Cells of the table of t quantiles by 1/df.
STEPS = 4096

Method = Literal["max-T", "sidak"]


@dataclass(frozen=True, eq=False)
class RankIntervals:
    """Each entry's rank (1 is best; equal scores share the better rank) with its interval.

    `rank`, `lower`, `upper`: (n,) integers, in the order of the entries given. `groups`: (n,) group
    numbers, 1 the best: the finest split in which **every** entry of one group is separated from
    every entry of the others. Two entries of one group are linked by a chain of pairs that are not
    separated, and may themselves be separated. `critical`: what the normal equivalent of |T| must
    exceed. `n`: number of entries.
    """

    rank: Ints
    lower: Ints
    upper: Ints
    groups: Ints
    n: int
    critical: float
    method: str
    confidence: float

    @property
    def estimate(self) -> Ints:
        """The ranks by score alone."""
        return self.rank


def rank_intervals(
    scores: ArrayLike,
    covariance: ArrayLike,
    df: ArrayLike | None = None,
    confidence: float = 0.95,
    higher_is_better: bool = True,
    method: Method | None = None,
) -> RankIntervals:
    """Intervals that hold for the ranks of all entries at once (Mogstad et al. 2024, REStud 91).

    `scores`: (n,), any unit. `covariance`: (n, n) of the scores (entries that share prompts covary,
    which tells them apart sooner), or (n,) variances of independent scores. `df`: degrees of
    freedom of the variances, a number or (n,) one per entry; None: normal.

    Entry i is better than j when T_ij = (score_i - score_j)/se_ij, se_ij^2 = v_i + v_j - 2
    c_ij, exceeds the critical value; interval = [1 + number better, n - number worse].

    "max-T" (default up to 500 entries): step-down over ordered pairs (their section 3: the critical
    value is the quantile of max (Z_i - Z_j)/se_ij over the directions not yet rejected, Z ~
    N(0, covariance), 10,000 draws; the reverse of a rejected direction stays, so that no pair is
    separated the wrong way round). The seed of the draws is fixed: equal input, equal output.
    "sidak" (default above): every pair at 1 - (1 - alpha)^(1/m), m = n(n - 1)/2 (Sidak 1967, valid
    under any correlation of normals), by sorting and blocks, in O(n) memory for (n,) variances.

    With `df`, |T_ij| is compared by its tail probability under t (as a normal equivalent), with
    df_ij = (v_i + v_j)^2/(v_i^2/df_i + v_j^2/df_j) (Welch 1947; Satterthwaite 1946) where c_ij = 0
    and min(df_i, df_j) where not; the draws then have unit variances, so that the noise of
    estimated ones does not lower the critical value. Without `df`, 500 equal entries at 5 seeds
    are separated in 151 pairs a board, with it in any at all in .025 of the boards
    (benchmarks/ranks.txt).

    A pair with se_ij = 0 is separated if the scores differ at all: a variance estimated as zero
    from few seeds says no such thing, so give variances with a floor, or `moderated_variances`.

    Raises StatsError on a covariance with a negative variance of a difference or combination.
    """
    values = finite("scores", scores)
    if values.ndim != 1:
        raise StatsError(f"scores has shape {values.shape}, not (n,)")
    n = values.size
    tail = 1 - between("confidence", confidence, 0, 1)
    if method not in (None, "max-T", "sidak"):
        raise StatsError(f'method is {method!r}, neither "max-T" nor "sidak"')
    chosen = method or ("max-T" if n <= MOST_SIMULATED else "sidak")
    board, order = _best_first(values if higher_is_better else -values, covariance, df)
    if chosen == "max-T":
        critical, separated = _step_down(board, tail)
    else:
        critical = _sidak(n, tail)
        separated = _pairwise(board, critical)
    inverse = np.argsort(order)
    first = np.searchsorted(-board.scores, -board.scores, side="left")
    return RankIntervals(
        rank=(1 + first)[inverse],
        lower=(1 + separated.better)[inverse],
        upper=(n - separated.worse)[inverse],
        groups=_groups(separated.last)[inverse],
        n=n,
        critical=critical,
        method=f"{chosen}, {'normal' if df is None else 't'}",
        confidence=float(confidence),
    )


def leader_classes(
    scores: ArrayLike,
    variances: ArrayLike,
    df: ArrayLike | None = None,
    confidence: float = 0.95,
    higher_is_better: bool = True,
) -> Ints:
    """Classes of entries that are not separated from their leader; returns (n,), 1 the best.

    From best to worst, an entry that is separated from the leader of the class begins the next one,
    and leads it (EuroEval's rule). All pairs are compared at once, as "sidak" of `rank_intervals`
    does, whose arguments these are. Chained ties make one group of any hundred entries, classes do
    not (benchmarks/ranks.txt).
    """
    values = finite("scores", scores)
    if values.ndim != 1:
        raise StatsError(f"scores has shape {values.shape}, not (n,)")
    n = values.size
    board, order = _best_first(values if higher_is_better else -values, variances, df)
    critical = _sidak(n, 1 - between("confidence", confidence, 0, 1))
    limits = _Limits(critical, board.largest_inverse_df)
    classes = np.ones(n, dtype=np.int64)
    leader = 0
    while leader + 1 < n:
        separated = board.separated(slice(leader, leader + 1), slice(leader + 1, n), limits)[0]
        if not separated.any():
            break
        leader += 1 + int(np.argmax(separated))
        classes[leader:] += 1
    return classes[np.argsort(order)]


def _sidak(n: int, tail: float) -> float:
    """Return what |T| must exceed in every pair of n, as a normal quantile."""
    if n < 2:
        return 0.0
    return float(-scipy.special.ndtri(-math.expm1(math.log1p(-tail) / (n * (n - 1) / 2)) / 2))


@dataclass(frozen=True, eq=False)
class _Board:
    """Entries from best to worst."""

    scores: Floats
    spread: Floats  # (n,) variances or (n, n)
    df: Floats | None  # (n,)

    @property
    def variances(self) -> Floats:
        return self.spread if self.spread.ndim == 1 else np.diagonal(self.spread)

    def se(self, rows: slice, columns: slice) -> Floats:
        """Standard errors of the differences of these rows and columns."""
        total = self.variances[rows, None] + self.variances[columns]
        if self.spread.ndim == 2:
            total = total - 2 * self.spread[rows, columns]
            if (total < -1e-8 * self.variances.max()).any():
                raise StatsError(
                    f"no covariance: a difference would have the variance {float(total.min()):g}"
                )
            total[total <= 1e-14 * self.variances.max()] = 0.0
        return np.sqrt(total)

    def equivalent(self, rows: slice, columns: slice) -> Floats:
        """T of rows better than columns as a normal quantile; 0 for equal or reversed scores."""
        gap = np.maximum(self.scores[rows, None] - self.scores[columns], 0.0)
        se = self.se(rows, columns)
        t = np.divide(gap, se, out=np.where(gap > 0, math.inf, 0.0), where=se > 0)
        inverse = self.inverse_df(rows, columns)
        if inverse is None:
            return t
        with np.errstate(divide="ignore"):
            df = 1 / inverse
        below = np.where(
            np.isinf(df), scipy.special.ndtr(-t), scipy.special.stdtr(np.minimum(df, 1e12), -t)
        )
        return np.asarray(-scipy.special.ndtri(below))

    def separated(self, rows: slice, columns: slice, limits: _Limits) -> NDArray[np.bool_]:
        """Which rows are better than which columns."""
        gap = self.scores[rows, None] - self.scores[columns]
        return gap > self.se(rows, columns) * limits.of(self.inverse_df(rows, columns))

    @property
    def largest_inverse_df(self) -> float:
        """The largest 1/df that a pair can have."""
        return 0.0 if self.df is None else float((1 / self.df).max())

    def inverse_df(self, rows: slice, columns: slice) -> Floats | None:
        """1/df of the differences."""
        if self.df is None:
            return None
        u, v = self.variances[rows, None], self.variances[columns]
        per_entry = 1 / self.df
        largest = np.maximum(per_entry[rows, None], per_entry[columns])
        total = np.where(u + v > 0, u + v, 1.0)
        welch = (u**2 * per_entry[rows, None] + v**2 * per_entry[columns]) / total**2
        if self.spread.ndim == 1:
            return np.where(u + v > 0, welch, largest)
        return np.where((u + v > 0) & (self.spread[rows, columns] == 0), welch, largest)


def _best_first(
    signed: Floats, covariance: ArrayLike, df: ArrayLike | None
) -> tuple[_Board, NDArray[np.intp]]:
    """Return a board in order, and that order; `signed`: scores of which higher is better."""
    n = signed.size
    spread = checked_covariance(finite("covariance", covariance), n)
    freedom = None if df is None else checked_df(df, n)
    variances = spread if spread.ndim == 1 else np.diagonal(spread)
    order = np.lexsort((variances, -signed))
    spread = spread[order] if spread.ndim == 1 else spread[np.ix_(order, order)]
    return _Board(signed[order], spread, None if freedom is None else freedom[order]), order


class _Limits:
    """What |T| must exceed by 1/df: t quantiles at one tail, interpolated from a table."""

    def __init__(self, critical: float, largest: float) -> None:
        self.last = STEPS - 1
        self.scale = STEPS / largest if largest > 0 else 0.0
        grid = np.arange(1, STEPS + 1) * largest / STEPS
        tail = scipy.special.ndtr(-critical)
        beyond = (
            [-scipy.special.stdtrit(1 / grid, tail)] if largest > 0 else [np.full(STEPS, critical)]
        )
        self.table = np.concatenate(([critical], *beyond))
        self.rise = np.diff(self.table)

    def of(self, inverse: Floats | None) -> Floats | float:
        """The limits of these 1/df."""
        if inverse is None:
            return float(self.table[0])
        place = inverse * self.scale
        index = np.minimum(place.astype(np.intp), self.last)
        return np.asarray(self.table[index] + (place - index) * self.rise[index])


@dataclass(frozen=True, eq=False)
class _Separated:
    """Per entry from best to worst: how many are better and worse, the last not separated."""

    better: Ints
    worse: Ints
    last: Ints


def _step_down(board: _Board, tail: float) -> tuple[float, _Separated]:
    """Step-down max-T over ordered pairs; all pairs at once in memory."""
    n = board.scores.size
    everyone = slice(0, n)
    equivalent = board.equivalent(everyone, everyone)
    pairs = np.triu(np.ones((n, n), dtype=np.bool_), 1)
    separated = pairs & (equivalent == math.inf)
    critical = 0.0
    spread = centred(board.spread if board.df is None else correlation(board.spread))
    drawn = _Board(board.scores, spread, None).se(everyone, everyone)
    weight = np.divide(1.0, drawn, out=np.zeros_like(drawn), where=pairs & (drawn > 0))
    if weight.any():
        draws = relevant_draws(spread, weight, tail)
        forward, reverse = draws.largest(weight)
        floor = upper_quantile(reverse, tail)  # no critical value is lower
        before = ~separated
        while (separated != before).any():
            critical = upper_quantile(np.maximum(forward, reverse), tail)
            before, separated = separated, pairs & (equivalent > critical)
            matter = forward > np.maximum(reverse, floor)
            forward[matter] = draws.only(matter).largest(np.where(separated, 0.0, weight))[0]
    apart = pairs & ~separated
    last = np.where(apart.any(axis=1), n - 1 - np.argmax(apart[:, ::-1], axis=1), np.arange(n))
    return critical, _Separated(separated.sum(axis=0), separated.sum(axis=1), last)


def _pairwise(board: _Board, critical: float) -> _Separated:
    """Every pair against one critical value, in blocks of rows.

    Entries are in order of score, so beyond some gap every pair is separated; only the columns
    before it are compared.
    """
    n = board.scores.size
    better, worse, last = (np.zeros(n, dtype=np.int64) for _ in range(3))
    limits = _Limits(critical, board.largest_inverse_df)
    deviations = np.sqrt(board.variances)
    below = np.maximum.accumulate(deviations[::-1])[::-1]
    widest = np.hypot(deviations, below) if board.spread.ndim == 1 else deviations + below
    certain = widest * limits.table[-1] * (1 + 1e-9)
    ends = np.searchsorted(-board.scores, -(board.scores - certain), side="right")
    for start in range(0, n, BLOCK):
        rows = slice(start, min(start + BLOCK, n))
        columns = slice(start, int(ends[rows].max()))
        above = np.arange(rows.start, rows.stop)[:, None] < np.arange(columns.start, columns.stop)
        separated = above & board.separated(rows, columns, limits)
        worse[rows] += separated.sum(axis=1) + (n - columns.stop)
        better[columns] += separated.sum(axis=0)
        better[columns.stop :] += rows.stop - rows.start
        apart = above & ~separated
        furthest = columns.stop - 1 - np.argmax(apart[:, ::-1], axis=1)
        last[rows] = np.where(apart.any(axis=1), furthest, np.arange(rows.start, rows.stop))
    return _Separated(better, worse, last)


def _groups(last: Ints) -> Ints:
    """Group numbers from best to worst: a new one where no pair not separated reaches across."""
    n = last.size
    furthest = np.maximum.accumulate(last)
    return 1 + np.concatenate(([0], np.cumsum(furthest[:-1] < np.arange(1, n))))


def moderated_variances(variances: ArrayLike, df: ArrayLike) -> tuple[Floats, Floats]:
    """Shrink variances from few runs towards their common value (Smyth 2004, SAGMB 3).

    `variances`: (n,) estimates >= 0; `df`: a number or (n,), theirs. Returns (variances, df) for
    `rank_intervals`: (d0 s0^2 + d_i s_i^2)/(d0 + d_i) with d0 + d_i degrees of freedom, d0 and s0^2
    fitted to the mean and variance of log s^2 (his section 6.2), the latter at its upper 95 % bound
    (a departure: few entries then lend little); d0 is infinite when even that is no more than
    chance. Zero variances count as the smallest positive one; with one entry, or all zero, nothing
    changes. It assumes that the true variances are draws from one scaled inverse chi-square, and is
    meant for boards of 100 entries or more: with 5 to 10 entries at 3 seeds equal ones are
    separated in .09 of the boards, nominal .05 (benchmarks/ranks.txt).
    """
    raw = finite("variances", variances)
    if raw.ndim != 1:
        raise StatsError(f"variances has shape {raw.shape}, not (n,)")
    if (raw < 0).any():
        raise StatsError(f"{first_bad('variances', raw, raw < 0)}, below 0")
    own_df = checked_df(df, raw.size)
    if raw.size < 2 or not raw.any() or np.isinf(own_df).any():
        return raw, own_df
    logs = np.log(np.maximum(raw, raw[raw > 0].min()))
    centred = logs - scipy.special.digamma(own_df / 2) + np.log(own_df / 2)
    most = float(centred.var(ddof=1)) * (raw.size - 1) / chi2_quantile(0.05, raw.size - 1)
    excess = most - float(scipy.special.polygamma(1, own_df / 2).mean())
    if excess <= 0:
        return np.full(raw.size, math.exp(float(centred.mean()))), np.full(raw.size, math.inf)
    half = _trigamma_inverse(excess)
    prior = math.exp(float(centred.mean() + scipy.special.digamma(half)) - math.log(half))
    total = 2 * half + own_df
    return (2 * half * prior + own_df * raw) / total, total


def _trigamma_inverse(value: float) -> float:
    """The x > 0 with trigamma(x) = value, by Newton's method on 1/trigamma (Smyth's appendix)."""
    x = 0.5 + 1 / value
    for _ in range(50):
        tri = float(scipy.special.polygamma(1, x))
        step = tri * (1 - tri / value) / float(scipy.special.polygamma(2, x))
        x += step
        if -step / x < 1e-10:
            break
    return x
