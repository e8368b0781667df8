"""Levels and completeness: what is there, what is missing, and how it is said."""

from __future__ import annotations

import copy
import datetime
import json
from pathlib import Path
from typing import Any

import pytest

from safebench.card.card import Card
from safebench.card.completeness import states
from safebench.card.io import load_document, parse_card, parse_document
from safebench.card.mandatory import MANDATORY
from safebench.card.schema import card_schema
from safebench.card.shape import models
from safebench.checks import LEVELS, CheckedCard, check, check_document, require
from safebench.checks.levels import level_of
from tests.conformance.runner import VALID

TODAY = datetime.date(2026, 6, 1)
PLAN: dict[str, Any] = load_document(VALID / "minimal-plan.yaml").data
REPORT: dict[str, Any] = load_document(VALID / "submission" / "card.yaml").data
GONE = {"not_reported": "the paper does not say"}


def checked(data: dict[str, Any], folder: Path | None = None) -> CheckedCard:
    document = parse_document(json.dumps(data).encode(), "card.json")
    return check_document(document, folder, today=TODAY)


def changed(data: dict[str, Any], pointer: str, value: Any) -> dict[str, Any]:
    data = copy.deepcopy(data)
    here: Any = data
    *path, last = pointer.split(".")
    for part in path:
        here = here[int(part)] if part.isdecimal() else here[part]
    here[int(last) if last.isdecimal() else last] = value
    return data


def test_a_plan_with_everything_is_declared() -> None:
    report = checked(PLAN)
    assert report.level == "declared"
    assert report.next_level == "evidenced"
    assert report.completeness == (55, 55)
    assert report.missing_for_next == ("execute the plan: safebench run CARD --out DIR",)


@pytest.mark.parametrize(
    ("pointer", "lost", "counted"),
    [
        ("hyperparameters.lora.r", 1, 55),
        ("hyperparameters.lora", 6, 55),
        ("hyperparameters", 20, 49),  # the method is unknown, so the adapter's fields do not count
        ("hyperparameters.optimizer", 1, 55),  # and what Adam has counts, unless it is another
        ("hyperparameters.epochs", 1, 55),
        ("decoding", 4, 50),  # one item instead of two, of which one samples
        ("judge", 4, 55),
        ("data", 2, 55),
        ("prompting", 6, 55),
        ("seeds", 2, 55),
        ("tasks", 1, 55),
    ],
)
def test_what_is_not_reported_lowers_completeness(pointer: str, lost: int, counted: int) -> None:
    report = checked(changed(PLAN, pointer, GONE))
    assert report.completeness == (counted - lost, counted)
    assert report.level == "incomplete"
    assert f"report {pointer} (not reported: the paper does not say)" in report.missing_for_next
    assert report.findings == ()


def test_leaving_the_system_prompt_out_is_an_answer_and_not_knowing_it_is_none() -> None:
    assert checked(changed(PLAN, "prompting", {"few_shot": 0})).level == "declared"
    report = checked(changed(PLAN, "prompting", {"system_prompt": GONE}))
    assert report.completeness == (54, 55)


def test_missing_and_not_reported_count_alike() -> None:
    data = copy.deepcopy(PLAN)
    del data["hyperparameters"]["lora"]["r"]
    report = checked(data)
    assert report.completeness == (54, 55)
    assert [(f.rule, f.severity) for f in report.findings] == [("SB-CARD-010", "note")]
    assert report.missing_for_next == ("report hyperparameters.lora.r",)


def test_an_error_makes_a_card_incomplete() -> None:
    report = checked(changed(PLAN, "hyperparameters.checkpoints", [1, 3]))
    assert report.level == "incomplete"
    assert report.completeness == (55, 55)
    assert report.missing_for_next == ("fix the error",)


def test_a_report_needs_what_a_plan_does_not() -> None:
    data = copy.deepcopy(REPORT)
    del data["environment"]
    del data["model"]["weights"]
    report = checked(data)
    assert set(report.missing_for_next) == {"report environment", "report model.weights"}
    assert report.completeness is not None
    assert report.completeness[1] - report.completeness[0] == 13


