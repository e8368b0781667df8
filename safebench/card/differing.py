"""One place in two cards side by side: alike, different, or not to be told."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from typing import Any

from safebench.errors import visible

Pair = tuple[Any, Any]
"""The values of A and B, as plain data; None where a side has none."""

_PRIVATE = frozenset({"system_prompt", "prefill"})
_CUT = 40


@dataclass(frozen=True)
class Variable:
    """One thing that two protocols do differently, or where it cannot be told."""

    name: str
    """Where it stands in the cards, lists by the names of their items."""
    a: str
    """The value in A, or that there is none, in words."""
    b: str
    """The value in B."""
    section: str
    """Section of the card."""
    item: str | None = None
    """Name of the decoding, judge or task; role of the data set."""

    def __str__(self) -> str:
        return f"{self.name} {self.a} -> {self.b}"


@dataclass
class Notes:
    """What was found so far."""

    variables: list[Variable] = field(default_factory=list)
    unknown: list[Variable] = field(default_factory=list)
    extent: list[str] = field(default_factory=list)


@dataclass(frozen=True)
class Both:
    """Both cards at one place."""

    name: str
    """As messages write it: `decoding.t07.temperature`."""
    path: str
    """As comparators are looked up: `decoding[].temperature`."""
    pair: Pair
    notes: Notes
    item: str | None = None
    """Name of the decoding, judge or task; role of the data set."""

    @property
    def section(self) -> str:
        """Section of the card."""
        return self.path.partition(".")[0].removesuffix("[]")

    def under(self, key: str, pair: Pair | None = None) -> Both:
        """Return the place of a field, with its own values or with the pair that is given."""
        pair = each(self.pair, key) if pair is None else pair
        return replace(self, name=f"{self.name}.{key}", path=f"{self.path}.{key}", pair=pair)

    def instead(self, a: Any, b: Any) -> Both:
        """Return the same place with other values, such as a summary of both."""
        return replace(self, pair=(a, b))

    def differ(self) -> None:
        """Note that the values differ."""
        self.notes.variables.append(self._variable())

    def cannot_tell(self) -> None:
        """Note that the values may differ."""
        self.notes.unknown.append(self._variable())

    def both_reported(self) -> bool:
        """Tell whether both sides have a value, and note where one has not."""
        absent = any(map(is_absent, self.pair))
        if absent:
            self.cannot_tell()
        return not absent

    def _variable(self) -> Variable:
        a, b = (in_words(self.name, value) for value in self.pair)
        return Variable(self.name, a, b, self.section, self.item)


def each(pair: Pair, key: str) -> Pair:
    """Return the values of a key on both sides."""
    return pair[0].get(key), pair[1].get(key)


def are_texts(pair: Pair) -> bool:
    """Tell whether both sides give a text: a digest, a revision, a version."""
    return isinstance(pair[0], str) and isinstance(pair[1], str)


def is_unknown(value: Any) -> bool:
    """Tell whether a value is one of the standard's absences with a reason."""
    return isinstance(value, dict) and ("not_reported" in value or "unpinnable" in value)


def is_absent(value: Any) -> bool:
    """Tell whether a value is not there, with or without a reason."""
    return value is None or is_unknown(value)


def only(value: dict[str, Any], names: Iterable[str]) -> dict[str, Any]:
    """Return some of a mapping's fields."""
    return {name: value[name] for name in names if name in value}


def label_of(entry: dict[str, Any]) -> str:
    """Return id and revision of a model or judge in a few words."""
    parts = [entry.get("provider"), entry.get("id"), entry.get("snapshot") or entry.get("revision")]
    words = [in_words("revision", part) for part in parts if isinstance(part, str)]
    return " ".join(words) or "not reported"


def in_words(name: str, value: object) -> str:
    """Return a value as a few words that say enough to tell it from another."""
    if value is None:
        return "absent"
    if isinstance(value, dict):
        if is_unknown(value):
            return "not reported" if "not_reported" in value else "cannot be pinned"
        return ", ".join(f"{key} {in_words(key, part)}" for key, part in value.items())
    if isinstance(value, list):
        return f"[{', '.join(in_words('', item) for item in value)}]"
    if isinstance(value, str):
        return _text_in_words(name.rpartition(".")[2], value)
    if isinstance(value, bool):
        return str(value).lower()
    return f"{value:g}" if isinstance(value, float) else str(value)


def _text_in_words(field_name: str, value: str) -> str:
    digest = hashlib.sha256(value.encode()).hexdigest()[:8]
    if field_name in _PRIVATE:
        return f"a text of {len(value)} characters (sha256 {digest}…)"
    if field_name.endswith("sha256"):
        return f"sha256 {value[:8]}…"
    if field_name == "revision" and len(value) > 24:
        return f"{value[: 15 if value.startswith('sha256:') else 8]}…"
    text = visible(value)
    return text if len(text) <= _CUT else f"{text[: _CUT - 12]}… (sha256 {digest}…)"
