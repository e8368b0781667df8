"""A YAML or JSON document as plain data, with the place of every node."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal, NamedTuple

from safebench.errors import CardError

Pointer = tuple[str | int, ...]
Moves = Mapping[Pointer, Pointer]
"""Where parts of a document stand now, and where each stood before."""

MAX_PROBLEMS = 1_000
"""Problems of structure that are listed: a file of 4 MiB can have a million."""
TOO_MANY = "SB-READ-001"
_MOST_QUOTED = 400


class Place(NamedTuple):  # one per node: a tuple takes half the time and memory of a dataclass
    """Where a node starts and ends; lines and columns from 1, the end column is exclusive."""

    line: int
    column: int
    end_line: int
    end_column: int


@dataclass(frozen=True)
class Edit:
    """One operation of RFC 6902 on a document."""

    op: Literal["add", "replace", "remove", "move"]
    path: Pointer
    value: Any = None
    """What is added, or replaces what is there."""
    source: Pointer = ()
    """Of a move: where it comes from."""

    def as_json(self) -> dict[str, Any]:
        """Return the operation as RFC 6902 writes it."""
        found: dict[str, Any] = {"op": self.op, "path": json_pointer(self.path)}
        if self.op == "move":
            found["from"] = json_pointer(self.source)
        elif self.op != "remove":
            found["value"] = self.value
        return found


Patch = tuple[Edit, ...]
"""A remedy that a program can apply: only where there is one, and it changes no meaning."""


@dataclass(frozen=True)
class Problem:
    """Something wrong with the structure of a document, at a place."""

    rule: str
    severity: Literal["error", "warning", "note"]
    pointer: Pointer
    place: Place
    message: str
    fix: str
    unknown: Literal["field", "word"] | None = None
    """Set when the standard does not know it here, so that a newer minor version may."""
    absence: Pointer | None = None
    """The nearest field around it, or itself, that may be `not_reported`."""
    patch: Patch = ()
    """The remedy as a program applies it; empty where a person has to decide."""


def too_many(place: Place) -> Problem:
    """Return the problem that stands for all that are not listed."""
    message = f"more than {MAX_PROBLEMS:,} problems of structure: the others are not listed"
    return Problem(TOO_MANY, "error", (), place, message, "put these right, and validate again")


class ReadError(CardError):
    """A document that cannot be read or parsed; nothing else can be said about it.

    What it quotes is cut: a tag may be as long as the file.
    """

    def __init__(
        self,
        path: str,
        found: str,
        fix: str,
        *,
        at: tuple[int, int] | None = None,
        lines: tuple[str, ...] = (),
    ) -> None:
        if len(found) > _MOST_QUOTED:
            found = f"{found[:_MOST_QUOTED]}..."
        where = f"{path}:{at[0]}:{at[1]}" if at else path
        super().__init__(f"{where}: {found}", fix=fix)
        self.path = path
        self.found = found
        self.at = at
        self.lines = lines


@dataclass(frozen=True)
class Document:
    """Plain data and where each part of it was written."""

    data: Any
    path: str
    lines: tuple[str, ...]
    values: dict[Pointer, Place]
    keys: dict[Pointer, Place]
    problems: tuple[Problem, ...] = ()
    moves: tuple[Moves, ...] = ()
    """What each migration moved, in their order; places are those of the text all the same."""

    def written(self, pointer: Pointer) -> Pointer:
        """Return where in the text stands what a pointer into the data leads to."""
        for moves in reversed(self.moves):
            pointer = followed(pointer, moves)
        return pointer

    def place(self, pointer: Pointer) -> Place:
        """Return what to underline: a scalar itself, the key of a mapping or list.

        For what is not in the text, that is the nearest part around it that is.
        """
        while pointer and pointer not in self.values:
            pointer = pointer[:-1]
        value: Any = self.data
        for part in pointer:
            value = value[part]  # a place is kept only for what is in the data
        place = self.values[pointer]
        return self.keys.get(pointer, place) if isinstance(value, dict | list) else place


def as_pointer(pointer: str) -> Pointer:
    """Return a JSON pointer (RFC 6901) as a tuple; whole numbers become list positions."""
    parts = (p.replace("~1", "/").replace("~0", "~") for p in pointer.split("/")[1:])
    return tuple(int(p) if p.isdecimal() else p for p in parts)


def json_pointer(pointer: Pointer) -> str:
    """Return a pointer as RFC 6901 writes it."""
    return "".join(f"/{str(p).replace('~', '~0').replace('/', '~1')}" for p in pointer)


def dotted(pointer: Pointer) -> str:
    """Return a pointer as people write it: `decoding[1].temperature`."""
    text = ""
    for part in pointer:
        text += f"[{part}]" if isinstance(part, int) else f".{part}" if text else part
    return text


def followed(pointer: Pointer, moves: Moves) -> Pointer:
    """Return where a pointer leads when the longest part of it that was moved is put back."""
    for length in range(len(pointer), 0, -1):
        if pointer[:length] in moves:
            return (*moves[pointer[:length]], *pointer[length:])
    return pointer
