"""The published schema is the models', byte for byte, and a proper schema."""

from __future__ import annotations

import copy
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import jsonschema
import pytest
from click.testing import CliRunner

from safebench.card.base import Section
from safebench.card.card import Card
from safebench.card.io import load_document, parse_card, parse_document
from safebench.card.measured import MeasuredScore
from safebench.card.results import Stability
from safebench.card.schema import card_schema, descriptions, schema_text
from safebench.card.training import LoraTraining
from safebench.cli.schema import command
from safebench.resources import spec_dir
from tests.conformance.runner import VALID


def test_the_published_file_is_generated() -> None:
    assert (spec_dir() / "v1" / "card.schema.json").read_bytes() == schema_text().encode()


def test_the_command_prints_it() -> None:
    assert CliRunner().invoke(command, []).output == schema_text()


def test_it_is_a_schema_of_its_dialect() -> None:
    schema = json.loads(schema_text())
    assert schema["$schema"] == "https://json-schema.org/draft/2020-12/schema"
    assert schema["$id"] == "urn:safebench:spec:v1:card"
    jsonschema.Draft202012Validator.check_schema(schema)


def test_every_field_is_described() -> None:
    schema = card_schema()
    models = [schema, *schema["$defs"].values()]
    fields = [item for model in models for item in model.get("properties", {}).items()]
    assert len(fields) > 100
    assert [name for name, field in fields if not field.get("description")] == []


def test_every_model_has_the_texts_of_its_fields() -> None:
    models = list(all_models())
    assert {Card, LoraTraining, MeasuredScore, Stability} <= set(models)
    for model in models:
        texts = descriptions(model)
        assert list(texts) == list(model.model_fields), model
        assert all(text.strip() for text in texts.values()), model


def all_models() -> Iterator[type[Section]]:
    """Every section there is, those that code computes among them."""
    todo = [Section]
    while todo:
        model = todo.pop()
        below = [m for m in model.__subclasses__() if m.__module__.startswith("safebench.")]
        yield from below
        todo += below


# --- the schema says what the models say ---------------------------------------------------------

PLAN: dict[str, Any] = load_document(VALID / "minimal-plan.yaml").data
SCHEMA = jsonschema.Draft202012Validator(card_schema())
NOT_KNOWN = {"not_reported": "lost"}


@pytest.mark.parametrize(
    ("place", "value", "right"),
    [
        ("hyperparameters.optimizer_args", {"momentum": 0.9, "nesterov": True}, True),
        ("hyperparameters.optimizer_args", {}, True),
        ("hyperparameters.optimizer_args", NOT_KNOWN, True),
        ("hyperparameters.optimizer_args", {**NOT_KNOWN, "momentum": 0.9}, False),
        ("hyperparameters.optimizer_args", {"momentum": None}, False),
        ("hyperparameters.optimizer_args", {"betas": [0.9, 0.95]}, False),
        ("decoding.0.extra", {"typical_p": 0.9}, True),
        ("decoding.0.extra", {**NOT_KNOWN, "typical_p": 0.9}, False),
        ("environment.libraries", {"torch": "2.0"}, True),
        ("environment.libraries", NOT_KNOWN, True),
        ("environment.libraries", {**NOT_KNOWN, "torch": "2.0"}, False),
        ("environment.libraries", {"torch": 2}, False),
        ("judge.0.revision", {"unpinnable": "an alias"}, True),
        ("judge.0.revision", {"unpinnable": "an alias", **NOT_KNOWN}, False),
        ("seeds", NOT_KNOWN, True),
        ("seeds", {**NOT_KNOWN, "scheme": "derived"}, False),
    ],
)
def test_schema_and_models_agree(place: str, value: Any, right: bool) -> None:
    data = copy.deepcopy(PLAN)
    texts = ("harness", "python", "libraries", "backend", "device", "attention")
    data["environment"] = dict.fromkeys((*texts, "batch_size", "sampling_scheme"), NOT_KNOWN)
    here: Any = data
    *path, last = place.split(".")
    for part in path:
        here = here[int(part)] if part.isdecimal() else here[part]
    here[last] = value
    assert SCHEMA.is_valid(data) is right
    _, problems = parse_card(parse_document(json.dumps(data).encode(), "card.json"))
    assert (problems == []) is right


@pytest.mark.parametrize(
    "path", [*VALID.glob("*.yaml"), *VALID.glob("*/card.yaml")], ids=lambda p: p.name
)
def test_the_valid_examples_are_valid_to_a_reader_of_the_schema(path: Path) -> None:
    assert list(SCHEMA.iter_errors(load_document(path).data)) == []


@pytest.mark.parametrize("keyword", ["discriminator", "title"])
def test_no_keyword_of_a_neighbouring_format_is_left(keyword: str) -> None:
    fields = card_schema()["$defs"]["Decoding"]["properties"]
    assert all(keyword not in field for field in fields.values())
    # `title` is also a field of the card: it stays.
    assert "title" in card_schema()["$defs"]["SubmissionInfo"]["properties"]


def test_it_is_shipped_with_the_standard() -> None:
    assert Path(spec_dir(), "v1", "card.schema.json").is_file()
