"""Remedies for a wrong structure that leave no choice, in words and as a program applies them."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Iterator
from typing import Any, NamedTuple

from safebench.card.document import Document, Edit, Patch, Pointer, dotted
from safebench.card.scalars import NotANumberError, resolve
from safebench.card.shape import Shape, card_shape

_BOOLEANS = {"yes": True, "on": True, "true": True, "no": False, "off": False, "false": False}
# What a mapping is about, where only that one value is given in its place.
_ABOUT = {
    "Seeds": "training",
    "BatchSize": "per_device",
    "WeightsRef": "id",
    "WeightsModel": "base",
    "Submitter": "name",
}
_OTHER_WORDS = {
    "value": "estimate",
    "mean": "estimate",
    "ci_lower": "lower",
    "ci_upper": "upper",
    "lr": "learning_rate",
    "lora_alpha": "alpha",
    "lora_dropout": "dropout",
    "lora_r": "r",
    "max_tokens": "max_new_tokens",
    "max_seq_length": "max_length",
    "num_train_epochs": "epochs",
    "lr_scheduler_type": "lr_scheduler",
    "optim": "optimizer",
    "per_device_train_batch_size": "per_device",
    "gradient_accumulation_steps": "gradient_accumulation",
}
"""Names of a field elsewhere, by trl, PEFT and transformers above all."""


class Remedy(NamedTuple):
    """What to do about a problem."""

    words: str
    patch: Patch = ()


def near(name: str, names: Iterable[str]) -> str | None:
    """Return the known name most like a misspelt one, if any is."""
    return next(iter(difflib.get_close_matches(name, list(names), n=1, cutoff=0.7)), None)


def of_type(kind: str, value: Any, pointer: Pointer, document: Document, shape: Shape) -> Remedy:
    """Return what to do about a value of another type than pydantic's error `kind` asks for."""
    words: str = "correct the value"
    better: Any = None
    if value is None:
        words = "give the value, or {not_reported: why} if it is not known"
    elif kind == "string_type" and isinstance(value, int | float):
        words, better = "put it in quotes", _as_written(pointer, document)
    elif kind in ("int_type", "float_type", "int_from_float") and isinstance(value, str):
        words, better = "remove the quotes, or write a number", _number(value, kind)
    elif kind == "bool_type" and isinstance(value, str):
        better = _BOOLEANS.get(value.lower())
        words = words if better is None else f"write {str(better).lower()}"
    elif kind == "tuple_type":
        words = "make it a list"
        if isinstance(value, str | int | float):
            words, better = f"put it in brackets: [{value}]", [value]
    elif shape.model is not None and (about := _ABOUT.get(shape.model.__name__)):
        words = f"give a mapping with {about} and what else belongs to it"
        inside = shape.fields[about]
        if not isinstance(value, dict | list) and inside.chosen(value) is not None:
            better = {about: value}
            words = f"write {{{about}: {value}}}"
    return Remedy(words, () if better is None else (Edit("replace", pointer, better),))


def _number(text: str, kind: str) -> int | float | None:
    try:
        found = resolve(text.strip())
    except NotANumberError:
        return None
    if isinstance(found, bool) or not isinstance(found, int | float):
        return None
    return found if kind == "float_type" or float(found).is_integer() else None


def _as_written(pointer: Pointer, document: Document) -> str | None:
    """Return a number as the text has it: 1.10 is 1.1 once it was read."""
    place = document.values.get(pointer)
    if place is None or place.line != place.end_line or place.line > len(document.lines):
        return None
    return document.lines[place.line - 1][place.column - 1 : place.end_column - 1] or None


def of_unknown(pointer: Pointer, known: list[str], document: Document) -> Remedy:
    """Return what to do about an unknown field; `known` are those that could be given instead."""
    name = str(pointer[-1])
    other = _OTHER_WORDS.get(name)
    guess = other if other in known else near(name, known)
    if guess is not None:
        here = (*pointer[:-1], guess)
        return Remedy(f"did you mean {guess}?", (Edit("move", here, source=pointer),))
    homes = [at for at in _homes(card_shape(), document.data, ()) if at[-1] in (name, other)]
    there = [at for at in homes if at not in document.values]
    if homes:
        words = f"it belongs under {' or '.join(dotted(at[:-1]) for at in homes)}"
        moved = (Edit("move", there[0], source=pointer),) if len(homes) == 1 and there else ()
        return Remedy(words if moved or len(homes) > 1 else f"remove it: {words}", moved)
    return Remedy(f"remove it; known here: {', '.join(known) or '-'}")


def _homes(shape: Shape, data: Any, at: Pointer) -> Iterator[Pointer]:
    """Yield every field that the mappings of a card may have, except in lists."""
    chosen = shape.chosen(data)
    if chosen is None or not isinstance(data, dict):
        return
    for field, inside in chosen.fields.items():
        yield (*at, field)
        if field in data:
            yield from _homes(inside, data[field], (*at, field))
