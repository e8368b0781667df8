"""Several judges on the same responses: how far they agree, and how far a number is theirs."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import combinations

import numpy as np

from safebench.analysis.measures import Measure, NotMeasured, Number
from safebench.card.base import NotReported
from safebench.card.judge import Judge, ModelJudge
from safebench.card.measured import MeasuredChange, MeasuredResults, MeasuredScore
from safebench.card.results import PrimaryEstimand, find, key_of
from safebench.evidence.arrays import OutcomeArray
from safebench.stats import cohen_kappa
from safebench.words import kept

UNNAMED = "(no category)"
FEWEST_WORDINGS = 3
"""Templates of a prompted judge from which a range over its wordings is given."""
_SAID_OF_A_JUDGE = frozenset({"name", "primary", "calibration", "self_test"})
_WORDING = frozenset({"template", "prompt_template_sha256"})


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


class _Over:
    """A score as several decide it: judges, or wordings of one."""

    scores: tuple[MeasuredScore, ...]

    @property
    def estimates(self) -> tuple[float, float]:
        """Lowest and highest score of any of them."""
        values = [score.estimate for score in self.scores]
        return min(values), max(values)

    @property
    def ends(self) -> tuple[float, float]:
        """Lowest and highest end of their intervals."""
        return min(s.lower for s in self.scores), max(s.upper for s in self.scores)


@dataclass(frozen=True)
class Wordings(_Over):
    """A prompted judge under several templates, everything else alike."""

    scores: tuple[MeasuredScore, ...]
    """One per wording, in the card's order."""
    changes: tuple[MeasuredChange, ...]
    """From base, one per wording; empty where there is none."""


@dataclass(frozen=True)
class Judges(_Over):
    """One primary estimand as every judge of its responses decides it."""

    estimand: PrimaryEstimand
    scores: tuple[MeasuredScore, ...]
    """One per judge, that of the estimand first."""
    changes: tuple[MeasuredChange, ...]
    """From base, one per judge; empty where there is none."""
    pairs: tuple[Pair, ...]
    categories: tuple[Category, ...]
    """The most disagreed about first."""
    wordings: tuple[Wordings, ...]
    """Of each prompted judge that has three templates or more."""

    @property
    def turns(self) -> bool:
        """Whether the change from base has one sign by one judge and the other by another."""
        signs = {np.sign(change.estimate) for change in self.changes} - {0.0}
        return len(signs) > 1


def families(judges: Iterable[Judge]) -> list[list[str]]:
    """Return the prompted judges of a card by name, those together that differ in wording alone.

    Two that have one template, too, are one wording: the first stands for both.
    """
    found: dict[str, dict[str, str]] = {}
    for judge in judges:
        if not isinstance(judge, ModelJudge) or judge.kind != "llm":
            continue
        same = judge.model_dump(mode="json", exclude={*_SAID_OF_A_JUDGE, *_WORDING})
        # Where a template lies is no part of its wording; its digest is.
        words = judge.model_dump(mode="json", include={*_WORDING}, exclude={"template": {"path"}})
        family = found.setdefault(json.dumps(same, sort_keys=True), {})
        family.setdefault(json.dumps(words, sort_keys=True), judge.name)
    return [list(family.values()) for family in found.values()]


def compared(
    estimand: PrimaryEstimand,
    results: MeasuredResults,
    blocks: Sequence[OutcomeArray],
    judges: Sequence[Judge] | NotReported = (),
) -> Judges | None:
    """Return an estimand by every judge of its responses; None where there is one judge.

    `judges` are those of the card.
    """
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
    found = (find(results.changes, one) for one in keys)
    changes = tuple(change for change in found if change is not None)
    return Judges(
        estimand,
        scores,
        changes,
        tuple(Pair((a.judge, b.judge), kappa_of(a, b)) for a, b in combinations(same, 2)),
        tuple(sorted(_categories(same), key=lambda one: (-one.share, one.name))),
        tuple(_wordings(scores, changes, () if isinstance(judges, NotReported) else judges)),
    )


def _wordings(
    scores: Sequence[MeasuredScore], changes: Sequence[MeasuredChange], judges: Sequence[Judge]
) -> Iterator[Wordings]:
    of = {score.judge: score for score in scores}
    change_of = {change.judge: change for change in changes}
    for family in families(judges):
        mine = [name for name in family if name in of]
        if len(mine) >= FEWEST_WORDINGS:
            changed = (change_of[name] for name in mine if name in change_of)
            yield Wordings(tuple(of[name] for name in mine), tuple(changed))


def kappa_of(first: OutcomeArray, second: OutcomeArray) -> Measure:
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
