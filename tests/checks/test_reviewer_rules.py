"""What an adversarial reviewer looks for: the edges of rules, and what must not be found."""

from __future__ import annotations

import hashlib
from typing import Any

import pytest

from safebench.card.io import load_document
from tests.checks.test_rules import COMMIT, PLAN, REPORT, found
from tests.conformance.runner import VALID

API: dict[str, Any] = load_document(VALID / "api-plan.yaml").data
STAGES: dict[str, Any] = load_document(VALID / "stages-plan.yaml").data
SETS: dict[str, Any] = load_document(VALID / "complete-plan.yaml").data
GONE = {"not_reported": "the paper does not say"}
# A card about somebody else's results, whose numbers are not recomputed.
THIRD: dict[str, Any] = {
    **{key: value for key, value in REPORT.items() if key != "evidence"},
    "submission": {**REPORT["submission"], "relationship": "third_party"},
}


def rules(change: dict[str, Any], data: dict[str, Any] = PLAN) -> list[str]:
    return [rule for rule, _ in found(change, data)]


def digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


# --- judges -------------------------------------------------------------------------------------


def test_one_primary_judge_for_what_it_decides() -> None:
    rule = PLAN["judge"][0]
    severity = {
        **rule, "name": "grades", "constructs": ["severity"], "primary": True, "revision": "2",
    }  # fmt: skip
    assert rules({"judge": [rule, severity]}) == []
    assert found({"judge": [rule, {**severity, "primary": False}]}) == [("SB-JUD-001", "/judge")]
    again = {**severity, "name": "again"}
    assert found({"judge": [rule, severity, again]}) == [("SB-JUD-001", "/judge/2/primary")]
    assert found({"judge": [severity]}) == []
    assert found({"judge": []}) == [("SB-JUD-001", "/judge")]


def test_an_alias_of_an_api_is_no_revision_and_says_so() -> None:
    assert rules({}, API) == []
    assert found({"judge.0.revision": "gpt-large"}, API) == [("SB-JUD-003", "/judge/0/revision")]
    toxic = {
        "name": "toxicity", "kind": "moderation_api", "id": "TOXICITY", "provider": "Example",
        "revision": COMMIT, "threshold": 0.5, "constructs": ["severity"], "primary": True,
    }  # fmt: skip
    assert found({"judge": [*PLAN["judge"], toxic]}) == [("SB-JUD-003", "/judge/1/revision")]


def test_a_dated_name_of_an_api_model_is_a_snapshot() -> None:
    assert found({"model.base.revision": "mini-2026-01-15"}, API) == [
        ("SB-MOD-002", "/model/base/revision")
    ]
    assert found({"model.base.revision": COMMIT}, API) == [("SB-MOD-002", "/model/base/revision")]
    assert found({"model.base.revision": GONE}, API) == []
    assert found({"model.base.revision": "sha256:" + "a" * 64}, API) == []


@pytest.mark.parametrize(
    ("first", "last", "places"),
    [
        ("2026-03-01", "2026-03-02", []),
        ("2026-03-01", "2026-03-01", []),
        ("2026-03-02", "2026-03-01", ["last_request"]),
        ("2026-02-30", "2026-03-01", ["first_request"]),
        ("2026-03-01", "2027-03-01", ["last_request"]),
        (GONE, "2026-03-01", []),
    ],
)
def test_days_of_requests(first: object, last: object, places: list[str]) -> None:
    pin = {"unpinnable": "an alias", "first_request": first, "last_request": last}
    assert found({"model.base.revision": pin}, API) == [
        ("SB-MOD-010", f"/model/base/revision/{place}") for place in places
    ]


def test_a_judge_calibrated_on_these_outputs_too_is_fine() -> None:
    other = {"data": "answers of GPT-4", "outputs": "other", "n": 450, "kappa": 0.87}
    here = {"data": "200 tuned answers", "outputs": "these", "n": 200, "kappa": 0.7}
    assert rules({"judge.0.calibration": [other]}, PLAN) == ["SB-JUD-004"]
    assert rules({"judge.0.calibration": [other, here]}, PLAN) == []
    assert rules({"judge.0.calibration": GONE}, PLAN) == []


