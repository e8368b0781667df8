"""Where a page and the program once disagreed: what the page says, as a table."""

from __future__ import annotations

import copy
import json
from pathlib import Path
from typing import Any

import pytest

from safebench.card.io import parse_document
from safebench.card.model import WeightsModel
from safebench.checks import CheckedCard, check_document
from tests.checks.test_rules import PLAN, REPORT, TODAY, found

GONE = {"not_reported": "the paper does not say"}
LEFT_OUT: Any = object()
OWN = {"name": "own", "role": "control", "examples": 300, "controls_for": "the questions"}
DIGEST = "0" * 64
DECLARED = {"scheme": "declared", "origin": "a die", "training": [1, 2, 3], "controls": ["dropout"]}


def changed(change: dict[str, Any], data: dict[str, Any] = PLAN) -> dict[str, Any]:
    data = copy.deepcopy(data)
    for pointer, value in change.items():
        here: Any = data
        *path, last = pointer.split(".")
        for part in path:
            here = here[int(part)] if part.isdecimal() else here[part]
        if value is LEFT_OUT:
            del here[last]
        else:
            here[int(last) if last.isdecimal() else last] = value
    return data


def checked(change: dict[str, Any], data: dict[str, Any] = PLAN) -> CheckedCard:
    document = parse_document(json.dumps(changed(change, data)).encode(), "card.json")
    return check_document(document, None, today=TODAY)


def places(change: dict[str, Any], data: dict[str, Any] = PLAN) -> list[str]:
    return [f"{f.rule} {f.pointer}" for f in checked(change, data).findings]


@pytest.mark.parametrize(
    ("change", "place"),
    [
        ({"spec": LEFT_OUT}, "SB-CARD-007 /spec"),
        ({"hyperparameters.method": LEFT_OUT}, "SB-CARD-001 /hyperparameters/method"),
        ({"judge.0.kind": LEFT_OUT}, "SB-CARD-001 /judge/0/kind"),
        ({"model.chat_template": {}}, "SB-CARD-001 /model/chat_template/source"),
        ({"hyperparameters.objective": {}}, "SB-CARD-001 /hyperparameters/objective/kind"),
        ({"submission.id": LEFT_OUT}, "SB-CARD-001 /submission/id"),
        ({"hyperparameters.lora.r": LEFT_OUT}, "SB-CARD-010 /hyperparameters/lora/r"),
        ({"model.base.id": "a/b"}, "SB-MOD-001 /model/base/revision"),
        ({"data": [*PLAN["data"], {**OWN, "path": "o", "controls_for": None}]},
         "SB-DATA-005 /data/1/controls_for"),
        ({"seeds": {**DECLARED, "origin": None}}, "SB-SEED-006 /seeds/origin"),
        ({"seeds.nonce": "6b17"}, "SB-SEED-008 /seeds/nonce_source"),
        ({"decoding.1.temperature": LEFT_OUT}, "SB-DEC-002 /decoding/1/temperature"),
        ({"tasks.0": {"name": "mine", "purpose": True}}, "SB-TASK-008 /tasks/0/construct"),
    ],
)  # fmt: skip
def test_a_missing_field_is_pointed_to_where_it_would_stand(
    change: dict[str, Any], place: str
) -> None:
    assert place in places(change)


def test_missing_fields_of_a_report() -> None:
    run = {"training_seed": 7, "condition": "tuned", "status": "failed"}
    runs = [*REPORT["evidence"]["runs"], run]
    assert f"SB-EVI-014 /evidence/runs/{len(runs) - 1}/reason" in places(
        {"evidence.runs": runs}, REPORT
    )
    assert places({"results": LEFT_OUT}, REPORT) == ["SB-EVI-001 /results"]
    assert places({"evidence": LEFT_OUT}, REPORT) == ["SB-EVI-002 /evidence"]
    assert places({"judge.0.calibration": LEFT_OUT}, REPORT) == ["SB-JUD-004 /judge/0/calibration"]


@pytest.mark.parametrize(
    "field",
    [
        "submission.title", "submission.submitter", "submission.submitter.contact", "seeds",
        "hyperparameters", "hyperparameters.lora", "hyperparameters.batch_size", "tasks",
    ],
)  # fmt: skip
def test_a_required_field_left_out_counts_as_one_that_is_not_reported(field: str) -> None:
    left_out, unknown = checked({field: LEFT_OUT}), checked({field: GONE})
    assert left_out.completeness == unknown.completeness
    assert [f.rule for f in left_out.findings] == ["SB-CARD-010"]
    assert left_out.level == "incomplete"


