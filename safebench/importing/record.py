"""A JSON or YAML file of another program, whose values are read by type."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

from safebench.card.document import ReadError
from safebench.card.read import MAX_BYTES, load_document, read_bytes
from safebench.errors import InteropError, visible
from safebench.importing.facts import Fact, Place, file_error, show
from safebench.rows import check_data, parse_json

MOST_BYTES = 16 * MAX_BYTES
"""The log of a long training is larger than a card, but not as large as this."""
_AS_WRITTEN = "give the file as the program wrote it"
_UNKNOWN = ("", "N/A")  # what lm-eval writes for what it could not find out
_T = TypeVar("_T")


@dataclass(frozen=True)
class Record:
    """A mapping in a file. A value of an impossible type is an error; null counts as absent."""

    file: Path
    data: dict[str, Any] = field(repr=False)
    inside: str = ""
    """Key of this mapping, from the top of the file."""

    def key(self, name: str) -> str:
        """Return a key as messages name it, from the top of the file."""
        return visible(f"{self.inside}.{name}" if self.inside else name)

    def text(self, name: str) -> str | None:
        """Return a text; None when absent."""
        return self._typed(name, str, "a text")

    def flag(self, name: str) -> bool | None:
        """Return true or false; None when absent."""
        return self._typed(name, bool, "true or false")

    def number(self, name: str, expected: str = "a finite number") -> float | None:
        """Return a finite number; None when absent."""
        value = self._present(name)
        if value is not None and not _is_number(value):
            raise self.wrong(name, value, expected)
        return value  # type: ignore[no-any-return]  # _is_number has looked

    def whole(self, name: str) -> int | None:
        """Return a whole number, also one written as 8.0; None when absent."""
        value = self.number(name, "a whole number")
        if value is not None and value != int(value):
            raise self.wrong(name, value, "a whole number")
        return None if value is None else int(value)

    def mapping(self, name: str) -> Record | None:
        """Return a mapping inside; None when absent."""
        value = self._typed(name, dict, "a mapping")
        return None if value is None else Record(self.file, value, self.key(name))

    def at(self, *names: str) -> Record:
        """Return the mapping below some keys; an empty one where it is absent."""
        found = self
        for name in names:
            found = found.mapping(name) or Record(self.file, {}, found.key(name))
        return found

    def items(self, name: str) -> list[Any] | None:
        """Return a list; None when absent."""
        return self._typed(name, list, "a list")

    def texts(self, name: str) -> list[str] | None:
        """Return a list of texts, also where a single text stands; None when absent."""
        value = self.data.get(name)
        found = [value] if isinstance(value, str) else self.items(name)
        for item in found or ():
            if not isinstance(item, str):
                raise self.wrong(name, item, "a text")
        return found

    def arguments(self, name: str) -> dict[str, Any]:
        """Return arguments: a mapping, or a text such as `pretrained=a,dtype=b`."""
        value = self.data.get(name)
        if isinstance(value, dict):
            return value
        pairs = (part.partition("=") for part in (self.text(name) or "").split(","))
        return {key.strip(): text.strip() for key, sign, text in pairs if sign}

    def fact(self, place: Place, name: str, value: Any, **more: Any) -> Fact:
        """Return a fact that was read at a key."""
        return Fact(place, value, self.file, self.key(name), **more)

    def facts(
        self, place: Place, fields: Mapping[str, tuple[str, Read]], **more: Any
    ) -> Iterator[Fact]:
        """Yield a fact for each field whose key has a value.

        `fields` has, by field of the section at `place` (dots lead further down), the key and how
        its value is read.
        """
        for field_, (key, read) in fields.items():
            value = read(self, key)
            if value is not None:
                yield self.fact((*place, *field_.split(".")), key, value, **more)

    def wrong(self, name: str, value: Any, expected: str) -> InteropError:
        """Return the error for a value of the wrong type."""
        what = f"`{self.key(name)}` is {show(value)}, expected {expected}"
        return file_error(self.file, what, _AS_WRITTEN)

    def _present(self, name: str) -> Any:
        value = self.data.get(name)
        return None if isinstance(value, str) and value in _UNKNOWN else value

    def _typed(self, name: str, kind: type[_T], expected: str) -> _T | None:
        value = self._present(name)
        if value is None or isinstance(value, kind):
            return value
        raise self.wrong(name, value, expected)


Read = Callable[[Record, str], Any]
"""How a value is read: a method of `Record`, and the key."""


def read_record(file: Path) -> Record:
    """Return the mapping in a JSON or YAML file.

    Raises:
        InteropError: it cannot be read, is too large, or holds something else.
    """
    try:
        if file.suffix in (".yaml", ".yml"):
            return _mapping(load_document(file).data, file)
        raw = read_bytes(file, MOST_BYTES)
    except ReadError as problem:
        raise InteropError(visible(str(problem)), fix=problem.fix) from problem
    if len(raw) > MOST_BYTES:
        raise _damaged(file, f"it is larger than {MOST_BYTES // 1024 // 1024} MiB")
    return parse_record(raw, file)


def parse_record(raw: bytes, file: Path) -> Record:
    """Return the mapping in the bytes of a JSON file, or of a line of one. Raises InteropError."""
    try:
        data = parse_json(raw)
    except ValueError as problem:
        raise _damaged(file, str(problem)) from None
    return _mapping(data, file)


def _mapping(data: Any, file: Path) -> Record:
    if not isinstance(data, dict):
        raise _damaged(file, f"it holds {show(data)}, expected a mapping")
    try:
        check_data(data)
    except ValueError as problem:
        raise _damaged(file, str(problem)) from None
    return Record(file, data)


def _damaged(file: Path, why: str) -> InteropError:
    fix = f"{_AS_WRITTEN}, or leave it out"
    return InteropError(visible(f"{file} cannot be used: {why}"), fix=fix)


def _is_number(value: Any) -> bool:
    if isinstance(value, bool) or not isinstance(value, int | float):
        return False
    try:
        return math.isfinite(value)
    except OverflowError:  # an integer beyond every float
        return False


def plain(value: Any) -> Any:
    """Return a value as data that any JSON file can hold: NaN becomes a text."""
    if value is None or isinstance(value, bool | int | str):
        return value
    if isinstance(value, float):
        return value if math.isfinite(value) else str(value)
    if isinstance(value, dict):
        return {str(key): plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [plain(item) for item in value]
    return str(value)
