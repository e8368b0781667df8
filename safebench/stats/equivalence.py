"""Does a rerun reproduce the score? Equivalence testing on the phi scale."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from safebench.errors import StatsError
from safebench.stats._checks import Floats, between, proportions
from safebench.stats._dist import t_quantile
from safebench.stats.planning import plan_seeds, power_at
from safebench.stats.replication import check_pooled, predict
from safebench.stats.transforms import margin_points, phi, phi_inverse

#: An arm this large stands for "any number of new seeds".
_MANY = 1e6
#: Beyond this many margins of spread no number of seeds is worth naming.
_TOO_WIDE = 500
_POWER = 0.8
_PREDICTION = 0.95


@dataclass(frozen=True)
class Verdict:
    """Outcome of a rerun.

    `difference`, `lower`, `upper`, `margin`, `sigma` are on the phi scale (radians); the fields
    ending in `_points` say the same as proportions at the original's score. Fields that cannot be
    computed are None. `seeds_needed` is per arm (pairs when paired) for power .8; `power` is that
    of this design if truly equal, and `underpowered` whether it is below .8 (or unknown);
    `original_underpowered` whether no number of new seeds could bring it to .8.
    `within_prediction`, secondary: whether the rerun's mean lies in the 95 % `replication_interval`
    of the original; None when paired or without a spread of the original.
    """

    verdict: str
    difference: float
    lower: float | None
    upper: float | None
    margin: float
    df: float | None
    sigma: float | None
    reason: str
    difference_points: float
    lower_points: float | None
    upper_points: float | None
    margin_points: float
    seeds_needed: int | None
    power: float | None
    underpowered: bool
    original_underpowered: bool
    alpha: float
    confidence: float
    method: str
    n_original: int
    n_rerun: int
    within_prediction: bool | None = None

    @property
    def estimate(self) -> float:
        """The difference, as the middle of `lower` and `upper` is called elsewhere."""
        return self.difference


@dataclass(frozen=True)
class _Design:
    """What the interval rests on; sigma None when no spread can be estimated."""

    sigma: float | None
    factor: float  # se = sigma * factor
    df: float
    method: str
    rescue: float  # the factor left with any number of new seeds,
    rescue_df: float  # and its degrees of freedom


def rerun_verdict(
    original_runs: ArrayLike,
    rerun_runs: ArrayLike,
    margin: float = 0.1,
    alpha: float = 0.05,
    paired: bool = False,
    pooled_sigma: float | None = None,
    *,
    pooled_df: float = math.inf,
    sigma_floor: float = 0.0,
) -> Verdict:
    """`reproduced`, `not_reproduced` or `inconclusive`: TOST of the rerun against the original.

    `original_runs` (S1,), `rerun_runs` (S2,): one score in [0, 1] per run (training seed; average
    repeats first) on identical prompts. D = mean phi(rerun) - mean phi(original), with
    phi = 2 asin sqrt.

    Unpaired (retrain): SE^2 = s_pooled^2 (1/S1 + 1/S2), df = S1 + S2 - 2. Paired by training seed
    (regenerate; same length, same order): SE^2 = var(differences)/S, df = S - 1. With
    `pooled_sigma` (SD of one run on the phi scale, known from elsewhere) sigma is that value, df
    is `pooled_df`, and a paired difference is taken to have SD sqrt(2) pooled_sigma. An infinite
    `pooled_df` says that it is known exactly; estimated from other runs (`pooled_sigma(groups)`)
    it has their degrees of freedom, and leaving them out raises the error (three studies of three
    runs: .07 for .05).
    The 1 - 2 alpha t interval of D (Schuirmann 1987) lies inside (-margin, margin): `reproduced`;
    wholly outside [-margin, margin]: `not_reproduced`; else `inconclusive`. `margin` in radians.

    Zero spread: sigma becomes `sigma_floor` (phi scale, e.g. `stability(...).floor`), which is also
    its least value. Where that is 0 the interval is the single point D, so identical runs are
    `reproduced` and a constant shift beyond the margin is `not_reproduced`.
    One original run is `inconclusive` unless `pooled_sigma` is given.

    Several reruns of one protocol are pooled on both sides: concatenate the runs of all originals
    and of all reruns, `rerun_verdict(np.concatenate(originals), np.concatenate(reruns))`, with the
    number of runs fixed beforehand; adding runs until the verdict settles raises the error from
    alpha = .05 to .12. Where their means differ, for known reasons, take only the spread from all
    of them, with `pooled_sigma(groups)`.

    Raises StatsError on NaN (with position), scores outside [0, 1], margin <= 0, alpha outside
    (0, .5), sigmas or pooled_df not positive, or paired runs of different number.
    """
    original = proportions("original_runs", original_runs, (1,))
    rerun = proportions("rerun_runs", rerun_runs, (1,))
    margin = between("margin", margin, 0, math.inf)
    alpha = between("alpha", alpha, 0, 0.5)
    check_pooled(pooled_sigma, pooled_df)
    between("sigma_floor", sigma_floor, 0, math.inf, closed=True)
    if paired and original.size != rerun.size:
        raise StatsError(
            f"paired runs differ in number: {original.size} original, {rerun.size} rerun",
            fix="give one rerun score per training seed, in the same order, or use paired=False",
        )
    before, after = np.asarray(phi(original)), np.asarray(phi(rerun))
    difference = float((after - before).mean()) if paired else float(after.mean() - before.mean())
    design = _design(before, after, paired, (pooled_sigma, float(pooled_df)), sigma_floor)
    half = None
    if design.sigma is not None:
        half = design.sigma * design.factor
        half = t_quantile(1 - alpha, design.df) * half if half > 0 else 0.0
    blind = pooled_sigma is None and original.size < 2
    verdict = _decide(difference, half, margin, blind)
    power, needed, hopeless = _power(design, margin, alpha, paired)
    low, high = (None, None) if half is None else (difference - half, difference + half)
    points, low_points, high_points = _points(original, rerun, float(before.mean()), low, high)
    at = float(original.mean())
    result = Verdict(
        verdict=verdict, difference=difference, lower=low, upper=high, margin=margin,
        df=design.df if design.sigma is not None else None, sigma=design.sigma, reason="",
        difference_points=points, lower_points=low_points, upper_points=high_points,
        margin_points=margin_points(at, margin), seeds_needed=needed, power=power,
        underpowered=power is None or power < _POWER, original_underpowered=hopeless, alpha=alpha,
        confidence=1 - 2 * alpha, method=design.method, n_original=original.size,
        n_rerun=rerun.size,
        within_prediction=None if paired else _within(before, after, design, sigma_floor),
    )  # fmt: skip
    return _with_reason(result, blind, paired)


def _design(
    before: Floats, after: Floats, paired: bool, pooled: tuple[float | None, float], floor: float
) -> _Design:
    """Spread, degrees of freedom and the factor that makes it a standard error."""
    n1, n2 = before.size, after.size
    sigma: float | None = None
    pooled_sigma, pooled_df = pooled
    if paired:
        factor, rescue, df, method = math.sqrt(1 / n1), math.sqrt(1 / n1), n1 - 1.0, "paired t"
        if df:
            sigma = float((after - before).std(ddof=1))
        scale = math.sqrt(2)
    else:
        factor, rescue = math.sqrt(1 / n1 + 1 / n2), math.sqrt(1 / n1)
        df, method, scale = n1 + n2 - 2.0, "pooled t", 1.0
        if df:
            squares = np.sum((before - before.mean()) ** 2) + np.sum((after - after.mean()) ** 2)
            sigma = math.sqrt(float(squares) / df)
    if pooled_sigma is not None:
        known = scale * max(pooled_sigma, floor)
        method = "normal, sigma given" if math.isinf(pooled_df) else "t, sigma given with its df"
        return _Design(known, factor, pooled_df, method, rescue, pooled_df)
    if sigma is not None:
        sigma = max(sigma if sigma > 1e-12 else 0.0, scale * floor)
    return _Design(sigma, factor, df, method, rescue, df if paired else _MANY)


def _decide(difference: float, half: float | None, margin: float, blind: bool) -> str:
    """The three-way verdict from D -+ half."""
    if half is None or blind:
        return "inconclusive"
    if abs(difference) + half < margin:
        return "reproduced"
    return "not_reproduced" if abs(difference) - half > margin else "inconclusive"


def _power(
    design: _Design, margin: float, alpha: float, paired: bool
) -> tuple[float | None, int | None, bool]:
    """Power of this design if truly equal, seeds needed, and whether new seeds cannot help."""
    if design.sigma is None:
        return None, None, True
    power = power_at(design.sigma * design.factor, design.df, margin, alpha)
    best = power_at(design.sigma * design.rescue, design.rescue_df, margin, alpha)
    needed: int | None = None
    if design.sigma < _TOO_WIDE * margin:
        needed = plan_seeds(design.sigma, margin, _POWER, alpha, paired=paired)
    return power, needed, best < _POWER


def _within(before: Floats, after: Floats, design: _Design, floor: float) -> bool | None:
    """Whether the mean of the rerun lies in the prediction interval of the original."""
    sigma, df = design.sigma, design.df
    if design.method == "pooled t":  # the rerun has no say in what the original predicts
        if before.size < 2:
            return None
        spread = float(before.std(ddof=1))
        sigma, df = max(spread if spread > 1e-12 else 0.0, floor), before.size - 1.0
    if sigma is None:
        return None
    half, _ = predict(sigma, df, before.size, after.size, _PREDICTION)
    return abs(float(after.mean() - before.mean())) <= half + 1e-12


def _points(
    original: Floats, rerun: Floats, centre: float, low: float | None, high: float | None
) -> tuple[float, float | None, float | None]:
    """Difference of means in proportions and the interval mapped back at the original's score."""
    points = float(rerun.mean() - original.mean())
    if low is None or high is None:
        return points, None, None
    at = phi_inverse(centre)
    low_points, high_points = phi_inverse(centre + low) - at, phi_inverse(centre + high) - at
    return points, min(low_points, points), max(high_points, points)


