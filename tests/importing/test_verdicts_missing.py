"""A verdict that is not there is none; who judged, and what a word means, is read or asked for."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import yaml

from safebench.checks.report import check
from safebench.errors import InteropError
from safebench.evidence.outcomes import read_outcomes
from safebench.importing.harmbench import read_harmbench
from safebench.importing.inspect.reader import read_inspect
from safebench.importing.interface import STATUSES, Collected, ModelKey
from safebench.importing.tables import read_responses
from tests.importing.test_imported_grades import (
    of_inspect,
    of_lm_eval,
    of_scores,
    of_table,
    taken,
)
from tests.importing.test_inspect_logs import log, read, sample, write

LABELS = {"1": "complied"}
NAN = float("nan")


def of_harmbench(place: Path, *grades: Any) -> Collected:
    """Completions, of which HarmBench's classifier read those with a grade."""
    same = {"test_case": "how?", "generation": "So."}
    cases = [{**same, "test_case": f"how {n}?", "label": g} for n, g in enumerate(grades)]
    (place / "c.json").write_text(json.dumps({"b": cases}))
    found = read_harmbench(place / "c.json", ModelKey("base"), decoding="greedy")
    samples = tuple(replace(s, task="bench") for s in found.samples)
    return replace(found, samples=samples)


@pytest.mark.parametrize(
    ("reader", "absent"),
    [
        *((of_inspect, absent) for absent in (None, NAN)),
        *((of_lm_eval, NAN), (of_table, None), (of_scores, NAN), (of_harmbench, None)),
    ],
)
def test_a_response_without_a_verdict_counts_as_unparsed(
    reader: Any, absent: object, tmp_path: Path
) -> None:
    (tmp_path / "in").mkdir()
    found = reader(tmp_path / "in", 1, absent, 1)
    name = next(iter(found.samples[0].judged))
    taken(tmp_path, found, "harm", labels=LABELS)
    rows = [r for r in read_outcomes(tmp_path / "out").to_pylist() if r["judge"] == name]
    assert [r["verdict"] for r in rows] == ["complied", "unparsed", "complied"]
    assert [r["score"] for r in rows] == [1.0, None, 1.0]
    assert check(tmp_path / "out" / "card.yaml").errors == 0


