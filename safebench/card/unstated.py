"""A default speaks for no paper: what a card leaves out that nobody is to run is not reported."""

from __future__ import annotations

from functools import cache
from typing import Any

from safebench.card.base import LEFT_OUT, NotReported, Section
from safebench.card.card import Card
from safebench.card.completeness import State, states
from safebench.card.document import Pointer
from safebench.card.shape import Shape
from safebench.card.task import Task


def with_absences(card: Card) -> Card:
    """Return a card in which every mandatory field that it leaves out is `not_reported`.

    A plan that is to be run is returned as it is: there what is left out has its default. So is a
    field without a default, unless `unstated` gives its reason.
    """
    if card.is_to_be_run:
        return card
    while True:  # what counts may depend on what is found to be absent
        gaps = {at for state in states(card) if (at := _gap(card, state)) is not None}
        if not gaps:
            return card
        absence = NotReported(not_reported=card.unstated or LEFT_OUT)
        for pointer in gaps:
            card = _put(card, pointer, absence)


def _gap(card: Card, state: State) -> Pointer | None:
    """Return what the card leaves out of the way to a mandatory field, if it is to be marked."""
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
            marked = _is_marked(card, state, value) and _may_be_absent(type(holder), part)
            return state.pointer[:length] if marked else None
        holder = value
    return None


def _is_marked(card: Card, state: State, value: Any) -> bool:
    if value is not None:  # a default, which a card that was executed writes out
        return not isinstance(value, NotReported)
    is_described = card.unstated is not None or (
        card.submission.relationship == "third_party" and card.evidence is None
    )
    if state.lost_at is None:  # elsewhere leaving `system_prompt` out says that there is none
        return is_described and state.pointer[0] == "prompting"
    return card.unstated is not None


@cache
def _may_be_absent(model: type[Section], field: str) -> bool:
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
