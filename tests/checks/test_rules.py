"""Rules where an example is not enough: their edges, and what must not be found."""

from __future__ import annotations

import copy
import datetime
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from safebench.card.io import load_document, parse_document
from safebench.checks import all_rules, check_document
from safebench.checks.rules import by_id
from tests.conformance.runner import VALID

PLAN: dict[str, Any] = load_document(VALID / "minimal-plan.yaml").data
REPORT: dict[str, Any] = load_document(VALID / "submission" / "card.yaml").data
TODAY = datetime.date(2026, 6, 1)
COMMIT = "0123456789abcdef0123456789abcdef01234567"


def found(
    change: dict[str, Any], data: dict[str, Any] = PLAN, folder: Path | None = None
) -> list[tuple[str, str]]:
    """Rules and pointers of a card in which some places (a.0.b) have other values."""
    data = copy.deepcopy(data)
    for pointer, value in change.items():
        here: Any = data
        *path, last = pointer.split(".")
        for part in path:
            here = here[int(part)] if part.isdecimal() else here[part]
        here[int(last) if last.isdecimal() else last] = value
    document = parse_document(json.dumps(data).encode(), "card.json")
    report = check_document(document, folder, today=TODAY)
    assert report.card is not None, report.findings
    return [(f.rule, f.pointer) for f in report.findings]


@pytest.mark.parametrize(
    "revision",
    ["main", "v1.0", COMMIT[:39], COMMIT[:7], COMMIT.upper(), f"{COMMIT}0", "sha256:abc", "latest"],
)
def test_revisions_that_move(revision: str) -> None:
    change = {"model.base": {"id": "example/Model-7B", "revision": revision}}
    assert found(change) == [("SB-MOD-002", "/model/base/revision")]


@pytest.mark.parametrize("revision", [COMMIT, "sha256:" + "a" * 64, {"not_reported": "lost"}])
def test_revisions_that_do_not(revision: object) -> None:
    assert found({"model.base": {"id": "example/Model-7B", "revision": revision}}) == []


def test_a_folder_beside_the_card_needs_no_revision(tmp_path: Path) -> None:
    change = {"model.base": {"id": "models/small"}}
    assert found(change, folder=tmp_path) == [("SB-MOD-001", "/model/base/revision")]
    (tmp_path / "models" / "small").mkdir(parents=True)
    assert found(change, folder=tmp_path) == []
    assert found({"model.base": {"id": "./small"}}) == []
    (tmp_path / "models" / "small.gguf").touch()
    assert found({"model.base": {"id": "models/small.gguf"}}, folder=tmp_path) == []


def test_temperature_zero_says_the_same_as_greedy() -> None:
    assert found({"decoding.0.temperature": 0.0}) == []
    assert found({"decoding.0.temperature": 0.1}) == [("SB-DEC-004", "/decoding/0/temperature")]
    assert found({"decoding.0.top_k": 1}) == [("SB-DEC-004", "/decoding/0/top_k")]
    assert found({"decoding.0.top_p": {"not_reported": "x"}}) == [
        ("SB-DEC-004", "/decoding/0/top_p")
    ]


def test_a_temperature_that_is_not_reported_was_not_forgotten() -> None:
    assert found({"decoding.1.temperature": {"not_reported": "the paper does not say"}}) == []


def test_settings_that_differ_in_repeats_alone_are_the_same() -> None:
    twin = {**PLAN["decoding"][1], "name": "again", "repeats": 9}
    assert found({"decoding": [*PLAN["decoding"], twin]}) == [("SB-DEC-006", "/decoding/2")]


def test_effective_batch_size() -> None:
    batch = {"per_device": 8, "gradient_accumulation": 4, "devices": 2}
    assert found({"hyperparameters.batch_size": {**batch, "effective": 64}}) == []
    assert found({"hyperparameters.batch_size": {**batch, "effective": 32}}) == [
        ("SB-HYP-003", "/hyperparameters/batch_size/effective")
    ]


