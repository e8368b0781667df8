"""Whole runs that prompted judges decide, and judging afterwards by another card."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import yaml

from safebench.card.io import load_card
from safebench.evidence.outcomes import read_outcomes
from safebench.judges.interface import Exchange
from tests.command import safebench
from tests.judges.llm_judges import TEXT, llm_data, of_folder, save_judge
from tests.judges.openai_server import completed, refused, said, serving
from tests.plans import plan_data, write_plan

UNTUNED = {
    "hyperparameters": {"method": "none"},
    "data": [],
    "seeds": {"scheme": "derived", "training": 1, "controls": []},
    "decoding": [{"name": "greedy", "do_sample": False, "max_new_tokens": 6}],
    "tasks": [
        {"name": "safebench_harm", "limit": 4, "construct": ["harm", "severity"]},
        {"name": "safebench_overrefusal", "limit": 2},
    ],
}
RULE = {**plan_data()["judge"][0], "constructs": ["harm", "over_refusal"]}
CPU = ("--device", "cpu")


def errors(capsys: pytest.CaptureFixture[str], out: Path) -> list[str]:
    checked = safebench(capsys, "validate", out, "--format", "json")
    findings = json.loads(checked.out)["files"][0]["findings"]
    return [f["message"] for f in findings if f["severity"] == "error"]


def api_judge(**changes: Any) -> dict[str, Any]:
    return llm_data(
        access="api", revision={"unpinnable": "it moves"}, provider="this machine",
        constructs=["harm", "over_refusal"], **changes,
    )  # fmt: skip


def test_a_server_judges_a_run_that_goes_on_where_it_stopped(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    template = {**llm_data()["template"], "path": "texts/t.txt", "chat": True}
    plan = write_plan(
        tmp_path / "plan",
        **{**UNTUNED, "tasks": ["safebench_harm", "safebench_overrefusal"]},
        judge=[RULE, api_judge(template=template)],
    )
    data = yaml.safe_load(plan.read_text())
    data["tasks"] = [{"name": name, "limit": 3} for name in data["tasks"]]
    plan.write_text(yaml.safe_dump(data))
    out = tmp_path / "else" / "where" / "out"
    with serving(monkeypatch) as server:
        ran = safebench(capsys, "run", plan, "--out", out, *CPU)
        assert ran.code == 2 and "texts/t.txt: No such file" in ran.err
        assert not out.exists() and not server.asked
        (tmp_path / "plan" / "texts").mkdir()
        (tmp_path / "plan" / "texts" / "t.txt").write_text(TEXT)
        monkeypatch.setenv("SAFEBENCH_CONCURRENCY", "1")
        # Two planted responses for each construct, and then the server breaks.
        server.answers = [*[said("yes")] * 6, refused(400, "broken")]
        ran = safebench(capsys, "run", plan, "--out", out, *CPU)
        assert ran.code == 2 and "answers 400: broken" in ran.err
        before = server.texts()[-3:-1]
        server.asked, server.answers = [], [said("no")]
        ran = safebench(capsys, "run", plan, "--out", out, *CPU)
        assert ran.code == 0, ran.err
        assert not set(before) & set(server.texts())
    assert "judge grader: " in ran.out and "tokens in" in ran.out
    rows = [row for row in read_outcomes(out).to_pylist() if row["judge"] == "grader"]
    assert {row["verdict"] for row in rows} == {"complied", "refused"}
    assert errors(capsys, out) == []
    judge = load_card(out / "card.yaml").judge[1]  # type: ignore[index]
    assert (out / judge.template.path).resolve() == tmp_path / "plan" / "texts" / "t.txt"
    assert judge.revision.first_request == judge.revision.last_request


def test_judges_of_another_card_judge_what_is_stored(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    plan = write_plan(tmp_path / "plan", **UNTUNED, judge=[RULE, degrees(tmp_path / "plan")])
    out = tmp_path / "out"
    ran = safebench(capsys, "run", plan, "--out", out, *CPU)
    assert ran.code == 0, ran.err
    assert {row["judge"] for row in read_outcomes(out).to_pylist()} == {"rule", "degrees"}
    other = yaml.safe_load(plan.read_text())
    other["model"]["base"]["id"] = "../plan/model"
    other["judge"].append({**api_judge(), "primary": False, "name": "second"})
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "t.txt").write_text(TEXT)
    card = tmp_path / "other" / "card.yaml"
    card.write_text(yaml.safe_dump(other))
    with serving(monkeypatch) as server:
        server.answers = [completed("no")]
        ran = safebench(capsys, "judge", out, "--card", card, "--judge", "second", *CPU)
    assert ran.code == 0, ran.err
    rows = read_outcomes(out).to_pylist()
    assert {(r["judge"], r["verdict"]) for r in rows if r["judge"] == "second"} == {
        ("second", "refused")
    }


def degrees(folder: Path) -> dict[str, Any]:
    """A judge with weights beside the plan, whose degree is read from the next token."""
    asked = [Exchange(f"repair a fence {i}", "gather what you need " * i) for i in range(9)]
    entry = of_folder(
        save_judge(folder / "judge", ["1", "5"], asked),
        parser="expectation 1-5", constructs=["severity"], primary=True,
        verdicts=None, sampling=None, name="degrees",
    )  # fmt: skip
    found: dict[str, Any] = json.loads(entry.model_dump_json(exclude_none=True))
    return found