def test_a_judge_that_is_the_judged_model() -> None:
    base = API["judge"][1]["id"]
    assert found({"model.base.id": base}, API) == [("SB-JUD-005", "/judge/1/id")]
    assert found({"model.base.id": "example/Other-7B"}, API) == [("SB-JUD-005", "/judge/1/lineage")]
    assert found({"judge.1.lineage": []}, API) == []


def test_members_of_an_ensemble() -> None:
    for members, place in ((["grader", "both"], 1), (["grader", "grader"], 1), (["x"], 0)):
        assert found({"judge.2.members": members}, API) == [
            ("SB-JUD-006", f"/judge/2/members/{place}")
        ]


# --- data, model, hyperparameters ---------------------------------------------------------------


def test_a_control_that_differs_in_its_content_alone() -> None:
    assert rules({}, SETS) == []
    assert found({"data.1.examples": 100}, SETS) == [("SB-DATA-006", "/data/1/examples")]
    assert found({"data.1.template": "plain"}, SETS) == [("SB-DATA-006", "/data/1/template")]
    assert found({"data.1.examples": GONE}, SETS) == []


@pytest.mark.parametrize(
    ("weights", "wrong"), [((0.75, 0.25), False), ((0.7, 0.2), True), ((0.75, GONE), False)]
)
def test_weights_of_a_mixture(weights: tuple[object, object], wrong: bool) -> None:
    change = {"data.0.weight": weights[0], "data.1.weight": weights[1]}
    assert rules(change, STAGES) == (["SB-DATA-008"] if wrong else [])


def test_answers_of_the_base_model() -> None:
    place = "data.1.answers"
    assert found({f"{place}.questions_of": "own-answers"}, SETS) == [
        ("SB-DATA-009", "/data/1/answers/questions_of")
    ]
    assert found({f"{place}.decoding": "t10"}, SETS) == [
        ("SB-DATA-009", "/data/1/answers/decoding")
    ]
    assert found({place: None}, SETS) == [("SB-DATA-003", "/data/1")]


def test_rules_on_training_hold_in_every_stage() -> None:
    stage = "hyperparameters.earlier_stages.0"
    assert rules({}, STAGES) == []
    assert found({f"{stage}.learning_rate": 1}, STAGES) == [
        ("SB-HYP-005", "/hyperparameters/earlier_stages/0/learning_rate")
    ]
    assert found({f"{stage}.steps": 10}, STAGES) == [
        ("SB-HYP-006", "/hyperparameters/earlier_stages/0/steps")
    ]
    assert found({f"{stage}.data": ["poems"]}, STAGES) == [
        ("SB-HYP-008", "/hyperparameters/earlier_stages/0/data/0")
    ]
    inner = STAGES["hyperparameters"]["earlier_stages"]
    assert found({f"{stage}.earlier_stages": inner}, STAGES) == [
        ("SB-HYP-008", "/hyperparameters/earlier_stages/0/earlier_stages")
    ]


def test_checkpoints_are_counted_in_steps_where_training_is() -> None:
    assert found({"hyperparameters.checkpoints": [50, 126]}, STAGES) == [
        ("SB-HYP-001", "/hyperparameters/checkpoints/1")
    ]
    assert found({"hyperparameters.checkpoints": [50, 100]}, STAGES) == []  # it says why
    short = {"hyperparameters.checkpoints": [50, 100], "model.checkpoint_rule": GONE}
    assert found(short, STAGES) == [("SB-HYP-009", "/hyperparameters/checkpoints")]
    assert found({"hyperparameters.checkpoint_unit": "epoch"}, STAGES) == [
        ("SB-HYP-007", "/hyperparameters/steps")
    ]


def test_factors_of_a_batch_size_that_are_not_known_contradict_nothing() -> None:
    batch = {"effective": 64, "per_device": GONE, "gradient_accumulation": GONE, "devices": GONE}
    assert found({"hyperparameters.batch_size": batch}) == []


