"""Logs of Inspect: epochs are repeats, scorers judges; one message for what cannot be read."""

from __future__ import annotations

import copy
import hashlib
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from safebench.errors import InteropError, SafebenchError
from safebench.importing.facts import Nothing
from safebench.importing.inspect.reader import read_inspect
from safebench.importing.interface import Collected, ModelKey, ReportedVerdict

TUNED = ModelKey("tuned", 1, 2)


def sample(number: int = 1, epoch: int = 1, **changes: Any) -> dict[str, Any]:
    choice = {"message": {"role": "assistant", "content": "so."}, "stop_reason": "stop"}
    usual = {
        "id": number,
        "epoch": epoch,
        "input": f"how {number}?",
        "target": "so",
        "output": {"model": "m", "choices": [choice], "usage": {"output_tokens": 3}},
        "scores": {"match": {"value": "C", "answer": "so"}},
    }
    return {**usual, **changes}


def log(*samples: dict[str, Any], **changes: Any) -> dict[str, Any]:
    usual: dict[str, Any] = {
        "version": 2,
        "status": "success",
        "eval": {
            "task": "lab/bench",
            "task_version": 3,
            "model": "hf/example/Tuned-1B",
            "dataset": {"name": "bench", "location": "example/bench"},
            "run_id": "r1",
            "packages": {"inspect_ai": "0.3.200", "torch": "2.9"},
            "model_generate_config": {"temperature": 0.7, "seed": 5, "reasoning_effort": "low"},
            "scorers": [{"name": "match", "options": {}}],
        },
        "plan": {"steps": [{"solver": "generate"}], "config": {"max_tokens": 64, "top_p": 0.9}},
        "results": {"total_samples": len(samples), "scores": []},
        "samples": list(samples),
    }
    return {**usual, **changes}


def write(folder: Path, data: Any, name: str = "log.json") -> Path:
    folder.mkdir(exist_ok=True)
    path = folder / name
    path.write_text(data if isinstance(data, str) else json.dumps(data))
    return path


def read(folder: Path, data: Any, **how: Any) -> Collected:
    return read_inspect(write(folder, data), TUNED, **how)


def test_epochs_are_repeats_and_a_scorer_is_a_judge(tmp_path: Path) -> None:
    found = read(tmp_path, log(sample(), sample(1, 2, scores={"match": {"value": "I"}})), repeat=3)
    one, two = found.samples
    assert (one.task, one.prompt_id, one.prompt, one.response) == ("bench", "1", "how 1?", "so.")
    assert (one.repeat, two.repeat, one.model) == (3, 4, TUNED)
    assert (one.status, one.new_tokens, one.target, one.generation_seed) == ("ok", 3, "so", 5)
    assert (one.judged, two.judged) == (
        {"match": ReportedVerdict("C", 1.0)},
        {"match": ReportedVerdict("I", 0.0)},
    )
    assert one.extra["scores"] == {"match": {"answer": "so"}}
    facts = {fact.place: fact.value for fact in found.facts}
    settings = {p[2]: v for p, v in facts.items() if p[0] == "decoding"}
    assert settings == {
        "do_sample": True,
        "temperature": 0.7,
        "top_p": 0.9,
        "max_new_tokens": 64,
        "stop": [],
        "extra": {"reasoning_effort": "low"},
    }
    assert facts["model", "base", "id"] == "example/Tuned-1B"
    assert facts["environment", "harness"] == "inspect_ai 0.3.200"
    assert facts["judge", "match", "id"] == "inspect/match"
    assert facts["tasks", "bench", "version"] == "3"
    assert facts["tasks", "bench", "dataset_id"] == "example/bench"
    assert found.extra["log.json"]["eval"]["run_id"] == "r1"


def test_a_scorer_with_a_model_is_a_prompted_judge(tmp_path: Path) -> None:
    data = log(sample(scores={"grade": {"value": "refusal"}}))
    options = {"grader_model": {"model": "openai/gpt-x"}, "grader_template": "Is {x} right?"}
    data["eval"]["scorers"] = [{"name": "grade", "options": options}]
    found = read(tmp_path, data)
    assert found.samples[0].judged == {"grade": ReportedVerdict("refusal")}
    facts = {fact.place[2]: fact.value for fact in found.facts if fact.place[0] == "judge"}
    assert (facts["kind"], facts["id"]) == ("llm", "openai/gpt-x")
    assert facts["prompt_template_sha256"] == hashlib.sha256(b"Is {x} right?").hexdigest()


