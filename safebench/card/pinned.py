"""Filling in a card's fields with what was found, and refusing what contradicts it."""

from __future__ import annotations

from typing import Any

from safebench.card.card import Card
from safebench.errors import CardError


def update(card: Card, **changes: dict[str, Any]) -> Card:
    """Return a card with some nested fields replaced."""
    for name, values in changes.items():
        section = getattr(card, name)
        nested = {
            key: getattr(section, key).model_copy(update=value)
            if isinstance(value, dict)
            else value
            for key, value in values.items()
        }
        card = card.model_copy(update={name: section.model_copy(update=nested)})
    return card


def check_same(pointer: str, declared: Any, found: str | int) -> None:
    """Check that what was found is what the card declares; raises CardError."""
    if isinstance(declared, str | int) and declared != found:
        raise CardError(
            f"{pointer} is {declared}, but what was found has {found}",
            fix="use what the card was made with, or remove the value to pin what is here",
        )