def _with_reason(v: Verdict, blind: bool, paired: bool) -> Verdict:
    """The verdict with its plain sentence."""
    shift = f"the rerun scores {100 * v.difference_points:+.1f} points"
    margin = f"the margin of {100 * v.margin_points:.1f} points"
    if v.lower_points is None or v.upper_points is None:
        text = f"{shift}, but no spread between runs can be estimated from single runs"
    else:
        interval = (
            f"{100 * v.confidence:.0f} % interval {100 * v.lower_points:+.1f} to "
            f"{100 * v.upper_points:+.1f}"
        )
        if v.sigma == 0:
            interval = "no spread between runs"
        if blind:
            text = f"{shift} ({interval}), but one original run says nothing of its own spread"
        elif v.verdict == "reproduced":
            text = f"{shift} ({interval}), inside {margin}"
        elif v.verdict == "not_reproduced":
            text = f"{shift} ({interval}), wholly outside {margin}"
        else:
            text = f"{shift} ({interval}), neither inside nor outside {margin}"
    if v.verdict == "inconclusive" and v.seeds_needed is not None and v.underpowered:
        unit = "paired runs" if paired else "training seeds in each arm"
        text += f"; at this spread {v.seeds_needed} {unit} are needed for power .8"
        if v.original_underpowered:
            text += " and no number of new seeds can make up for it: the original is underpowered"
    return Verdict(**{**v.__dict__, "reason": text + "."})