def test_results_alone_are_declared_and_evidence_makes_them_evidenced() -> None:
    submission = VALID / "submission"
    assert check(submission / "card.yaml", today=TODAY).level == "evidenced"
    data = copy.deepcopy(REPORT)
    del data["evidence"]
    assert checked(data, submission).level == "declared"


def test_what_replicated_asks_for_is_spelled_out() -> None:
    report = check(VALID / "submission" / "card.yaml", today=TODAY)
    assert report.next_level == "replicated"
    assert report.missing_for_next == (
        "calibrate judge rule on base and on tuned: in each at least 100 human labels of answers "
        "it judges here, with kappa 0.6 or more",
    )


CALIBRATED = [
    {"data": f"200 answers of {condition}", "condition": condition, "n": 200, "kappa": 0.8}
    for condition in ("base", "tuned")
]


def rated(data: dict[str, Any]) -> dict[str, Any]:
    """Give every stability a lower bound and the judge a calibration."""
    data = changed(data, "judge.0.calibration", CALIBRATED)
    for score in data["results"]["scores"]:
        if score["stability"]:
            score["stability"]["lower"] = 0.5
    return data


def on_paper(data: dict[str, Any]) -> tuple[str, tuple[str, ...]]:
    """The level by the card alone: numbers are changed here that evidence would contradict."""
    card, problems = parse_card(parse_document(json.dumps(data).encode(), "card.json"))
    assert card is not None
    assert problems == []
    return level_of(card, [], states(card))


def test_replicated_is_reached_and_reproduced_is_for_a_board() -> None:
    level, (missing,) = on_paper(rated(REPORT))
    assert level == "replicated"
    assert missing.startswith("a retrain rerun by a different organisation, signed")


def test_an_artefact_is_measured_by_repeats() -> None:
    level, missing = on_paper(rated(changed(REPORT, "submission.object", "artefact")))
    assert level == "evidenced"
    assert missing == tuple(
        f"measure example_{name} ({construct}) with at least 3 repeats, not 1"
        for name, construct in (
            ("capability", "capability"), ("harm", "harm"), ("overrefusal", "over_refusal"),
        )
    )  # fmt: skip


@pytest.mark.parametrize(
    ("pointer", "value", "said"),
    [
        ("judge.0.calibration.0.kappa", 0.59, "calibrate judge rule on base:"),
        ("judge.0.calibration.0.kappa", GONE, "calibrate judge rule on base:"),
        ("judge.0.calibration.1.n", 99, "calibrate judge rule on tuned:"),
        ("judge.0.calibration.1.outputs", "other", "calibrate judge rule on tuned:"),
        ("judge.0.calibration.1.condition", "control", "calibrate judge rule on tuned:"),
        ("judge.0.calibration", CALIBRATED[:1], "calibrate judge rule on tuned:"),
        ("judge.0.calibration", GONE, "calibrate judge rule on base and on tuned:"),
        ("decoding.1.do_sample", False, "measure the reference decodings"),
    ],
)
def test_replicated_is_missed_by_little(pointer: str, value: Any, said: str) -> None:
    level, (missing,) = on_paper(changed(rated(REPORT), pointer, value))
    assert level == "evidenced"
    assert missing.startswith(said)


def test_replicated_needs_the_three_constructs() -> None:
    data = rated(REPORT)
    data["results"]["primary"] = data["results"]["primary"][:1]
    assert on_paper(data) == (
        "evidenced",
        ("measure over_refusal and capability as primary estimands",),
    )


def test_replicated_needs_seeds() -> None:
    data = rated(REPORT)
    for score in data["results"]["scores"]:
        score["runs"] = score["runs"][:2]
    _, missing = on_paper(data)
    assert missing[1] == "measure example_harm (harm) with at least 3 training seeds, not 2"
    assert len(missing) == 3


def test_replicated_needs_stability_with_its_bound() -> None:
    data = rated(REPORT)
    for score in data["results"]["scores"]:
        if score["stability"]:
            score["stability"]["lower"] = None
    _, missing = on_paper(data)
    assert missing == tuple(
        f"give the stability of example_{name} with its lower bound"
        for name in ("capability (capability)", "harm (harm)", "overrefusal (over_refusal)")
    )


