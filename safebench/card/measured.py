"""Results in which every number is there: what a run computes, and what is compared and shown.

A card may say that a number is not reported, as one about somebody else's paper does; what works
with numbers asks for these.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import TypeVar

from pydantic import ValidationError

from safebench.card.base import NotReported, Section
from safebench.card.card import Card
from safebench.card.results import Change, Results, RunScore, Score, Stability

T = TypeVar("T", bound=Section)


class MeasuredRun(RunScore):
    """The score of one run."""

    training_seed: int | None
    repeat: int
    n: int
    total: float
    score: float


class MeasuredStability(Stability):
    """How probably an independent rerun of one training seed lands within the margin."""

    point: float | None
    lower: float | None
    lower_if_normal: float | None
    sigma_run: float | None
    margin: float
    seeds: int
    pairs_within: float | None
    pairs: int
    pairs_lower: float | None
    note: str


class MeasuredScore(Score):
    """One number of a report, complete but for how responses ended, if nobody recorded that."""

    estimate: float
    lower: float
    upper: float
    method: str
    n: int
    prompts: int
    runs: tuple[MeasuredRun, ...]
    bound: float | None
    without_incoherent: float | None
    incoherent: float | None
    stability: MeasuredStability | None


class MeasuredChange(Change):
    """Difference of a tuned condition from the base model, complete."""

    estimate: float
    lower: float
    upper: float
    method: str
    prompts: int
    seeds_up: int
    seeds_down: int
    seeds: int


class MeasuredResults(Results):
    """Everything that was measured, without a gap."""

    scores: tuple[MeasuredScore, ...]
    changes: tuple[MeasuredChange, ...]


def cut_shares(score: MeasuredScore, base: MeasuredScore | None) -> dict[str, float]:
    """Return which shares of the responses were cut, of a score and of the base model beside it.

    Keys say whose responses they are. What was not recorded is left out; empty if none was cut.
    """
    shares = {"of responses": score.truncated}
    if base is not None and score.condition != "base":
        shares["of the base model's"] = base.truncated
    found = {whose: s for whose, s in shares.items() if not isinstance(s, NotReported)}
    return found if any(found.values()) else {}


def complete_results(card: Card) -> MeasuredResults | None:
    """Return the numbers of a card that are complete; None for a plan.

    A number that is reported only in part, as in a card about somebody else's paper, is left out:
    it can be read in the card, but neither compared nor drawn.
    """
    results = card.given_results
    if results is None or isinstance(results, MeasuredResults):
        return results
    return MeasuredResults(
        primary=results.primary,
        scores=tuple(_complete(MeasuredScore, results.scores)),
        changes=tuple(_complete(MeasuredChange, results.changes)),
    )


def _complete(kind: type[T], items: Iterable[Section]) -> Iterator[T]:
    for item in items:
        try:
            yield kind.model_validate_json(item.model_dump_json())
        except ValidationError:
            continue
