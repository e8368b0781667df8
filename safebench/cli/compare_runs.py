"""`safebench compare` where a side has no card: folders and tables that other programs wrote."""

from __future__ import annotations

import gc
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import click

from safebench.analysis.comparison import SubmissionComparison, compare_submissions
from safebench.analysis.matching import Choice
from safebench.card.results import Condition
from safebench.cli.comparison import show
from safebench.cli.uncarded import has_card, import_line
from safebench.evidence.columns import distinct
from safebench.evidence.submission import Submission
from safebench.importing.uncarded.read import (
    Meaning,
    Uncarded,
    check_apart,
    other_arguments,
    read_runs,
)

_OF_TRAINING = ("data", "hyperparameters", "seeds")
_UNKNOWN = {"absent", "not reported", "cannot be pinned"}
_SIDES: tuple[tuple[Condition, ...], ...] = (("base", "tuned", "control"), ("tuned", "control"))
"""The condition of each side: the first of these that its responses have."""


def compare_runs(
    paths: Sequence[Path], meaning: Meaning, choice: Choice, flips: int, style: str
) -> None:
    """Compare the base model's runs, or a submission, with those of fine-tuned models; print it.

    Raises:
        SafebenchError: nothing can be read or compared, or both sides are one model.
    """
    read: list[Uncarded] = []
    sides: list[Submission] = []
    conditions: tuple[Condition, Condition] = ("base", "tuned")
    for part, condition in zip((paths[:1], paths[1:]), conditions, strict=True):
        if not part:  # one table may hold both
            sides.append(sides[0])
        elif has_card(part[0]) and len(part) == 1:
            sides.append(Submission.read(part[0]))
        elif any(has_card(path) for path in part):
            raise click.UsageError("B is several runs without a card, or one submission.")
        else:
            with _without_collection():
                read.append(read_runs(part, condition, meaning))
            sides.append(read[-1].submission)
    chosen = _conditions(choice, sides, [has_card(path) for path in paths])
    notes = [remark for side in read for remark in side.remarks]
    if len(read) == 2:
        notes += [*check_apart(*read), *other_arguments(*read)]
    found = compare_submissions(sides[0], sides[1], chosen, flips)
    command = import_line(read, meaning)
    show(_of_what_is_known(found, notes), style, import_command=command.partition("\n")[0])
    if style == "text":
        click.echo(f"\nTo make a card of these runs:\n  {command}")


@contextmanager
def _without_collection() -> Iterator[None]:
    """Pause garbage collection while runs are read: it frees nothing in a fifth of the time."""
    enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if enabled:
            gc.enable()


def _conditions(choice: Choice, sides: Sequence[Submission], carded: Sequence[bool]) -> Choice:
    """Return a choice with the conditions of sides without a card filled in."""
    found: list[Condition | None] = []
    for number, side in enumerate(sides):
        present = {row[0] for row in distinct(side.outcomes, ["condition"])}
        usual = next((name for name in _SIDES[number] if name in present), None)
        is_carded = carded[min(number, len(carded) - 1)]
        found.append(choice.conditions[number] or (None if is_carded else usual))
    if sides[0] is sides[1] and (found[1] is None or found[0] == found[1]):
        raise click.UsageError("Nothing to compare A with: give the runs of a fine-tuned model.")
    return replace(choice, conditions=(found[0], found[1]))


def _of_what_is_known(found: SubmissionComparison, notes: Sequence[str]) -> SubmissionComparison:
    """Return a comparison without unknowns that no files of runs could report."""
    protocol = replace(
        found.protocol,
        unknown=tuple(
            one
            for one in found.protocol.unknown
            if one.section not in _OF_TRAINING
            and (one.name == one.section or {one.a, one.b} - _UNKNOWN)
        ),
        extent=(),
    )
    warnings = tuple(dict.fromkeys((*found.warnings, *notes)))
    return replace(found, protocol=protocol, warnings=warnings)