# --- asking for a level -------------------------------------------------------------------------


def test_asking_for_a_level_makes_what_is_missing_an_error() -> None:
    data = changed(PLAN, "hyperparameters.lora.alpha", GONE)
    del data["hyperparameters"]["lora"]["r"]
    report = checked(data)
    assert report.errors == 0
    asked = require(report, "declared")
    assert [(f.rule, f.severity, f.pointer) for f in asked.findings] == [
        ("SB-CARD-010", "error", "/hyperparameters/lora/r"),
        ("SB-CARD-011", "error", "/hyperparameters/lora/alpha"),
    ]
    assert report.errors == 0


def test_asking_for_a_level_beyond_the_fields_is_one_error() -> None:
    report = checked(PLAN)
    assert require(report, "declared") is report
    (finding,) = require(report, "evidenced").findings
    assert finding.rule == "SB-CARD-011"
    assert finding.message == "the level is declared, and evidenced was asked for"
    assert "safebench run" in finding.fix


def test_levels_are_in_order() -> None:
    assert LEVELS == ("incomplete", "declared", "evidenced", "replicated", "reproduced")


# --- the table ----------------------------------------------------------------------------------


def test_every_path_of_the_table_is_a_field() -> None:
    schema = card_schema()

    def fields(names: set[str]) -> dict[str, set[str]]:
        found: dict[str, set[str]] = {}
        for name in names:
            node = schema if name == "Card" else schema["$defs"][name]
            for field, value in node.get("properties", {}).items():
                refs = {w.rpartition("/")[2] for w in _refs(value)} - {"NotReported"}
                found.setdefault(field, set()).update(refs)
        return found

    for entry in MANDATORY:
        models = {"Card"}
        for part in entry.path.replace("[]", "").split("."):
            below = fields(models)
            assert part in below, entry.path
            models = below[part]


def _refs(node: Any) -> list[str]:
    if isinstance(node, dict):
        return [r for k, v in node.items() for r in ([v] if k == "$ref" else _refs(v))]
    return [r for item in node for r in _refs(item)] if isinstance(node, list) else []


VALUES = {
    "ApiJob", "Attack", "Calibration", "RegisteredRun", "RenderingTemplate", "RerunEntry",
    "SelfTest", "Subset", "Weights",
}  # fmt: skip
"""Models of which a whole one is the value of a field."""
NUMBERS = {"Change", "RunScore", "Score", "Stability"}
"""Models of what was measured: a level asks for them in words of its own."""


def test_what_the_schema_requires_and_lets_be_absent_is_mandatory() -> None:
    """A field one must write, if only as not_reported, counts."""
    schema = card_schema()
    names = {entry.path.replace("[]", "").rpartition(".")[2] for entry in MANDATORY}
    # The fields of these sections count; what tells who submits decides no outcome.
    sections = {"hyperparameters", "seeds", "judge", "lora", "prompt"}
    unasked = {
        ("SubmissionInfo", "title"),
        ("SubmissionInfo", "submitter"),
        ("Submitter", "contact"),
    }
    # A template counts by its digest, which a run fills in.
    unasked.add(("ChatTemplateFromFile", "path"))
    assert set(schema["$defs"]) >= VALUES | NUMBERS
    required = {
        (model, name)
        for model, node in {"Card": schema, **schema["$defs"]}.items()
        if model not in VALUES | NUMBERS
        for name, field in (Card if model == "Card" else models()[model]).model_fields.items()
        if field.is_required()
        and any(r.endswith("NotReported") for r in _refs(node["properties"][name]))
    }
    assert unasked < required
    assert {
        (model, name) for model, name in required - unasked if name not in names | sections
    } == set()


def test_states_name_each_item_of_a_list() -> None:
    card = Card.model_validate_json(json.dumps(PLAN))
    pointers = [state.pointer for state in states(card)]
    assert ("decoding", 0, "max_new_tokens") in pointers
    assert ("decoding", 1, "temperature") in pointers
    assert ("decoding", 0, "temperature") not in pointers
    assert len(pointers) == len(set(pointers))
