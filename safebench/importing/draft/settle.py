"""One value per field from all facts about it, never a silent choice between two."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from safebench.errors import InteropError, visible
from safebench.importing.facts import (
    BY_PERSON,
    Absent,
    Fact,
    Nothing,
    Place,
    first_words,
    short_name,
    show,
    where_read,
)

BASE: Place = ("model", "base", "id")
METHOD: Place = ("hyperparameters", "method")
_TEMPLATE: Place = ("model", "chat_template")
_ALTERNATIVES: dict[Place, Place] = {
    ("hyperparameters", "steps"): ("hyperparameters", "epochs"),
    ("hyperparameters", "warmup_ratio"): ("hyperparameters", "warmup_steps"),
}
"""A card has only one of two such fields: training is counted in epochs or in steps."""


@dataclass(frozen=True)
class FieldValue:
    """A field's value, and the facts that it comes from."""

    value: Any
    facts: tuple[Fact, ...]

    @property
    def comment(self) -> str:
        """Where the value came from, as the draft comments on it."""
        keys: dict[str, list[str]] = {}
        for fact in self.facts:
            if fact.file is not None:
                keys.setdefault(short_name(fact.file), []).append(fact.key)
        text = ""
        if keys:
            name, of_file = next(iter(keys.items()))
            shown = first_words(dict.fromkeys(key for key in of_file if key), 1)
            files = len({fact.file for fact in self.facts if fact.file is not None})
            text = f"{name}: {shown}" if shown else name
            text += f" ({files} files)" if files > 1 else ""
        notes = dict.fromkeys(fact.note for fact in self.facts if fact.note)
        return "; ".join([text, *notes] if text else notes)


def settle(facts: Iterable[Fact], remarks: list[str]) -> dict[Place, FieldValue]:
    """Return one value per field; a different value from a weaker source becomes a remark.

    Raises:
        InteropError: two sources of the same rank give one field different values.
    """
    slots: dict[Place, list[Fact]] = {}
    for fact in facts:
        slots.setdefault(_ALTERNATIVES.get(fact.place, fact.place), []).append(fact)
    base = _settled(slots.pop(BASE, []), remarks)
    methods = slots.get(METHOD, [])
    if any(fact.value == "qlora" for fact in methods):
        # An adapter's own file cannot tell whether the weights below it were quantized.
        slots[METHOD] = [fact for fact in methods if fact.value != "lora"]
    filled = {BASE: base} if base else {}
    for all_ in slots.values():
        of_base = [f for f in all_ if base is None or f.about in (None, base.value)]
        settled = _settled(of_base, remarks)
        if settled is not None:
            filled[settled.facts[0].place] = settled
    source = filled.get((*_TEMPLATE, "source"))
    if source is not None and source.value == "none":
        filled.pop((*_TEMPLATE, "sha256"), None)  # that template was not applied
    return filled


def _settled(facts: list[Fact], remarks: list[str]) -> FieldValue | None:
    if not facts:
        return None
    values = [fact for fact in facts if not isinstance(fact.value, Absent)]
    best = min(fact.rank for fact in values or facts)
    chosen = [fact for fact in values or facts if fact.rank == best]
    first, *others = _distinct(chosen)
    if others and not isinstance(first.value, Absent):
        if not all(fact.varies for fact in chosen):
            raise _conflict(first, others[0])
        shown = (first, *others[:3])
        listed = "; ".join(f"{show(f.value)} ({where_read(f, short=True)})" for f in shown)
        return FieldValue(Absent(f"it differs: {listed}"), tuple(chosen))
    others = [f for f in values if f.rank != best and not _same_folder(first, f)]
    for fact in _distinct([first, *others])[1:]:
        remarks.append(
            f"{where_read(fact)} says {_name(fact)} is {show(fact.value)}; the draft has "
            f"{show(first.value)}, from {where_read(first)}"
        )
    return FieldValue(first.value, tuple(f for f in chosen if _key(f) == _key(first)))


def _same_folder(first: Fact, other: Fact) -> bool:
    """Whether a program calls the base model by the name of the folder that a person gave."""
    if first.place != BASE or first.rank != BY_PERSON:
        return False
    return Path(str(first.value)).name == Path(str(other.value)).name


def _distinct(facts: list[Fact]) -> list[Fact]:
    found: dict[str, Fact] = {}
    for fact in facts:
        found.setdefault(_key(fact), fact)
    return list(found.values())


def _key(fact: Fact) -> str:
    """Return a text that is equal for equal values of the same field; 8 and 8.0 are equal."""
    value = fact.value
    if isinstance(value, int | float) and not isinstance(value, bool):
        return f"{fact.place} {float(value)!r}"
    if isinstance(value, Absent | Nothing):
        return f"{fact.place} {value}"
    return f"{fact.place} {json.dumps(value, sort_keys=True)}"


def _name(fact: Fact) -> str:
    return visible(".".join(part if len(part) < 40 else "..." for part in fact.place))


def _conflict(one: Fact, other: Fact) -> InteropError:
    names = dict.fromkeys((_name(one), _name(other)))
    what = f"{' or '.join(names)}: two sources differ"
    lines = "\n".join(f"  {where_read(f)} is {show(f.value)}" for f in (one, other))
    fix = "a card is about one recipe: give the files of one, or make a card for each"
    return InteropError(f"{what}\n{lines}", fix=fix)
