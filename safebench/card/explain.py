"""What pydantic says about a card, at its place in the document and in plain words."""

from __future__ import annotations

import difflib
from collections.abc import Iterable
from dataclasses import replace
from typing import Any

from pydantic import ValidationError
from pydantic_core import ErrorDetails

from safebench.card.describe import descriptions
from safebench.card.document import MAX_PROBLEMS, Document, Pointer, Problem, too_many
from safebench.card.locate import Spot, accepts_absence, definitions, get, locate

MISSING = "SB-CARD-001"
UNKNOWN = "SB-CARD-002"
TYPE = "SB-CARD-003"
VALUE = "SB-CARD-004"
NOT_GIVEN = "SB-CARD-010"

_WORDS = {
    "int_type": "a whole number",
    "int_from_float": "a whole number",
    "float_type": "a number",
    "string_type": "a text",
    "bool_type": "true or false",
    "tuple_type": "a list",
    "list_type": "a list",
    "dict_type": "a mapping",
    "model_type": "a mapping",
    "model_attributes_type": "a mapping",
    "union_tag_not_found": "a mapping",
    "dataclass_type": "a mapping",
}
_PATTERNS = {
    r"^[a-z0-9][a-z0-9_.-]{0,63}$": "1 to 64 of a-z, 0-9, _ . - beginning with a letter or digit",
    r"^[A-Za-z0-9][A-Za-z0-9_.-]{0,127}$": "1 to 128 of A-Z, a-z, 0-9, _ . - beginning with a "
    "letter or digit",
    r"^[0-9a-f]{64}$": "a SHA-256 digest: 64 hexadecimal digits, lower case",
    r"^[0-9]{4}-[0-9]{2}-[0-9]{2}$": "a day as YYYY-MM-DD",
    r"^safebench/1\.[0-9]+$": "safebench/1.0",
}
_BOUNDS = {
    "greater_than_equal": ("ge", "at least"),
    "greater_than": ("gt", "more than"),
    "less_than_equal": ("le", "at most"),
    "less_than": ("lt", "less than"),
}
_PERCENT = 100
_LABELS = {"int": "a whole number", "float": "a number", "str": "a text", "bool": "true or false"}


def explain(error: ValidationError, document: Document) -> list[Problem]:
    """Return every structural problem once, in the order of the document.

    One that the reader found already is among them when the models cannot go on without it.
    """
    schemas = definitions()
    said = {problem.pointer: problem for problem in document.problems}
    found: dict[tuple[Pointer, str], Problem] = {}
    alternatives: dict[Pointer, list[str]] = {}
    around: dict[Pointer, Pointer | None] = {}
    details = error.errors(include_url=False, include_context=True, include_input=False)
    for detail in details[:MAX_PROBLEMS]:
        spot = locate(detail["loc"], document.data, schemas)
        if spot.pointer in said:
            problem = replace(said[spot.pointer], absence=spot.absence)
            found.setdefault((problem.pointer, problem.rule), problem)
            continue
        if spot.off_branch is not None:
            alternatives.setdefault(spot.pointer, []).append(_alternative(spot.off_branch, detail))
            around[spot.pointer] = spot.absence
            continue
        problem = _mixed_absence(spot, document) or _problem(detail, spot, document)
        found.setdefault((problem.pointer, problem.rule), replace(problem, absence=spot.absence))
    for pointer, expected in alternatives.items():
        if any(p.pointer[: len(pointer)] == pointer for p in found.values()):
            continue  # one alternative was recognised, and its problem is the one to report
        value = get(document.data, pointer)
        message = f"found {show(value)}, expected {' or '.join(dict.fromkeys(expected))}"
        problem = _at(document, TYPE, pointer, message, "correct the value")
        found.setdefault((pointer, TYPE), replace(problem, absence=around[pointer]))
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
    text = str(value) if abs(value) < 10**40 else f"a number of {len(str(value))} digits"
    return text


def near(name: str, names: Iterable[str]) -> str | None:
    """Return the known name most like a misspelt one, if any is."""
    close = difflib.get_close_matches(name, list(names), n=1, cutoff=0.7)
    return close[0] if close else None


