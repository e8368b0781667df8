"""A fact: one field of the card, the value that a source gives it, and where that was read."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from safebench.errors import InteropError, visible
from safebench.rows import At

Place = tuple[str, ...]
"""Path of a field in the card. An item of a list has a key (a task's name, a decoding's settings)
until all items are known and can be numbered."""

BY_PERSON, BY_FILE, INDIRECT = -1, 0, 1
"""Ranks of a source: an option or --card, a file about this field, a file about something related.
The lowest rank wins; only sources of the same rank can contradict each other."""

# lm-eval puts the time into the names of its files
_TIMED = re.compile(r"(results|samples_.+)_\d{4}-\d\d-\d\dT[^.]*(?:\.\d+)?(\.jsonl?)\Z")


@dataclass(frozen=True)
class Absent:
    """No value, with the reason: the source does not record this field."""

    reason: str


@dataclass(frozen=True)
class Nothing:
    """A value that the card expresses by leaving the field out, such as no system prompt."""

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
    """What a reader of the card should know about the value."""
    rank: int = BY_FILE
    varies: bool = False
    """Whether sources may differ without contradicting each other; the card then lists them."""
    about: str | None = None
    """Base model that the fact is about; the fact is dropped where the card names another one."""


def short_name(file: Path) -> str:
    """Return a file's name for comments, without lm-eval's timestamp."""
    return _TIMED.sub(r"\1_*\2", file.name)


def file_error(file: Path, what: str, fix: str) -> InteropError:
    """Return the error for a file or folder that cannot be used, in one line."""
    return InteropError(visible(f"{file}: {what}"), fix=fix)


def row_error(at: At, what: str, fix: str) -> InteropError:
    """Return the error for a row or response that cannot be used, in one line."""
    return InteropError(f"{at}: {visible(what)}", fix=fix)


def where_read(fact: Fact, *, short: bool = False) -> str:
    """Return the file and key of a fact, for messages."""
    if fact.file is None:
        return visible(fact.key)
    return visible(f"{fact.file.name if short else fact.file}: {fact.key}".removesuffix(": "))


def show(value: Any) -> str:
    """Return a value as messages quote it, cut to 60 characters."""
    text = visible(repr(value) if isinstance(value, str) else str(value))
    return text if len(text) <= 60 else f"{text[:57]}..."


def single_spaced(text: str) -> str:
    """Return a text with single spaces: templates and files lay one prompt out in several ways."""
    return " ".join(text.split())


def setting(value: Any) -> bool | int | float | str | None:
    """Return a setting as a card holds it: lists and mappings as one text; None for null."""
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
    return text.encode(errors="backslashreplace").decode()  # JSON can hold a lone surrogate


def natural(path: Path) -> tuple[object, ...]:
    """Return a sort key that puts `checkpoint-9` before `checkpoint-10`."""
    key: list[object] = []
    for part in path.as_posix().split("/"):
        # ASCII digits only: int() would make names in other digits equal
        for number, text in re.findall(r"([0-9]+)|([^0-9])", f"{part}\0", re.DOTALL):
            key.append((0, int(number), number) if number else (1, ord(text), ""))
    return tuple(key)


def short_id(text: str, otherwise: str) -> str:
    """Return a text as a card's `Name`: lower case, at most 64 characters of `[a-z0-9_.-]`."""
    return re.sub(r"[^a-z0-9_.-]+", "-", text.lower()).strip("-._")[:64] or otherwise


def first_words(names: Iterable[str], most: int = 3) -> str:
    """Return the first of many names: `a, b, c and 4 more`."""
    found = list(names)
    shown = ", ".join(found[:most])
    return shown if len(found) <= most else f"{shown} and {len(found) - most} more"
