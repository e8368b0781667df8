"""A card as YAML that people read and every reader understands alike.

Strings are quoted wherever a reader of YAML 1.1 or 1.2 could take them for something else, floats
have a point, and what fits on a line stays on it.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml

from safebench.card.base import Section
from safebench.card.card import Card
from safebench.card.decoding import Prompting
from safebench.card.scalars import NotANumberError, resolve
from safebench.files import replace_file

_WIDTH = 100
_WORD_KEYS = frozenset({"n"})  # a boolean by the letter of YAML 1.1, but to no reader of it
_ROW = 160  # items of a list line up like the rows of a table, so they may be longer
_FIRST = ("spec", "name", "kind", "method")  # what decides how the rest is read
# Begins with a letter, digit, slash or parenthesis; a colon or # only inside a word.
_PLAIN = re.compile(
    r"[A-Za-z0-9/(][A-Za-z0-9_./+()=@?'-]*([: ][A-Za-z0-9_./+()=@'-][A-Za-z0-9_./+()=@?'-]*)*\Z"
)
_YAML_11_BOOL = frozenset({"y", "n", "yes", "no", "on", "off", "true", "false", "null"})
# Control characters, and those that turn the direction in which a line is shown.
_ESCAPE = re.compile(
    r"[\x7f-\xa0\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ufeff\ufffe\uffff\ud800-\udfff]"
)


def dump_card(card: Card, path: Path) -> None:
    """Write a card, complete and in the standard's order, all at once or not at all."""
    replace_file(path, card_text(card).encode())


def card_text(card: Card) -> str:
    """Return a card as YAML: the same card, the same bytes."""
    return "\n".join(lines_of(plain(card))) + "\n"


def plain(value: Any) -> Any:
    """Return a model as plain data; an optional field that is absent stays absent."""
    if isinstance(value, Section):
        fields = type(value).model_fields
        return {
            name: plain(getattr(value, name))
            for name in field_order(type(value))
            if fields[name].is_required()
            or getattr(value, name) is not None
            # Of somebody else's work, null says that there is none.
            or (isinstance(value, Prompting) and name in value.model_fields_set)
        }
    if isinstance(value, dict):
        return {name: plain(item) for name, item in value.items()}
    if isinstance(value, tuple | list):
        return [plain(item) for item in value]
    return value


def lines_of(data: dict[str, Any]) -> Iterator[str]:
    """Yield the lines of plain data as a card has them."""
    yield from _mapping(data, 0)


def field_order(section: type[Section]) -> list[str]:
    """Return the names of a section's fields as they are written: what decides the rest, first."""
    fields = section.model_fields
    first = [n for n in _FIRST if n in fields and fields[n].is_required()]
    first = first if "estimate" not in fields else []  # there `method` is that of an interval
    return first + [n for n in fields if n not in first]


def _mapping(data: dict[str, Any], indent: int) -> Iterator[str]:
    pad = " " * indent
    for field, value in data.items():
        name = key(field)
        short = flow(value)
        if (
            not isinstance(value, dict | list)
            or not value
            or (indent and is_flat(value) and len(pad) + len(name) + 2 + len(short) <= _WIDTH)
        ):
            yield f"{pad}{name}: {short}"
        elif isinstance(value, dict):
            yield f"{pad}{name}:"
            yield from _mapping(value, indent + 2)
        else:
            yield f"{pad}{name}:"
            yield from _sequence(value, indent + 2)


def _sequence(data: list[Any], indent: int) -> Iterator[str]:
    pad = " " * indent
    for value in data:
        short = flow(value)
        fits = len(pad) + 2 + len(short) <= _ROW
        if not isinstance(value, dict | list) or not value or (fits and is_flat(value)):
            yield f"{pad}- {short}"
            continue
        write: Any = _mapping if isinstance(value, dict) else _sequence
        lines = write(value, indent + 2)
        for number, line in enumerate(lines):
            yield f"{pad}- {line[indent + 2 :]}" if number == 0 else line


def is_flat(value: dict[str, Any] | list[Any]) -> bool:
    """Whether nothing inside asks for lines of its own."""
    items = value.values() if isinstance(value, dict) else value
    return not any(isinstance(item, dict) and len(item) > 1 for item in items)


def flow(value: Any) -> str:
    """Return plain data as YAML in one line."""
    if isinstance(value, dict):
        return "{" + ", ".join(f"{key(k)}: {flow(v)}" for k, v in value.items()) + "}"
    if isinstance(value, list):
        return "[" + ", ".join(flow(item) for item in value) + "]"
    return scalar(value)


def key(name: str) -> str:
    """Return a mapping's key as YAML."""
    return name if name in _WORD_KEYS else scalar(name)


def scalar(value: Any) -> str:
    """Return a text, number, boolean or null as YAML."""
    if value is None:
        return "null"
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int):
        return str(value)
    if isinstance(value, float):
        return _float(value)
    return value if _is_plain(value) else _quoted(value)


def _float(value: float) -> str:
    """Return the shortest digits that give the same float, with the point YAML 1.1 asks for."""
    text = repr(value)
    return text if "." in text else text.replace("e", ".0e")


def _is_plain(text: str) -> bool:
    if not _PLAIN.match(text) or text.lower() in _YAML_11_BOOL:
        return False
    try:
        if not isinstance(resolve(text), str):
            return False
    except NotANumberError:
        return False
    patterns = yaml.SafeLoader.yaml_implicit_resolvers.get(text[0], [])
    return not any(pattern.match(text) for _, pattern in patterns)


def _quoted(text: str) -> str:
    """Return a double-quoted scalar: JSON's escapes, and YAML's for what must not be seen raw."""
    return _ESCAPE.sub(lambda m: f"\\u{ord(m[0]):04x}", json.dumps(text, ensure_ascii=False))