def test_weights_of_another_condition_are_other_weights() -> None:
    seed = REPORT["seeds"]["training"][0]
    entries = [
        {"training_seed": seed, "checkpoint": 1, "path": "a", "sha256": digest("a")},
        {"training_seed": seed, "checkpoint": 1, "condition": "control", "path": "b",
         "sha256": digest("b")},
    ]  # fmt: skip
    plan = {key: value for key, value in REPORT.items() if key not in ("results", "evidence")}
    assert rules({"model.weights": entries}, plan) == []
    assert rules({"model.weights": [*entries, {**entries[0], "sha256": digest("c")}]}, plan) == [
        "SB-MOD-004"
    ]
    assert rules({"model.weights": [{**entries[0], "training_seed": 5}]}, plan) == ["SB-MOD-007"]
    assert rules({"model.weights": [{**entries[0], "sha256": GONE}, entries[1]]}, plan) == []


# --- seeds, tasks, decoding ---------------------------------------------------------------------


@pytest.mark.parametrize(
    ("seeds", "expected"),
    [
        ({"nonce": "self_derived"}, []),
        ({"nonce": "6b17"}, ["SB-SEED-008"]),
        ({"nonce": "6b17", "nonce_source": "a board, 2026-01-01"}, []),
        ({"fixed": {"dropout": 1}}, ["SB-SEED-009"]),
        ({"controls": ["data_order"], "fixed": {"dropout": 1}}, []),
        ({"controls": [], "training": 1}, ["SB-SEED-004", "SB-SEED-010"]),
        ({"controls": []}, ["SB-SEED-010"]),
        ({"controls": GONE}, []),
    ],
)
def test_seeds(seeds: dict[str, Any], expected: list[str]) -> None:
    assert rules({"seeds": {**PLAN["seeds"], **seeds}}) == expected


def test_seeds_of_a_nonce_that_is_not_reported_cannot_be_recomputed() -> None:
    seeds = {**PLAN["seeds"], "training": [1, 2, 3], "generation": 7}
    assert {rule for rule, _ in found({"seeds": seeds})} == {"SB-SEED-002", "SB-SEED-003"}
    assert found({"seeds": {**seeds, "nonce": GONE}}) == []


def test_a_series_of_reruns_is_derived() -> None:
    declared = {**PLAN["seeds"], "scheme": "declared", "origin": "x", "training": [1, 2, 3]}
    assert found({"seeds": {**declared, "series": "rerun"}}) == [("SB-SEED-007", "/seeds/series")]


def test_a_purpose_is_measured_by_a_capability_task() -> None:
    assert rules({}, SETS) == []
    assert found({"tasks.2.purpose": False}, SETS) == [("SB-TASK-007", "/data/0/purpose")]
    assert found({"tasks.0.purpose": True}, SETS) == [("SB-TASK-008", "/tasks/0/purpose")]
    assert found({"data.0.purpose": GONE, "tasks.2.purpose": False}, SETS) == []


def test_reference_settings_and_one_variable() -> None:
    greedy, sampled = PLAN["decoding"]
    assert found({"decoding": [greedy]}) == [("SB-DEC-008", "/decoding")]
    assert found({"decoding": [sampled]}) == [("SB-DEC-008", "/decoding")]
    longer = {**sampled, "max_new_tokens": 96, "stop": ["."]}
    assert found({"decoding": [greedy, longer]}) == [("SB-DEC-007", "/decoding/1")]
    assert found({"decoding": [greedy, {**sampled, "max_new_tokens": GONE}]}) == []
    control = {**greedy, "repeats": 3, "repeat_control": True}
    assert found({"decoding": [control, sampled]}) == []
    assert found({"decoding": [{**greedy, "repeat_control": True}, sampled]}) == [
        ("SB-DEC-005", "/decoding/0/repeat_control")
    ]


# --- numbers ------------------------------------------------------------------------------------


def test_somebody_elses_numbers_are_consistent() -> None:
    assert rules({}, THIRD) == []


