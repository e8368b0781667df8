"""One pre-declared number of a card: what it would take to know it better, and diagnostics.

The number itself, its interval, its change from base and its stability are the card's.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from scipy import special

from safebench.card.measured import MeasuredChange, MeasuredScore
from safebench.card.results import PrimaryEstimand
from safebench.errors import StatsError
from safebench.evidence.blocks import Block
from safebench.evidence.scoring import CONFIDENCE
from safebench.stats import VarianceComponents, d_study, variance_components
from safebench.study.diagnostics import diagnostics
from safebench.study.measures import Measure, NotMeasured, tidy
from safebench.study.spread import SeedsNeeded, one_seed, seed_share, seeds_needed


@dataclass(frozen=True)
class Projection:
    """What another design would give at the spread measured here."""

    seeds: int
    repeats: int
    prompts: int
    se: float
    half_width: float
    """Of the interval at `CONFIDENCE`; t with Satterthwaite's degrees of freedom."""


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
    block: Block,
    decodings: Sequence[Block],
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


def _projections(block: Block) -> tuple[Projection, ...] | NotMeasured:
    if block.condition != "base" and (absent := one_seed(block)):
        return absent
    seeds, repeats, prompts = block.scores.shape
    if prompts < 2:
        return NotMeasured("one prompt says nothing of others")
    if float(np.ptp(block.scores)) == 0:
        return NotMeasured("every answer has the same score: no spread was seen")
    try:
        found = _components(block)
    except StatsError as problem:
        return NotMeasured(str(problem))
    designs = [(seeds, repeats, prompts)]
    if seeds > 1:
        designs += [(2 * seeds, repeats, prompts), (4 * seeds, repeats, prompts)]
    if repeats > 1:
        designs.append((seeds, 4 * repeats, prompts))
    designs.append((seeds, repeats, 2 * prompts))
    return tuple(_project(found, *design) for design in designs)


def _components(block: Block) -> VarianceComponents:
    """Return the components of one block: prompts, seeds, repeats within seeds."""
    seeds, repeats, prompts = np.indices(block.scores.shape)
    factors = {
        "prompt": prompts.ravel(),
        "training_seed": seeds.ravel(),
        "repeat": repeats.ravel(),
    }
    every = tuple(name for name, codes in factors.items() if name == "prompt" or codes.any())
    effects = {
        "prompt": ("prompt",),
        "training_seed": ("training_seed",),
        "prompt:training_seed": ("prompt", "training_seed"),
        "repeat": ("training_seed", "repeat"),
        "residual": every,
    }
    if not seeds.any():
        del effects["training_seed"], effects["prompt:training_seed"]
        effects["repeat"] = ("repeat",)
    return variance_components(block.scores.ravel(), factors, effects)


def _project(found: VarianceComponents, seeds: int, repeats: int, prompts: int) -> Projection:
    levels = {"training_seed": seeds, "repeat": repeats, "prompt": prompts}
    study = d_study(found, levels, None)
    degrees = {
        "prompt": prompts - 1,
        "training_seed": seeds - 1,
        "prompt:training_seed": (prompts - 1) * (seeds - 1),
        "repeat": seeds * (repeats - 1),
        "residual": max(seeds - 1, 1) * (prompts - 1) * repeats,
    }
    parts = [(max(v, 0.0), degrees[name]) for name, v in study.contributions.items()]
    # As in `score_interval`: components below 0 make no mean better than its largest part, nor
    # than independent answers would be.
    independent = sum(max(v, 0.0) for v in found.estimates.values()) / (seeds * repeats * prompts)
    variance = max(study.se**2, independent, *(part for part, _ in parts))
    below = sum(part**2 / df for part, df in parts if df > 0)
    df = max(variance**2 / below, 1.0) if below > 0 else math.inf
    # The larger of Satterthwaite's width and of what adds the squared widths of seeds and prompts.
    level = (1 + CONFIDENCE) / 2
    added = 0.0
    for name, value in study.contributions.items():
        freedom = (prompts if "prompt" in name or name == "residual" else seeds) - 1
        if value > 0 and freedom > 0:
            added += value * float(special.stdtrit(freedom, level)) ** 2
    half = max(float(special.stdtrit(df, level)) * math.sqrt(variance), math.sqrt(added))
    return Projection(seeds, repeats, prompts, tidy(math.sqrt(variance)), tidy(half))