def test_messages_parts_and_endings(tmp_path: Path) -> None:
    messages = [
        {"role": "system", "content": "Be kind."},
        {"role": "user", "content": "first?"},
        {"role": "assistant", "content": "yes"},
        {"role": "user", "content": [{"type": "text", "text": "then?"}]},
    ]
    content = [{"type": "reasoning", "reasoning": "hm"}, {"type": "text", "text": "so."}]
    choice = {"message": {"content": content}, "stop_reason": "max_tokens"}
    found = read(
        tmp_path,
        log(
            sample(1, input=messages, output={"choices": [choice]}),
            sample(2, error={"message": "timeout"}),
            sample(3, output={"choices": [], "completion": "so."}),
            sample(4, output={"choices": [{**choice, "stop_reason": "content_filter"}]}),
        ),
    )
    assert [s.status for s in found.samples] == ["truncated", "error", "unrecorded", "blocked"]
    first = found.samples[0]
    assert (first.prompt, first.response) == ("then?", "so.")
    assert first.extra["output"]["parts"] == [content[0]]
    assert found.samples[1].response is None
    facts = {fact.place: fact.value for fact in found.facts}
    assert facts["prompting", "system_prompt"] == "Be kind."
    assert facts["prompting", "turns"] == 2


def test_the_transcript_says_what_surrounded_the_prompt(tmp_path: Path) -> None:
    user = {"role": "user", "content": "how 1?"}
    said = {"role": "assistant", "content": "so."}
    found = read(tmp_path, log(sample(messages=[user, said])))
    facts = {fact.place: fact.value for fact in found.facts}
    assert isinstance(facts["prompting", "system_prompt"], Nothing)
    assert facts["prompting", "turns"] == 1
    system = {"role": "system", "content": "Be brief."}
    found = read(tmp_path, log(sample(messages=[system, user, said])))
    assert {f.place: f.value for f in found.facts}["prompting", "system_prompt"] == "Be brief."


def test_without_a_temperature_nobody_knows_how_tokens_were_chosen(tmp_path: Path) -> None:
    data = log(sample())
    data["eval"]["model_generate_config"] = {}
    found = read(tmp_path, data, decoding="usual")
    assert found.samples[0].decoding == "usual"
    assert "do_sample" not in {f.place[-1] for f in found.facts if f.place[0] == "decoding"}
    assert "--decoding usual:do_sample" in found.remarks[0]


def test_greedy_decoding_has_no_seed(tmp_path: Path) -> None:
    data = log(sample())
    data["eval"]["model_generate_config"]["temperature"] = 0
    found = read(tmp_path, data)
    assert found.samples[0].generation_seed is None
    values = {f.place[2]: f.value for f in found.facts if f.place[0] == "decoding"}
    assert values["do_sample"] is False and "top_p" not in values
    assert found.extra["log.json"]["plan"]["config"]["top_p"] == 0.9  # it is kept, not used


def test_the_first_samples_alone(tmp_path: Path) -> None:
    data = log(*(sample(n, e) for n in (1, 2, 3) for e in (1, 2)))
    assert [s.prompt_id for s in read(tmp_path, data, limit=2).samples] == ["1", "1", "2", "2"]


def test_several_tasks_of_one_model_in_a_folder(tmp_path: Path) -> None:
    other = log(sample())
    other["eval"]["task"] = "other"
    write(tmp_path / "logs", log(sample()), "a.json")
    write(tmp_path / "logs", other, "b.json")
    found = read_inspect(tmp_path / "logs", TUNED)
    assert [s.task for s in found.samples] == ["bench", "other"]
    assert sorted(found.extra) == ["a.json", "b.json"]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda d: d["eval"].update(model="hf/example/Other"), "two models"),
        (lambda d: None, "task bench was run twice"),
    ],
)
def test_runs_that_are_mixed_are_named(
    change: Callable[[dict[str, Any]], None], message: str, tmp_path: Path
) -> None:
    other = copy.deepcopy(log(sample()))
    change(other)
    write(tmp_path / "logs", log(sample()), "a.json")
    write(tmp_path / "logs", other, "b.json")
    with pytest.raises(InteropError) as caught:
        read_inspect(tmp_path / "logs", TUNED)
    assert message in str(caught.value)
    assert "a.json" in str(caught.value) and "b.json" in str(caught.value)


