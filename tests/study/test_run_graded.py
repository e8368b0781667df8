"""A whole run whose severity a classifier grades."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import yaml

from safebench.card.base import Unpinnable
from safebench.card.io import load_card
from safebench.evidence.outcomes import read_outcomes
from tests.command import safebench
from tests.perspective import SECRET, refused, scored, serving
from tests.plans import plan_data, write_plan
from tests.small_classifier import classifier_data, save_classifier

TASKS = [
    {"name": "safebench_harm", "limit": 6, "construct": ["harm", "severity"]},
    {"name": "safebench_overrefusal", "limit": 2},
]


def write(folder: Path, **changes: object) -> Path:
    """An untuned model, asked greedily, and a classifier beside it."""
    judge = folder / "classifier"
    if not judge.is_dir():
        save_classifier(judge)
    return write_plan(
        folder,
        hyperparameters={"method": "none"},
        data=[],
        seeds={"scheme": "derived", "training": 1, "controls": []},
        decoding=[{"name": "greedy", "do_sample": False, "max_new_tokens": 6}],
        judge=[*plan_data()["judge"], classifier_data(judge, **changes)],
        tasks=TASKS,
    )


def test_severity_is_run_and_holds_where_it_was_written(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    plan = write(tmp_path / "plan")
    out = tmp_path / "elsewhere" / "deep" / "out"
    ran = safebench(capsys, "run", plan, "--out", out, "--device", "cpu")
    assert ran.code == 0, ran.err
    assert "severity" in ran.out
    card = load_card(out / "card.yaml")
    assert isinstance(card.judge, tuple)
    assert (out / str(card.judge[1].id)).resolve() == tmp_path / "plan" / "classifier"
    (harm, benign) = card.task_list()
    assert harm.construct == ("harm", "severity")
    assert benign.construct == "over_refusal"
    rows = read_outcomes(out).to_pylist()
    assert sorted({(r["construct"], r["judge"]) for r in rows}) == [
        ("harm", "rule"),
        ("over_refusal", "rule"),
        ("severity", "grader"),
    ]
    assert len({r["score"] for r in rows if r["construct"] == "severity"}) > 2
    checked = safebench(capsys, "validate", out, "--format", "json")
    findings = json.loads(checked.out)["files"][0]["findings"]
    assert [f["rule"] for f in findings if f["severity"] == "error"] == []


def test_a_judge_that_is_not_the_cards_is_refused_before_anything_is_spent(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    plan = write(tmp_path / "plan", revision="sha256:" + "0" * 64)
    ran = safebench(capsys, "run", plan, "--out", tmp_path / "out")
    assert ran.code == 2
    assert "has digest sha256:" in " ".join(ran.err.split())
    assert not (tmp_path / "out").exists()


def test_severity_of_prompts_that_ask_for_no_harm_is_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    plan = write(tmp_path / "plan")
    text = plan.read_text().replace(
        "name: safebench_overrefusal",
        "name: safebench_overrefusal\n  construct: [over_refusal, severity]",
    )
    plan.write_text(text)
    ran = safebench(capsys, "run", plan, "--out", tmp_path / "out")
    assert ran.code == 2
    assert "tasks[1].construct lists severity, but none of its prompts asks for harm" in " ".join(
        ran.err.split()
    )


JUDGE = {
    "name": "toxicity",
    "kind": "moderation_api",
    "id": "TOXICITY of the Perspective API",
    "provider": "Jigsaw",
    "revision": {"unpinnable": "it moves"},
    "constructs": ["severity"],
    "primary": True,
    "threshold": 0.5,
}


def test_a_service_without_a_key_is_refused_before_anything_is_spent(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("PERSPECTIVE_API_KEY", raising=False)
    plan = write_plan(tmp_path / "plan", judge=[*plan_data()["judge"], JUDGE], tasks=TASKS)
    ran = safebench(capsys, "run", plan, "--out", tmp_path / "out")
    assert ran.code == 2
    assert "PERSPECTIVE_API_KEY is not set" in " ".join(ran.err.split())
    assert not (tmp_path / "out").exists()


def test_a_run_that_a_service_stopped_goes_on_without_asking_again(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    write(tmp_path / "plan")
    plan = yaml.safe_load((tmp_path / "plan" / "plan.yaml").read_text())
    plan["judge"][1] = JUDGE
    path = tmp_path / "plan" / "plan.yaml"
    path.write_text(yaml.safe_dump(plan))
    with serving(monkeypatch) as service:
        service.answers = [scored(0.25), scored(0.5), refused(403, "over the quota")]
        ran = safebench(capsys, "run", path, "--out", tmp_path / "out", "--device", "cpu")
        assert ran.code == 2
        assert "the Perspective API answers 403: over the quota" in " ".join(ran.err.split())
        service.answers = [scored(0.75)]
        ran = safebench(capsys, "run", path, "--out", tmp_path / "out", "--device", "cpu")
        assert ran.code == 0, ran.err
        asked = [request["comment"]["text"] for request in service.asked]
    del asked[2]  # the one that was refused was asked for again
    assert len(asked) == len(set(asked))
    rows = read_outcomes(tmp_path / "out").to_pylist()
    degrees = [r["score"] for r in rows if r["construct"] == "severity" and r["score"] > 0]
    assert set(degrees) <= {0.25, 0.5, 0.75}
    assert 0.75 in degrees
    card = load_card(tmp_path / "out" / "card.yaml")
    assert isinstance(card.judge, tuple)
    assert isinstance(card.judge[1].revision, Unpinnable)
    assert card.judge[1].revision.last_request
    everything = [p for p in (tmp_path / "out").rglob("*") if p.is_file()]
    assert not [p for p in everything if SECRET.encode() in p.read_bytes()]
