"""Documents that are handed in, checked against their published schemas first.

Nothing is taken from such a document before it fits its schema, so that no reader has to expect a
list where a mapping should be.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from pydantic import ValidationError

from safebench.card.base import Section
from safebench.card.schema import DIALECT
from safebench.errors import EvidenceError, SafebenchError, visible
from safebench.resources import spec_dir

if TYPE_CHECKING:
    import jsonschema

MOST_BYTES = 4 * 2**20
Model = TypeVar("Model", bound=Section)


@cache
def _validator(schema: str) -> jsonschema.Draft202012Validator:
    from jsonschema import Draft202012Validator

    path = spec_dir() / "v1" / f"{schema}.schema.json"
    return Draft202012Validator(json.loads(path.read_text(encoding="utf-8")))


def read_json(path: Path, schema: str) -> Any:
    """Read a JSON document of a schema in spec/v1, given by the name before `.schema.json`.

    Raises:
        EvidenceError: absent, larger than 4 MiB, no JSON, or does not fit the schema.
    """
    try:
        size = path.stat().st_size
        content = path.read_bytes() if size <= MOST_BYTES else b""
    except OSError as problem:
        raise EvidenceError(f"{path}: {problem.strerror}", fix="restore the file") from problem
    if size > MOST_BYTES:
        raise EvidenceError(f"{path}: {size:,} bytes; at most {MOST_BYTES:,} are read")
    try:
        document = json.loads(content.decode(), object_pairs_hook=_once)  # UTF-8 alone
    except (ValueError, RecursionError) as problem:
        raise EvidenceError(f"{path}: not JSON ({problem})", fix="restore the file") from problem
    check_schema(document, schema, path)
    return document


def read_model(path: Path, schema: str, model: type[Model]) -> Model:
    """Read a JSON document of a schema in spec/v1 as its model; raises as `read_json`."""
    document = read_json(path, schema)
    try:
        return model.model_validate_json(json.dumps(document))
    except ValidationError as problem:  # what a schema cannot say, such as that a number is finite
        first = problem.errors()[0]
        where = "".join(f"{part}: " for part in first["loc"])
        raise EvidenceError(f"{path}: {where}{first['msg']}") from problem


def published_schema(model: type[Section], name: str, title: str) -> dict[str, Any]:
    """Return the JSON Schema of a model, as it is published in spec/v1/NAME.schema.json."""
    return {
        "$schema": DIALECT,
        "$id": f"urn:safebench:spec:v1:{name}",
        **model.model_json_schema(mode="validation"),
        "title": title,
    }


def check_schema(
    document: Any, schema: str, path: Path, failure: type[SafebenchError] = EvidenceError
) -> None:
    """Check that plain data fits a schema in spec/v1; raises `failure` with the first place."""
    errors: Sequence[jsonschema.ValidationError] = list(_validator(schema).iter_errors(document))
    first = None
    while errors:  # of alternatives, the one that fits furthest
        first = max(errors, key=lambda error: len(error.absolute_path))
        errors = first.context
    if first is not None:
        message = first.message if len(first.message) <= 200 else f"{first.message[:200]}..."
        raise failure(
            visible(f"{path}: {first.json_path}: {message}"),
            fix=f"see spec/v1/{schema}.schema.json",
        )


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        raise ValueError("a key stands twice in one mapping")
    return found
