"""B minus A on the prompts both answered, and the same by every other judge of both."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from safebench.analysis.flips import SIDES
from safebench.analysis.judges import kappa_of
from safebench.analysis.measures import Measure
from safebench.card.results import MARGIN, find, key_of
from safebench.evidence.arrays import OutcomeArray
from safebench.evidence.scoring import paired
from safebench.stats import margin_points
from safebench.words import kept

Pair = tuple[OutcomeArray, OutcomeArray]
"""Outcomes of A and of B."""


@dataclass(frozen=True)
class PairedChange:
    """B minus A on the shared prompts, a difference of proportions."""

    estimate: float
    lower: float
    upper: float
    confidence: float
    method: str
    prompts: int
    only_a: int
    only_b: int
    a: float
    """A's score on the shared prompts."""
    b: float
    """B's."""
    runs: tuple[int, int]
    """Runs averaged on each side: training seeds, or the repeats of an untuned model."""
    margin: float
    """The standard's margin at these scores, in proportions."""
    reading: str


def paired_change(
    pair: tuple[OutcomeArray, OutcomeArray], picked: tuple[OutcomeArray, OutcomeArray]
) -> PairedChange:
    """Return B minus A, given both blocks whole and cut to the prompts they share, in one order."""
    found, interval = paired(*picked, SIDES)
    a, b = (float(block.scores.mean()) for block in picked)
    margin = margin_points((a + b) / 2, MARGIN)
    return PairedChange(
        **interval,
        confidence=found.confidence,
        prompts=found.n_prompts,
        only_a=len(pair[0].prompts) - found.n_prompts,
        only_b=len(pair[1].prompts) - found.n_prompts,
        a=kept(a),
        b=kept(b),
        runs=found.n_runs,
        margin=kept(margin),
        reading=_reading(interval["lower"], interval["upper"], margin),
    )


def _reading(lower: float, upper: float, margin: float) -> str:
    apart = lower > 0 or upper < 0
    if -margin < lower and upper < margin:
        return "differs, by less than the margin" if apart else "equivalent within the margin"
    if lower > margin or upper < -margin:
        return "differs by more than the margin"
    return "differs" if apart else "undecided"


@dataclass(frozen=True)
class ByJudge:
    """The same estimand as another judge of both sides decides it."""

    judge: str
    difference: PairedChange
    agreement: tuple[float, float]
    """Share of A's responses, and of B's, on which it gives the same score."""
    kappa: tuple[Measure, Measure]
    """Its agreement beyond chance with the judge that is compared by, on A's responses and B's."""


def by_other_judges(
    pair: Pair, prompts: Sequence[str], beside: tuple[Sequence[OutcomeArray], ...]
) -> tuple[ByJudge, ...]:
    """Return the difference by every judge that decided both sides; by name.

    Args:
        pair: The blocks that are compared.
        prompts: Those that both share.
        beside: For each side, all its blocks at the same place whoever judged.
    """
    names = {b.judge for b in beside[0]} & {b.judge for b in beside[1]} - {b.judge for b in pair}
    found = []
    for name in sorted(names):
        keys = [key_of(block)._replace(judge=name) for block in pair]
        others = [find(blocks, key) for blocks, key in zip(beside, keys, strict=True)]
        if any(o is None or not {*prompts} <= {*o.prompts} for o in others):
            continue
        first, second = (o.only(prompts=prompts) for o in others if o is not None)
        mine = [block.only(prompts=prompts) for block in pair]
        both = list(zip(mine, (first, second), strict=True))
        if any(a.scores.shape != b.scores.shape for a, b in both):
            continue
        found.append(
            ByJudge(
                judge=name,
                difference=paired_change((first, second), (first, second)),
                agreement=(_same(*both[0]), _same(*both[1])),
                kappa=(kappa_of(*both[0]), kappa_of(*both[1])),
            )
        )
    return tuple(found)


def _same(first: OutcomeArray, second: OutcomeArray) -> float:
    return kept(float((first.scores == second.scores).mean()))
