"""What each condition trains on: the sets of a card, read and mixed by their weights."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from safebench.card.base import NotReported, require
from safebench.card.card import Card
from safebench.card.data import Dataset, SelfGenerated
from safebench.card.pinned import check_same
from safebench.errors import CardError
from safebench.evidence.submission import Submission
from safebench.tuning.examples import Example, Examples
from safebench.tuning.interface import Recipe, Rows
from safebench.tuning.render import as_rows
from safebench.tuning.sets import (
    LoadedSet,
    check_published,
    count_examples,
    draw,
    examples_of,
    load_set,
    template_of,
)


@dataclass(frozen=True)
class TrainingData:
    """What was read of a card's training sets; sets with answers of the base model are left out."""

    sets: dict[int, LoadedSet] = field(default_factory=dict)
    """Sets by their index in `data`."""
    rendered: dict[int, Rows] = field(default_factory=dict)
    """The examples of each set that are trained on; of a set that is not trained on, all."""
    rows: dict[str, Rows] = field(default_factory=dict)
    """Examples by condition."""
    examples: dict[str, int] = field(default_factory=dict)
    """Number of examples by condition, including sets that were not read."""


def read_training_data(submission: Submission, recipe: Recipe, *, hub: bool) -> TrainingData:
    """Read the training sets of every condition of a card that is trained by `recipe`.

    With `hub`, published sets are loaded too; otherwise the card's counts are taken for them.

    Raises:
        CardError, TuningError: a set cannot be read, is not what the card says, or a condition has
            nothing to train on.
    """
    card, folder = submission.card, submission.folder
    data = require(card.data, "data")
    trained_on = require(recipe.data, "hyperparameters.data")
    result = TrainingData()
    own = [number for number, dataset in enumerate(data) if dataset.answers is None]
    for number in own:
        if hub or not check_published(data[number], folder, number):
            result.sets[number] = found = load_set(data[number], folder, number)
            check_same(f"data[{number}].sha256", data[number].sha256, found.examples.sha256)
    for condition in dict.fromkeys(dataset.role for dataset in data):
        numbers = [n for n in own if data[n].role == condition]
        used = [n for n in numbers if trained_on is None or data[n].name in trained_on]
        sizes = [examples_of(data[n], n) for n in used]
        counts = dict(zip(used, shares([data[n] for n in used], sizes), strict=True))
        if used:
            result.examples[condition] = sum(counts.values())
        for number in (n for n in numbers if n in result.sets):
            read = result.sets[number]
            chosen = drawn(read.examples, counts.get(number, len(read.examples)))
            result.rendered[number] = as_rows(chosen, read.template, card.system_prompt)
            if number in counts:
                result.rows.setdefault(condition, []).extend(result.rendered[number])
        # The trainer would take the form of the first example for all of them.
        if len({isinstance(row["prompt"], str) for row in result.rows.get(condition, ())}) > 1:
            raise CardError(
                f"the sets of condition `{condition}` mix plain text and conversations",
                fix="give all sets of a condition `template: chat`, or none of them",
            )
    _check_conditions(data, trained_on)
    return result


def with_counts(submission: Submission) -> Card:
    """Return a card whose local training sets say how many examples they have.

    A set that is used whole has as many as its file; a set that the base model answers has as many
    as there are questions.

    Raises:
        CardError: the number depends on a subset, or on a set of the Hub, and is left out.
        TuningError: a file cannot be found or read.
    """
    card = submission.card
    if isinstance(card.data, NotReported):
        return card
    counts = {d.name: d.examples for d in card.data}
    for number, one in enumerate(card.data):
        if one.examples is None and one.answers is None:
            counts[one.name] = count_examples(one, submission.folder, number)
    for one in card.data:
        if one.examples is None and isinstance(one.answers, SelfGenerated):
            counts[one.name] = counts.get(one.answers.questions_of)
    data = tuple(d.model_copy(update={"examples": counts[d.name]}) for d in card.data)
    return card.model_copy(update={"data": data})


def questions(submission: Submission, number: int, read: TrainingData) -> list[Any] | None:
    """Return the prompts that the base model answers for `data[number].answers`, in file order.

    Each has the form that it is trained in, by the template of `data[number]`: a list of messages
    (with the system prompt), or a text. None where the set of the questions was not read.

    Raises:
        CardError: the set of the questions does not exist, or has another number of them.
    """
    card = submission.card
    data = require(card.data, "data")
    dataset = data[number]
    answers = require(dataset.answers, f"data[{number}].answers")
    name = None if answers is None else answers.questions_of
    source = next((n for n, d in enumerate(data) if d.name == name), None)
    if source is None or data[source].answers is not None:
        raise CardError(
            f"data[{number}].answers.questions_of is {name!r}, no set of examples",
            fix="name a set that has examples of its own",
        )
    template = template_of(dataset, submission.folder, number)
    if source not in read.sets:
        return None
    rows = as_rows(read.sets[source].examples, template, card.system_prompt)
    count = examples_of(dataset, number)
    if count != len(rows):
        raise CardError(
            f"data[{number}].examples is {count}, but it answers {len(rows)} questions",
            fix="correct the number",
        )
    return [row["prompt"] for row in rows]


def _check_conditions(data: Sequence[Dataset], trained_on: Sequence[str] | None) -> None:
    """Check that every condition has something to train on; raises CardError."""
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


def shares(datasets: Sequence[Dataset], sizes: Sequence[int]) -> list[int]:
    """Return how many examples of every set of one condition are trained on.

    Without weights all of them. With weights w and sizes n it is round(w * total), halves to even,
    of the largest total at which that is at most n for every set.

    Raises:
        CardError: some sets have a weight and others none, or they do not add up to 1.
    """
    weights = [require(dataset.weight, f"data ({dataset.name}).weight") for dataset in datasets]
    if all(weight is None for weight in weights):
        return list(sizes)
    complete = [weight for weight in weights if weight is not None]
    if len(complete) < len(datasets) or abs(sum(complete) - 1.0) > 1e-6:
        names = ", ".join(dataset.name for dataset in datasets)
        raise CardError(
            f"the weights of the sets {names} do not add up to 1",
            fix="give every mixed set its share, or leave all weights out to use the sets whole",
        )

    def counts(total: int) -> list[int]:
        return [round(weight * total) for weight in complete]

    # Start just above what the scarcest set allows; rounding decides the last few.
    total = min(int((n + 1) / w) + 1 for w, n in zip(complete, sizes, strict=True))
    while any(count > size for count, size in zip(counts(total), sizes, strict=True)):
        total -= 1
    return counts(total)


def drawn(examples: Examples, count: int) -> tuple[Example, ...]:
    """Return `count` examples of a set, in order.

    They are drawn without replacement, with the first 64 bits of the set's own sha256 as the seed.
    """
    places = draw(len(examples), count, int(examples.sha256[:16], 16))
    return tuple(examples.examples[place] for place in places)
