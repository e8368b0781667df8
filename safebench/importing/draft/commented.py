"""A card as YAML, with a comment behind each value that says where it came from."""

from __future__ import annotations

import textwrap
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

from safebench.card.document import Pointer
from safebench.card.write import flow, key, lines_of
from safebench.errors import visible

_WIDTH = 100
_COLUMN = 52
"""Comments are aligned up to this column, and further right where a line is longer."""


class _Line(NamedTuple):
    text: str
    comment: str = ""


def commented(
    data: Mapping[str, Any], comments: Mapping[Pointer, str], asides: Mapping[Pointer, str]
) -> str:
    """Return plain data as YAML; `comments` stand behind values, `asides` above them."""
    writer = _Writer(comments, asides)
    lines: list[str] = []
    for name, value in data.items():
        if any(at[0] == name for at in (*comments, *asides)):
            lines += _aligned(list(writer.field(name, value, (name,), 0)))
        else:
            lines += lines_of({name: value})
    return "\n".join(lines) + "\n"


def as_comment(text: str, indent: int = 0) -> list[str]:
    """Return a text as comment lines; one line is wrapped, several stay as they are."""
    lines = text.split("\n")
    if len(lines) == 1:
        lines = textwrap.wrap(visible(text), _WIDTH - indent - 2)
    return [f"{' ' * indent}# {visible(line)}" for line in lines]


def is_absence(value: Any) -> bool:
    """Whether a value is the statement that there is none."""
    return isinstance(value, dict) and set(value) == {"not_reported"}


def _aligned(lines: list[_Line]) -> Iterator[str]:
    lengths = [len(line.text) for line in lines if line.comment and len(line.text) < _COLUMN]
    column = max(lengths, default=0) + 2
    for text, comment in lines:
        width = max(column, len(text) + 2)
        yield f"{text:<{width}}# {visible(comment)}" if comment else text


@dataclass(frozen=True)
class _Writer:
    """Writes fields and list items, each with its comment."""

    comments: Mapping[Pointer, str]
    asides: Mapping[Pointer, str]

    def field(self, name: str, value: Any, at: Pointer, indent: int) -> Iterator[_Line]:
        """Yield the lines of one field."""
        yield from self._aside(at, indent)
        head = f"{' ' * indent}{key(name)}:"
        comment = self.comments.get(at, "")
        is_leaf = is_absence(value) or not isinstance(value, dict | list) or not value
        if isinstance(value, list) and not is_leaf and not self._is_commented_inside(at):
            is_leaf = len(head) + 1 + len(flow(value)) <= _WIDTH
        if is_leaf:
            yield _Line(f"{head} {flow(value)}", comment)
            return
        yield _Line(head, comment)
        if isinstance(value, list):
            yield from self._items(value, at, indent + 2)
            return
        yield from self._aside((*at, ""), indent + 2)
        for field, item in value.items():
            yield from self.field(field, item, (*at, field), indent + 2)

    def _aside(self, at: Pointer, indent: int) -> Iterator[_Line]:
        if at in self.asides:
            yield from map(_Line, as_comment(self.asides[at], indent))

    def _items(self, value: list[Any], at: Pointer, indent: int) -> Iterator[_Line]:
        dash = f"{' ' * indent}- "
        for number, item in enumerate(value):
            here = (*at, number)
            if not isinstance(item, dict) or not self._is_commented_inside(here):
                yield _Line(f"{dash}{flow(item)}", self.comments.get(here, ""))
                continue
            first = True
            for field, part in item.items():
                for line in self.field(field, part, (*here, field), indent + 2):
                    # the dash belongs to the first line that is not a comment
                    if first and not line.text.lstrip().startswith("#"):
                        line, first = _Line(f"{dash}{line.text[indent + 2 :]}", line.comment), False
                    yield line

    def _is_commented_inside(self, at: Pointer) -> bool:
        return any(p[: len(at)] == at and p != at for p in self.comments)
