"""A card as YAML with a word behind each value: where it came from."""

from __future__ import annotations

import textwrap
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from safebench.card.document import Pointer
from safebench.card.write import flow, key, lines_of
from safebench.errors import visible

_WIDTH = 100
_COLUMN = 52
"""Comments stand one under the other up to this column, further right where a line is longer."""


@dataclass(frozen=True)
class _Line:
    text: str
    comment: str = ""


def commented(
    data: Mapping[str, Any], comments: Mapping[Pointer, str], asides: Mapping[Pointer, str]
) -> str:
    """Return plain data as YAML; `comments` stand behind values, `asides` above them."""
    blocks = []
    for name, value in data.items():
        if not any(at[0] == name for at in (*comments, *asides)):
            blocks.append("\n".join(lines_of({name: value})))
            continue
        lines = list(_field(name, value, (name,), 0, comments, asides))
        blocks.append("\n".join(_aligned(lines)))
    return "\n".join(blocks) + "\n"


def as_comment(text: str, indent: int = 0) -> list[str]:
    """Return a text as comment lines; one line is wrapped, several stay as they are."""
    lines = text.split("\n")
    if len(lines) == 1:
        lines = textwrap.wrap(visible(text), _WIDTH - indent - 2)
    return [f"{' ' * indent}# {visible(line)}" for line in lines]


def _aligned(lines: list[_Line]) -> Iterator[str]:
    lengths = [len(line.text) for line in lines if line.comment and len(line.text) < _COLUMN]
    column = max(lengths, default=0) + 2
    for line in lines:
        if line.comment:
            yield f"{line.text:<{max(column, len(line.text) + 2)}}# {visible(line.comment)}"
        else:
            yield line.text


def _field(
    name: str,
    value: Any,
    at: Pointer,
    indent: int,
    comments: Mapping[Pointer, str],
    asides: Mapping[Pointer, str],
) -> Iterator[_Line]:
    pad = " " * indent
    for line in as_comment(asides[at], indent) if at in asides else ():
        yield _Line(line)
    comment = comments.get(at, "")
    inside = [p for p in comments if p[: len(at)] == at and p != at]
    head = f"{pad}{key(name)}:"
    if _is_absence(value) or not isinstance(value, dict | list) or not value:
        yield _Line(f"{head} {flow(value)}", comment)
    elif isinstance(value, dict):
        yield _Line(head, comment)
        if (*at, "") in asides:
            yield from (_Line(line) for line in as_comment(asides[*at, ""], indent + 2))
        for field, item in value.items():
            yield from _field(field, item, (*at, field), indent + 2, comments, asides)
    elif not inside and len(head) + 1 + len(flow(value)) <= _WIDTH:
        yield _Line(f"{head} {flow(value)}", comment)
    else:
        yield _Line(head, comment)
        yield from _items(value, at, indent + 2, comments, asides)


def _items(
    value: list[Any],
    at: Pointer,
    indent: int,
    comments: Mapping[Pointer, str],
    asides: Mapping[Pointer, str],
) -> Iterator[_Line]:
    pad = " " * indent
    for number, item in enumerate(value):
        here = (*at, number)
        inside = any(p[: len(here)] == here and p != here for p in comments)
        if not isinstance(item, dict) or not inside:
            yield _Line(f"{pad}- {flow(item)}", comments.get(here, ""))
            continue
        first = True
        for field, part in item.items():
            for line in _field(field, part, (*here, field), indent + 2, comments, asides):
                is_comment = line.text.lstrip().startswith("#")
                if first and not is_comment:
                    yield _Line(f"{pad}- {line.text[indent + 2 :]}", line.comment)
                    first = False
                else:
                    yield line


def _is_absence(value: Any) -> bool:
    return isinstance(value, dict) and set(value) == {"not_reported"}
