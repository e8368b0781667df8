"""Finding the one number among a card's results that a place on the page is about."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Protocol, TypeVar

from safebench.card.measured import MeasuredChange, MeasuredResults, MeasuredScore
from safebench.card.results import PrimaryEstimand

T = TypeVar("T", MeasuredScore, MeasuredChange)
ORDER = ("harm", "over_refusal", "capability", "severity")


class Key(Protocol):
    """What names a measurement within one condition."""

    @property
    def task(self) -> str:
        """Name of the task."""

    @property
    def checkpoint(self) -> int | None:
        """Epoch, or None for the base model."""

    @property
    def decoding(self) -> str:
        """Name of the decoding."""

    @property
    def judge(self) -> str:
        """Name of the judge."""


def _same(a: Key, b: Key) -> bool:
    return _place(a) == _place(b)


def _place(key: Key) -> tuple[str, int | None, str, str]:
    return key.task, key.checkpoint, key.decoding, key.judge


def find_score(results: MeasuredResults | None, condition: str, key: Key) -> MeasuredScore | None:
    """Return the score of a condition at a key."""
    scores = results.scores if results else ()
    return next((s for s in scores if s.condition == condition and _same(s, key)), None)


def find_change(results: MeasuredResults | None, condition: str, key: Key) -> MeasuredChange | None:
    """Return the change from base of a condition at a key."""
    changes = results.changes if results else ()
    return next((c for c in changes if c.condition == condition and _same(c, key)), None)


def base_of(results: MeasuredResults | None, key: Key) -> MeasuredScore | None:
    """Return the base model's score on the task, decoding and judge of a key."""
    scores = results.scores if results else ()
    return next(
        (
            s
            for s in scores
            if s.condition == "base"
            and (s.task, s.decoding, s.judge) == (key.task, key.decoding, key.judge)
        ),
        None,
    )


def primary(results: MeasuredResults | None, construct: str) -> MeasuredScore | None:
    """Return the score that answers for a construct: the first declared one, or None."""
    declared = results.primary if results else ()
    for estimand in declared:
        if estimand.construct == construct:
            return find_score(results, estimand.condition, estimand)
    return None


def worst_decoding(
    results: MeasuredResults, of: MeasuredScore, worse: Callable[[MeasuredScore], float]
) -> MeasuredScore:
    """Return the worst score over decodings at the task, checkpoint and judge of a score."""
    same = [
        s
        for s in results.scores
        if (s.task, s.condition, s.checkpoint, s.judge)
        == (of.task, of.condition, of.checkpoint, of.judge)
    ]
    return max(same, key=worse, default=of)


def by_task(results: Iterable[T]) -> list[tuple[str, list[T]]]:
    """Return results grouped by task, harm first, each group in the card's order."""
    groups: dict[str, list[T]] = {}
    for result in sorted(results, key=lambda r: (ORDER.index(r.construct), r.task)):
        groups.setdefault(result.task, []).append(result)
    return list(groups.items())


def is_primary(results: MeasuredResults, score: MeasuredScore) -> bool:
    """Whether a score was declared as the answer for its construct."""
    return any(_estimand(p) == _estimand(score) for p in results.primary)


def _estimand(key: PrimaryEstimand | MeasuredScore) -> tuple[object, ...]:
    return (*_place(key), key.condition)
