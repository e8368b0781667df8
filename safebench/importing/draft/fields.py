"""What the standard says of a field, found by its place in a card."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, get_args

from safebench.card.base import NotReported, Section
from safebench.card.card import Card
from safebench.card.describe import descriptions
from safebench.card.document import Pointer


def owner_of(pointer: Pointer) -> type[Section] | None:
    """Return the section that has the field at a pointer; of alternatives, the first one.

    None where a pointer leads to free names, or to nothing.
    """
    owner: type[Section] | None = None
    sections: list[type[Section]] = [Card]
    for part in pointer:
        if isinstance(part, int):
            continue
        owner = next((section for section in sections if part in section.model_fields), None)
        if owner is None:
            return None
        sections = list(dict.fromkeys(_sections(owner.model_fields[part].annotation)))
    return owner


def meaning(pointer: Pointer) -> str:
    """Return what a field holds, as the standard says it, without the full stop."""
    owner = owner_of(pointer)
    return "" if owner is None else descriptions(owner).get(str(pointer[-1]), "").rstrip(".")


def default(pointer: Pointer) -> Any:
    """Return the value of a field that is left out, as plain data; None where there is none."""
    owner = owner_of(pointer)
    field = None if owner is None else owner.model_fields[str(pointer[-1])]
    if field is None or field.is_required():
        return None
    value = field.default
    return list(value) if isinstance(value, tuple) else value


def _sections(annotation: Any) -> Iterator[type[Section]]:
    if isinstance(annotation, type) and issubclass(annotation, Section):
        if annotation is not NotReported:
            yield annotation
        return
    for part in get_args(annotation):
        yield from _sections(part)