@pytest.mark.parametrize(
    ("change", "rules"),
    [
        # The unit of checkpoints and training is one, whichever of the two it is.
        ({"hyperparameters.checkpoint_unit": "step"}, ["SB-HYP-007"]),
        ({"hyperparameters.checkpoint_unit": "step", "hyperparameters.steps": GONE}, []),
        ({"hyperparameters.epochs": LEFT_OUT, "hyperparameters.steps": 40}, ["SB-HYP-007"]),
        # An absence that is stated is no second length.
        ({"hyperparameters.steps": GONE}, []),
        ({"hyperparameters.warmup_ratio": GONE}, []),
        ({"hyperparameters.warmup_ratio": 0.1}, ["SB-HYP-006"]),
        # The end of training may be left out where the card says why.
        ({"hyperparameters.epochs": 3}, ["SB-HYP-009"]),
        ({"hyperparameters.epochs": 3, "model.checkpoint_rule": "the third was lost"}, []),
        ({"hyperparameters.epochs": 3, "model.checkpoint_rule": GONE}, ["SB-HYP-009"]),
        ({"hyperparameters.epochs": 3,
          "model.checkpoint_rule": WeightsModel.model_fields["checkpoint_rule"].default},
         ["SB-HYP-009"]),
        ({"hyperparameters.epochs": 2.0}, []),
        # Without a unit, checkpoints are not compared with a length.
        ({"hyperparameters.checkpoint_unit": GONE, "hyperparameters.epochs": LEFT_OUT,
          "hyperparameters.steps": 1}, []),
        ({"hyperparameters.checkpoint_unit": GONE, "hyperparameters.epochs": LEFT_OUT,
          "hyperparameters.steps": 40}, []),
        # One seed that sets nothing sets nothing.
        ({"seeds.controls": [], "seeds.training": 1}, ["SB-SEED-004", "SB-SEED-010"]),
        # One seed whose value nobody knows.
        ({"seeds": {**DECLARED, "training": 1}}, ["SB-SEED-004", "SB-SEED-005"]),
        ({"seeds": {**DECLARED, "training": 1, "origin": GONE}}, ["SB-SEED-004"]),
        # Sets of the same examples, however they are named.
        ({"data": [*PLAN["data"], {**OWN, "path": "household.jsonl"}]}, ["SB-DATA-007"]),
        ({"data": [*PLAN["data"], {**OWN, "path": "household.jsonl", "split": "a"}]}, []),
        ({"data": [*PLAN["data"], {**OWN, "path": "household.jsonl", "subset": GONE}]}, []),
        ({"data": [{**PLAN["data"][0], "id": "a/b"}, {**OWN, "id": "a/b"}]}, ["SB-DATA-007"]),
        ({"data": [{**PLAN["data"][0], "sha256": DIGEST},
                   {**OWN, "path": "o", "sha256": DIGEST}]}, ["SB-DATA-007"]),
        ({"data": [{**PLAN["data"][0], "rendered_sha256": DIGEST},
                   {**OWN, "path": "o", "split": "a", "rendered_sha256": DIGEST}]},
         ["SB-DATA-007"]),
        # null is a value where the table says so, and else that of a field without a default.
        ({"submission.date": None, "model.weights": None}, []),
        ({"model.dtype": None}, ["SB-CARD-003"]),
        ({"decoding.0.repeats": None}, ["SB-CARD-003"]),
        ({"tasks.0": {"name": "mine", "construct": 5}}, ["SB-CARD-003"]),
        ({"judge.0.kind": 5}, ["SB-CARD-003"]),
        ({"judge.0.kind": "oracle"}, ["SB-CARD-004"]),
        ({"spec": "safebench/1.00"}, ["SB-CARD-007"]),
        ({"tasks.2": {"name": "mine", "purpose": True, "construct": "capability"}}, []),
    ],
)  # fmt: skip
def test_the_page_decides(change: dict[str, Any], rules: list[str]) -> None:
    assert [finding.rule for finding in checked(change).findings] == rules


@pytest.mark.parametrize(
    ("calibration", "plan", "report"),
    [
        (LEFT_OUT, [], ["SB-JUD-004"]),
        ([], [], ["SB-JUD-004"]),
        (GONE, [], []),
        ([{"data": "x", "outputs": "other", "n": 9, "kappa": 1}], ["SB-JUD-004"], ["SB-JUD-004"]),
        ([{"data": "x", "n": 9, "kappa": 1}], [], []),
    ],
)
def test_a_judge_without_a_calibration(
    calibration: Any, plan: list[str], report: list[str]
) -> None:
    change = {} if calibration is LEFT_OUT else {"judge.0.calibration": calibration}
    assert [f.rule for f in checked(change).findings] == plan
    if calibration is LEFT_OUT:
        change = {"judge.0.calibration": LEFT_OUT}
    assert [f.rule for f in checked(change, REPORT).findings] == report


def test_people_are_not_calibrated_against_people() -> None:
    people = {"name": "people", "kind": "human", "id": "two", "revision": "1", "votes": 2}
    hits = places({"judge": [*REPORT["judge"], people]}, REPORT)
    assert not any(hit.startswith("SB-JUD-004") for hit in hits)


def test_a_manifest_outside_the_submission(tmp_path: Path) -> None:
    hits = found({"evidence.manifest": "../m.json"}, REPORT, tmp_path)
    assert ("SB-EVI-003", "/evidence/manifest") in hits
    assert ("SB-EVI-004", "/evidence/manifest") not in hits
