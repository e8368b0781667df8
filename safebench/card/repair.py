"""What can be made of a card in which something is missing, wrong, or from after this program.

A field that is missing or wrong where it may be `not_reported` is held as that, and a field that is
not known is passed over, so that one mistake does not hide the others. In a card of a newer minor
version, a field that is not known is passed over; a word that is not known leaves the field around
it unread, which is held as `not_reported` too: rules and levels know what to do about absence, and
nothing is taken for granted that nobody here can check.
"""

from __future__ import annotations

import copy
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from safebench.card.card import SPEC
from safebench.card.document import Pointer, Problem, dotted
from safebench.card.explain import NOT_GIVEN, UNKNOWN, show
from safebench.card.locate import get
from safebench.card.versions import NEWER

WRONG = "wrong in the card"
"""Reason of an absence that stands for a value which the models refused."""


def forgiven(problems: Sequence[Problem], data: Any) -> list[Problem]:
    """Return the problems of a card of a newer minor version: what may be new is a warning."""
    return [_new(p, data) if p.unknown is not None else p for p in problems]


def repair(data: Any, problems: Sequence[Problem]) -> Any:
    """Return a copy of a card's data without what some problems are about.

    Those that cannot be mended are left, for the models to refuse.
    """
    repaired = copy.deepcopy(data)
    absences: dict[Pointer, str] = {}
    for problem in problems:
        if problem.rule == NOT_GIVEN:
            absences[problem.pointer] = "missing from the card"
        elif problem.unknown == "field" and problem.rule in (NEWER, UNKNOWN):
            del get(repaired, problem.pointer[:-1])[problem.pointer[-1]]
        elif problem.severity == "error" and problem.absence is not None:
            absences[problem.absence] = WRONG
        elif problem.rule == NEWER and problem.absence is not None:
            word = show(get(data, problem.pointer))
            absences[problem.absence] = f"{SPEC} does not know {word}"
    for pointer, reason in absences.items():
        if not any(pointer[:length] in absences for length in range(len(pointer))):
            get(repaired, pointer[:-1])[pointer[-1]] = {"not_reported": reason}
    return repaired


def _new(problem: Problem, data: Any) -> Problem:
    if problem.unknown == "field":
        message = f"{problem.message} in {SPEC}: it is not checked"
    else:
        what = f"{dotted(problem.absence)} is" if problem.absence else "what rests on it is"
        word = show(get(data, problem.pointer))
        message = f"{SPEC} does not know {word} here: {what} not checked"
    return replace(problem, rule=NEWER, severity="warning", message=message, fix="update safebench")
