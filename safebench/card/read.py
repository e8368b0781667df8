"""Reading a document that a stranger sent: bounded in size, depth and time.

No tags that construct, no aliases; scalars by the core schema of YAML 1.2. JSON is read the same
way. PyYAML only splits the text into events, in C where it can.
"""

from __future__ import annotations

import os
import re
import stat
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Literal, NoReturn

import yaml

from safebench.card.document import (
    MAX_PROBLEMS,
    Document,
    Place,
    Pointer,
    Problem,
    ReadError,
    too_many,
)
from safebench.card.scalars import NotANumberError, construct, resolve

MAX_BYTES = 4 * 1024 * 1024
MAX_DEPTH = 64
MAX_NODES = 200_000
"""Keys and values; a report of a thousand scores has half as many."""
MAX_KEYS = 5_000
"""Keys of one mapping."""
MAX_KEY = 1_024
"""Characters of a key: YAML itself permits no more in a key without `?`."""

_PLAIN = "a card is plain data"
_SMALLER = "keep outcomes and responses in Parquet files beside the card"
_CORE = "tag:yaml.org,2002:"
_CORE_TAGS = frozenset({"str", "int", "float", "bool", "null", "map", "seq"})
_LOADER: Any = getattr(yaml, "CLoader", yaml.Loader)  # only its parser is used: it makes events
_BREAKS = re.compile("([\x85\u2028\u2029])")
_SURROGATES = re.compile(r"(?<!\\)((?:\\\\)*)\\u([dD][89abAB]\w\w)\\u([dD][c-fC-F]\w\w)")


def load_document(path: Path | Literal["-"]) -> Document:
    """Read a YAML or JSON file, or standard input for `-`.

    Raises:
        ReadError: it cannot be opened, is too large, is not UTF-8, or is not one YAML document
            without aliases and tags; the message names line, column, and the remedy.
    """
    name = "<stdin>" if path == "-" else str(path)
    raw = _standard_input() if path == "-" else read_bytes(Path(path))
    return parse_document(raw, name)


def _standard_input() -> bytes:
    stream: Any = sys.stdin
    if stream is None:  # the program was started without one, whatever the types say
        raise ReadError("<stdin>", "standard input is closed", "give a path, or pipe the card in")
    raw: bytes = stream.buffer.read(MAX_BYTES + 1)
    return raw


def parse_document(raw: bytes, name: str) -> Document:
    """Return the document in some bytes; `name` is what messages call it. Raises ReadError."""
    if len(raw) > MAX_BYTES:
        most = f"{MAX_BYTES // 1024 // 1024} MiB, the most a card may have"
        raise ReadError(name, f"larger than {most}", _SMALLER)
    try:
        text = raw.decode("utf-8-sig")
    except UnicodeDecodeError as problem:
        before = raw[: problem.start].decode("utf-8", "replace").split("\n")
        found = f"byte 0x{raw[problem.start]:02x} is not UTF-8"
        at = (len(before), len(before[-1]) + 1)
        raise ReadError(name, found, "save the file in UTF-8", at=at) from problem
    if "\\ud" in text or "\\uD" in text:  # JSON writes characters beyond the BMP as two escapes
        text = _SURROGATES.sub(_join_surrogates, text)
    if _BREAKS.search(text):
        text = _escape_breaks(text, name)
    return _Builder(name, tuple(text.splitlines())).build(text)


def read_bytes(path: Path, most: int = MAX_BYTES) -> bytes:
    """Return at most one byte more than is allowed; never block on a pipe or device.

    Raises:
        ReadError: it cannot be opened or read, or is no regular file.
    """
    name = str(path)
    try:
        handle = os.open(path, os.O_RDONLY | getattr(os, "O_NONBLOCK", 0))
    except FileNotFoundError as problem:
        what = "a symbolic link to nothing" if path.is_symlink() else "no such file"
        raise ReadError(name, what, "check the path") from problem
    except (OSError, ValueError) as problem:
        cause = getattr(problem, "strerror", None) or str(problem)
        raise ReadError(name, f"cannot be opened: {cause}", "check path and permissions") from None
    try:
        mode = os.fstat(handle).st_mode
        if stat.S_ISDIR(mode):
            raise ReadError(name, "is a folder", "give the card inside it: FOLDER/card.yaml")
        if not stat.S_ISREG(mode):
            raise ReadError(name, "is not a regular file", "pipe it in and give - as the path")
        with os.fdopen(handle, "rb", closefd=False) as file:
            return file.read(most + 1)
    except OSError as problem:
        cause = problem.strerror or str(problem)
        raise ReadError(name, f"cannot be read: {cause}", "copy the file again") from problem
    finally:
        os.close(handle)


