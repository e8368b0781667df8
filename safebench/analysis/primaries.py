"""One pre-declared number of a card: what it would take to know it better, and diagnostics.

The number itself, its interval, its change from base and its stability are the card's.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from safebench.analysis.measures import Measure, NotMeasured, Number, measured
from safebench.analysis.spread import (
    SeedsNeeded,
    counts,
    one_seed,
    seed_share,
    seeds_needed,
    to_project,
)
from safebench.card.measured import MeasuredChange, MeasuredScore
from safebench.card.results import PrimaryEstimand
from safebench.card.task import METRICS
from safebench.errors import StatsError
from safebench.evidence.arrays import OutcomeArray
from safebench.evidence.scoring import CONFIDENCE, block_flips
from safebench.stats import (
    cvar,
    dependability,
    krippendorff_alpha,
    score_tolerance_bound,
    worst_setting,
)
from safebench.stats.agreement import KrippendorffAlpha
from safebench.stats.design import Design, design_of
from safebench.stats.generalizability import Dependability
from safebench.words import kept

TOLERANCE = 0.9
"""Share of new training seeds that a tolerance bound holds."""
WORST_SHARE = 0.1
"""Share of prompts that CVaR averages over."""
GRADED = NotMeasured("graded outcomes do not flip")


@dataclass(frozen=True)
class Projection:
    """What another design would give at the spread measured here."""

    seeds: int
    repeats: int
    prompts: int
    se: float
    lower: float
    """Ends of the interval at `CONFIDENCE`; of the design as it is, the card's own."""
    upper: float


@dataclass(frozen=True)
class Primary:
    """What is reported of one primary estimand beside its numbers in the card."""

    estimand: PrimaryEstimand
    score: MeasuredScore
    change: MeasuredChange | None
    seed_share: Measure
    """Share of the variance between runs at this checkpoint and decoding that is between training
    seeds; the rest is between repeats."""
    projections: tuple[Projection, ...] | NotMeasured
    seeds_needed: SeedsNeeded | NotMeasured
    diagnostics: Mapping[str, Measure]


def describe(
    estimand: PrimaryEstimand,
    score: MeasuredScore,
    change: MeasuredChange | None,
    block: OutcomeArray,
    decodings: Sequence[OutcomeArray],
) -> Primary:
    """Return the report of an estimand; `decodings` are its block and those beside it."""
    return Primary(
        estimand=estimand,
        score=score,
        change=change,
        seed_share=seed_share(block),
        projections=_projections(block),
        seeds_needed=seeds_needed(block),
        diagnostics=_diagnostics(block, decodings),
    )


def _projections(block: OutcomeArray) -> tuple[Projection, ...] | NotMeasured:
    if block.condition != "base" and (absent := one_seed(block)):
        return absent
    seeds, repeats, prompts = block.scores.shape
    if prompts < 2:
        return NotMeasured("one prompt does not show how far prompts differ")
    try:
        variances = to_project(block)
    except StatsError as problem:
        return NotMeasured(str(problem))
    design = design_of(
        variances, score=float(block.scores.mean()), outcome_variance=float(block.scores.var())
    )
    sizes = [(seeds, repeats, prompts)]
    if seeds > 1:
        sizes += [(2 * seeds, repeats, prompts), (4 * seeds, repeats, prompts)]
    if repeats > 1:
        sizes.append((seeds, 4 * repeats, prompts))
    sizes.append((seeds, repeats, 2 * prompts))
    return tuple(_project(design, size) for size in sizes)


def _project(design: Design, size: tuple[int, int, int]) -> Projection:
    found = design.interval(size)
    return Projection(
        *size, kept(design.se(size)), kept(float(found.lower)), kept(float(found.upper))
    )


