"""The card's JSON Schema (2020-12), generated from the models and published in spec/v1."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

from safebench.card.card import Card
from safebench.card.describe import descriptions
from safebench.card.shape import models

DIALECT = "https://json-schema.org/draft/2020-12/schema"
ID = "urn:safebench:spec:v1:card"


def card_schema() -> dict[str, Any]:
    """Return the schema of a card as plain data."""
    generated = _tidy(Card.model_json_schema(mode="validation"))
    for name, model in models().items():
        node = generated if model is Card else generated["$defs"][name]
        for field, text in descriptions(model).items():
            node["properties"][field]["description"] = " ".join(text.split())
    return {"$schema": DIALECT, "$id": ID, "title": "safebench card", **generated}


def schema_text() -> str:
    """Return the schema as it is published: the same models, the same bytes."""
    return json.dumps(card_schema(), indent=2, ensure_ascii=False) + "\n"


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
    """Yield alternatives, those of an alternative that is nothing else in its place."""
    for one in alternatives:
        inner = one.get("anyOf") or one.get("oneOf")
        if inner and set(one) <= {"anyOf", "oneOf", "discriminator"}:
            yield from _flat(inner)
        else:
            yield one