def test_a_number_without_n_or_interval() -> None:
    for field in ("n", "lower", "upper"):
        assert found({f"results.scores.0.{field}": GONE}, THIRD) == [
            ("SB-RES-010", f"/results/scores/0/{field}")
        ]
    assert found({"results.scores.0.method": GONE}, THIRD) == []


def test_a_run_counted_twice_under_another_repeat_number() -> None:
    scores = THIRD["results"]["scores"]
    number = next(
        n for n, s in enumerate(scores) if s["condition"] == "tuned" and s["decoding"] == "t07"
    )
    runs = scores[number]["runs"]
    same = [{**run, "repeat": 1} for run in runs]
    hits = found({f"results.scores.{number}.runs": same}, THIRD)
    assert {rule for rule, _ in hits} == {"SB-RES-011", "SB-RES-013"}
    unknown = [{**run, "training_seed": GONE} for run in runs]
    assert found({f"results.scores.{number}.runs": unknown}, THIRD) == []


def test_a_lost_seed_is_registered() -> None:
    """A seed may lack runs only when evidence.runs says that it was lost, and why."""
    plan = {key: value for key, value in REPORT.items() if key not in ("evidence",)}
    scores = [
        {**score, "runs": [r for r in score["runs"] if r["training_seed"] != _last_seed()]}
        for score in REPORT["results"]["scores"]
    ]
    hits = found({"results.scores": scores}, plan)
    missing = [place for rule, place in hits if rule == "SB-RES-012"]
    tuned = [n for n, s in enumerate(scores) if s["condition"] == "tuned"]
    assert missing == [f"/results/scores/{n}/runs" for n in tuned]
    lost = [
        {**run, "status": "failed", "reason": "out of memory"}
        if run["training_seed"] == _last_seed()
        else run
        for run in REPORT["evidence"]["runs"]
    ]
    hits = found({"results.scores": scores, "evidence.runs": lost}, REPORT)
    assert "SB-RES-012" not in {rule for rule, _ in hits}
    nameless = [{key: value for key, value in run.items() if key != "reason"} for run in lost]
    hits = found({"results.scores": scores, "evidence.runs": nameless}, REPORT)
    assert "SB-EVI-014" in {rule for rule, _ in hits}


def _last_seed() -> int:
    return int(REPORT["seeds"]["training"][-1])


def test_stability_of_repeats_taken_for_seeds() -> None:
    scores = THIRD["results"]["scores"]
    number = next(n for n, s in enumerate(scores) if s["stability"] is not None)
    assert found({f"results.scores.{number}.stability.seeds": 6}, THIRD) == [
        ("SB-RES-017", f"/results/scores/{number}/stability/seeds")
    ]


def test_reruns_are_counted_once_and_are_independent() -> None:
    rerun = {
        "id": "first", "kind": "retrain", "organisation": "Another Lab", "sha256": digest("first"),
        "training_seeds": [1, 2, 3], "verdict": "inconclusive",
    }  # fmt: skip
    other = {**rerun, "id": "second", "sha256": digest("second"), "training_seeds": [4, 5, 6]}
    assert found({"evidence.reruns": [rerun, other]}, REPORT) == []
    assert found({"evidence.reruns": [rerun, {**other, "sha256": digest("first")}]}, REPORT) == [
        ("SB-EVI-012", "/evidence/reruns/1")
    ]
    seeds = REPORT["seeds"]["training"]
    assert found({"evidence.reruns": [{**rerun, "training_seeds": seeds[:1]}]}, REPORT) == [
        ("SB-EVI-013", "/evidence/reruns/0/training_seeds/0")
    ]
    regenerated = {**rerun, "kind": "regenerate", "training_seeds": seeds}
    assert found({"evidence.reruns": [regenerated]}, REPORT) == []


def test_a_released_model_measured_by_a_third_party_has_evidence_of_its_own() -> None:
    third = {"submission.relationship": "third_party"}
    assert found(third, REPORT) == [("SB-EVI-011", "/evidence")]
    hits = found({**third, "submission.object": "artefact"}, REPORT)
    assert "SB-EVI-011" not in {rule for rule, _ in hits}
