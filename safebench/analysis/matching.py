"""Which score of one submission is compared with which of the other."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, cast

from safebench.analysis.selection import Selection
from safebench.card.base import NotReported
from safebench.card.card import Card
from safebench.card.results import Condition, PlaceKey
from safebench.card.task import Construct
from safebench.card.training import NoTraining
from safebench.errors import EvidenceError
from safebench.evidence.arrays import OutcomeArray, outcome_arrays
from safebench.evidence.columns import distinct, rows_with
from safebench.evidence.scoring import final_checkpoint
from safebench.evidence.submission import Submission
from safebench.words import where


@dataclass(frozen=True)
class Choice(Selection):
    """Which scores are compared; None leaves it to each card's primary estimand."""

    conditions: tuple[Condition | None, Condition | None] = (None, None)


def match_scores(
    pair: tuple[Submission, Submission], choice: Choice, not_compared: list[str]
) -> Iterator[tuple[PlaceKey, PlaceKey]]:
    """Yield the pairs of scores to compare, and record why others are not."""
    measured = [_measured(submission) for submission in pair]
    candidates = [
        _candidates(submission.card, places, choice, condition)
        for submission, places, condition in zip(pair, measured, choice.conditions, strict=True)
    ]
    for key in dict.fromkeys([*candidates[0], *candidates[1]]):
        name = f"{key[0]} ({key[1]})"
        sides = "".join(side for side, own in zip("AB", candidates, strict=True) if key in own)
        if sides != "AB":
            not_compared.append(f"{name}: only {sides} measured it")
            continue
        both = [own[key] for own in candidates]
        problems = []
        for side, submission, places, one in zip("AB", pair, measured, both, strict=True):
            if isinstance(one, str):
                problems.append(f"{side} {one}")
            elif one not in places:
                words = _in_words(one, submission.card.checkpoint_unit)
                problems.append(f"{side} has no outcomes of {words}")
        if problems:
            not_compared.append(f"{name}: {'; '.join(problems)}")
        else:
            yield cast("tuple[PlaceKey, PlaceKey]", tuple(both))


def compared_places(submission: Submission) -> list[PlaceKey]:
    """Return what a submission is compared by where nothing is chosen: a score of each task."""
    measured = _measured(submission)
    found = _candidates(submission.card, measured, Choice(), None).values()
    return [place for place in found if not isinstance(place, str) and place in measured]


def _measured(submission: Submission) -> set[PlaceKey]:
    rows = distinct(submission.outcomes, list(PlaceKey._fields))
    return {PlaceKey(*cast("Any", row)) for row in rows}


def _candidates(
    card: Card, measured: set[PlaceKey], choice: Choice, condition: Condition | None
) -> dict[tuple[str, str], PlaceKey | str]:
    """Return the score to compare for each task and construct, or why there is none."""
    rank = {task.name: number for number, task in enumerate(card.task_list())}
    keys = sorted({place[:2] for place in measured}, key=lambda k: (rank.get(k[0], len(rank)), k))
    return {
        (task, construct): _candidate(card, task, construct, choice, condition)
        for task, construct in keys
        if (not choice.tasks or task in choice.tasks)
        and (not choice.constructs or construct in choice.constructs)
    }


def _candidate(
    card: Card, task: str, construct: str, choice: Choice, condition: Condition | None
) -> PlaceKey | str:
    """Return the chosen score; the primary estimand fills in what was not chosen."""
    primary = next((t.primary for t in card.task_list() if t.name == task), None)
    decoding, judge, checkpoint = choice.decoding, choice.judge, choice.checkpoint
    if primary is not None and not isinstance(primary, NotReported):
        decoding = decoding or primary.decoding
        judge = judge or card.answering_judge(primary.judge, cast("Construct", construct))
        checkpoint = checkpoint or primary.checkpoint
    if decoding is None or judge is None:
        options = {"--decoding": decoding, "--judge": judge}
        missing = [option for option, value in options.items() if value is None]
        return f"declares no primary estimand; give {' and '.join(missing)}"
    untuned = isinstance(card.hyperparameters, NoTraining)
    state = condition or ("base" if untuned else "tuned")
    last = None if state == "base" else checkpoint or final_checkpoint(card)
    return PlaceKey(task, construct, state, last, decoding, judge)


def _in_words(place: PlaceKey, unit: str) -> str:
    found = where(place.condition, place.checkpoint, f"decoding {place.decoding}", unit)
    return f"{found}, judge {place.judge}"


def block_of(submission: Submission, place: PlaceKey) -> OutcomeArray:
    """Return the outcomes behind one score; raises EvidenceError where some are missing."""
    # Not `submission.blocks`: what is not compared may be incomplete, and is not read.
    return outcome_arrays(rows_with(submission.outcomes, place._asdict()))[0]


def blocks_beside(submission: Submission, place: PlaceKey) -> list[OutcomeArray]:
    """Return the outcomes at a place by every judge; incomplete ones of other judges are left out.

    Empty where one judge decided alone.
    """
    where_ = {name: value for name, value in place._asdict().items() if name != "judge"}
    rows = rows_with(submission.outcomes, where_)
    names = sorted(str(name) for (name,) in distinct(rows, ["judge"]))
    found = []
    for name in names if len(names) > 1 else ():
        try:
            found += outcome_arrays(rows_with(rows, {"judge": name}))
        except EvidenceError:
            continue
    return found
