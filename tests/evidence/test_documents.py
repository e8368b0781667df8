"""Documents are of their published schemas before anything is taken from them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from safebench.errors import EvidenceError
from safebench.evidence.documents import check_schema, read_json
from safebench.resources import spec_dir
from tests.conformance.make_examples import SCHEMAS


@pytest.mark.parametrize("name", SCHEMAS)
def test_the_published_schema_is_the_models(name: str) -> None:
    published = json.loads((spec_dir() / f"v1/{name}.schema.json").read_text(encoding="utf-8"))
    assert published == SCHEMAS[name]()
    jsonschema.Draft202012Validator.check_schema(published)


@pytest.mark.parametrize(
    ("schema", "document", "place"),
    [
        ("board", {"title": 3}, "$.title: 3 is not of type 'string'"),
        ("board", ["title"], "$: ['title'] is not of type 'object'"),
        ("answers", {"model": {"base": {"id": 3}}}, "$.model.base.id"),
        ("files", {"schema": "safebench/manifest/1", "files": [3]}, "$.files[0]"),
        ("verdict", {}, "$: 'kind' is a required property"),
    ],
)
def test_the_deepest_place_that_does_not_fit_is_named(
    schema: str, document: Any, place: str
) -> None:
    with pytest.raises(EvidenceError) as caught:
        check_schema(document, schema, Path("file"))
    assert str(caught.value).startswith(f"file: {place}")


@pytest.mark.parametrize(
    "content",
    [b"", b"\xff\xfe{", b'{"files": [', b"[" * 100_000, b"9" * 5_000, b'{"a": 1, "a": 2}', b"NaN",
     b"[" * 500 + b"]" * 500, b'{"schema": 1e400, "files": []}', b" " * (4 * 2**20 + 1)],
    ids=lambda content: repr(content[:12]),
)  # fmt: skip
def test_whatever_it_holds_ends_in_one_message(content: bytes, tmp_path: Path) -> None:
    (tmp_path / "x.json").write_bytes(content)
    with pytest.raises(EvidenceError, match=r"x\.json") as caught:
        read_json(tmp_path / "x.json", "files")
    assert len(str(caught.value)) < 500 + len(str(tmp_path))