@pytest.mark.parametrize("reader", [of_inspect, of_lm_eval, of_table])
def test_a_judge_without_any_verdict_is_none(reader: Any, tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    taken(tmp_path, reader(tmp_path / "in", None, NAN), "harm", judges={})
    card = yaml.safe_load((tmp_path / "out" / "card.yaml").read_text())
    assert [judge["name"] for judge in card["judge"]] == ["rule"]


def test_a_scorer_that_left_no_scores_is_no_judge(tmp_path: Path) -> None:
    for scores in (None, {}):
        found = read(tmp_path / "in", log(sample(scores=scores)))
        assert not [fact for fact in found.facts if fact.place[0] == "judge"]
        assert not found.samples[0].judged
        assert any("no sample has a score of match" in remark for remark in found.remarks)


def test_a_judge_of_one_model_alone_is_refused(tmp_path: Path) -> None:
    scored = of_inspect(tmp_path / "a", "refused", "complied")
    other = [replace(s, model=ModelKey("tuned", 1, 1), judged={}) for s in scored.samples]
    found = replace(scored, samples=(*scored.samples, *other), loaded={})
    with pytest.raises(InteropError, match="no verdict on any response of tuned, seed 1") as caught:
        taken(tmp_path, found, "harm")
    assert "--leave-out judge" in str(caught.value.fix)
    taken(tmp_path, found, "harm", left_out=("judge",), judges={})


def test_a_score_of_several_values_is_several_judges(tmp_path: Path) -> None:
    values = [{"refused": True, "grade": 4, "why": None}, {"refused": False, "grade": 1}]
    found = of_inspect(tmp_path / "in", *values)
    assert [sorted(s.judged) for s in found.samples] == [
        ["judge.grade", "judge.refused", "judge.why"],
        ["judge.grade", "judge.refused"],
    ]
    with pytest.raises(InteropError) as caught:
        taken(tmp_path, found, "harm")
    fix = str(caught.value.fix)  # of all of them at once
    assert "judge.grade:4=" in fix and "judge.refused:True=" in fix
    assert "--leave-out judge.grade" in fix
    labels = {"True": "refused", "False": "complied"}
    told: dict[str, Any] = {"labels": labels, "judges": {"judge": ("llm", "x")}}
    taken(tmp_path, found, "harm", left_out=("judge.grade",), **told)
    rows = read_outcomes(tmp_path / "out").to_pylist()
    own = {r["prompt_id"]: r["verdict"] for r in rows if r["judge"] == "judge.refused"}
    assert own == {"1": "refused", "2": "complied"}
    assert {r["judge"] for r in rows} == {"judge.refused", "rule"}
    assert sorted(of_inspect(tmp_path / "l", ["C", "I"]).samples[0].judged) == [
        "judge.1",
        "judge.2",
    ]


def test_a_judge_to_leave_out_has_to_be_there(tmp_path: Path) -> None:
    found = of_inspect(tmp_path / "in", "refused")
    for option in ({"left_out": ("jugde",)}, {"judges": {"jugde": ("rule", "")}}):
        with pytest.raises(InteropError) as caught:
            taken(tmp_path, found, "harm", **option)
        assert "judge" in str(caught.value.fix) and "jugde" in str(caught.value)


MODEL = {"model": "openai/gpt-x"}


@pytest.mark.parametrize(
    ("name", "options", "changes", "kind", "identifier"),
    [
        ("match", {"location": "end"}, {}, "rule", "inspect/match"),
        ("includes", {}, {}, "rule", "inspect/includes"),
        ("model_graded_qa", {}, {}, "llm", "hf/example/Tuned-1B"),
        ("model_graded_fact", {"model": ["a/x", "b/y"]}, {}, "llm", "a/x, b/y"),
        ("model_graded_qa", {}, {"model_roles": {"grader": MODEL}}, "llm", "openai/gpt-x"),
        ("model_graded_qa", {"model": "a/x"}, {"model_roles": {"grader": MODEL}}, "llm", "a/x"),
        ("lab/xstest", {"scorer_model": "a/x"}, {}, "llm", "a/x"),
        ("own", {"judge": MODEL}, {}, "llm", "openai/gpt-x"),
        ("own", {"grader": {"name": "a/x"}}, {}, "llm", "a/x"),
        ("own", {"model_role": "judge"}, {"model_roles": {"judge": MODEL}}, "llm", "openai/gpt-x"),
        ("own", {}, {"model_roles": {"judge": MODEL}}, "llm", "openai/gpt-x"),
        ("own", {}, {"stats": {"model_usage": {"a/x": {}}}}, "llm", "a/x"),
        ("own", {}, {"grading": True}, "llm", None),
        ("own", {"template": "Is {x} so?"}, {}, None, None),
        ("model_of_weather", {}, {}, None, None),
    ],
)
def test_what_a_log_says_of_a_scorer(
    name: str,
    options: dict[str, Any],
    changes: dict[str, Any],
    kind: str | None,
    identifier: str | None,
    tmp_path: Path,
) -> None:
    own = name.rpartition("/")[2]
    about = {"metadata": {"grading": []}} if changes.get("grading") else {}
    data = log(sample(scores={own: {"value": "C", **about}}), stats=changes.get("stats", {}))
    data["eval"]["scorers"] = [{"name": name, "options": options}]
    data["eval"]["model_roles"] = changes.get("model_roles")
    found = {f.place[2]: f.value for f in read(tmp_path, data).facts if f.place[0] == "judge"}
    said = {field: value if isinstance(value, str) else None for field, value in found.items()}
    assert (said["name"], said["kind"], said["id"]) == (own, kind, identifier)


def test_scorers_of_old_logs_stand_in_their_results(tmp_path: Path) -> None:
    score = {"name": "model_graded_qa", "scorer": "model_graded_qa", "params": {"model": "a/x"}}
    one = {key: value for key, value in sample().items() if key != "scores"} | {
        "score": {"value": "C"}
    }
    data = log(one, results={"total_samples": 1, "scores": [score]})
    del data["eval"]["scorers"]
    found = read(tmp_path, data)
    assert found.samples[0].judged["model_graded_qa"].word == "C"
    facts = {f.place[2]: f.value for f in found.facts if f.place[0] == "judge"}
    assert (facts["kind"], facts["id"]) == ("llm", "a/x")


@pytest.mark.parametrize("reader", [of_inspect, of_lm_eval])
def test_a_kind_that_no_file_tells_is_asked_for(reader: Any, tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    found = reader(tmp_path / "in", 1, 0)
    with pytest.raises(InteropError) as caught:
        taken(tmp_path, found, "harm", judges={})
    fix = str(caught.value.fix)
    assert "--judge judge=KIND:ID" in fix and "--label '1=complied'" in fix  # both at once
    labels = {"1": "complied", "0": "refused"}
    taken(tmp_path, found, "harm", judges={"judge": ("llm", "a/x")}, labels=labels)
    card = yaml.safe_load((tmp_path / "out" / "card.yaml").read_text())
    told = next(judge for judge in card["judge"] if judge["name"] == "judge")
    assert (told["kind"], told["id"]) == ("llm", "a/x")


@pytest.mark.parametrize(
    ("metric", "is_rule"),
    [
        *[
            (name, True)
            for name in ("acc", "acc_norm", "exact_match", "f1", "rouge1_acc", "pass@1")
        ],
        *[(name, True) for name in ("prompt_level_strict_acc", "chrf++", "math_verify", "em")],
        *[(name, False) for name in ("judge", "bleurt", "bert_score", "score", "accept", "harm")],
    ],
)
def test_a_metric_that_compares_texts_is_a_rule(metric: str, is_rule: bool) -> None:
    from safebench.importing.lm_eval.responses import _RULES

    assert bool(_RULES.match(metric)) is is_rule


@pytest.mark.parametrize(
    ("changes", "of_log", "message"),
    [
        ({"invalidation": {"reason": "wrong box"}}, {}, "sample 1: its owner .*'wrong box'"),
        ({}, {"invalidated": True}, "log.json: its owner"),
        ({}, {"status": "cancelled"}, "status is 'cancelled'"),
        (
            {"model_fallbacks": [{"model": "Tuned-1B", "fallback_model": "small"}]},
            {},
            "'small' answered instead",
        ),
        (
            {"input": [{"role": "user", "content": [{"type": "image", "image": "data:"}]}]},
            {},
            "more than text",
        ),
    ],
)
def test_what_the_owner_of_a_log_says_of_it_is_read(
    changes: dict[str, Any], of_log: dict[str, Any], message: str, tmp_path: Path
) -> None:
    with pytest.raises(InteropError, match=message):
        read(tmp_path, log(sample(**changes), **of_log))


def test_limits_reasons_and_other_models_are_said(tmp_path: Path) -> None:
    choice = {"message": {"content": "so."}, "stop_reason": "SAFETY"}
    call = {
        "event": "model",
        "model": "lab/Other",
        "input": [{"role": "user", "content": "how 1?"}],
    }
    grader = {"event": "model", "role": "grader", "model": "a/x", "input": []}
    changes = {"limit": {"type": "operator"}, "events": [grader, call]}
    data = log(sample(output={"choices": [choice]}, **changes))
    found = read(tmp_path, data)
    told = "; ".join(found.remarks)
    assert "by a limit (operator)" in told and "'SAFETY'" in told and "lab/Other" in told
    assert (found.samples[0].status, found.samples[0].extra["output"]["stop_reason"]) == (
        "unrecorded",
        "SAFETY",
    )
    mapped = read(tmp_path, data, status={"safety": "blocked"})
    assert mapped.samples[0].status == "blocked" and "'SAFETY'" not in "; ".join(mapped.remarks)


def test_a_reason_of_ending_in_a_table_is_mapped(tmp_path: Path) -> None:
    file = tmp_path / "r.jsonl"
    same = {"task": "t", "condition": "base", "decoding": "g", "prompt": "a", "response": "b"}
    file.write_text(json.dumps({**same, "finish_reason": "SAFETY"}))
    with pytest.raises(InteropError, match=r"r\.jsonl:1: status is 'SAFETY'") as caught:
        read_responses([file], {}, {})
    assert "--status 'SAFETY=STATUS'" in str(caught.value.fix)
    (one,) = read_responses([file], {}, {}, statuses={**STATUSES, "safety": "blocked"}).samples
    assert one.status == "blocked"


def test_a_response_that_failed_is_missing(tmp_path: Path) -> None:
    failed = sample(2, error={"message": "timeout"}, scores=None)
    found = read_inspect(write(tmp_path / "in", log(sample(), failed)), ModelKey("base"))
    with pytest.raises(InteropError, match=r"1 of 2 prompts have no response in .*: 2"):
        taken(tmp_path, found, "capability")


def test_messages_that_events_share_are_put_together(tmp_path: Path) -> None:
    pool = [{"role": "system", "content": "Be kind."}, {"role": "user", "content": "how 1?"}]
    call = {"event": "model", "input": [], "input_refs": [[0, 1], [1, 2]]}
    found = read(tmp_path, log(sample(events=[call], events_data={"messages": pool})))
    assert found.sent[0].turns == (("system", "Be kind."), ("user", "how 1?"))


def test_a_metric_of_which_less_is_better_is_no_capability(tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    found = of_lm_eval(tmp_path / "in", 0.9, better={"judge": False})
    with pytest.raises(InteropError, match="lower is better for judge"):
        taken(tmp_path, found, "capability")
