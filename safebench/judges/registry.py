"""The kinds of judge that are executed, by name; a new kind is one file and one line here."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Final, get_args

import numpy as np

from safebench.card.judge import Judge as JudgeEntry
from safebench.errors import CardError, JudgeError
from safebench.evidence.tables import Unread
from safebench.judges.classifier import CLASSIFIER
from safebench.judges.ensemble import ENSEMBLE
from safebench.judges.human import HUMAN
from safebench.judges.interface import (
    DEFAULT_CONSTRUCTS,
    Exchange,
    Judge,
    Kind,
    Missing,
    Setting,
    Text,
)
from safebench.judges.llm import LLM
from safebench.judges.moderation import MODERATION
from safebench.judges.rule import RULE
from safebench.progress import Progress, Silent

KINDS: Final[dict[str, Kind]] = {
    kind.name: kind for kind in (RULE, CLASSIFIER, LLM, MODERATION, HUMAN, ENSEMBLE)
}


def kind_of(entry: JudgeEntry, place: str) -> Kind:
    """Return the kind of a judge; `place` names it in the error.

    Raises:
        CardError: this version does not execute judges of its kind.
    """
    try:
        return KINDS[entry.kind]
    except KeyError:
        raise CardError(
            f"{place}.kind is `{entry.kind}`; this version runs {', '.join(KINDS)}",
            fix="judge with one of these kinds, or judge the responses elsewhere",
        ) from None


def check_entry(entry: JudgeEntry, place: str, judges: Sequence[JudgeEntry]) -> None:
    """Check that a judge decides only what its kind can, and whatever else its kind checks.

    Raises:
        CardError: names the place, what stands there, and what could.
    """
    kind = kind_of(entry, place)
    decided = entry.constructs
    if decided is None and kind.constructs != DEFAULT_CONSTRUCTS:
        found = "is missing"
    else:
        found = next((f"lists {c}" for c in decided or () if c not in kind.constructs), "")
    if found:
        raise CardError(
            f"{place}.constructs {found}; a judge of kind `{kind.name}` can decide "
            f"{', '.join(kind.constructs)}",
            fix="list those of them that it decides, or use a judge of another kind",
        )
    kind.check_entry(entry, place, judges)


def check_judges(entries: Sequence[JudgeEntry], folder: Path) -> None:
    """Check that the weights of a card's judges are there and as pinned; nothing is loaded.

    Raises:
        CardError, JudgeError, ModelError: as `open_judges`.
    """
    for entry in entries:
        kind_of(entry, f"judge {entry.name}").check_present(entry, folder)


def missing(entries: Sequence[JudgeEntry], folder: Path) -> list[Missing]:
    """Return what the judges of a card need and this machine lacks; nothing is loaded or asked."""
    found: list[Missing] = []
    for entry in entries:
        kind = kind_of(entry, f"judge {entry.name}")
        found += kind.missing(entry, folder)
        keys = (key for key in kind.keys if not os.environ.get(key))
        found += [Missing("key", f"{key} of judge {entry.name}", f"set {key}") for key in keys]
    return found


def check_keys(entries: Sequence[JudgeEntry]) -> None:
    """Check that the environment holds the keys that a card's judges need; raises JudgeError."""
    for entry in entries:
        for key in kind_of(entry, f"judge {entry.name}").keys:
            if not os.environ.get(key):
                raise JudgeError(
                    f"judge {entry.name} needs a key, and {key} is not set",
                    fix=f"set {key}, or use a judge of another kind",
                )


_PLANTED: Final = tuple(
    Text("planted", f"planted-{number}", Exchange("How do I boil an egg?", response), None)
    for number, response in enumerate(
        (
            "Put it into boiling water for eight minutes, then cool it under the tap.",
            "I'm sorry, but I cannot help with that.",
        )
    )
)
"""What every judge is asked before anything is spent; one of the two has to be readable."""


class _Planted(Silent):
    """Says what planted responses cost; they are no step of a run."""

    def __init__(self, progress: Progress) -> None:
        self._progress = progress

    def say(self, text: str) -> None:
        self._progress.say(f"tried first: {text}")


def try_judges(
    entries: Sequence[JudgeEntry],
    folder: Path,
    device: str = "cpu",
    progress: Progress | None = None,
) -> None:
    """Open every judge of a card, ask it about two planted responses, and close it again.

    One at a time, so that never more than one holds memory. An ensemble is not asked, since its
    members are; of people, the labels are read.

    Raises:
        CardError, JudgeError, ModelError: as `open_judges`, and where neither output can be read.
    """
    check_keys(entries)
    setting, recorder = Setting(folder, device), _Planted(progress or Silent())
    for entry in entries:
        kind = kind_of(entry, f"judge {entry.name}")
        if kind.combines:
            continue
        judge = kind.open(entry, setting)
        if kind.asks_people:
            continue  # opened, so that its labels are read; of planted responses it has none
        judge.begin(_PLANTED, np.ones(len(_PLANTED), dtype=np.int64), recorder, None)
        for construct in kind.constructs:
            if construct == "capability" or not judge.decides(construct):
                continue
            found = judge.decide(construct, range(len(_PLANTED)))
            if all(one.verdict in get_args(Unread) for one in found):
                raise JudgeError(
                    f"judge {entry.name} gave no verdict on {construct} for two planted "
                    f"responses; {found[0].reason}",
                    fix="correct its template, parser or labels: nothing was spent",
                )
        judge.close()


def open_judges(
    entries: Sequence[JudgeEntry], folder: Path, device: str = "cpu"
) -> dict[str, Judge]:
    """Open the judges of a card; return them by name, in the card's order.

    Weights are loaded once each. `folder` is where the card lies, `device` where weights compute.

    Raises:
        CardError, JudgeError, ModelError: a judge cannot be used as it stands.
    """
    check_keys(entries)
    setting = Setting(folder, device)
    kinds = [(entry, kind_of(entry, f"judge {entry.name}")) for entry in entries]
    opened = {e.name: kind.open(e, setting) for e, kind in kinds if not kind.combines}
    setting = replace(setting, opened=dict(opened))
    opened |= {e.name: kind.open(e, setting) for e, kind in kinds if kind.combines}
    return {entry.name: opened[entry.name] for entry in entries}
