"""Where a complaint of pydantic leads: its locations mix fields with names of alternatives."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

from safebench.card.base import Section
from safebench.card.card import Card
from safebench.card.document import Pointer


@dataclass(frozen=True)
class Spot:
    """Where an error's location leads: in the data, and in the models."""

    pointer: Pointer
    owner: type[Section]
    """Model whose field, or lack of one, it is."""
    node: dict[str, Any] | None
    """Schema of the value; None past the end of what the models know."""
    off_branch: str | None
    """Label of an alternative that the value does not look like."""
    absence: Pointer | None = None
    """The nearest field around it, or itself, that may be `not_reported`."""


def get(data: Any, pointer: Iterable[str | int]) -> Any:
    """Return the part of plain data that a pointer leads to."""
    for part in pointer:
        data = data[part]
    return data


def definitions() -> dict[str, Any]:
    """Return the schemas that the card's models are made of, by reference; the root under ``."""
    root: Any = Card.__pydantic_core_schema__
    found = {d["ref"]: d for d in root.get("definitions", [])}
    found[""] = root
    return found


def _unwrap(node: Any, definitions: dict[str, Any]) -> Iterator[Any]:
    """Yield a schema and what it wraps, down to one that consumes a part of a location."""
    while True:
        yield node
        if node["type"] == "definition-ref":
            node = definitions[node["schema_ref"]]
        elif "schema" in node:
            node = node["schema"]
        else:
            return


def locate(loc: tuple[int | str, ...], data: Any, schemas: dict[str, Any]) -> Spot:
    """Follow a location, leaving out the parts that are names of alternatives."""
    node: Any = schemas[""]
    owner: type[Section] = Card
    pointer: Pointer = ()
    off_branch: str | None = None
    absence: Pointer | None = None
    parts = list(loc)
    while node is not None:
        for inner in _unwrap(node, schemas):
            node = inner
            if node["type"] == "model":
                owner = node["cls"]
        if accepts_absence(node):
            absence = pointer
        if not parts or off_branch:
            break
        part = parts.pop(0)
        if node["type"] == "tagged-union":
            node = node["choices"].get(part)
        elif node["type"] == "union":
            off_branch = None if _looks_like(str(part), get(data, pointer)) else str(part)
            node = _branch(node, str(part))
        else:
            pointer = (*pointer, part)
            node = _child(node, part)
    return Spot(pointer, owner, node, off_branch, absence)


def accepts_absence(node: Any) -> bool:
    """Whether the value that a schema describes may be `{not_reported: why}`."""
    return node is not None and "not_reported" in (node.get("choices") or ())


def _child(node: Any, part: int | str) -> Any:
    if node["type"] == "model-fields":
        field = node["fields"].get(part)
        return field["schema"] if field else None
    if node["type"] == "tuple":
        return node["items_schema"][0]
    return node.get("values_schema")


def _branch(node: Any, label: str) -> Any:
    for choice in node["choices"]:
        schema = choice[0] if isinstance(choice, tuple) else choice
        if label.startswith(schema["type"]) or label == getattr(schema.get("cls"), "__name__", ""):
            return schema
    return node["choices"][0]


def _looks_like(label: str, value: Any) -> bool:
    if label.startswith("tuple"):
        return isinstance(value, list)
    if label.startswith(("literal", "str", "constrained-str")):
        return isinstance(value, str)
    if label.removeprefix("constrained-") in ("int", "float"):
        return isinstance(value, int | float) and not isinstance(value, bool)
    return isinstance(value, dict)