def _diagnostics(block: OutcomeArray, decodings: Sequence[OutcomeArray]) -> dict[str, Measure]:
    """Return every diagnostic of a block by name; `decodings` are the block and those beside it."""
    over_seeds = {
        "flip_rate": _flips,
        "krippendorff_alpha": _alpha,
        "seed_to_prompt_spread": _spread_ratio,
        "dependability": _dependability,
        "new_seed_bound": _new_seed,
    }
    absent = one_seed(block)
    return {
        **{name: absent or diagnostic(block) for name, diagnostic in over_seeds.items()},
        "worst_prompts": _worst_prompts(block),
        "worst_decoding": _worst_decoding(decodings),
    }


def _flips(block: OutcomeArray) -> Measure:
    found = block_flips(block)
    if found is None:
        return GRADED
    return measured(found, {"prompts": found.n_prompts, "seeds": found.n_runs})


def _alpha(block: OutcomeArray) -> Measure:
    binary = bool(np.isin(block.scores, (0.0, 1.0)).all())
    # Seeds are the raters: repeats of one seed would agree more than seeds do.
    found = krippendorff_alpha(block.scores[:, 0], "nominal" if binary else "interval")
    return _if_measured(found, {"prompts": found.n_units, "seeds": found.n_raters})


def _dependability(block: OutcomeArray) -> Measure:
    return _if_measured(dependability(block.scores), counts(block))


def _if_measured(found: KrippendorffAlpha | Dependability, n: Mapping[str, int]) -> Measure:
    if found.estimate is None or found.lower is None or found.upper is None:
        return NotMeasured(found.reason)
    return Number(kept(found.estimate), kept(found.lower), kept(found.upper), n, found.method)


def _spread_ratio(block: OutcomeArray) -> Measure:
    """SD between seeds over the standard error of one run's prompts, both on 2 asin sqrt."""
    needed = seeds_needed(block)
    if isinstance(needed, NotMeasured):
        return needed
    mean = float(block.scores.mean())
    prompts = len(block.prompts)
    within = float(block.scores.var(axis=2, ddof=1).mean()) if prompts > 1 else 0.0
    if within == 0 or not 0 < mean < 1:
        return NotMeasured("prompts do not vary")
    error = math.sqrt(within / prompts / (mean * (1 - mean)))
    sigma = needed.sigma
    lower, upper = (None if v is None else kept(v / error) for v in (sigma.lower, sigma.upper))
    method = f"{sigma.method}; standard error of a run by the delta method"
    return Number(kept(sigma.estimate / error), lower, upper, counts(block), method)


def _lower_is_better(block: OutcomeArray) -> bool:
    """Tell which way is better in a block's construct."""
    return METRICS[block.construct][1] == "lower_is_better"


def _new_seed(block: OutcomeArray) -> Measure:
    """The bound that a share of new training seeds stays within, on the side that is worse."""
    upper = _lower_is_better(block)
    scores = block.scores.mean(axis=(1, 2))
    if float(np.ptp(scores)) < 1e-12:
        return NotMeasured("every seed has the same score, which shows no spread")
    found = score_tolerance_bound(scores, TOLERANCE, CONFIDENCE, upper=upper)
    return Number(
        kept(found.estimate),
        None if upper else kept(found.lower),
        kept(found.upper) if upper else None,
        {"seeds": found.n},
        f"{TOLERANCE:.0%} of new seeds; {found.method}",
    )


def _worst_prompts(block: OutcomeArray) -> Measure:
    found = cvar(block.scores, WORST_SHARE, higher_is_worse=_lower_is_better(block))
    return measured(found, counts(block))


def _worst_decoding(blocks: Sequence[OutcomeArray]) -> Measure:
    if len(blocks) < 2:
        return NotMeasured("one decoding")
    first = blocks[0]
    if any((b.seeds, b.prompts) != (first.seeds, first.prompts) for b in blocks):
        return NotMeasured("decodings differ in the seeds and prompts they were measured on")
    found = worst_setting([b.scores for b in blocks], higher_is_worse=_lower_is_better(first))
    name = blocks[found.index].decoding
    n = {"decodings": len(blocks), "seeds": found.n_seeds, "prompts": found.n_prompts}
    return replace(measured(found, n), method=f"{name} observed as worst; {found.method}")
