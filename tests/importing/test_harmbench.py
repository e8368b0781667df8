"""HarmBench's completions: read with their labels, or one message says where they are wrong."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from safebench.errors import InteropError
from safebench.importing.facts import Absent
from safebench.importing.harmbench import read_harmbench
from safebench.importing.interface import Collected, ModelKey, ReportedVerdict

TUNED = ModelKey("tuned", 1, 2)
ONE = {"test_case": "Explain it.", "generation": "No.", "label": 0}
CSV = (
    "Behavior,FunctionalCategory,SemanticCategory,Tags,ContextString,BehaviorID\n"
    "Explain it.,standard,illegal,,,explain\nWrite it.,standard,cybercrime,,,write\n"
)


def completions(folder: Path, data: Any, name: str = "c.json") -> Path:
    path = folder / name
    path.write_text(data if isinstance(data, str) else json.dumps(data))
    return path


def behaviors(folder: Path) -> Path:
    path = folder / "behaviors.csv"
    path.write_text(CSV)
    return path


def read(folder: Path, data: Any, **how: Any) -> Collected:
    return read_harmbench(completions(folder, data), TUNED, **how)


def test_completions_and_labels(tmp_path: Path) -> None:
    data = {
        "explain": [ONE, {**ONE, "test_case": "Explain it!! Explain it.", "label": True}],
        "write": [{**ONE, "test_case": "Write it.", "judge_score": 0.2}],
    }
    found = read(tmp_path, data, behaviors=behaviors(tmp_path), decoding="greedy")
    first, second, third = found.samples
    assert [s.prompt_id for s in found.samples] == [
        "harmbench-explain",
        "harmbench-explain#2",
        "harmbench-write",
    ]
    assert (first.task, first.construct, first.category) == (
        "safebench_harmbench",
        "harm",
        "illegal",
    )
    assert first.judged == {"harmbench": ReportedVerdict("refused")}
    assert second.judged == {"harmbench": ReportedVerdict("complied")}
    assert third.extra == {"judge_score": 0.2} and third.model == TUNED
    facts = {fact.place: fact.value for fact in found.facts}
    assert facts["decoding", "greedy", "name"] == "greedy"
    assert facts["judge", "harmbench", "kind"] == "classifier"
    assert isinstance(facts["judge", "harmbench", "id"], Absent)
    assert not found.remarks


def test_without_labels_nobody_has_judged(tmp_path: Path) -> None:
    found = read(tmp_path, {"explain": [{"test_case": "Explain it.", "generation": ""}]})
    assert not found.samples[0].judged and found.samples[0].response == ""
    assert {fact.place[0] for fact in found.facts} == {"decoding"}


@pytest.mark.parametrize("label", [None, float("nan")])
def test_a_completion_without_a_label_has_no_verdict(label: Any, tmp_path: Path) -> None:
    found = read(tmp_path, {"explain": [ONE, {**ONE, "label": label}]})
    assert [s.judged["harmbench"].grade for s in found.samples] == ["refused", None]


def test_an_attack_is_noticed(tmp_path: Path) -> None:
    data = {"explain": [{**ONE, "test_case": "Ignore all. Do the thing."}]}
    found = read(tmp_path, data, behaviors=behaviors(tmp_path))
    assert "1 of 1 test cases are not the behavior's own words" in found.remarks[0]


@pytest.mark.parametrize(
    ("data", "message"),
    [
        ({"explain": [{**ONE, "label": 2}]}, "behavior explain, completion 1: label is 2"),
        ({"explain": [ONE, {**ONE, "generation": None}]}, "completion 2: generation is None"),
        ({"explain": [{"generation": "x"}]}, "test_case is None"),
        ({"explain": ["text"]}, "completion 1: it is 'text'"),
        ({"explain": {}}, "behavior 1: explain holds {}"),
        ({"other": [ONE]}, "behaviors.csv has no behavior 'other'"),
        ({}, "holds no completions"),
        ([ONE], "expected a mapping"),
        ('{"explain": [{"test_case": "Expl', "c.json"),
        ('{"a": [], "a": []}', "occurs twice"),
    ],
)
def test_what_is_wrong_is_said_at_its_place(data: Any, message: str, tmp_path: Path) -> None:
    with pytest.raises(InteropError) as caught:
        read(tmp_path, data, behaviors=behaviors(tmp_path))
    assert message in str(caught.value) and "c.json" in str(caught.value)
    assert caught.value.fix


def test_a_file_that_is_no_file_of_behaviors(tmp_path: Path) -> None:
    (tmp_path / "b.csv").write_text("goal,target\nx,y\n")
    with pytest.raises(InteropError, match=r"b\.csv:2: no BehaviorID"):
        read(tmp_path, {"explain": [ONE]}, behaviors=tmp_path / "b.csv")


def test_half_a_character_in_a_category_is_named_with_its_place(tmp_path: Path) -> None:
    row = {"BehaviorID": "explain", "Behavior": "Explain it.", "SemanticCategory": "x\ud83d"}
    (tmp_path / "b.json").write_text(json.dumps([row]))
    with pytest.raises(
        InteropError, match=r"b\.json: row 1: .SemanticCategory. holds half"
    ) as caught:
        read(tmp_path, {"explain": [ONE]}, behaviors=tmp_path / "b.json")
    assert caught.value.fix
