"""Several judges on the same responses: how far they agree, and how far a number is theirs."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import combinations

import numpy as np

from safebench.analysis.measures import Measure, NotMeasured, Number
from safebench.card.measured import MeasuredChange, MeasuredResults, MeasuredScore
from safebench.card.results import PrimaryEstimand, find, key_of
from safebench.evidence.arrays import OutcomeArray
from safebench.stats import cohen_kappa
from safebench.words import kept

UNNAMED = "(no category)"


@dataclass(frozen=True)
class Pair:
    """Two judges on the same responses."""

    judges: tuple[str, str]
    kappa: Measure


@dataclass(frozen=True)
class Category:
    """How often judges differ on responses of a category."""

    name: str
    share: float
    """Share of responses on whose score not all judges agree."""
    n: int
    """Responses on which every judge gave a verdict."""


@dataclass(frozen=True)
class Judges:
    """One primary estimand as every judge of its responses decides it."""

    estimand: PrimaryEstimand
    scores: tuple[MeasuredScore, ...]
    """One per judge, that of the estimand first."""
    changes: tuple[MeasuredChange, ...]
    """From base, one per judge; empty where there is none."""
    pairs: tuple[Pair, ...]
    categories: tuple[Category, ...]
    """The most disagreed about first."""

    @property
    def estimates(self) -> tuple[float, float]:
        """Lowest and highest score of a judge."""
        values = [score.estimate for score in self.scores]
        return min(values), max(values)

    @property
    def ends(self) -> tuple[float, float]:
        """Lowest and highest end of the judges' intervals."""
        return min(s.lower for s in self.scores), max(s.upper for s in self.scores)

    @property
    def turns(self) -> bool:
        """Whether the change from base has one sign by one judge and the other by another."""
        signs = {np.sign(change.estimate) for change in self.changes} - {0.0}
        return len(signs) > 1


def compared(
    estimand: PrimaryEstimand, results: MeasuredResults, blocks: Sequence[OutcomeArray]
) -> Judges | None:
    """Return an estimand by every judge of its responses; None where there is one judge."""
    key = key_of(estimand)
    same = [b for b in blocks if key_of(b)._replace(judge=key.judge) == key]
    first = find(same, key)
    if first is None:
        return None
    same = [b for b in same if (b.seeds, b.prompts) == (first.seeds, first.prompts)]
    same.sort(key=lambda block: block.judge != key.judge)
    keys = [key_of(block) for block in same]
    scores = tuple(s for s in (find(results.scores, one) for one in keys) if s is not None)
    if len(scores) < 2:
        return None
    changes = (find(results.changes, one) for one in keys)
    return Judges(
        estimand,
        scores,
        tuple(change for change in changes if change is not None),
        tuple(Pair((a.judge, b.judge), _kappa(a, b)) for a, b in combinations(same, 2)),
        tuple(sorted(_categories(same), key=lambda one: (-one.share, one.name))),
    )


def _kappa(first: OutcomeArray, second: OutcomeArray) -> Measure:
    """Agreement of two judges on what the construct counts, by prompt."""
    read = ~(first.unread | second.unread)
    a, b = first.scores[read], second.scores[read]
    if not np.isin(np.concatenate([a, b]), (0.0, 1.0)).all():
        return NotMeasured("graded outcomes have no kappa")
    if not a.size:
        return NotMeasured("no response has a verdict of both")
    prompts = np.broadcast_to(np.arange(len(first.prompts)), first.scores.shape)[read]
    found = cohen_kappa(a, b, prompts)
    if found.estimate is None or found.lower is None or found.upper is None:
        return NotMeasured(found.reason.removeprefix("not measured: "))
    n = {"responses": found.n, "prompts": found.n_clusters}
    ends = kept(found.estimate), kept(found.lower), kept(found.upper)
    return Number(*ends, n, found.method)


def _categories(blocks: Sequence[OutcomeArray]) -> Iterator[Category]:
    scores = np.stack([block.scores for block in blocks])
    read = ~np.any([block.unread for block in blocks], axis=0)
    differ = np.ptp(scores, axis=0) > 0
    names = np.array([name or UNNAMED for name in blocks[0].categories])
    for name in sorted(set(names.tolist())):
        mine = read & (names == name)
        if n := int(mine.sum()):
            yield Category(name, kept(float(differ[mine].mean())), n)
