"""Two values of a card side by side: alike, different, or not to be told."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

from safebench.errors import visible

Pair = tuple[Any, Any]
"""What A and B say, as plain data; None where a side says nothing."""

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

    def differ(self, name: str, pair: Pair, section: str, item: str | None = None) -> None:
        """Note that two values differ."""
        a, b = (in_words(name, value) for value in pair)
        self.variables.append(Variable(name, a, b, section, item))

    def cannot_tell(self, name: str, pair: Pair, section: str, item: str | None = None) -> None:
        """Note that two values may differ."""
        a, b = (in_words(name, value) for value in pair)
        self.unknown.append(Variable(name, a, b, section, item))


def each(pair: Pair, key: str) -> Pair:
    """Return what stands under a key on both sides."""
    return pair[0].get(key), pair[1].get(key)


def either_key(pair: Pair) -> list[str]:
    """Return the keys that a side has, in their order."""
    return list(dict.fromkeys([*pair[0], *pair[1]]))


def walk(name: str, pair: Pair, notes: Notes, section: str, item: str | None = None) -> None:
    """Compare two values field by field, down to what is not a mapping."""
    if is_unknown(pair[0]) or is_unknown(pair[1]):
        notes.cannot_tell(name, pair, section, item)
    elif isinstance(pair[0], dict) and isinstance(pair[1], dict):
        for key in either_key(pair):
            walk(f"{name}.{key}", each(pair, key), notes, section, item)
    elif pair[0] != pair[1]:
        notes.differ(name, pair, section, item)


def compare_identity(
    name: str, pair: Pair, notes: Notes, section: str, item: str | None = None
) -> bool:
    """Compare two things with id and revision; return whether they go by different names."""
    ids, revisions = each(pair, "id"), each(pair, "revision")
    pinned = all(isinstance(revision, str) for revision in revisions)
    if pinned and revisions[0] == revisions[1] and revisions[0].startswith("sha256:"):
        return False  # the same bytes, wherever they lay
    unnamed = is_absent(ids[0]) or is_absent(ids[1])
    providers = each(pair, "provider")
    if providers[0] != providers[1] or (not unnamed and ids[0] != ids[1]):
        notes.differ(name, (label_of(pair[0]), label_of(pair[1])), section, item)
        return True
    if unnamed:
        notes.cannot_tell(f"{name}.id", ids, section, item)
    if not pinned or len({str(r).startswith("sha256:") for r in revisions}) > 1:
        notes.cannot_tell(f"{name}.revision", revisions, section, item)
    elif revisions[0] != revisions[1]:
        notes.differ(f"{name}.revision", revisions, section, item)
    return False


def both_given(name: str, pair: Pair, notes: Notes, section: str) -> bool:
    """Tell whether a section is reported on both sides, and note where it is not."""
    if is_absent(pair[0]) or is_absent(pair[1]):
        notes.cannot_tell(name, pair, section)
        return False
    return True


def both_texts(pair: Pair) -> bool:
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
