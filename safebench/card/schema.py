"""The card's JSON Schema (2020-12), generated from the models and published in spec/v1.

A field is described by the text below it in its model.
"""

from __future__ import annotations

import ast
import inspect
import json
import textwrap
from collections.abc import Iterator
from functools import cache
from typing import Any

from safebench.card.base import Section
from safebench.card.card import Card
from safebench.card.conventions import FOLLOWS
from safebench.card.shape import Shape, models

DIALECT = "https://json-schema.org/draft/2020-12/schema"
ID = "urn:safebench:spec:v1:card"


def card_schema() -> dict[str, Any]:
    """Return the schema of a card as plain data."""
    generated = _tidy(Card.model_json_schema(mode="validation"))
    for name, model in models().items():
        node = generated if model is Card else generated["$defs"][name]
        for field, text in descriptions(model).items():
            node["properties"][field]["description"] = " ".join(text.split())
        shapes, follows = Shape(model).fields, FOLLOWS.get(model.__name__, ())
        # A card may leave out what may be `not_reported` or follows from the rest: it then reports
        # less, and is still well formed.
        node["required"] = [
            field
            for field in node.get("required", ())
            if field not in follows and not shapes[field].accepts_absence
        ]
        if not node["required"]:
            del node["required"]
    return {"$schema": DIALECT, "$id": ID, "title": "safebench card", **generated}


def schema_text() -> str:
    """Return the schema as it is published: the same models, the same bytes."""
    return json.dumps(card_schema(), indent=2, ensure_ascii=False) + "\n"


@cache
def descriptions(model: type[Section]) -> dict[str, str]:
    """Return the description of every field of a model, by name.

    pydantic can do this when a model is made, which costs every start of the program more than
    the models themselves.
    """
    found: dict[str, str] = {}
    for cls in reversed(model.__mro__):
        if issubclass(cls, Section) and cls is not Section:
            found |= _below_fields(cls)
    return {name: found[name] for name in model.model_fields if name in found}


def _below_fields(cls: type[Section]) -> dict[str, str]:
    tree = ast.parse(textwrap.dedent(inspect.getsource(cls))).body[0]
    assert isinstance(tree, ast.ClassDef)  # noqa: S101 - the source of a class is one
    return {
        field.target.id: inspect.cleandoc(text.value.value)
        for field, text in zip(tree.body, tree.body[1:], strict=False)
        if isinstance(field, ast.AnnAssign)
        and isinstance(field.target, ast.Name)
        and isinstance(text, ast.Expr)
        and isinstance(text.value, ast.Constant)
        and isinstance(text.value.value, str)
    }


def _tidy(node: Any, *, names: bool = False) -> Any:
    """Drop the titles that repeat a field's name, and OpenAPI's discriminators."""
    if isinstance(node, list):
        return [_tidy(item) for item in node]
    if not isinstance(node, dict):
        return node
    if not names and ("oneOf" in node or "anyOf" in node):
        # Alternatives are told apart by a key, so that "one of" and "any of" say the same.
        node = {("anyOf" if key == "oneOf" else key): value for key, value in node.items()}
        node["anyOf"] = list(_flat(node["anyOf"]))
    return {
        # Below these two keywords, keys are names: `title` is a field of the card.
        key: _tidy(value, names=not names and key in ("properties", "$defs"))
        for key, value in node.items()
        if names or key not in ("title", "discriminator")
    }


def _flat(alternatives: list[Any]) -> Iterator[Any]:
    """Yield alternatives; one that only lists others is replaced by these."""
    for one in alternatives:
        inner = one.get("anyOf") or one.get("oneOf")
        if inner and set(one) <= {"anyOf", "oneOf", "discriminator"}:
            yield from _flat(inner)
        else:
            yield one
