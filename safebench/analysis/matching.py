"""Which score of one submission stands against which of the other."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, cast

import pyarrow as pa

from safebench.card.base import NotReported
from safebench.card.card import Card
from safebench.card.results import Condition, PlaceKey
from safebench.card.task import Construct
from safebench.card.training import NoTraining
from safebench.evidence.arrays import OutcomeArray, outcome_arrays
from safebench.evidence.rows import distinct, rows_with
from safebench.evidence.scoring import final_checkpoint
from safebench.words import where


@dataclass(frozen=True)
class Choice:
    """Which scores are compared; None leaves it to each card's primary estimand."""

    tasks: tuple[str, ...] = ()
    constructs: tuple[str, ...] = ()
    decoding: str | None = None
    checkpoint: int | None = None
    judge: str | None = None
    conditions: tuple[Condition | None, Condition | None] = (None, None)


@dataclass(frozen=True)
class Opened:
    """A submission being compared."""

    name: str
    folder: Path
    card: Card
    outcomes: pa.Table
    digest: str


def matched(
    sides: tuple[Opened, Opened], choice: Choice, not_compared: list[str]
) -> Iterator[tuple[PlaceKey, PlaceKey]]:
    """Yield the pairs of scores that are compared, and note why others are not."""
    measured = [_measured(side.outcomes) for side in sides]
    wanted = [
        _wanted(side, places, choice, condition)
        for side, places, condition in zip(sides, measured, choice.conditions, strict=True)
    ]
    for key in dict.fromkeys([*wanted[0], *wanted[1]]):
        name = f"{key[0]} ({key[1]})"
        missing = [side.name for side, w in zip(sides, wanted, strict=True) if key not in w]
        if missing:
            other = "B" if missing == ["A"] else "A"
            not_compared.append(f"{name}: only {other} measured it")
            continue
        problems = []
        for side, places, mine in zip(sides, measured, (w[key] for w in wanted), strict=True):
            if isinstance(mine, str):
                problems.append(f"{side.name} {mine}")
            elif mine not in places:
                problems.append(
                    f"{side.name} has no outcomes of {_in_words(mine, side.card.checkpoint_unit)}"
                )
        if problems:
            not_compared.append(f"{name}: {'; '.join(problems)}")
        else:
            yield cast("tuple[PlaceKey, PlaceKey]", (wanted[0][key], wanted[1][key]))


def _measured(outcomes: pa.Table) -> set[PlaceKey]:
    """Return what a table has outcomes of."""
    return {PlaceKey(*cast("Any", row)) for row in distinct(outcomes, list(PlaceKey._fields))}


def _wanted(
    side: Opened, measured: set[PlaceKey], choice: Choice, condition: Condition | None
) -> dict[tuple[str, str], PlaceKey | str]:
    """Return the score that answers for each task and construct, or why there is none."""
    rank = {task.name: number for number, task in enumerate(side.card.task_list())}
    keys = sorted({place[:2] for place in measured}, key=lambda k: (rank.get(k[0], len(rank)), k))
    return {
        (task, construct): _answering(side.card, task, construct, choice, condition)
        for task, construct in keys
        if (not choice.tasks or task in choice.tasks)
        and (not choice.constructs or construct in choice.constructs)
    }


def _answering(
    card: Card, task: str, construct: str, choice: Choice, condition: Condition | None
) -> PlaceKey | str:
    """Return the score that was chosen; what was not chosen is that of the primary estimand."""
    primary = next((t.primary for t in card.task_list() if t.name == task), None)
    decoding, judge, checkpoint = choice.decoding, choice.judge, choice.checkpoint
    if primary is not None and not isinstance(primary, NotReported):
        decoding = decoding or primary.decoding
        judge = judge or card.answering_judge(primary.judge, cast("Construct", construct))
        checkpoint = checkpoint or primary.checkpoint
    lacking = [f"--{n}" for n, v in (("decoding", decoding), ("judge", judge)) if v is None]
    if decoding is None or judge is None:
        return f"declares no primary estimand: give {' and '.join(lacking)}"
    untuned = isinstance(card.hyperparameters, NoTraining)
    state = condition or ("base" if untuned else "tuned")
    last = None if state == "base" else checkpoint or final_checkpoint(card)
    return PlaceKey(task, construct, state, last, decoding, judge)


def _in_words(place: PlaceKey, unit: str) -> str:
    found = where(place.condition, place.checkpoint, f"decoding {place.decoding}", unit)
    return f"{found}, judge {place.judge}"


def block_of(side: Opened, place: PlaceKey) -> OutcomeArray:
    """Return the outcomes behind one score; raises EvidenceError where some are missing."""
    return outcome_arrays(rows_with(side.outcomes, place._asdict()))[0]


def picked_prompts(block: OutcomeArray, prompts: list[str]) -> OutcomeArray:
    """Return a block's outcomes of some of its prompts, in their order."""
    at = {prompt: i for i, prompt in enumerate(block.prompts)}
    places = [at[prompt] for prompt in prompts]
    return replace(
        block,
        prompts=tuple(prompts),
        categories=tuple(block.categories[i] for i in places),
        scores=block.scores[..., places],
        verdicts=block.verdicts[..., places],
        truncated=block.truncated[..., places],
        blocked=block.blocked[..., places],
        unrecorded=block.unrecorded[..., places],
    )
