"""A card from what files say: filled where they say it, marked where a person has to."""

from __future__ import annotations

import datetime
import json
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from safebench.card.base import Section
from safebench.card.card import SPEC, Card
from safebench.card.document import Document, Pointer, Problem
from safebench.card.io import dotted, parse_card
from safebench.card.problems import NOT_GIVEN
from safebench.card.read import parse_document
from safebench.card.write import field_order
from safebench.checks import all_rules
from safebench.checks.completeness import states
from safebench.checks.registry import Subject
from safebench.checks.report import CheckedCard, check_document
from safebench.errors import InteropError, visible
from safebench.importing.draft.commented import as_comment, commented, is_absence
from safebench.importing.draft.gather import Gathered
from safebench.importing.draft.start import UNNAMED
from safebench.importing.draft.tree import TO_FILL, TRAINING, Tree, absence, default
from safebench.importing.facts import short_name, where_read

_INSTEAD = {"epochs": "steps", "warmup_steps": "warmup_ratio"}
"""Fields that another one makes unnecessary."""
_NO_REVISION = "SB-MOD-001"
_REVISION: Pointer = ("model", "base", "revision")
EXAMPLES = {
    "data": "[{name: mine, path: mine.jsonl, examples: 1000}]",
    "hyperparameters": "{method: none}, if it was not",
    "decoding": "[{name: greedy, do_sample: false, max_new_tokens: 512}]",
    "judge": '[{name: rule, kind: rule, id: safebench/refusal-rule, revision: "1", primary: true}]',
    "tasks": "[safebench_harm, safebench_overrefusal, safebench_capability]",
}
"""What a list or section that nothing filled can look like, in one line each."""


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

    `folder` is where the card will lie and `name` what it will be called. In a `plan` a field that
    nothing filled has the standard's default: there it is a choice, and of a study that was made
    elsewhere it would be a guess.

    Raises:
        InteropError: a value from a file is none that a card can have.
    """
    tree, card = _complete(gathered, folder, plan=plan)
    data = _ordered(tree.data, card)
    if isinstance(data["tasks"], list):
        data["tasks"] = [task["name"] if set(task) == {"name"} else task for task in data["tasks"]]
    text = _header(gathered, name, plan=plan) + commented(data, tree.comments, tree.asides)
    report = check_document(parse_document(text.encode(), name), folder)
    return Draft(text, report, tuple(_to_name(tree, report)))


def draft_card(gathered: Gathered, folder: Path) -> Card:
    """Return the card in what was gathered, before it is written. Raises as `make_draft`."""
    return _complete(gathered, folder, plan=False)[1]


def _complete(gathered: Gathered, folder: Path, *, plan: bool) -> tuple[Tree, Card]:
    """Return the data with every gap marked, and the card that it is."""
    tree = Tree(gathered.filled)
    while _mark(tree, _parse(tree), plan=plan):
        pass  # a marked section may have mandatory fields of its own
    card = _parse(tree)
    today = datetime.datetime.now(datetime.UTC).date()
    if any(all_rules()[_NO_REVISION].hits(Subject(card, folder, today))):
        tree.put(_REVISION, absence(_REVISION))
        card = _parse(tree)
    return tree, card


def _to_name(tree: Tree, report: CheckedCard) -> Iterator[str]:
    listed = {state.lost_at for state in report.fields}
    if tree.data["submission"]["id"] == UNNAMED:
        yield "submission.id"
    for at in sorted(tree.marked - listed, key=str):
        yield dotted(at)


def _parse(tree: Tree) -> Card:
    card, problems = parse_card(_document(tree))
    wrong = [p for p in problems if p.severity == "error" and p.rule != NOT_GIVEN]
    if card is None or wrong:
        raise _unfit((wrong or problems)[0], tree)
    return card


def _document(tree: Tree) -> Document:
    return parse_document(json.dumps(tree.data).encode(), "draft")


def _unfit(problem: Problem, tree: Tree) -> InteropError:
    """Return the error for a value of a file that a card cannot have."""
    near = [p for p in tree.sources if p == problem.pointer[: len(p)]]
    source = tree.sources[max(near, key=len)] if near else None
    name = visible(dotted(problem.pointer))
    where = f"{where_read(source.facts[0])} cannot be {name}" if source else name
    return InteropError(f"{where}: {visible(problem.message)}", fix=visible(problem.fix))


def _mark(tree: Tree, card: Card, *, plan: bool) -> bool:
    """Mark every mandatory field that nothing filled; return whether there was one."""
    before = json.dumps(tree.data)
    for state in states(card):
        at = _gap(tree, state.pointer)
        value = default(at) if at is not None and plan else None
        if at is not None and value is not None:
            tree.put(at, value, "default")
        elif at is not None and (state.lost_at is not None or not plan):
            _leave(tree, at)
    _, problems = parse_card(_document(tree))  # anew: what was just marked is no longer missing
    for problem in problems:
        if problem.rule == NOT_GIVEN:
            _leave(tree, problem.pointer)
    return json.dumps(tree.data) != before


def _leave(tree: Tree, at: Pointer) -> None:
    """Write the mark of a field, with an example where it is a whole section."""
    tree.put(at, absence(at))
    tree.marked.add(at)
    if len(at) == 1 and at[0] in EXAMPLES:
        tree.asides.setdefault(at, f"e.g. {at[0]}: {EXAMPLES[str(at[0])]}")


def _gap(tree: Tree, pointer: Pointer) -> Pointer | None:
    """Return the field to mark so that a mandatory one is not silently absent."""
    node: Any = tree.data
    for number, part in enumerate(pointer):
        if is_absence(node) or pointer in tree.left_out:
            return None
        if isinstance(part, int):
            node = node[part]
        elif not isinstance(node, dict):
            return None  # a choice in a word, of which the field is no part
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


def _header(gathered: Gathered, name: str, *, plan: bool) -> str:
    lines = as_comment(
        f"A card of the standard {SPEC}, to be completed. Behind each value stands where it came "
        f"from. Replace every {{not_reported: {TO_FILL}: ...}}; where the answer is not known, "
        "write why instead: {not_reported: why}."
    )
    if plan:
        lines += as_comment("Values marked `default` are the standard's: change what differs.")
    lines += as_comment(f"What remains: safebench validate {name}")
    if gathered.files:
        names = Counter(short_name(file) for file in gathered.files)
        listed = ", ".join(n if count == 1 else f"{n} ({count})" for n, count in names.items())
        # Only the last part: a card that is published says nothing about a machine.
        under = ", ".join(path.resolve().name for path in gathered.paths if path.is_dir())
        lines += as_comment(f"Read from {under}: {listed}." if under else f"Read: {listed}.")
    return "\n".join(lines) + "\n"
