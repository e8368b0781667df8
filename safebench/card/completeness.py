"""Completeness: which of the mandatory fields a card reports (spec/v1/levels.md).

A default speaks for nobody else's work: what a card about a paper leaves out is not reported.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import cache
from typing import Any, NamedTuple

from safebench.card.base import LEFT_OUT, NotReported, Section
from safebench.card.card import Card
from safebench.card.document import Pointer
from safebench.card.mandatory import MANDATORY, REPORT, STAGES, Mandatory, Where
from safebench.card.problems import WRONG
from safebench.card.shape import Shape
from safebench.card.task import Task


@dataclass(frozen=True)
class State:
    """One mandatory field of one card."""

    pointer: Pointer
    """The field, with positions in lists."""
    lost_at: Pointer | None
    """Where the absence is declared or, for a field left out, what is missing; None if reported."""
    reason: str | None = None
    """The declared reason of an absence."""


def states(card: Card) -> list[State]:
    """Return every mandatory field of a card, in the order of the table.

    What is mandatory in `hyperparameters` is mandatory in every earlier stage that the card names.
    """
    return [
        state
        for entry in MANDATORY
        for path in _paths(card, entry)
        for state in _states(card, entry, path)
    ]


def absences(fields: Iterable[State]) -> dict[Pointer, str | None]:
    """Return where mandatory fields are absent, each with the reason that the card states."""
    return {
        field.lost_at: field.reason
        for field in fields
        if field.lost_at is not None and field.reason != WRONG  # there is an error for it
    }


def _paths(card: Card, entry: Mandatory) -> Iterator[str]:
    yield entry.path
    stages = getattr(card.hyperparameters, "earlier_stages", None)
    if isinstance(stages, tuple) and stages and entry.path.startswith("hyperparameters."):
        yield entry.path.replace("hyperparameters", f"{STAGES}[]", 1)


def _states(card: Card, entry: Mandatory, path: str) -> Iterator[State]:
    # What a run would fill in counts in a plan too, once the card says that it is not known.
    filled = entry.when.words.startswith(REPORT.words)
    for found in _follow(None, card, _parts(path)):
        value, lost_at = found.value, found.lost_at
        stage = card.hyperparameters
        if path.startswith(STAGES):
            stage = getattr(stage, "earlier_stages")[found.pointer[2]]  # noqa: B009
        at = Where(card, found.owner, stage)
        says_so = filled and isinstance(value, NotReported) and lost_at == found.pointer
        if not entry.when.holds(at) and not says_so:
            continue
        if value is None and entry.instead is not None:
            value = getattr(found.owner, entry.instead, None)
            if isinstance(value, NotReported):
                lost_at = (*lost_at[:-1], entry.instead)
        if isinstance(value, NotReported):
            yield State(found.pointer, lost_at, value.not_reported)
        elif value is None and not (entry.absent_is_value and found.owner is not None):
            yield State(found.pointer, lost_at)
        else:
            yield State(found.pointer, None)


@cache
def _parts(path: str) -> tuple[str, ...]:
    """Return a path's names, with "[]" for every item of the list before it."""
    return tuple(path.replace("[]", ".[]").split("."))


class _Found(NamedTuple):
    owner: Any
    value: Any
    pointer: Pointer
    lost_at: Pointer


def _follow(
    owner: Any,
    value: Any,
    parts: tuple[str, ...],
    at: Pointer = (),
    lost: Pointer | None = None,
) -> Iterator[_Found]:
    """Yield what a path leads to, with its holder and the place of what is absent."""
    for position, name in enumerate(parts):
        if name == "[]" and isinstance(value, tuple) and value:
            for number, item in enumerate(value):
                inside = Task(name=item) if isinstance(item, str) else item
                yield from _follow(owner, inside, parts[position + 1 :], (*at, number))
            return
        if name == "[]":
            value, at, lost = value or None, (*at, 0), lost or at
        elif value is None or isinstance(value, NotReported):
            owner, at, lost = None, (*at, name), lost or at
        else:
            owner, value, at, lost = value, getattr(value, name, None), (*at, name), None
    yield _Found(owner, value, at, lost or at)


def with_absences(card: Card) -> Card:
    """Return a card in which every mandatory field that it leaves out is `not_reported`.

    One's own card is returned as it is: there what is left out has its default. A field without a
    default stays left out, unless `unstated` gives its reason.
    """
    if not card.is_described:
        return card
    while True:  # what counts may depend on what is found to be absent
        gaps = {at for state in states(card) if (at := _gap(card, state)) is not None}
        if not gaps:
            return card
        absence = NotReported(not_reported=card.unstated or LEFT_OUT)
        for pointer in gaps:
            card = _put(card, pointer, absence)


def _gap(card: Card, state: State) -> Pointer | None:
    """Return the first part left out on the way to a mandatory field, if it is to be marked."""
    holder: Any = card
    for length, part in enumerate(state.pointer, start=1):
        if isinstance(part, int):
            if not isinstance(holder, tuple) or not holder:
                return None
            item = holder[part]
            holder = Task(name=item) if isinstance(item, str) else item
            continue
        if not isinstance(holder, Section):
            return None
        value = getattr(holder, part, None)
        if value is None or part not in holder.model_fields_set:
            is_given = part in holder.model_fields_set
            marked = _is_marked(card, state, value, is_given=is_given)
            return state.pointer[:length] if marked and _may_be(type(holder), part) else None
        holder = value
    return None


def _is_marked(card: Card, state: State, value: Any, *, is_given: bool) -> bool:
    if value is not None:  # a default
        return not isinstance(value, NotReported)
    if state.lost_at is None:  # leaving `system_prompt` out says of one's own that there is none
        return state.pointer[0] == "prompting" and not is_given
    return card.unstated is not None


@cache
def _may_be(model: type[Section], field: str) -> bool:
    """Whether a field may be `not_reported`."""
    found = Shape(model).fields.get(field)
    return found is not None and found.accepts_absence


def _put(holder: Any, pointer: Pointer, value: Any) -> Any:
    """Return a part of a card with one field replaced."""
    part, *rest = pointer
    if isinstance(part, int):
        items = list(holder)
        item = Task(name=items[part]) if isinstance(items[part], str) else items[part]
        items[part] = _put(item, tuple(rest), value) if rest else value
        return tuple(items)
    inside = _put(getattr(holder, part), tuple(rest), value) if rest else value
    return holder.model_copy(update={part: inside})
