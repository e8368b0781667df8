"""Finding the one number among a card's results that a place on the page is about."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import TypeVar

from safebench.card.measured import MeasuredChange, MeasuredResults, MeasuredScore
from safebench.card.results import find, key_of
from safebench.words import CONSTRUCTS

T = TypeVar("T", MeasuredScore, MeasuredChange)


def primary(results: MeasuredResults | None, construct: str) -> MeasuredScore | None:
    """Return the score that answers for a construct: the first declared one, or None."""
    declared = results.primary if results else ()
    for estimand in declared:
        if estimand.construct == construct:
            return find(results.scores, key_of(estimand)) if results else None
    return None


def worst_decoding(
    results: MeasuredResults, of: MeasuredScore, worse: Callable[[MeasuredScore], float]
) -> MeasuredScore:
    """Return the worst score over decodings, everything else being that of a score."""
    same = [s for s in results.scores if key_of(s)._replace(decoding=of.decoding) == key_of(of)]
    return max(same, key=worse, default=of)


def by_task(results: Iterable[T]) -> list[list[T]]:
    """Return results grouped by task and construct, harm first, each group in the card's order."""
    groups: dict[tuple[str, str], list[T]] = {}
    for result in sorted(results, key=lambda r: (CONSTRUCTS.index(r.construct), r.task)):
        groups.setdefault((result.task, result.construct), []).append(result)
    return list(groups.values())


def is_primary(results: MeasuredResults, score: MeasuredScore) -> bool:
    """Whether a score was declared as the answer for its construct."""
    return find(results.primary, key_of(score)) is not None
