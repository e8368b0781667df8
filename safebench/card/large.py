"""The structure of a document so large that explaining every item of its lists takes minutes.

A list of 100,000 empty mappings lacks two million fields, and pydantic collects them all. Of the
lists in a large document, only the first wrong item is looked at.
"""

from __future__ import annotations

from functools import cache
from typing import Any

from pydantic import ValidationError
from pydantic_core import CoreConfig, SchemaValidator

from safebench.card.card import Card
from safebench.card.document import TOO_MANY, Document, Problem

LARGE = 10_000
"""Values of a document; a report of a hundred scores has as many."""


def is_large(document: Document) -> bool:
    """Whether a document is checked in this way."""
    return len(document.values) > LARGE


def first_errors(text: str) -> ValidationError | None:
    """Return what is wrong with a card in JSON, of each list the first wrong item alone."""
    try:
        _validator().validate_json(text)
    except ValidationError as error:
        return error
    return None


def left_out(document: Document) -> Problem:
    """Return the problem that stands for those that were not looked for."""
    message = f"more than {LARGE:,} values: of each list, only the first wrong item is listed"
    fix = "put these right, and validate again"
    return Problem(TOO_MANY, "error", (), document.place(()), message, fix)


@cache
def _validator() -> SchemaValidator:
    config = CoreConfig(strict=True, extra_fields_behavior="forbid", allow_inf_nan=False)
    Card.model_rebuild()
    return SchemaValidator(_brief(Card.__pydantic_core_schema__), config)


def _brief(node: Any) -> Any:
    """Return a schema whose lists stop at the first error, and which makes no models."""
    if isinstance(node, list | tuple):
        return type(node)(_brief(item) for item in node)
    if not isinstance(node, dict):
        return node
    if node.get("type") == "model":
        node = {**node["schema"], **{key: node[key] for key in ("ref",) if key in node}}
    brief = {key: _brief(value) for key, value in node.items()}
    return {**brief, "fail_fast": True} if node.get("type") == "tuple" else brief
