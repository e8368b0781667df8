"""Critical values of the largest of many dependent statistics, by simulation."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from safebench.errors import StatsError
from safebench.stats._checks import Floats, first_bad

#: Draws behind a critical value: its tail probability of 5 % is known to +-0.2 % (one SE).
DRAWS = 10_000

#: The seed of every simulation, so that equal input gives equal output.
SEED = 20_250

#: Pairs of simulated entries worked on at once.
CELLS = 1 << 17

#: Rows of pairs worked on at once where every entry matters.
ROWS = 32


def normal_draws(covariance: Floats) -> Floats:
    """(DRAWS, n) draws of N(0, covariance); (n,) variances are independent.

    It may be singular; StatsError if a direction is negative by more than rounding error.
    """
    n = covariance.shape[0]
    noise = np.random.default_rng(SEED).standard_normal((DRAWS, n))
    if covariance.ndim == 1:
        return noise * np.sqrt(covariance)
    values, vectors = np.linalg.eigh(covariance)
    if values[0] < -1e-8 * max(float(values[-1]), 0.0):
        raise StatsError(
            f"no covariance: a combination of the scores would have the variance {values[0]:g}",
            fix="estimate it from complete data, or give variances alone",
        )
    return np.asarray(noise @ (vectors * np.sqrt(np.maximum(values, 0.0))).T)


def upper_quantile(values: Floats, tail: float) -> float:
    """The value that at most a share `tail` of DRAWS draws reaches; `values` are the largest."""
    reaching = math.floor(tail * (DRAWS + 1) + 1e-9)
    if reaching < 1:
        raise StatsError(f"{DRAWS} draws cannot find a critical value for a tail of {tail:.2g}")
    place = values.size - min(reaching, values.size)
    return float(np.partition(values, place)[place])


def checked_covariance(covariance: Floats, n: int) -> Floats:
    """(n,) variances or a symmetric (n, n) covariance, no variance negative; else StatsError."""
    if covariance.shape not in ((n,), (n, n)):
        raise StatsError(
            f"covariance has shape {covariance.shape}, not ({n},) of variances or ({n}, {n})"
        )
    variances = covariance if covariance.ndim == 1 else np.diagonal(covariance)
    if (variances < 0).any():
        place = int(np.argmax(variances < 0))
        raise StatsError(f"covariance has the variance {variances[place]:g} at {place}, below 0")
    if covariance.ndim == 2:
        scale = float(variances.max())
        gap = np.abs(covariance - covariance.T)
        if gap.max() > 1e-8 * scale:
            row, column = np.unravel_index(int(np.argmax(gap)), gap.shape)
            raise StatsError(
                f"covariance[{row}, {column}] is {covariance[row, column]:g} and "
                f"covariance[{column}, {row}] is {covariance[column, row]:g}: not symmetric"
            )
    return covariance


def checked_df(df: ArrayLike, n: int) -> Floats:
    """(n,) degrees of freedom, which may be infinite."""
    array = np.asarray(df, dtype=np.float64)
    if array.ndim == 0:
        array = np.full(n, float(array))
    if array.shape != (n,):
        raise StatsError(f"df has shape {array.shape}, not a number or ({n},)")
    bad = ~(array > 0)
    if bad.any():
        raise StatsError(f"{first_bad('df', array, bad)}, not above 0")
    return array


def correlation(spread: Floats, least: float = 0.0) -> Floats:
    """The same with unit variances; entries with a variance of at most `least` are independent."""
    if spread.ndim == 1:
        return np.ones_like(spread)
    deviations = np.sqrt(np.diagonal(spread))
    scale = np.divide(1.0, deviations, out=np.zeros_like(deviations), where=deviations**2 > least)
    unit = spread * scale * scale[:, None]
    np.fill_diagonal(unit, 1.0)
    return unit


def centred(spread: Floats) -> Floats:
    """A covariance without what all entries share, which no difference holds."""
    if spread.ndim == 1:
        return spread
    rows = spread - spread.mean(axis=0)
    return np.asarray(rows - rows.mean(axis=1)[:, None])


@dataclass(frozen=True, eq=False)
class Draws:
    """Draws that matter, (d, m) each: of each the m entries that matter, in order, and which."""

    parts: list[tuple[Floats, NDArray[np.intp]]]

    def largest(self, weight: Floats) -> tuple[Floats, Floats]:
        """Each draw's largest (z_i - z_j) weight_ij and (z_j - z_i) weight_ij over i < j, >= 0."""
        forward, reverse = [np.zeros(0)], [np.zeros(0)]
        for values, entries in self.parts:
            m = values.shape[1]
            step = max(1, CELLS // (m * ROWS)) if m == weight.shape[0] else max(1, CELLS // m**2)
            for start in range(0, values.shape[0], step):
                some = values[start : start + step]
                if m == weight.shape[0]:
                    high, low = _dense(some, weight)
                else:
                    which = entries[start : start + step]
                    gaps = some[:, :, None] - some[:, None, :]
                    gaps *= weight[which[:, :, None], which[:, None]]
                    high, low = gaps.max(axis=(1, 2)), -gaps.min(axis=(1, 2))
                forward.append(high)
                reverse.append(low)
        return np.concatenate(forward), np.concatenate(reverse)

    def only(self, mask: NDArray[np.bool_]) -> Draws:
        """Those of the draws, numbered through all parts."""
        ends = np.cumsum([values.shape[0] for values, _ in self.parts])
        masks = np.split(mask, ends[:-1])
        parts = zip(self.parts, masks, strict=True)
        return Draws([(values[some], entries[some]) for (values, entries), some in parts])


def _dense(values: Floats, weight: Floats) -> tuple[Floats, Floats]:
    """`Draws.largest` where every entry matters: the upper triangle in blocks of rows."""
    high, low = np.zeros(values.shape[0]), np.zeros(values.shape[0])
    for row in range(0, values.shape[1], ROWS):
        block = weight[row : row + ROWS, row:]
        gaps = values[:, row : row + ROWS, None] - values[:, None, row:]
        gaps *= block
        np.maximum(high, gaps.max(axis=(1, 2)), out=high)
        np.minimum(low, gaps.min(axis=(1, 2)), out=low)
    return high, -low


def relevant_draws(spread: Floats, weight: Floats, tail: float) -> Draws:
    """What can reach a critical value of the step-down.

    Only "the better score is better" is ever rejected, so the reverse directions stay to the end
    and their quantile is below every critical value. It is bounded from below by one pair of each
    draw. |T_ij| <= sqrt(ratio (x_i^2 + x_j^2)), x = z/sqrt(v) (Cauchy and Schwarz), and |T_ij| <=
    the draw's range over the smallest standard error: draws and entries that stay below the floor
    by these are left out, which changes no critical value.
    """
    draws = normal_draws(spread)
    rise = draws - np.minimum.accumulate(draws, axis=1)
    high = np.argmax(rise, axis=1)
    low = np.argmin(np.where(np.arange(draws.shape[1]) <= high[:, None], draws, math.inf), axis=1)
    reached = np.take_along_axis(rise, high[:, None], axis=1)[:, 0] * weight[low, high]
    floor = upper_quantile(reached, tail) * (1 - 1e-9)
    draws = draws[np.ptp(draws, axis=1) * weight.max() >= floor]
    variances = spread if spread.ndim == 1 else np.diagonal(spread)
    ratio = float(((variances[:, None] + variances) * weight**2).max())
    scale = np.divide(1.0, variances, out=np.zeros_like(variances), where=variances > 0)
    squares = draws**2 * scale
    needed = ((squares + squares.max(axis=1, keepdims=True)) * ratio >= floor**2).sum(axis=1)
    parts, m = [], 0
    while m < draws.shape[1]:
        few, m = m, min(2 * m or 8, draws.shape[1])
        some = (needed > max(few, 1)) & (needed <= m)
        entries = np.sort(np.argpartition(-squares[some], m - 1, axis=1)[:, :m], axis=1)
        parts.append((np.take_along_axis(draws[some], entries, axis=1), entries))
    return Draws(parts)
