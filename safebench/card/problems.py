"""What is wrong with the structure of a card: in plain words, at its place, and passed over.

Three steps make up the story. `explain` turns what pydantic reports into problems that a person
can act on. `repair` leaves out, or holds as not reported, what the problems are about, so that
one mistake does not hide the others. `cut` bounds the first step: a list of 100,000 empty
mappings lacks two million fields, and pydantic collects them all.
"""

from __future__ import annotations

import copy
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from pydantic import ValidationError
from pydantic_core import ErrorDetails

from safebench.card.card import SPEC
from safebench.card.document import (
    MAX_PROBLEMS,
    TOO_MANY,
    Document,
    Edit,
    Pointer,
    Problem,
    dotted,
    too_many,
)
from safebench.card.remedies import Remedy, near, of_type, of_unknown
from safebench.card.schema import descriptions
from safebench.card.shape import Shape, Spot, card_shape, get, locate

MISSING = "SB-CARD-001"
UNKNOWN = "SB-CARD-002"
TYPE = "SB-CARD-003"
VALUE = "SB-CARD-004"
NEWER = "SB-CARD-009"
NOT_GIVEN = "SB-CARD-010"

WRONG = "wrong in the card"
"""Reason of an absence that stands for a value which the models refused."""
LARGE = 10_000
"""Values above which only the first wrong item of each list is explained; a report of a hundred
scores has as many."""

_PERCENT = 100
_TYPES = {
    "int_type": "a whole number",
    "int_from_float": "a whole number",
    "float_type": "a number",
    "string_type": "a text",
    "bool_type": "true or false",
    "tuple_type": "a list",
    "dict_type": "a mapping",
    "model_type": "a mapping",
    "model_attributes_type": "a mapping",
    "union_tag_not_found": "a mapping",
}
_PATTERNS = {
    r"^[a-z0-9][a-z0-9_.-]{0,63}$": "1 to 64 of a-z, 0-9, _ . - beginning with a letter or digit",
    r"^[A-Za-z0-9][A-Za-z0-9_.-]{0,127}$": "1 to 128 of A-Z, a-z, 0-9, _ . - beginning with a "
    "letter or digit",
    r"^[0-9a-f]{64}$": "a SHA-256 digest: 64 hexadecimal digits, lower case",
    r"^[0-9]{4}-[0-9]{2}-[0-9]{2}$": "a day as YYYY-MM-DD",
    r"^safebench/1\.(0|[1-9][0-9]{0,5})$": SPEC,
}
_BOUNDS = {
    "greater_than_equal": ("ge", "at least"),
    "greater_than": ("gt", "more than"),
    "less_than_equal": ("le", "at most"),
    "less_than": ("lt", "less than"),
}
_PLAIN = {int: "a whole number", float: "a number", str: "a text", bool: "true or false"}


# --- explaining ----------------------------------------------------------------------------------


def explain(error: ValidationError, document: Document) -> list[Problem]:
    """Return every structural problem once, in the order of the document.

    A problem that the reader found already is repeated where the models cannot go on without the
    value.
    """
    read = {problem.pointer: problem for problem in document.problems}
    found: dict[tuple[Pointer, str], Problem] = {}
    alternatives: dict[Pointer, tuple[Spot, list[str]]] = {}
    details = error.errors(include_url=False, include_context=True, include_input=False)
    for detail in details[:MAX_PROBLEMS]:
        spot = locate(detail["loc"], document.data)
        if spot.off_branch and spot.pointer not in read:
            _, expected = alternatives.setdefault(spot.pointer, (spot, []))
            expected.append(_kind_of(spot.shape))
            continue
        problem = (
            read.get(spot.pointer)
            or _mixed_absence(spot, document)
            or _explained(detail, spot, document)
        )
        found.setdefault((problem.pointer, problem.rule), replace(problem, absence=spot.absence))
    # The innermost first: of a wrong value inside an alternative, that value is the problem.
    for pointer, (spot, expected) in sorted(alternatives.items(), key=lambda a: -len(a[0])):
        if any(p.pointer[: len(pointer)] == pointer for p in found.values()):
            continue  # one alternative was recognised, and its problem is the one to report
        message = _found(get(document.data, pointer), " or ".join(dict.fromkeys(expected)))
        wrong_type = _at(document, TYPE, pointer, message, "correct the value")
        problem = _mixed_absence(spot, document) or wrong_type
        found[pointer, problem.rule] = replace(problem, absence=spot.absence)
    in_order = sorted(found.values(), key=lambda p: (p.place.line, p.place.column, p.rule))
    more = len(details) > MAX_PROBLEMS
    return [*in_order, too_many(document.place(()))] if more else in_order


