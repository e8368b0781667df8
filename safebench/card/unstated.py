"""A default speaks for nobody else's work: what a card about a paper leaves out is not reported."""

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
