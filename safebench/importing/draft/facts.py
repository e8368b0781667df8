"""What a file of another program says about a field of the card."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from safebench.errors import visible

Place = tuple[str, ...]
"""A field of the card; items of a list stand under a key of their own until they are counted."""

ASKED, STATED, INDIRECT = -1, 0, 1


@dataclass(frozen=True)
class Absent:
    """No value, and why: what a file says is not what the field asks for."""

    reason: str


@dataclass(frozen=True)
class Nothing:
    """The field is left out of the card, and this says something: no system prompt."""

    def __str__(self) -> str:
        """Return the word of messages."""
        return "none"


@dataclass(frozen=True)
class Fact:
    """One field's value, and where it was read."""

    place: Place
    """The field."""
    value: Any
    """Plain data as the card writes it, or `Absent`, or `Nothing`."""
    file: Path | None
    """File, as it was found; None for what is no file's."""
    key: str = ""
    """Where in the file."""
    note: str = ""
    """What a reader of the card has to know about the value."""
    rank: int = STATED
    """`ASKED` (whoever makes the card says it) counts before `STATED` (a file that speaks of the
    field), and that before `INDIRECT` (one that speaks of something near)."""
    varies: bool = False
    """Whether differing values are no contradiction: the card then says all of them."""
    about: str | None = None
    """The base model that this is about; it counts only if the card's is the same."""


def show(value: Any) -> str:
    """Return a value as messages quote it, cut to a length."""
    text = visible(repr(value) if isinstance(value, str) else str(value))
    return text if len(text) <= 60 else f"{text[:57]}..."


def setting(value: Any) -> bool | int | float | str | None:
    """Return a setting as the card takes it: lists and mappings in one text; None for null."""
    if value is None or isinstance(value, bool | str):
        return value
    if isinstance(value, int):
        return value if abs(value) < 2**63 else str(value)
    if isinstance(value, float):
        return value if math.isfinite(value) else str(value)
    text = str(value)
    if isinstance(value, list):
        text = ", ".join(str(item) for item in value)
    elif isinstance(value, dict):
        text = ", ".join(f"{key}: {item}" for key, item in value.items())
    return text.encode(errors="backslashreplace").decode()  # JSON can hold halves of characters


def natural(path: Path) -> tuple[object, ...]:
    """Return a key that sorts `checkpoint-9` before `checkpoint-10`."""
    key: list[object] = []
    for part in path.as_posix().split("/"):
        digits = ""
        for character in f"{part}\0":
            if character.isdecimal() and character.isascii():
                digits += character
                continue
            if digits:
                key.append((0, int(digits), digits))
                digits = ""
            key.append((1, ord(character), ""))
    return tuple(key)


def first_words(names: Iterable[str], most: int = 3) -> str:
    """Return some names of many: `a, b, c and 4 more`."""
    found = list(names)
    shown = ", ".join(found[:most])
    return shown if len(found) <= most else f"{shown} and {len(found) - most} more"
