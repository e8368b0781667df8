"""A card's sections as readable tables: label, value, meaning; absence in words."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from pydantic import BaseModel

from safebench.card.base import NotReported, Section
from safebench.card.schema import descriptions
from safebench.words import setting

_LABELS = {
    "id": "Identifier",
    "sha256": "SHA-256",
    "rendered_sha256": "SHA-256 of rendered examples",
    "dataset_sha256": "SHA-256 of prompts",
    "prompt_template_sha256": "SHA-256 of the prompt template",
    "lora": "LoRA",
    "lr_scheduler": "Learning-rate schedule",
    "loss_on": "Loss on",
    "max_grad_norm": "Gradient clipping",
    "do_sample": "Sampling",
    "r": "rank r",
}
_DIGEST = re.compile(r"(sha256:)?[0-9a-f]{40,64}\Z")


@dataclass(frozen=True)
class Value:
    """What a cell shows: a text, or an absence with its reason."""

    text: str
    kind: str = "text"  # text, code (a digest), absent


@dataclass(frozen=True)
class FieldRow:
    """One field of one or several items."""

    label: str
    meaning: str
    values: tuple[Value, ...]


@dataclass(frozen=True)
class FieldTable:
    """A section: one column per item, one row per field, and what the card leaves out."""

    columns: tuple[str, ...] = ()
    rows: tuple[FieldRow, ...] = ()
    left_out: tuple[str, ...] = ()
    absent: str | None = None  # the whole section is not reported: the reason


def table(section: object, skip: Sequence[str] = (), first: Sequence[str] = ()) -> FieldTable:
    """Return the table of one section, of several named items, or of an absence."""
    if section is None:
        return FieldTable(absent="the card leaves this section out")
    if isinstance(section, NotReported):
        return FieldTable(absent=f"not reported: {section.not_reported}")
    if isinstance(section, BaseModel):
        return _items((section,), ("Value",), skip, first)
    items = [i for i in section if isinstance(i, BaseModel)] if isinstance(section, tuple) else []
    if not items:
        return FieldTable(absent="none")
    names = tuple(str(getattr(item, "name", n)) for n, item in enumerate(items, start=1))
    return _items(items, names, (*skip, "name"))


def _items(
    items: Sequence[BaseModel],
    names: tuple[str, ...],
    skip: Sequence[str],
    first: Sequence[str] = (),
) -> FieldTable:
    flat = [_flatten(item, "", skip, first) for item in items]
    meanings = {label: meaning for one in flat for label, (meaning, _) in one.items()}
    rows: list[FieldRow] = []
    left_out: list[str] = []
    for label, meaning in meanings.items():
        values = [one[label][1] if label in one else None for one in flat]
        if any(values):
            shown = tuple(value or Value("not given", "absent") for value in values)
            rows.append(FieldRow(label, meaning, shown))
        else:
            left_out.append(label)
    return FieldTable(names, tuple(rows), tuple(left_out))


def _flatten(
    model: BaseModel, prefix: str, skip: Sequence[str] = (), first: Sequence[str] = ()
) -> dict[str, tuple[str, Value | None]]:
    """Return label -> (meaning, value); sections inside become rows of their own."""
    found: dict[str, tuple[str, Value | None]] = {}
    described = descriptions(type(model)) if isinstance(model, Section) else {}
    names = sorted(type(model).model_fields, key=lambda n: n not in first)
    for name in names:
        if name in skip:
            continue
        value = getattr(model, name)
        label = _label(name, prefix)
        if isinstance(value, BaseModel) and not isinstance(value, NotReported):
            found.update(_flatten(value, label))
        else:
            found[label] = (described.get(name, ""), _value(value))
    return found


def _label(name: str, prefix: str) -> str:
    words = _LABELS.get(name, name.replace("_", " "))
    if prefix:
        return f"{prefix}: {words if words.isupper() else words[:1].lower() + words[1:]}"
    return words[:1].upper() + words[1:]


def _value(value: object) -> Value | None:
    if value is None:
        return None
    if isinstance(value, NotReported):
        return Value(f"not reported: {value.not_reported}", "absent")
    text = _text(value)
    return Value(text, "code" if _DIGEST.match(text) else "text")


def _text(value: object) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, int | float):
        return setting(value)
    if isinstance(value, dict):
        return ", ".join(f"{key} {value[key]}" for key in sorted(value))
    if isinstance(value, tuple):
        return ", ".join(_text(item) for item in value) or "none"
    if isinstance(value, NotReported):
        return "not reported"
    if isinstance(value, BaseModel):
        shown = ((name, getattr(value, name)) for name in type(value).model_fields)
        return " ".join(f"{name} {_text(v)}" for name, v in shown if v is not None)
    return str(value)
