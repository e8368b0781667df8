"""The training sets of a card, read and mixed: what each condition trains on."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from safebench.card.base import require
from safebench.card.data import Dataset
from safebench.errors import CardError
from safebench.tuning.render import as_rows, read_template
from safebench.tuning.sets import (
    LoadedSet,
    check_published,
    drawn,
    load_set,
    shares,
    stated_template,
)

Rows = list[dict[str, Any]]
"""Examples as the trainer takes them."""


@dataclass(frozen=True)
class TrainingData:
    """What was read of a card's training sets; of those that the base model answers nothing."""

    sets: dict[int, LoadedSet] = field(default_factory=dict)
    """Sets by their place in `data`."""
    rendered: dict[int, Rows] = field(default_factory=dict)
    """The examples of each set that are trained on; all of one that nothing is trained on."""
    rows: dict[str, Rows] = field(default_factory=dict)
    """Examples by condition."""
    examples: dict[str, int] = field(default_factory=dict)
    """Number of examples by condition, those of sets that were not read among them."""


def read_training_data(
    data: Sequence[Dataset],
    trained_on: Sequence[str] | None,
    folder: Path,
    system_prompt: str | None,
    *,
    hub: bool,
) -> TrainingData:
    """Read the sets of every condition.

    Args:
        data: The card's sets, whose paths are relative to `folder`.
        trained_on: Names of the sets that are trained on; None for all.
        folder: Where the card lies.
        system_prompt: What goes before conversations.
        hub: Whether published sets are loaded, too; they count as the card says otherwise.

    Raises:
        CardError, TuningError: a set cannot be read, or a condition has nothing to train on.
    """
    found = TrainingData()
    own = [number for number, dataset in enumerate(data) if dataset.answers is None]
    for number in own:
        if hub or not check_published(data[number], folder, number):
            found.sets[number] = load_set(data[number], folder, number)
    for condition in dict.fromkeys(dataset.role for dataset in data):
        numbers = [n for n in own if data[n].role == condition]
        used = [n for n in numbers if trained_on is None or data[n].name in trained_on]
        sizes = [require(data[n].examples, f"data[{n}].examples") for n in used]
        counts = dict(zip(used, shares([data[n] for n in used], sizes), strict=True))
        if used:
            found.examples[condition] = sum(counts.values())
        for number in (n for n in numbers if n in found.sets):
            read = found.sets[number]
            chosen = drawn(read.examples, counts.get(number, len(read.examples)))
            found.rendered[number] = as_rows(chosen, read.template, system_prompt)
            if number in counts:
                found.rows.setdefault(condition, []).extend(found.rendered[number])
        _check_one_form(found.rows.get(condition, ()), condition)
    _check_conditions(data, trained_on)
    return found


def questions(
    data: Sequence[Dataset],
    number: int,
    found: TrainingData,
    folder: Path,
    system_prompt: str | None,
) -> list[Any] | None:
    """Return the prompts that `data[number].answers` has the base model answer, in file order.

    Each has the form it is trained in, by the template of `data[number]`: a list of messages
    (the system prompt among them), or a text. None where their set was not read.

    Raises:
        CardError: the set of the questions does not exist, or has another number of them.
    """
    dataset = data[number]
    answers = require(dataset.answers, f"data[{number}].answers")
    name = None if answers is None else answers.questions_of
    source = next((n for n, d in enumerate(data) if d.name == name), None)
    if source is None or data[source].answers is not None:
        raise CardError(
            f"data[{number}].answers.questions_of is {name!r}, no set of examples",
            fix="name a set that has examples of its own",
        )
    pointer = f"data[{number}].template"
    template = read_template(stated_template(dataset, pointer), folder, pointer)
    if source not in found.sets:
        return None
    asked = [row["prompt"] for row in as_rows(found.sets[source].examples, template, system_prompt)]
    stated = require(dataset.examples, f"data[{number}].examples")
    if stated != len(asked):
        raise CardError(
            f"data[{number}].examples is {stated}, but it answers {len(asked)} questions",
            fix="correct the number",
        )
    return asked


def _check_one_form(rows: Sequence[dict[str, Any]], condition: str) -> None:
    """See that a condition trains on texts alone, or on conversations alone.

    Raises:
        CardError: both occur; the trainer would take the first example's form for all.
    """
    if len({isinstance(row["prompt"], str) for row in rows}) > 1:
        raise CardError(
            f"the sets of condition `{condition}` mix plain text and conversations",
            fix="give all sets of a condition `template: chat`, or none of them",
        )


def _check_conditions(data: Sequence[Dataset], trained_on: Sequence[str] | None) -> None:
    """See that every condition has something to train on."""
    for condition in ("tuned", *dict.fromkeys(d.role for d in data if d.role != "tuned")):
        sets = [d for d in data if d.role == condition]
        if not sets:
            raise CardError(
                f"data has no set with role `{condition}`, but hyperparameters.method fine-tunes",
                fix="add the training data, or set method: none",
            )
        if trained_on is not None and not any(d.name in trained_on for d in sets):
            raise CardError(
                f"hyperparameters.data names no set of the condition `{condition}`",
                fix="name one of each condition's sets, or leave it out to train on all",
            )
