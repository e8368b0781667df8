"""Does a rerun reproduce the score? Equivalence testing on the phi scale."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import ArrayLike

from safebench.errors import StatsError
from safebench.stats._checks import Floats, between, positive_int, proportions
from safebench.stats._dist import no_rounding
from safebench.stats._twoway import one_run_per_row
from safebench.stats.arms import (
    FEWEST_PROMPTS,
    Spreads,
    fewest_prompts,
    flip_floor,
    interval_of_arms,
    pooled_flip_upper,
    spreads_of,
)
from safebench.stats.planning import plan_verdict_seeds, verdict_power
from safebench.stats.replication import predict
from safebench.stats.transforms import margin_points, phi, phi_inverse
from safebench.words import percent, points, signed_points

_POWER = 0.8


@dataclass(frozen=True)
class Verdict:
    """How a rerun compares with its original.

    `verdict`: `reproduced`, `not_reproduced`, `inconclusive`, or `no_verdict` where fewer than
    `FEWEST_PROMPTS` were measured. `difference`, `lower`, `upper`, `margin`, `sigma` are on the phi
    scale (radians); the fields ending in `_points` say the same as proportions at the original's
    score. Fields that cannot be computed are None. `floor`: SD of one run that runs which agree
    cannot exclude. `seeds_needed` is per arm (pairs when paired) for power .8; `power` is that of
    this design if truly equal, `underpowered` whether it is below .8 (or unknown), and
    `original_underpowered` whether no number of new seeds could bring it to .8. `prompts_needed`:
    the fewest on which a rerun of this size could be `reproduced` at this score; None where there
    are as many. `within_prediction`, secondary: whether the rerun's mean lies in the 95 %
    `replication_interval` of the original; None when paired or without a spread of the original.
    """

    verdict: str
    difference: float
    lower: float | None
    upper: float | None
    margin: float
    df: float | None
    sigma: float | None
    floor: float | None
    reason: str
    difference_points: float
    lower_points: float | None
    upper_points: float | None
    margin_points: float
    seeds_needed: int | None
    prompts_needed: int | None
    power: float | None
    underpowered: bool
    original_underpowered: bool
    alpha: float
    confidence: float
    method: str
    n_original: int
    n_rerun: int
    n_prompts: int | None
    within_prediction: bool | None = None

    @property
    def estimate(self) -> float:
        """The difference, as it is called elsewhere."""
        return self.difference


@dataclass(frozen=True)
class Arms:
    """Run scores of both sides, and what the interval of their difference rests on."""

    original: Floats
    rerun: Floats
    paired: bool
    spreads: Spreads | None
    """None where no spread can be estimated."""
    floor: float
    """Variance of one run on phi that runs which agree cannot exclude; 0 where it is not known."""
    n_prompts: int | None
    known: bool = False
    """Whether the spread is known from elsewhere."""

    @property
    def score(self) -> float:
        """Mean of both sides."""
        return float(self.original.mean() + self.rerun.mean()) / 2

    @property
    def sizes(self) -> tuple[int, int]:
        """Runs of each side."""
        return self.original.size, self.rerun.size

    @property
    def blind(self) -> bool:
        """Whether the original says nothing of its own spread, and nothing else does."""
        return not self.known and self.original.size < 2

    def decide(self, margin: float, alpha: float) -> tuple[str, tuple[float, float] | None]:
        """Return the verdict, and the interval that decides it; None without any spread."""
        ends = None
        if self.spreads is not None:
            means = float(self.original.mean()), float(self.rerun.mean())
            floors = self.floor, self.floor
            ends = interval_of_arms(means, self.sizes, self.spreads, floors, alpha)
        if self.n_prompts is not None and self.n_prompts < FEWEST_PROMPTS:
            return "no_verdict", ends
        if ends is None or self.blind:
            return "inconclusive", ends
        low, high = ends
        if -margin < low and high < margin:
            return "reproduced", ends
        return ("not_reproduced" if low > margin or high < -margin else "inconclusive"), ends


def rerun_verdict(
    original_runs: ArrayLike,
    rerun_runs: ArrayLike,
    margin: float = 0.1,
    alpha: float = 0.05,
    paired: bool = False,
    pooled_sigma: float | None = None,
    *,
    n_prompts: int | None = None,
    flip_upper: float | None = None,
    pooled_df: float = math.inf,
) -> Verdict:
    """`reproduced`, `not_reproduced` or `inconclusive`: TOST of the rerun against the original.

    `original_runs`, `rerun_runs`: outcomes in [0, 1] of S1 and S2 runs (training seeds) on the same
    P prompts in the same order, (S, P), or (S, R, P) with repeats, which are averaged; or one score
    per run, (S,), with `n_prompts` and `flip_upper`, the upper 97.5 % bound of the mean flip rate,
    which is computed from outcomes. D = phi(mean of the rerun) - phi(mean of the original), with
    phi = 2 asin sqrt; `margin` in radians.

    s^2, the variance of phi(run): pooled over both sides, df = S1 + S2 - 2, where they have as many
    runs; else each side's own with Welch's df; paired by training seed (regenerate; same length and
    order) var(differences)/2, df = S - 1. With `pooled_sigma` (SD of one run on phi, known from
    elsewhere) it is that, with `pooled_df`; infinite says that it is known exactly.

    Zero spread is not certainty, since few runs, or few prompts, agree by chance. With t and z the
    1 - alpha quantiles, U = max(s^2 (t/z)^2, F), F = min(1, f_up/(2 p(1-p)))/P (`flip_floor`), a
    side is worth N = S/U independent outcomes, and its Clopper-Pearson bounds on phi make the
    1 - 2 alpha interval of D (`interval_of_difference`). Inside (-margin, margin): `reproduced`
    (Schuirmann 1987); entirely outside [-margin, margin]: `not_reproduced`; else `inconclusive`.
    Fewer than 50 prompts: `no_verdict`. Without the number of prompts F is taken as 0, and runs
    without any spread are `inconclusive`. One original run is `inconclusive` unless `pooled_sigma`
    is given. How often it errs: spec/v1/verdict.md.

    Several reruns of one protocol are pooled on both sides: concatenate the runs of all originals
    and of all reruns. Where their means differ, for known reasons, take only the spread from all of
    them, with `pooled_sigma(groups)`. Their number is fixed beforehand, or seeds are added by
    `sequential_design`, at its `alpha`; adding them at .05 until the verdict settles errs in .12.
    """
    margin = between("margin", margin, 0, math.inf)
    alpha = between("alpha", alpha, 0, 0.5)
    if pooled_sigma is not None:
        between("pooled_sigma", pooled_sigma, 0, math.inf)
    if not pooled_df > 0:
        raise StatsError(f"pooled_df is {pooled_df:g}, not above 0")
    arms = arms_of_rerun(original_runs, rerun_runs, paired, n_prompts, flip_upper)
    if pooled_sigma is not None:
        variances = pooled_sigma**2, pooled_sigma**2
        name = "sigma given" if math.isinf(pooled_df) else "sigma given with its df"
        arms = replace(arms, spreads=Spreads(variances, float(pooled_df), name), known=True)
    verdict, ends = arms.decide(margin, alpha)
    spreads, sizes, n_prompts = arms.spreads, arms.sizes, arms.n_prompts
    before, after = float(arms.original.mean()), float(arms.rerun.mean())
    low, high = ends or (None, None)
    low_points, high_points = (
        None if end is None else phi_inverse(phi(before) + end) - before for end in (low, high)
    )
    power, needed, hopeless = _power(arms, margin, alpha)
    few = fewest_prompts(min(sizes), arms.score, margin, alpha)
    method = f"Clopper-Pearson on phi, {'paired' if paired else 'unpaired'}"
    result = Verdict(
        verdict=verdict,
        difference=phi(after) - phi(before),
        lower=low,
        upper=high,
        margin=margin,
        df=spreads.df if spreads else None,
        # That of a difference where runs are paired.
        sigma=spreads.sigma * (math.sqrt(2) if paired else 1.0) if spreads else None,
        floor=math.sqrt(arms.floor) if n_prompts else None,
        reason="",
        difference_points=after - before,
        lower_points=low_points,
        upper_points=high_points,
        margin_points=margin_points(before, margin),
        seeds_needed=needed,
        prompts_needed=few if n_prompts is not None and n_prompts < few else None,
        power=power,
        underpowered=power is None or power < _POWER,
        original_underpowered=hopeless,
        alpha=alpha,
        confidence=1 - 2 * alpha,
        method=f"{method}, {spreads.method}" if spreads else method,
        n_original=sizes[0],
        n_rerun=sizes[1],
        n_prompts=n_prompts,
        within_prediction=None if paired else _within(arms, pooled_sigma, float(pooled_df)),
    )
    return replace(result, reason=_reason(result, arms.blind, paired))


def arms_of_rerun(
    original: ArrayLike,
    rerun: ArrayLike,
    paired: bool,
    n_prompts: int | None,
    flip_upper: float | None,
) -> Arms:
    """Read both sides as `rerun_verdict` takes them, and how their runs spread."""
    first = proportions("original_runs", original, (1, 2, 3))
    second = proportions("rerun_runs", rerun, (1, 2, 3))
    if paired and first.shape[0] != second.shape[0]:
        raise StatsError(
            f"paired runs differ in number: {first.shape[0]} original, {second.shape[0]} rerun",
            fix="give one rerun score per training seed, in the same order, or use paired=False",
        )
    if (first.ndim == 1) != (second.ndim == 1):
        raise StatsError(
            f"original_runs has shape {first.shape} and rerun_runs {second.shape}; give run scores "
            "(S,) for both, or outcomes (S, P) for both"
        )
    if first.ndim > 1:
        if first.shape[-1] != second.shape[-1]:
            raise StatsError(
                f"original_runs has {first.shape[-1]} prompts and rerun_runs {second.shape[-1]}"
            )
        n_prompts = first.shape[-1]
        firsts = [table if table.ndim == 2 else table[:, 0] for table in (first, second)]
        flip_upper = pooled_flip_upper(*firsts, paired=paired)
        first, second = (one_run_per_row(table).mean(axis=1) for table in (first, second))
    before, after = np.asarray(phi(first)), np.asarray(phi(second))
    spreads = spreads_of(before, after, pool=first.size == second.size)
    if paired:
        spreads = None
        if first.size > 1:
            half = no_rounding(float((after - before).var(ddof=1)) / 2)
            spreads = Spreads((half, half), first.size - 1.0, "by training seed")
    floor = 0.0
    if n_prompts is not None:
        n_prompts = positive_int("n_prompts", n_prompts)
        score = float(first.mean() + second.mean()) / 2
        floor = flip_floor(score, n_prompts, flip_upper)
    return Arms(first, second, paired, spreads, floor, n_prompts)


def _power(arms: Arms, margin: float, alpha: float) -> tuple[float | None, int | None, bool]:
    """Power of this design if truly equal, seeds needed, and whether new seeds cannot help."""
    spreads = arms.spreads
    if spreads is None or max(*spreads.variances, arms.floor) <= 0:
        return None, None, True
    about = {"score": arms.score, "floor": arms.floor, "margin": margin, "alpha": alpha}
    power = verdict_power(spreads.variances, arms.sizes, spreads.df, **about)

    def seeds(n_original: int | None) -> int | None:
        df = spreads.df if arms.known else None
        return plan_verdict_seeds(
            spreads.sigma, power=_POWER, paired=arms.paired, n_original=n_original, df=df, **about
        )

    helpless = power < _POWER and (arms.paired or seeds(arms.sizes[0]) is None)
    return power, seeds(None), helpless


def _within(arms: Arms, pooled: float | None, pooled_df: float) -> bool | None:
    """Whether the mean of the rerun lies in the prediction interval of the original."""
    before, after = np.asarray(phi(arms.original)), np.asarray(phi(arms.rerun))
    if pooled is None:  # what the original predicts does not depend on the rerun
        if before.size < 2:
            return None
        sigma, df = math.sqrt(no_rounding(float(before.var(ddof=1)))), before.size - 1.0
    else:
        sigma, df = pooled, pooled_df
    sigma = max(sigma, math.sqrt(arms.floor))
    half, _ = predict(sigma, df, before.size, after.size)
    return abs(float(after.mean() - before.mean())) <= half + 1e-12


def _reason(v: Verdict, blind: bool, paired: bool) -> str:
    text = f"the rerun differs by {signed_points(v.difference_points)} points"
    if v.lower_points is None or v.upper_points is None:
        if v.sigma is None:
            return f"{text}, but single runs do not show how far runs spread."
        return f"{text}, but runs that agree exactly decide nothing without the number of prompts."
    text += (
        f" ({percent(v.confidence)} interval {signed_points(v.lower_points)} to "
        f"{signed_points(v.upper_points)})"
    )
    if v.verdict == "no_verdict":
        return (
            f"{text}; a verdict needs at least {FEWEST_PROMPTS} prompts, and these are "
            f"{v.n_prompts}."
        )
    if blind:
        text += ", but a single original run does not show how far runs spread"
    else:
        where = {"reproduced": "inside", "not_reproduced": "entirely outside"}
        place = where.get(v.verdict, "neither inside nor entirely outside")
        text += f", {place} the margin of {points(v.margin_points)} points"
    if v.verdict != "inconclusive":
        return text + "."
    if v.prompts_needed is not None:
        text += (
            f"; with {min(v.n_original, v.n_rerun)} seeds, a score at this level cannot be "
            f"reproduced on fewer than {v.prompts_needed} prompts"
        )
    if v.seeds_needed is not None and v.underpowered:
        unit = "paired runs" if paired else "training seeds in each arm"
        text += f"; {v.seeds_needed} {unit} would give power .8 at this spread on these prompts"
        if v.original_underpowered:
            text += ", and no number of new seeds alone would: the original is underpowered"
    return text + "."