def _escape_breaks(text: str, name: str) -> str:
    """Escape the line breaks that only YAML 1.1 knows, which JSON may hold; refuse them in YAML."""
    if text.lstrip().startswith("{"):
        return _BREAKS.sub(lambda match: f"\\u{ord(match[0]):04x}", text)
    before, found, _ = _BREAKS.split(text, maxsplit=1)
    lines = before.split("\n")
    what = f"found the character U+{ord(found):04X}, which some readers take for the end of a line"
    fix = f"remove it, or write \\u{ord(found):04x} in quotes"
    raise ReadError(name, what, fix, at=(len(lines), len(lines[-1]) + 1))


def _join_surrogates(match: re.Match[str]) -> str:
    try:
        high, low = int(match[2], 16), int(match[3], 16)
    except ValueError:
        return match[0]
    return f"{match[1]}\\U{0x10000 + ((high - 0xD800) << 10) + (low - 0xDC00):08x}"


class _Builder:
    """Turns parse events into plain data without recursion."""

    def __init__(self, name: str, lines: tuple[str, ...]) -> None:
        self.name = name
        self.lines = lines
        self.values: dict[Pointer, Place] = {}
        self.keys: dict[Pointer, Place] = {}
        self.problems: list[Problem] = []
        self.root: Any = None
        self.open: list[tuple[Any, Pointer]] = []
        self.waiting: list[str | None] = []  # per open container: the key whose value comes next
        self.nodes = 0
        self.dropped: int | None = None  # level of the duplicate key whose value is let go

    def build(self, text: str) -> Document:
        documents = 0
        for event in self._events(text):
            if isinstance(event, yaml.DocumentStartEvent):
                documents += 1
                if documents > 1:
                    second = "a second document starts here; expected one"
                    self._stop(event, second, "one card per file")
            elif isinstance(event, yaml.AliasEvent):
                self._stop(
                    event, f"found the alias *{event.anchor}; {_PLAIN}", "write the value out"
                )
            elif isinstance(event, yaml.NodeEvent):
                self._node(event)
            elif isinstance(event, yaml.MappingEndEvent | yaml.SequenceEndEvent):
                self._close()
        if not documents:
            fix = "write a card, e.g. from spec/v1/examples"
            raise ReadError(self.name, "the file is empty", fix)
        return Document(
            self.root, self.name, self.lines, self.values, self.keys, tuple(self.problems)
        )

    def _events(self, text: str) -> Iterator[Any]:
        try:
            yield from yaml.parse(text, Loader=_LOADER)
        except yaml.MarkedYAMLError as problem:
            at = self._within(problem.problem_mark, problem.context_mark)
            cause = " ".join(p for p in (problem.context, problem.problem) if p)
            fix = _yaml_fix(cause, self._character(at))
            raise ReadError(self.name, f"not YAML: {cause}", fix, at=at, lines=self.lines) from None
        except yaml.YAMLError as problem:
            cause = str(problem).splitlines()[0]
            raise ReadError(self.name, f"not YAML: {cause}", "remove control characters") from None

    def _within(self, *marks: Any) -> tuple[int, int] | None:
        """Return the first place that is in the text: a parser notices some things at its end."""
        places = [(mark.line + 1, mark.column + 1) for mark in marks if mark is not None]
        end = (len(self.lines), max(1, len(self.lines[-1]))) if self.lines and places else None
        return next((place for place in places if place[0] <= len(self.lines)), end)

    def _node(self, event: Any) -> None:
        if event.anchor is not None:
            self._stop(event, f"found the anchor &{event.anchor}; {_PLAIN}", "write the value out")
        self.nodes += 1
        if self.nodes > MAX_NODES:
            self._stop(event, f"more than {MAX_NODES:,} keys and values", _SMALLER)
        if self.open and isinstance(self.open[-1][0], dict) and self.waiting[-1] is None:
            self._key(event)
            return
        pointer = self._next_pointer()
        value: Any
        if isinstance(event, yaml.ScalarEvent):
            value = self._scalar(event, pointer)
        else:
            value = {} if isinstance(event, yaml.MappingStartEvent) else []
            self._check_tag(event, "map" if isinstance(value, dict) else "seq")
        self._put(value, pointer, event)
        if not isinstance(event, yaml.ScalarEvent):
            if len(self.open) >= MAX_DEPTH:
                fix = "see spec/v1/examples: a card has few"
                self._stop(event, f"nested deeper than {MAX_DEPTH} levels", fix)
            self.open.append((value, pointer))
            self.waiting.append(None)

    def _key(self, event: Any) -> None:
        if not isinstance(event, yaml.ScalarEvent):
            self._stop(event, "found a list or mapping as a key", "write the key as a word")
        self._check_tag(event, "str")
        data, pointer = self.open[-1]
        key = event.value
        if len(key) > MAX_KEY:
            self._stop(event, f"found a key of {len(key):,} characters", "shorten it")
        if len(data) >= MAX_KEYS:
            self._stop(event, f"more than {MAX_KEYS:,} keys in one mapping", _SMALLER)
        self.waiting[-1] = key
        if key in data:
            first = self.keys.get((*pointer, key))
            line = f" (first on line {first.line})" if first else ""
            twice = f"the key {key!r} occurs twice{line}; readers differ in which one they take"
            self._complain("SB-CARD-005", (*pointer, key), event, twice, "keep one of the two")
        elif self.dropped is None:
            self.keys[*pointer, key] = _place(event)

    def _next_pointer(self) -> Pointer:
        if not self.open:
            return ()
        data, pointer = self.open[-1]
        return (*pointer, len(data) if isinstance(data, list) else self.waiting[-1] or "")

    def _put(self, value: Any, pointer: Pointer, event: Any) -> None:
        if not self.open:
            self.root = value
        else:
            data = self.open[-1][0]
            if isinstance(data, list):
                data.append(value)
            else:
                self.waiting[-1] = None
                if pointer[-1] in data:  # the first of two equal keys counts
                    if self.dropped is None and isinstance(value, dict | list):
                        self.dropped = len(self.open)
                    return
                data[pointer[-1]] = value
        if self.dropped is None:
            self.values[pointer] = _place(event)

    def _complain(self, rule: str, pointer: Pointer, event: Any, message: str, fix: str) -> None:
        place = _place(event)
        if len(self.problems) < MAX_PROBLEMS:
            self.problems.append(Problem(rule, "error", pointer, place, message, fix))
        elif len(self.problems) == MAX_PROBLEMS:
            self.problems.append(too_many(place))

    def _close(self) -> None:
        self.open.pop()
        self.waiting.pop()
        if self.dropped == len(self.open):
            self.dropped = None

    def _scalar(self, event: Any, pointer: Pointer) -> Any:
        try:
            if event.tag == "!":
                return event.value
            if event.tag is None:
                return resolve(event.value) if event.implicit[0] else event.value
            return construct(event.value, self._core_tag(event))
        except NotANumberError as problem:
            fix = "give a finite number, or {not_reported: why}"
            self._complain("SB-CARD-006", pointer, event, str(problem), fix)
            return None
        except ValueError as problem:
            self._stop(event, str(problem), "remove the tag")

    def _check_tag(self, event: Any, expected: str) -> None:
        if event.tag not in (None, "!") and self._core_tag(event) != expected:
            self._stop(event, f"found the tag {event.tag}; {_PLAIN}", "remove the tag")

    def _core_tag(self, event: Any) -> str:
        tag = str(event.tag).removeprefix(_CORE)
        if tag not in _CORE_TAGS:
            self._stop(event, f"found the tag {event.tag}; {_PLAIN}", "remove the tag")
        return tag

    def _character(self, at: tuple[int, int] | None) -> str:
        if at is None or at[0] > len(self.lines):
            return ""
        return self.lines[at[0] - 1][at[1] - 1 : at[1]]

    def _stop(self, event: Any, found: str, fix: str) -> NoReturn:
        at = (event.start_mark.line + 1, event.start_mark.column + 1)
        raise ReadError(self.name, found, fix, at=at, lines=self.lines)


def _place(event: Any) -> Place:
    start, end = event.start_mark, event.end_mark
    return Place(start.line + 1, start.column + 1, end.line + 1, end.column + 1)


def _yaml_fix(cause: str, character: str) -> str:
    if character == "\t":
        return "indent with spaces, not tabs"
    if character and character in "@`%":
        return f"quote a text that starts with {character}"
    if "mapping values are not allowed" in cause:
        return "quote a text that holds `: `, and check the indentation"
    return "check quotes, brackets and indentation on this line and the one before"
