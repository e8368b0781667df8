"""The examples of the standard: valid ones are, invalid ones yield exactly their rule."""

from __future__ import annotations

import json
from pathlib import Path

import jsonschema
import pytest

from safebench.card.io import load_card, load_document, parse_card
from safebench.card.schema import card_schema
from safebench.checks import all_rules, check
from safebench.evidence.outcomes import read_outcomes
from tests.conformance import make_examples
from tests.conformance.runner import GOLDEN, INVALID, VALID, run

PAPERS = ("paper-llama-dolly", "two-numbers")
VALIDATOR = jsonschema.Draft202012Validator(card_schema())
VALID_CARDS = sorted([*VALID.glob("*.yaml"), *VALID.glob("*/card.yaml")])
INVALID_FOLDERS = sorted(INVALID.iterdir())
# What the schema cannot see although the reader does: it validates data, not text or versions.
STRUCTURAL = {f"SB-CARD-{n:03}" for n in (1, 2, 3, 4, 6, 7, 8, 9)}


def test_there_are_examples() -> None:
    assert len(VALID_CARDS) >= 4
    assert {folder.name for folder in INVALID_FOLDERS} == set(all_rules())


@pytest.mark.parametrize("path", VALID_CARDS, ids=lambda p: p.relative_to(VALID).as_posix())
def test_a_valid_example_is_valid(path: Path) -> None:
    report = check(path)
    # The paper measures harm alone, without intervals, and its card says so.
    warned = {"SB-TASK-003", "SB-JUD-004", "SB-RES-010", "SB-RES-016"}
    if path.stem == "two-numbers":
        warned.add("SB-DEC-008")  # both were sampled
    assert {f.rule for f in report.findings} == (warned if path.stem in PAPERS else set())
    assert report.card == load_card(path)
    VALIDATOR.validate(load_document(path).data)


def test_the_examples_reach_their_levels() -> None:
    levels = {path.relative_to(VALID).as_posix(): check(path).level for path in VALID_CARDS}
    assert levels["minimal-plan.yaml"] == "declared"
    assert levels["complete-plan.yaml"] == "declared"
    assert levels["untuned-plan.yaml"] == "incomplete"
    assert levels["submission/card.yaml"] == "evidenced"


def test_the_card_of_the_paper_names_what_is_not_reported() -> None:
    report = check(VALID / "paper-llama-dolly.yaml")
    assert report.level == "incomplete"
    missing = {line.split()[1] for line in report.missing_for_next}
    lora = {f"hyperparameters.lora.{name}" for name in ("r", "alpha", "dropout", "target_modules")}
    assert lora <= missing
    assert {
        "seeds.training", "decoding[0].max_new_tokens", "decoding[1].max_new_tokens",
        "model.chat_template", "prompting.system_prompt", "hyperparameters.lr_scheduler",
        "judge[0].revision", "judge[0].prompt_template_sha256", "model.base.revision",
        "model.weights", "data[0].id", "data[0].revision", "data[0].sha256",
    } <= missing  # fmt: skip
    reported = {"hyperparameters.learning_rate", "hyperparameters.epochs", "data[0].examples"}
    assert not reported & missing


@pytest.mark.parametrize("name", make_examples.PRINTED)
def test_an_invalid_example_prints_what_is_expected(name: str) -> None:
    """Of every kind one; otherwise run make_examples.py, and read what changed."""
    assert run(INVALID / name).output == (GOLDEN / f"{name}.txt").read_text(encoding="utf-8")


def test_a_card_in_json_prints_what_is_expected(tmp_path: Path) -> None:
    data = load_document(INVALID / "SB-HYP-001" / "card.yaml").data
    (tmp_path / "card.yaml").write_text(json.dumps(data, indent=1), encoding="utf-8")
    assert run(tmp_path).output == (GOLDEN / "json.txt").read_text(encoding="utf-8")


@pytest.mark.parametrize("folder", INVALID_FOLDERS, ids=lambda p: p.name)
def test_an_invalid_example_is_shown_with_its_rule_and_a_remedy(folder: Path) -> None:
    """Which findings there are, and the exit codes, is what the manifest's test compares."""
    output = run(folder).output
    assert f"  {folder.name}  {all_rules()[folder.name].severity}" in output
    assert f"(safebench rules {folder.name})" in output
    assert "   Fix: " in output


@pytest.mark.parametrize(
    "folder", [f for f in INVALID_FOLDERS if f.name != "SB-READ-001"], ids=lambda p: p.name
)
def test_schema_and_models_agree_on_an_invalid_example(folder: Path) -> None:
    document = load_document(folder / "card.yaml")
    passes = VALIDATOR.is_valid(document.data)
    assert passes == (folder.name not in STRUCTURAL)
    if passes:
        assert parse_card(document)[0] is not None


def test_the_submission_is_what_the_script_writes(tmp_path: Path) -> None:
    """Compared by content: the bytes of a Parquet file name the version that wrote it."""
    make_examples.make_submission(tmp_path)
    published = VALID / "submission"
    assert read_outcomes(tmp_path).equals(read_outcomes(published))
    made, kept = load_card(tmp_path / "card.yaml"), load_card(published / "card.yaml")
    assert made.model_copy(update={"evidence": None}) == kept.model_copy(update={"evidence": None})
    assert made.results is not None
