"""What two protocols do differently, at the level at which a scientist speaks of one variable.

What the protocol digest covers is compared (spec/v1/seeds.md): not titles, people, numbers of
seeds, results. What follows from a difference that is already named is not named again: another
file has another number of examples, another method has other settings of its own.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from safebench.card.base import NotReported
from safebench.card.card import Card
from safebench.card.comparators import compare, is_twin
from safebench.card.differing import Both, Notes, Variable, each, is_absent
from safebench.card.digest import protocol_digest, without_reasons

SECTIONS = ("model", "data", "hyperparameters", "seeds", "prompting", "decoding", "judge", "tasks")
_TRAINING = frozenset({"data", "hyperparameters", "seeds"})


@dataclass(frozen=True)
class ProtocolDifferences:
    """What differs between two protocols."""

    variables: tuple[Variable, ...]
    """What differs."""
    unknown: tuple[Variable, ...]
    """What may differ: a side does not report it, or a run has not filled it in."""
    extent: tuple[str, ...]
    """What only says how much was measured: numbers of seeds, decodings of one side alone."""
    digests: tuple[str, str]
    """The two protocol digests."""

    def touching(
        self, conditions: set[str], decodings: set[str], judges: set[str], tasks: set[str]
    ) -> tuple[Variable, ...]:
        """Return the variables that can change scores of these conditions and names."""
        names = {"decoding": decodings, "judge": judges, "tasks": tasks}
        return tuple(v for v in self.variables if _touches(v, conditions, names))


def _touches(found: Variable, conditions: set[str], names: dict[str, set[str]]) -> bool:
    if found.section in names:
        return found.item in names[found.section]
    if found.section in _TRAINING or found.name.startswith("model.training_chat_template"):
        trained = conditions - {"base"}
        return bool(trained) and (found.item is None or found.item in trained)
    return True


def protocol_differences(a: Card, b: Card) -> ProtocolDifferences:
    """Return what two cards' protocols do differently.

    Items of lists are matched by name; judges, decodings and data sets of another name by what
    they are. What a side does not report, or a run has not filled in, cannot be told.
    """
    notes, cards = Notes(), (_plain(a), _plain(b))
    training = Both("hyperparameters", "hyperparameters", each(cards, "hyperparameters"), notes)
    methods = each(training.pair, "method")
    tuned = "none" not in methods
    if not tuned:
        for card in cards:
            card["model"].pop("training_chat_template", None)
        if None in methods:
            training.cannot_tell()
        elif methods[0] != methods[1]:
            training.under("method").differ()
    for section in SECTIONS:  # in this order: what is found in the model decides about the data
        here = Both(section, section, each(cards, section), notes)
        if (tuned or section not in _TRAINING) and here.both_reported():
            compare(here)
    counts = [_seed_count(card) for card in (a, b)]
    if counts[0] != counts[1]:
        notes.extent.append(f"training seeds: {counts[0]} in A, {counts[1]} in B")
    return ProtocolDifferences(
        variables=_in_order(notes.variables),
        unknown=_in_order(notes.unknown),
        extent=tuple(notes.extent),
        digests=(protocol_digest(a), protocol_digest(b)),
    )


def same_entry(section: str, a: Card, name_a: str, b: Card, name_b: str) -> bool:
    """Tell whether a named decoding or judge of A is that of B, whatever each is called."""
    entries = []
    for card, name in ((a, name_a), (b, name_b)):
        items = _plain(card)[section]
        found = [] if is_absent(items) else [e for e in items if e["name"] == name]
        entries.append(found[0] if found else None)
    if entries[0] is None or entries[1] is None:
        return name_a == name_b
    return is_twin(section, entries[0], entries[1])


def environment_differences(
    original: Card, rerun: Card, names: tuple[str, str] = ("the original", "the rerun")
) -> list[str]:
    """Name what differs between two environments, one line each."""
    first, second = original.environment, rerun.environment
    if first is None or isinstance(first, NotReported):
        return [f"{names[0]}'s environment is not reported"]
    if second is None or isinstance(second, NotReported):
        return [f"{names[1]}'s environment is not reported"]
    lines = []
    for name in type(first).model_fields:
        old, new = getattr(first, name), getattr(second, name)
        if isinstance(old, dict) and isinstance(new, dict):
            lines += [
                f"{library} {old.get(library, 'absent')} -> {new.get(library, 'absent')}"
                for library in sorted({*old, *new})
                if old.get(library) != new.get(library)
            ]
        elif old != new:
            lines.append(f"{name} {old} -> {new}")
    return lines


def _plain(card: Card) -> dict[str, Any]:
    """Return a card as plain data in which defaults are written out and absences have no reason."""
    found: dict[str, Any] = without_reasons(card.model_dump(mode="json", exclude_none=True))
    return found


def _in_order(found: list[Variable]) -> tuple[Variable, ...]:
    return tuple(sorted(found, key=lambda v: (SECTIONS.index(v.section), v.name)))


def _seed_count(card: Card) -> str:
    given = None if isinstance(card.seeds, NotReported) else card.seeds.training
    if isinstance(given, tuple):
        return str(len(given))
    return str(given) if isinstance(given, int) else "not reported"
