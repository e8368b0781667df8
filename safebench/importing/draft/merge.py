"""One value per field from all that is said of it, and no silent choice between two."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from safebench.errors import InteropError, visible
from safebench.importing.draft.facts import ASKED, Absent, Fact, Nothing, Place, first_words, show

BASE: Place = ("model", "base", "id")
_TIMED = re.compile(r"(results|samples_.+)_\d{4}-\d\d-\d\dT[^.]*(?:\.\d+)?(\.jsonl?)\Z")
METHOD: Place = ("hyperparameters", "method")
_TEMPLATE: Place = ("model", "chat_template")
# Of two fields, a card has one: training is counted in epochs or in steps.
_INSTEAD: dict[Place, Place] = {
    ("hyperparameters", "steps"): ("hyperparameters", "epochs"),
    ("hyperparameters", "warmup_ratio"): ("hyperparameters", "warmup_steps"),
}


@dataclass(frozen=True)
class Filled:
    """A field's value, and everything that says it."""

    value: Any
    facts: tuple[Fact, ...]

    @property
    def comment(self) -> str:
        """Where the value came from, as the draft says it."""
        keys: dict[str, list[str]] = {}
        for fact in self.facts:
            if fact.file is not None:
                keys.setdefault(short_name(fact.file), []).append(fact.key)
        text = ""
        if keys:
            name, said = next(iter(keys.items()))
            shown = first_words(dict.fromkeys(k for k in said if k), 1)
            files = len({fact.file for fact in self.facts if fact.file is not None})
            text = f"{name}: {shown}" if shown else name
            text += f" ({files} files)" if files > 1 else ""
        notes = dict.fromkeys(fact.note for fact in self.facts if fact.note)
        return "; ".join([text, *notes] if text else notes)


def short_name(file: Path) -> str:
    """Return a file's name as comments say it: lm-eval's without the time it bears."""
    return _TIMED.sub(r"\1_*\2", file.name)


def merge(facts: Iterable[Fact], remarks: list[str]) -> dict[Place, Filled]:
    """Return one value per field; what differs from it, and may, becomes a remark.

    Raises:
        InteropError: two sources state different values for one field.
    """
    slots: dict[Place, list[Fact]] = {}
    for fact in facts:
        slots.setdefault(_INSTEAD.get(fact.place, fact.place), []).append(fact)
    base = _settle(slots.pop(BASE, []), remarks)
    methods = slots.get(METHOD, [])
    if any(fact.value == "qlora" for fact in methods):
        # An adapter's own file cannot tell whether the weights below it were quantized.
        slots[METHOD] = [fact for fact in methods if fact.value != "lora"]
    filled = {BASE: base} if base else {}
    for said in slots.values():
        here = [f for f in said if base is None or f.about in (None, base.value)]
        settled = _settle(here, remarks)
        if settled is not None:
            filled[settled.facts[0].place] = settled
    source = filled.get((*_TEMPLATE, "source"))
    if source is not None and source.value == "none":
        filled.pop((*_TEMPLATE, "sha256"), None)  # of a template that was not applied
    return filled


def _settle(said: list[Fact], remarks: list[str]) -> Filled | None:
    values = [fact for fact in said if not isinstance(fact.value, Absent)]
    if not said:
        return None
    best = min(fact.rank for fact in values or said)
    chosen = [fact for fact in values or said if fact.rank == best]
    first, *others = _distinct(chosen)
    if others and not isinstance(first.value, Absent):
        if not all(fact.varies for fact in chosen):
            raise _conflict(first, others[0])
        told = "; ".join(
            f"{show(f.value)} ({where_read(f, short=True)})" for f in (first, *others[:3])
        )
        return Filled(Absent(f"it differs: {told}"), tuple(chosen))
    others = [f for f in values if f.rank != best and not _same_folder(first, f)]
    for fact in _distinct([first, *others])[1:]:
        remarks.append(
            f"{where_read(fact)} says {_name(fact)} is {show(fact.value)}; the draft has "
            f"{show(first.value)}, from {where_read(first)}"
        )
    same = [fact for fact in chosen if _same(fact) == _same(first)]
    return Filled(first.value, tuple(same))


def _same_folder(said: Fact, other: Fact) -> bool:
    """Whether a program's name of the base model is that of the folder a person says it is."""
    if said.place != BASE or said.rank != ASKED:
        return False
    return Path(str(said.value)).name == Path(str(other.value)).name


def _distinct(facts: list[Fact]) -> list[Fact]:
    found: dict[str, Fact] = {}
    for fact in facts:
        found.setdefault(_same(fact), fact)
    return list(found.values())


def _same(fact: Fact) -> str:
    """Return a text that is equal for equal values of the same field; 8 and 8.0 are equal."""
    value = fact.value
    if isinstance(value, int | float) and not isinstance(value, bool):
        return f"{fact.place} {float(value)!r}"
    if isinstance(value, Absent | Nothing):
        return f"{fact.place} {value}"
    return f"{fact.place} {json.dumps(value, sort_keys=True)}"


def _name(fact: Fact) -> str:
    return visible(".".join(part if len(part) < 40 else "..." for part in fact.place))


def where_read(fact: Fact, *, short: bool = False) -> str:
    """Return file and key of a fact, as messages name them."""
    if fact.file is None:
        return visible(fact.key)
    return visible(f"{fact.file.name if short else fact.file}: {fact.key}".removesuffix(": "))


def _conflict(one: Fact, other: Fact) -> InteropError:
    names = dict.fromkeys((_name(one), _name(other)))
    what = f"{' or '.join(names)}: two sources differ"
    told = "\n".join(f"  {where_read(f)} is {show(f.value)}" for f in (one, other))
    fix = "a card is about one recipe: give the files of one, or make a card of each"
    return InteropError(f"{what}\n{told}", fix=fix)