def _problem(detail: ErrorDetails, spot: Spot, document: Document) -> Problem:
    kind, context = detail["type"], detail.get("ctx", {})
    pointer = spot.pointer
    if kind == "missing":
        return _missing(spot, document)
    if kind == "extra_forbidden":
        return _unknown(spot, document)
    if kind == "union_tag_not_found" and isinstance(get(document.data, pointer), dict):
        field = _deciding(context)
        return _at(document, MISSING, pointer, f"`{field}` is missing: it decides the other fields",
                   f"add {field}: one of {_choices(spot.node)}")  # fmt: skip
    if kind == "union_tag_invalid":
        pointer = (*pointer, _deciding(context))
        return _choice(document, pointer, [str(c) for c in (spot.node or {}).get("choices", ())])
    value = get(document.data, pointer)
    if kind in _WORDS:
        message = f"found {show(value)}, expected {_WORDS[kind]}"
        return _at(document, TYPE, pointer, message, _type_fix(kind, value))
    if kind == "literal_error" and spot.node is not None:
        return _choice(document, pointer, [str(c) for c in spot.node["expected"]])
    if kind in _BOUNDS:
        key, words = _BOUNDS[kind]
        message = f"{show(value)} is out of bounds: expected {words} {context[key]}"
        fix = f"give a value of {words} {context[key]}"
        if context[key] == 1 and 1 < value <= _PERCENT:
            fix = f"write {value / _PERCENT:g} if {value:g} % was meant: proportions lie in [0, 1]"
        return _at(document, VALUE, pointer, message, fix)
    if kind == "string_pattern_mismatch":
        expected = _PATTERNS.get(context["pattern"], f"a text that matches {context['pattern']}")
        return _at(document, VALUE, pointer, f"found {show(value)}, expected {expected}",
                   "correct the value")  # fmt: skip
    if kind == "string_too_short":
        return _at(document, VALUE, pointer, "the text is empty",
                   "write it, or {not_reported: why} where the field may be absent")  # fmt: skip
    message = f"found {show(value)}: {detail['msg']}"
    return _at(document, VALUE, pointer, message, "correct the value")


def _mixed_absence(spot: Spot, document: Document) -> Problem | None:
    """Return the problem of an absence that has more beside it, whatever else that breaks."""
    for length in range(len(spot.pointer) + 1):
        pointer = spot.pointer[:length]
        try:
            value = get(document.data, pointer)
        except (KeyError, IndexError, TypeError):
            return None
        if isinstance(value, dict) and "not_reported" in value and len(value) > 1:
            cut = None in value.values()
            return _at(
                document,
                VALUE,
                pointer,
                "an absence has no other fields beside not_reported",
                "put the reason in quotes: a comma ends it"
                if cut
                else "keep {not_reported: why} alone, or give the value",
            )
    return None


def _missing(spot: Spot, document: Document) -> Problem:
    *above, name = spot.pointer
    described = descriptions(spot.owner).get(str(name))
    about = f" ({' '.join(described.rstrip('.').split())})" if described else ""
    reportable = accepts_absence(spot.node)
    fix = f"add {name}, or {name}: {{not_reported: why}}" if reportable else f"add {name}"
    place = document.place(tuple(above))
    return Problem(
        NOT_GIVEN if reportable else MISSING,
        "error",
        spot.pointer,
        place,
        f"`{name}` is missing{about}",
        fix,
    )


def _unknown(spot: Spot, document: Document) -> Problem:
    *above, name = spot.pointer
    present = get(document.data, above)
    known = [f for f in spot.owner.model_fields if f not in present]
    guess = near(str(name), known)
    place = document.keys.get(spot.pointer) or document.place(spot.pointer)
    where = f"`{above[-1]}`" if above and isinstance(above[-1], str) else "this mapping"
    message = f"`{name}` is not a field of {where if above else 'a card'}"
    fix = f"did you mean {guess}?" if guess else f"remove it; known here: {', '.join(known) or '-'}"
    return Problem(UNKNOWN, "error", spot.pointer, place, message, fix, unknown="field")


def _choice(document: Document, pointer: Pointer, choices: list[str]) -> Problem:
    value = get(document.data, pointer)
    guess = near(str(value), choices)
    fix = f"did you mean {guess}?" if guess else "write one of them"
    expected = choices[0] if len(choices) == 1 else f"one of {', '.join(choices)}"
    problem = _at(document, VALUE, pointer, f"found {show(value)}, expected {expected}", fix)
    return replace(problem, unknown="word" if isinstance(value, str) else None)


def _at(document: Document, rule: str, pointer: Pointer, message: str, fix: str) -> Problem:
    return Problem(rule, "error", pointer, document.place(pointer), message, fix)


def _type_fix(kind: str, value: Any) -> str:
    if value is None:
        return "give the value, or {not_reported: why} if it is not known"
    if kind == "string_type" and isinstance(value, int | float):
        return "put it in quotes"
    if kind in ("int_type", "float_type") and isinstance(value, str):
        return "remove the quotes, or write a number"
    if kind == "tuple_type":
        plain = isinstance(value, str | int | float)
        return f"put it in brackets: [{value}]" if plain else "make it a list"
    return "correct the value"


def _alternative(label: str, detail: ErrorDetails) -> str:
    if label.startswith("tuple"):
        return "a list"
    if label.startswith("literal"):
        return str(detail.get("ctx", {}).get("expected", "a fixed word"))
    return _LABELS.get(label.removeprefix("constrained-"), "a mapping")


def _choices(node: Any) -> str:
    return ", ".join(str(c) for c in (node or {}).get("choices", ()))


def _deciding(context: dict[str, Any]) -> str:
    """Return the field that tells alternatives apart: pydantic names it, or our function for it."""
    return str(context["discriminator"]).strip("'_()")
