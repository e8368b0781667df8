"""Cards in and out of files: the one door between YAML or JSON and the models."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Literal

from pydantic import ValidationError

from safebench.card.card import Card
from safebench.card.completeness import with_absences
from safebench.card.conventions import in_full
from safebench.card.document import Document, Problem, dotted
from safebench.card.problems import (
    LARGE,
    NOT_GIVEN,
    as_new,
    cut,
    explain,
    left_out,
    repair,
)
from safebench.card.read import load_document, parse_document
from safebench.card.versions import CURRENT, OTHER_MAJOR, Version, identify, migrate, newer
from safebench.card.write import card_text, dump_card
from safebench.errors import CardError, VersionError


def load_card(path: Path | Literal["-"]) -> Card:
    """Read a card that follows the standard in every field that it gives.

    A field that is left out and may be `not_reported` is, as for `safebench validate`.

    Raises:
        CardError: it cannot be read, or something in it is wrong or missing; every problem is
            listed with file, line and column. A VersionError where it follows a major version
            that cannot be read here.
    """
    document = load_document(path)
    card, problems = parse_card(document)
    errors = [p for p in problems if p.severity == "error" and p.rule != NOT_GIVEN]
    if card is None and not errors:  # it is newer, and what is not known cannot be left out
        errors = problems
    if card is None or errors:
        lines = "\n".join(f"  {_line(document, problem)}" for problem in errors)
        count = "1 problem" if len(errors) == 1 else f"{len(errors)} problems"
        other = any(problem.rule == OTHER_MAJOR for problem in errors)
        raise (VersionError if other else CardError)(
            f"{document.path}: {count} in the card\n{lines}",
            fix=f"safebench validate {document.path} shows each of them at its place",
        )
    return card


def parse_card(document: Document) -> tuple[Card | None, list[Problem]]:
    """Build a card from plain data, collecting everything that is wrong with its structure.

    Data of an older version is migrated first. A field that is missing or wrong is held as
    `not_reported` where the standard allows that, so that everything else can be checked; what a
    short plan leaves out is filled in, and no default speaks for somebody else's work. Where
    nothing around a problem may be absent, the card is None. The document is never changed, and
    problems are at their places in it.
    """
    migrated = migrate(document)
    if isinstance(migrated, Problem):
        return None, [*document.problems, migrated]
    current = in_full(migrated)
    card, found = _build(current)
    card = None if card is None else with_absences(card)
    written = [replace(problem, pointer=current.written(problem.pointer)) for problem in found]
    repeated = {(problem.pointer, problem.rule) for problem in written}
    read = [p for p in document.problems if (p.pointer, p.rule) not in repeated]
    return card, [*read, *written]


def _build(document: Document) -> tuple[Card | None, list[Problem]]:
    """Build a card from data of the version of the models, or of a minor version after it."""
    version = identify(document)
    is_newer = isinstance(version, Version) and version > CURRENT
    problems = [newer(document, version)] if isinstance(version, Version) and is_newer else []
    large = len(document.values) > LARGE
    try:
        # In JSON, because the models are strict: in Python a list is not a tuple.
        card = Card.model_validate_json(json.dumps(cut(document.data) if large else document.data))
        return Card.model_validate_json(json.dumps(document.data)) if large else card, problems
    except ValidationError as error:
        found = explain(error, document)
    if large:
        return None, [*problems, left_out(document), *found]
    if is_newer:
        found = [as_new(p, document.data) if p.unknown is not None else p for p in found]
    reason = document.data.get("unstated") if isinstance(document.data, dict) else None
    reason = reason if isinstance(reason, str) and reason else None
    problems += [p for p in found if reason is None or p.rule != NOT_GIVEN]
    try:
        repaired = repair(document.data, found, reason)
        return Card.model_validate_json(json.dumps(repaired)), problems
    except ValidationError:
        return None, problems


def _line(document: Document, problem: Problem) -> str:
    place = problem.place
    where = f"{document.path}:{place.line}:{place.column}"
    name = dotted(problem.pointer)
    return f"{where}: {name + ': ' if name else ''}{problem.message}. Fix: {problem.fix}"


__all__ = [
    "card_text",
    "dotted",
    "dump_card",
    "load_card",
    "load_document",
    "parse_card",
    "parse_document",
]
