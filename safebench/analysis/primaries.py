"""One pre-declared number of a card: what it would take to know it better, and diagnostics.

The number itself, its interval, its change from base and its stability are the card's.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from safebench.analysis.diagnostics import diagnostics
from safebench.analysis.measures import Measure, NotMeasured
from safebench.analysis.spread import SeedsNeeded, one_seed, seed_share, seeds_needed, to_project
from safebench.card.measured import MeasuredChange, MeasuredScore
from safebench.card.results import PrimaryEstimand
from safebench.errors import StatsError
from safebench.evidence.arrays import OutcomeArray
from safebench.evidence.scoring import CONFIDENCE
from safebench.stats.design import Design, design_of
from safebench.words import kept


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
    """What is said of one primary estimand beside its numbers in the card."""

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
        diagnostics=diagnostics(block, decodings),
    )


def _projections(block: OutcomeArray) -> tuple[Projection, ...] | NotMeasured:
    if block.condition != "base" and (absent := one_seed(block)):
        return absent
    seeds, repeats, prompts = block.scores.shape
    if prompts < 2:
        return NotMeasured("one prompt says nothing of others")
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
    found = design.interval(size, CONFIDENCE)
    return Projection(
        *size, kept(design.se(size)), kept(float(found.lower)), kept(float(found.upper))
    )
