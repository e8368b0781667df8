"""A card from what files report: filled where they do, marked where a person has to."""

from __future__ import annotations

import datetime
import json
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from safebench.card.base import Section
from safebench.card.card import SPEC, Card
from safebench.card.completeness import states
from safebench.card.document import Pointer
from safebench.card.io import dotted, parse_card
from safebench.card.problems import NOT_GIVEN
from safebench.card.read import parse_document
from safebench.card.write import field_order
from safebench.checks import all_rules
from safebench.checks.registry import Subject
from safebench.checks.report import CheckedCard, check_document
from safebench.errors import InteropError, visible
from safebench.importing.draft.commented import as_comment, commented, is_absence
from safebench.importing.draft.gather import Gathered
from safebench.importing.draft.settle import FieldValue
from safebench.importing.draft.start import UNNAMED
from safebench.importing.draft.tree import TO_FILL, TRAINING, Tree, default
from safebench.importing.facts import Place, short_name, where_read

_INSTEAD = {"epochs": "steps", "warmup_steps": "warmup_ratio"}
"""Fields that another one makes unnecessary."""
_NO_REVISION = "SB-MOD-001"


@dataclass(frozen=True)
class Draft:
    """A card to fill in."""

    text: str
    """YAML with comments."""
    report: CheckedCard
    """What `safebench validate` finds in it."""
    to_name: tuple[str, ...] = ()
    """Fields that are not mandatory and still have no value of their own."""


def make_draft(gathered: Gathered, folder: Path, name: str, *, plan: bool = False) -> Draft:
    """Return the card in what was gathered, as text, with every gap marked `not_reported`.

    In a plan, a field that nothing filled has the standard's default. That is a choice there, and
    would be a guess about a study that was made elsewhere.

    Raises:
        InteropError: a card cannot have a value that a file gives it.
    """
    tree, card = _complete(gathered, folder, plan=plan)
    data = _ordered(tree.data, card)
    if isinstance(data["tasks"], list):
        data["tasks"] = [task["name"] if set(task) == {"name"} else task for task in data["tasks"]]
    header = _header(gathered, name, plan=plan, is_complete=not tree.marked)
    text = header + commented(data, tree.comments, tree.asides)
    report = check_document(parse_document(text.encode(), name), folder)
    mandatory = {state.lost_at for state in report.fields}
    unnamed = ["submission.id"] if data["submission"]["id"] == UNNAMED else []
    optional = [dotted(at) for at in sorted(tree.marked - mandatory, key=str)]
    return Draft(text, report, (*unnamed, *optional))


def draft_card(gathered: Gathered, folder: Path) -> Card:
    """Return the card in what was gathered, before it is written. Raises as `make_draft`."""
    return _complete(gathered, folder, plan=False)[1]


def bare_card(filled: Mapping[Place, FieldValue]) -> Card:
    """Return the card in what is known; everything else is not reported. Raises as `make_draft`."""
    return _parse(Tree(filled))[0]


def _complete(gathered: Gathered, folder: Path, *, plan: bool) -> tuple[Tree, Card]:
    """Return the data with every gap marked, and the card that it is."""
    tree = Tree(gathered.filled)
    before = ""
    # A section that was marked may have mandatory fields of its own, so until nothing changes.
    while (now := json.dumps(tree.data)) != before:
        before = now
        card, missing = _parse(tree)
        _mark_mandatory(tree, card, plan=plan)
        if json.dumps(tree.data) == before:  # else what was missing may be marked by now
            for at in missing:
                tree.mark(at)
    today = datetime.datetime.now(datetime.UTC).date()
    # a revision is not mandatory in a plan, and without one the model could change unnoticed
    if any(all_rules()[_NO_REVISION].hits(Subject(card, folder, today))):
        tree.mark(("model", "base", "revision"))
        card, _ = _parse(tree)
    return tree, card


def _parse(tree: Tree) -> tuple[Card, list[Pointer]]:
    """Return the card, and the fields that it has to have and lacks.

    Raises:
        InteropError: a card cannot have a value that a file gives it.
    """
    card, problems = parse_card(parse_document(json.dumps(tree.data).encode(), "draft"))
    missing = [problem.pointer for problem in problems if problem.rule == NOT_GIVEN]
    wrong = [p for p in problems if p.severity == "error" and p.rule != NOT_GIVEN]
    if card is not None and not wrong:
        return card, missing
    problem = (wrong or problems)[0]
    around = [p for p in tree.sources if p == problem.pointer[: len(p)]]
    name = visible(dotted(problem.pointer))
    if around:
        source = tree.sources[max(around, key=len)].facts[0]
        name = f"{where_read(source)} cannot be {name}"
    raise InteropError(f"{name}: {visible(problem.message)}", fix=visible(problem.fix))


def _mark_mandatory(tree: Tree, card: Card, *, plan: bool) -> None:
    """Mark every mandatory field that nothing filled, or give it the default in a plan."""
    for state in states(card):
        at = _gap(tree, state.pointer)
        value = default(at) if at is not None and plan else None
        if at is not None and value is not None:
            tree.put(at, value, "default")
        elif at is not None and (state.lost_at is not None or not plan):
            tree.mark(at)


def _gap(tree: Tree, pointer: Pointer) -> Pointer | None:
    """Return the field to mark so that a mandatory one is not silently absent."""
    node: Any = tree.data
    for number, part in enumerate(pointer):
        if is_absence(node) or pointer in tree.left_out:
            return None
        if isinstance(part, int):
            node = node[part]
        elif not isinstance(node, dict):
            return None  # a choice in one word, which has no such field
        elif part in node:
            node = node[part]
        elif _INSTEAD.get(part) in node:
            return None
        elif part == TRAINING or isinstance((*pointer, "")[number + 1], int):
            return pointer[: number + 1]  # a list, or a section whose kind nobody named
        else:
            return pointer
    return None


def _ordered(data: Any, model: Any) -> Any:
    """Return plain data with every section's fields in the standard's order."""
    if isinstance(data, dict) and isinstance(model, Section):
        names = [name for name in field_order(type(model)) if name in data]
        return {name: _ordered(data[name], getattr(model, name)) for name in names}
    if isinstance(data, list) and isinstance(model, tuple):
        return [_ordered(item, part) for item, part in zip(data, model, strict=True)]
    return data


def _header(gathered: Gathered, name: str, *, plan: bool, is_complete: bool) -> str:
    what = f"A {'plan: a card' if plan else 'card'} of the standard {SPEC}"
    source = "The comment behind each value names its source."
    fill = (
        f"Replace every {{not_reported: {TO_FILL}: ...}}; where the answer is not known, write why "
        "instead: {not_reported: REASON}."
    )
    is_ready = plan and is_complete
    lines = as_comment(
        f"{what} without results. {source}"
        if is_ready
        else f"{what}, to be completed. {source} {fill}"
    )
    if plan:
        lines += as_comment("Values marked `default` are the standard's: change what differs.")
    if not is_ready:
        lines += as_comment(f"What remains to fill in: safebench validate {name}")
    if gathered.files:
        names = Counter(short_name(file) for file in gathered.files)
        listed = ", ".join(n if count == 1 else f"{n} ({count})" for n, count in names.items())
        # Only the last part: a card that is published says nothing about a machine.
        under = ", ".join(path.resolve().name for path in gathered.paths if path.is_dir())
        lines += as_comment(f"Read from {under}: {listed}." if under else f"Read: {listed}.")
    return "\n".join(lines) + "\n"