def show(value: Any) -> str:
    """Return a value as a person would name it: short, quoted, containers by their size."""
    if value is None:
        return "null"
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, str):
        return f'the text "{value}"' if len(value) <= 60 else f'the text "{value[:57]}..."'
    if isinstance(value, list):
        return f"a list of {len(value)}"
    if isinstance(value, dict):
        return "a mapping" if value else "an empty mapping"
    return str(value) if abs(value) < 10**40 else f"a number of {len(str(value))} digits"


def _explained(detail: ErrorDetails, spot: Spot, document: Document) -> Problem:
    """Return the problem that one error of pydantic is about."""
    kind, context, pointer = detail["type"], detail.get("ctx", {}), spot.pointer
    choices = list(spot.shape.choices) if spot.shape else []
    if kind == "missing":
        return _missing(spot, document)
    if kind == "extra_forbidden":
        return _unknown(spot, document)
    if kind == "union_tag_invalid":
        return _choice(document, (*pointer, _deciding(context)), choices)
    value = get(document.data, pointer)
    if kind == "union_tag_not_found" and isinstance(value, dict):
        field = _deciding(context)
        message = f"`{field}` is missing: it decides the other fields"
        fix = f"add {field}: one of {', '.join(choices)}"
        return _at(document, MISSING, (*pointer, field), message, fix)
    if kind in _TYPES:
        remedy = Remedy("correct the value")
        if spot.shape is not None:
            remedy = of_type(kind, value, pointer, document, spot.shape)
        problem = _at(document, TYPE, pointer, _found(value, _TYPES[kind]), remedy.words)
        return replace(problem, patch=remedy.patch)
    if kind == "literal_error" and spot.shape is not None:
        return _choice(document, pointer, list(spot.shape.words))
    message, fix = f"{_found(value)}: {detail['msg']}", "correct the value"
    if kind in _BOUNDS:
        key, words = _BOUNDS[kind]
        bound = context[key]
        message = f"{show(value)} is out of bounds: expected {words} {bound}"
        fix = f"give a value of {words} {bound}"
        if bound == 1 and 1 < value <= _PERCENT:
            fix = f"write {value / _PERCENT:g} if {value:g} % was meant: proportions lie in [0, 1]"
    elif kind == "string_pattern_mismatch":
        pattern = context["pattern"]
        message = _found(value, _PATTERNS.get(pattern, f"a text that matches {pattern}"))
    elif kind == "string_too_short":
        message = "the text is empty"
        fix = "write it, or {not_reported: why} where the field may be absent"
    return _at(document, VALUE, pointer, message, fix)


def _mixed_absence(spot: Spot, document: Document) -> Problem | None:
    """Return the problem of an absence that has more beside it, whatever else that breaks."""
    for length in range(len(spot.pointer) + 1):
        pointer = spot.pointer[:length]
        try:
            value = get(document.data, pointer)
        except (KeyError, IndexError, TypeError):
            return None
        if isinstance(value, dict) and "not_reported" in value and len(value) > 1:
            # `{not_reported: lost, all of it}` is a mapping with the key `all of it` and no value.
            cut_off = None in value.values()
            quotes = "put the reason in quotes: a comma ends it"
            alone = "keep {not_reported: why} alone, or give the value"
            message = "an absence has no other fields beside not_reported"
            return _at(document, VALUE, pointer, message, quotes if cut_off else alone)
    return None


def _missing(spot: Spot, document: Document) -> Problem:
    name = str(spot.pointer[-1])
    described = descriptions(spot.owner).get(name)
    about = f" ({' '.join(described.rstrip('.').split())})" if described else ""
    message, fix = f"`{name}` is missing{about}", f"add {name}"
    if spot.shape is not None and spot.shape.accepts_absence:
        fix = f"{fix}, or {name}: {{not_reported: why}}"
        return _at(document, NOT_GIVEN, spot.pointer, message, fix)
    return _at(document, MISSING, spot.pointer, message, fix)


def _unknown(spot: Spot, document: Document) -> Problem:
    *above, name = spot.pointer
    # What a short plan leaves out is filled in by now, and no less free to be written.
    known = [f for f in spot.owner.model_fields if (*above, f) not in document.values]
    fix, patch = of_unknown(spot.pointer, known, document)
    where = f"`{above[-1]}`" if above and isinstance(above[-1], str) else "this mapping"
    message = f"`{name}` is not a field of {where if above else 'a card'}"
    problem = _at(document, UNKNOWN, spot.pointer, message, fix)
    place = document.keys.get(spot.pointer, problem.place)
    return replace(problem, place=place, unknown="field", patch=patch)