def without(data: dict[str, Any], key: str) -> dict[str, Any]:
    return {name: value for name, value in data.items() if name != key}


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (log(sample(), status="error", error={"message": "no key"}), "status is 'error' ('no key'"),
        (log(sample(), status="started"), "status is 'started'"),
        (log(), "results without samples"),
        (without(log(sample()), "samples"), "results without samples"),
        (without(log(sample()), "eval"), "not a log of Inspect"),
        (log(sample(), sample()), "sample 2: sample 1, epoch 1 is at"),
        (log(sample(), sample(2), sample(1, 2)), "sample 2 has no epoch 2"),
        (log(sample(), results={"total_samples": 5}), "has 1 samples, but its results say 5"),
        (log(sample(scores={"match": 1})), "score of match is 1"),
        (log(sample(scores={"match": {"value": {"a": [1]}}})), "score of match is [1]"),
        (log(sample(scores={"a b": {"value": 1}, "a-b": {"value": 1}})), "have the name a-b"),
        (log(sample(input=[])), "input is []"),
        (log(sample(input=[{"role": "system", "content": "x"}])), "no message of a user"),
        (log(sample(id=None)), "id is None"),
        (log(sample(output={"choices": [{}, {}]})), "2 choices in one sample"),
        (log("text"), "sample 1: it is 'text'"),  # type: ignore[arg-type]
        (json.dumps(log(sample()))[:-40], "cannot be used"),
    ],
)
def test_what_is_wrong_is_said_at_its_place(data: Any, message: str, tmp_path: Path) -> None:
    with pytest.raises(InteropError) as caught:
        read(tmp_path, data)
    assert message in str(caught.value) and "log.json" in str(caught.value)
    assert caught.value.fix


def test_the_real_header_holds_no_samples(shared_data: Path) -> None:
    path = shared_data / "interop" / "inspect_log_llm_scoring.json"
    with pytest.raises(InteropError, match="results without samples"):
        read_inspect(path, ModelKey("base"))


def test_a_real_header_with_samples(tmp_path: Path, shared_data: Path) -> None:
    data = json.loads((shared_data / "interop" / "inspect_log_llm_scoring.json").read_text())
    data["samples"] = [sample(scores={"simpleqa_scorer": {"value": "C"}})]
    data["results"]["total_samples"] = 1
    found = read(tmp_path, data, decoding="usual")
    facts = {fact.place: fact.value for fact in found.facts}
    assert facts["judge", "simpleqa_scorer", "id"] == "google/gemini-2.0-flash-001"
    assert facts["decoding", "usual", "max_new_tokens"] == 128000
    assert facts["tasks", "simpleqa_verified", "dataset_id"] == "codelion/SimpleQA-Verified"
    assert found.extra["log.json"]["stats"]["started_at"]


def test_an_eval_file_needs_inspect_or_is_one(tmp_path: Path) -> None:
    path = write(tmp_path, "PK no zip", "log.eval")
    with pytest.raises(SafebenchError) as caught:
        read_inspect(path, TUNED)
    assert "log.eval" in str(caught.value) and caught.value.fix


@pytest.mark.parametrize(
    ("config", "samples", "limit", "remark"),
    [
        ({"limit": 2}, 10, 2, False),
        ({"limit": 2}, 2, None, False),
        ({}, None, None, False),
        ({"limit": [3, 5]}, 10, None, True),
        ({"sample_id": [4, 7]}, 10, None, True),
        ({"limit": 2, "sample_shuffle": 1}, 10, None, True),
    ],
)
def test_a_part_of_a_data_set_is_told(
    config: dict[str, Any], samples: int | None, limit: int | None, remark: bool, tmp_path: Path
) -> None:
    data = log(sample(), sample(2))
    data["eval"] |= {"config": config, "dataset": {"name": "bench", "samples": samples}}
    found = read(tmp_path, data)
    facts = {fact.place: fact.value for fact in found.facts}
    assert facts.get(("tasks", "bench", "limit")) == limit
    assert facts.get(("tasks", "bench", "available")) == (limit and samples)
    assert any("not the first ones" in one for one in found.remarks) is remark
