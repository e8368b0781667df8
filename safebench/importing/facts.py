"""A fact: one field of the card, the value that a source gives it, and where that was read."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from safebench.errors import visible

Place = tuple[str, ...]
"""Path of a field in the card. An item of a list stands under a key of its own (a task's name, a
decoding's settings) until all items are known and can be numbered."""

BY_PERSON, BY_FILE, INDIRECT = -1, 0, 1
"""Ranks of a source: an option or --card, a file about this very field, a file about something
close to it. A lower rank wins; only sources of the same rank can contradict each other."""

_TIMED = re.compile(r"(results|samples_.+)_\d{4}-\d\d-\d\dT[^.]*(?:\.\d+)?(\.jsonl?)\Z")


@dataclass(frozen=True)
class Absent:
    """No value, with the reason: the source does not answer what the field asks."""

    reason: str


@dataclass(frozen=True)
class Nothing:
    """The field is left out of the card, and that is an answer: there is no system prompt."""

    def __str__(self) -> str:
        """Return the word that messages use."""
        return "none"


@dataclass(frozen=True)
class Fact:
    """The value of one field, and its source."""

    place: Place
    value: Any
    """Plain data as the card writes it, or `Absent`, or `Nothing`."""
    file: Path | None
    """File that was read; None where the value comes from no file."""
    key: str = ""
    """Key in the file, or the option."""
    note: str = ""
    """What a reader of the card has to know about the value."""
    rank: int = BY_FILE
    varies: bool = False
    """Whether sources may differ without contradicting each other: the card then lists them."""
    about: str | None = None
    """Base model that the fact is about; it is dropped where the card has another one."""


def short_name(file: Path) -> str:
    """Return a file's name for comments, without the time that lm-eval puts into it."""
    return _TIMED.sub(r"\1_*\2", file.name)


def where_read(fact: Fact, *, short: bool = False) -> str:
    """Return file and key of a fact, for messages."""
    if fact.file is None:
        return visible(fact.key)
    return visible(f"{fact.file.name if short else fact.file}: {fact.key}".removesuffix(": "))


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
    """Return a sort key that puts `checkpoint-9` before `checkpoint-10`."""
    key: list[object] = []
    for part in path.as_posix().split("/"):
        # ASCII digits alone: int() of other digits would make different names equal
        for number, text in re.findall(r"([0-9]+)|([^0-9])", f"{part}\0", re.DOTALL):
            key.append((0, int(number), number) if number else (1, ord(text), ""))
    return tuple(key)


def first_words(names: Iterable[str], most: int = 3) -> str:
    """Return some names of many: `a, b, c and 4 more`."""
    found = list(names)
    shown = ", ".join(found[:most])
    return shown if len(found) <= most else f"{shown} and {len(found) - most} more"