def _choice(document: Document, pointer: Pointer, choices: list[str]) -> Problem:
    value = get(document.data, pointer)
    guess = near(str(value), choices)
    fix = f"did you mean {guess}?" if guess else "write one of them"
    expected = choices[0] if len(choices) == 1 else f"one of {', '.join(choices)}"
    rule = VALUE if isinstance(value, str) else TYPE
    problem = _at(document, rule, pointer, _found(value, expected), fix)
    patch = (Edit("replace", pointer, guess),) if guess and rule == VALUE else ()
    return replace(problem, unknown="word" if rule == VALUE else None, patch=patch)


def _at(document: Document, rule: str, pointer: Pointer, message: str, fix: str) -> Problem:
    return Problem(rule, "error", pointer, document.place(pointer), message, fix)


def _found(value: Any, expected: str | None = None) -> str:
    return f"found {show(value)}" + (f", expected {expected}" if expected else "")


def _kind_of(shape: Shape | None) -> str:
    """Return what a value would have to be, in a word or two."""
    if shape is not None and shape.words:
        return " or ".join(shape.words)
    if shape is not None and shape.kind is tuple:
        return "a list"
    return _PLAIN.get(shape.type, "a mapping") if shape is not None else "a mapping"


def _deciding(context: dict[str, Any]) -> str:
    """Return the field that tells alternatives apart: pydantic names it, or our function for it."""
    return str(context["discriminator"]).strip("'_()")


# --- going on in spite of problems ---------------------------------------------------------------


def as_new(problem: Problem, data: Any) -> Problem:
    """Return a problem as a warning: a card of a newer minor version may have what is new."""
    if problem.unknown == "field":
        message = f"{problem.message} in {SPEC}: it is not checked"
    else:
        what = f"{dotted(problem.absence)} is" if problem.absence else "what rests on it is"
        word = show(get(data, problem.pointer))
        message = f"{SPEC} does not know {word} here: {what} not checked"
    return replace(problem, rule=NEWER, severity="warning", message=message, fix="update safebench")


def repair(data: Any, problems: Sequence[Problem], reason: str | None = None) -> Any:
    """Return a copy of a card's data without what some problems are about.

    A field that is missing or wrong is held as `not_reported` where it may be, and a field that
    is not known is left out. In a card of a newer minor version, a word that is not known leaves
    the field around it unread, which counts as not reported too: nothing is taken for granted
    that cannot be checked here. Problems that cannot be mended are left for the models to refuse.
    `reason`: why fields are missing, where the card gives one for all of them.
    """
    repaired = copy.deepcopy(data)
    absences: dict[Pointer, str] = {}
    for problem in problems:
        if problem.rule == NOT_GIVEN:
            absences[problem.pointer] = reason or "missing from the card"
        elif problem.unknown == "field" and problem.rule in (NEWER, UNKNOWN):
            del get(repaired, problem.pointer[:-1])[problem.pointer[-1]]
        elif problem.absence is None:
            continue
        elif problem.severity == "error":
            absences[problem.absence] = WRONG
        elif problem.rule == NEWER:
            word = show(get(data, problem.pointer))
            absences[problem.absence] = f"{SPEC} does not know {word}"
    for pointer, reason in absences.items():
        if not any(pointer[:length] in absences for length in range(len(pointer))):
            get(repaired, pointer[:-1])[pointer[-1]] = {"not_reported": reason}
    return repaired


# --- documents too large to explain item by item -------------------------------------------------


def cut(value: Any, shape: Shape | None = None) -> Any:
    """Return a card's data in which every list ends with its first wrong item.

    Lists inside an item are cut before the item is checked, so that no check collects the errors
    of a long list. What is right is unchanged: the data is valid exactly if all of it was.
    """
    shape = (shape or card_shape()).chosen(value)
    if isinstance(value, dict) and shape is not None and shape.fields:
        known = shape.fields
        return {k: cut(v, known[k]) if k in known else v for k, v in value.items()}
    if not isinstance(value, list) or shape is None or shape.item is None:
        return value
    items = [cut(item, shape.item) for item in value]
    wrong = shape.item.first_wrong(items)
    return items if wrong is None else items[: wrong + 1]


def left_out(document: Document) -> Problem:
    """Return the problem that stands for those that were not looked for."""
    message = f"more than {LARGE:,} values: of each list, only the first wrong item is listed"
    return _at(document, TOO_MANY, (), message, "put these right, and validate again")