@pytest.mark.parametrize(
    ("date", "rules"),
    [
        ("2026-06-01", []), ("2026-06-02", []), ("2026-06-03", ["SB-SUB-002"]),
        ("2024-02-29", []), ("2026-02-29", ["SB-SUB-001"]), ("2026-13-01", ["SB-SUB-001"]),
    ],
)  # fmt: skip
def test_dates(date: str, rules: list[str]) -> None:
    assert [rule for rule, _ in found({"submission.date": date})] == rules


def test_derived_seeds_are_recomputed() -> None:
    """The submission's seeds are the derived ones; whatever is causal makes them wrong."""
    assert found({}, REPORT) == []
    bare = {key: value for key, value in REPORT.items() if key not in ("results", "evidence")}
    assert found({}, bare) == []
    assert found({"submission.title": "Another title"}, bare) == []
    changed = found({"hyperparameters.learning_rate": 0.004}, bare)
    assert [rule for rule, _ in changed] == ["SB-SEED-002"] * 3 + ["SB-SEED-003"]
    swapped = REPORT["seeds"]["training"][::-1]
    assert found({"seeds.training": swapped}, bare) == [
        ("SB-SEED-002", "/seeds/training/0"), ("SB-SEED-002", "/seeds/training/2"),
    ]  # fmt: skip


def test_partners_of_harm_are_asked_for_and_constructs_that_are_not_known() -> None:
    assert found({"tasks": ["safebench_harm"]}) == [("SB-TASK-003", "/tasks")]
    unknown = [("SB-TASK-003", "/tasks/1/construct")]
    assert found({"tasks": ["safebench_harm", "somebodys_task"]}) == unknown
    assert found({"tasks": ["safebench_capability", "somebodys_task"]}) == unknown
    assert found({"tasks": [*PLAN["tasks"], "somebodys_task"]}) == []
    assert found({"tasks": ["safebench_capability"]}) == []
    several = {"name": "mixed", "construct": ["harm", "over_refusal", "capability"]}
    assert found({"tasks": [several]}) == []


def test_absent_sections_break_no_rule() -> None:
    gone = {"not_reported": "the paper does not say"}
    for section in ("data", "hyperparameters", "seeds", "decoding", "prompting", "judge", "tasks"):
        assert found({section: gone}) == [], section
        # Numbers stay, and what they refer to is not known to be undeclared.
        rules = {rule for rule, _ in found({section: gone}, REPORT)}
        assert rules <= {"SB-SEED-002", "SB-SEED-003"}, section


def test_a_judge_that_is_a_model_is_pinned_and_a_rule_has_a_version() -> None:
    judge = {
        "name": "j", "kind": "llm", "id": "gpt", "revision": "latest", "primary": True,
        "prompt_template_sha256": "0" * 64, "parser": "first word", "decoding": "greedy",
        "on_parse_failure": "incoherent", "lineage": ["other"],
    }  # fmt: skip
    assert found({"judge": [judge]}) == [("SB-JUD-003", "/judge/0/revision")]
    assert found({"judge.0.revision": "2"}) == []


def test_two_primary_judges() -> None:
    second = {**PLAN["judge"][0], "name": "second"}
    assert found({"judge": [*PLAN["judge"], second]}) == [("SB-JUD-001", "/judge/1/primary")]


def test_ids_are_used_once() -> None:
    every = list(all_rules().values())
    with pytest.raises(ValueError, match="SB-CARD-002"):
        by_id([*every, every[1]])
    assert len(every) >= 60


def test_rules_keep_their_words_where_python_drops_docstrings() -> None:
    code = (
        "from safebench.checks import all_rules\n"
        "print(all(rule.title and rule.rationale for rule in all_rules().values()))"
    )
    command = [sys.executable, "-OO", "-c", code]
    ran = subprocess.run(command, capture_output=True, text=True, check=True)
    assert ran.stdout == "True\n"
