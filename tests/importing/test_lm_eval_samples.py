"""Samples of lm-eval: real ones, those of other versions, and what can be wrong with them."""

from __future__ import annotations

import gzip
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from safebench.errors import InteropError, SafebenchError
from safebench.importing.facts import Absent
from safebench.importing.interface import Collected, ModelKey, ReportedVerdict
from safebench.importing.lm_eval import samples as lm_eval_samples
from safebench.importing.lm_eval.reader import read_lm_eval

TUNED = ModelKey("tuned", 1)
TIME = "2026-01-21T03-44-18.458309"
LATER = "2026-02-01T10-00-00.000001"
GREEDY = {"until": ["\n"], "do_sample": False, "max_gen_toks": 8}
SAMPLED = {"until": [], "do_sample": True, "temperature": 0.7, "max_gen_toks": 8}


def row(doc_id: int = 0, /, *texts: str, **changes: Any) -> dict[str, Any]:
    """A row as 0.4.13 logs it of a task of others; a value of ... removes a key."""
    found = {
        "doc_id": doc_id,
        "doc": {"question": f"q{doc_id}", "level": 3},
        "target": "4",
        "arguments": {"gen_args_0": {"arg_0": f"Q: q{doc_id}", "arg_1": GREEDY}},
        "resps": [list(texts) or [f"a{doc_id}"]],
        "filtered_resps": [f"a{doc_id}"],
        "filter": "none",
        "metrics": ["exact_match"],
        "doc_hash": "d",
        "prompt_hash": "p",
        "target_hash": "t",
        "exact_match": 1.0,
    }
    return {key: value for key, value in {**found, **changes}.items() if value is not ...}


def own(prompt_id: str, doc_id: int, **changes: Any) -> dict[str, Any]:
    doc = {
        "prompt_id": prompt_id,
        "prompt": f"do {prompt_id}",
        "category": "c",
        "construct": "harm",
        "target": "",
    }
    arguments = {"gen_args_0": {"arg_0": f"<|user|>do {prompt_id}<|bot|>", "arg_1": GREEDY}}
    other = {"doc": doc, "arguments": arguments, "metrics": ["harm"], "harm": 0.0}
    return row(doc_id, **{"exact_match": ..., **other, **changes})


def choices(doc_id: int = 0, **changes: Any) -> dict[str, Any]:
    arguments = {
        f"gen_args_{n}": {"arg_0": "Is it?", "arg_1": text}
        for n, text in enumerate((" no", " yes"))
    }
    resps = [[["-3.5", "False"]], [["-1.25", "True"]]]
    other = {"metrics": ["acc", "acc_norm"], "acc": 1.0, "acc_norm": 0.0, "exact_match": ...}
    return row(doc_id, **{"arguments": arguments, "resps": resps, **other, **changes})


def results(
    folder: Path,
    time: str | None = TIME,
    count: int = 2,
    tasks: tuple[str, ...] = ("gsm",),
    kwargs: dict[str, Any] = GREEDY,
    output: str = "generate_until",
    repeats: int = 1,
    **changes: Any,
) -> Path:
    config = {
        "output_type": output,
        "generation_kwargs": kwargs,
        "repeats": repeats,
        "dataset_path": "example/data",
    }
    data = {
        "results": {t: {"alias": t, "exact_match,none": 1.0} for t in tasks},
        "group_subtasks": {t: [] for t in tasks},
        "configs": {t: {"task": t, **config} for t in tasks},
        "versions": dict.fromkeys(tasks, 2.0),
        "n-shot": dict.fromkeys(tasks, 0),
        "n-samples": {t: {"original": 9, "effective": count} for t in tasks},
        "config": {"model": "hf", "model_args": {"pretrained": "a/b"}, "torch_seed": 77},
        "lm_eval_version": "0.4.13",
        "chat_template": None,
    }
    folder.mkdir(parents=True, exist_ok=True)
    file = folder / ("results.json" if time is None else f"results_{time}.json")
    file.write_text(json.dumps({**data, **changes}))
    return file


def lines(folder: Path, *rows: Any, task: str = "gsm", time: str = TIME) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    file = folder / f"samples_{task}_{time}.jsonl"
    text = "".join(one if isinstance(one, str) else json.dumps(one) + "\n" for one in rows)
    file.write_bytes(text.encode())
    return file


def said(found: Collected) -> dict[tuple[str, ...], Any]:
    return {fact.place: fact.value for fact in found.facts}


def refused(path: Path, **options: Any) -> SafebenchError:
    with pytest.raises(InteropError) as caught:
        read_lm_eval(path, TUNED, **options)
    assert caught.value.fix
    return caught.value


# Real files


def test_ten_of_the_five_thousand_real_samples_are_an_error(shared_data: Path) -> None:
    problem = str(refused(shared_data / "interop", only_task=["math_perturbed_full"]))
    assert "has 10 prompts" in problem
    assert "5,000 were measured" in problem
    assert "math_rephrased_full" in str(refused(shared_data / "interop"))


def test_real_samples_with_a_limit(shared_data: Path) -> None:
    found = read_lm_eval(
        shared_data / "interop",
        TUNED,
        decoding="greedy",
        only_task=["math_perturbed_full"],
        limit=10,
    )
    assert [one.prompt_id for one in found.samples] == [str(n) for n in range(10)]
    first = found.samples[0]
    assert first.prompt.startswith("Problem: How many vertical asymptotes")
    assert first.prompt.endswith("Solution:")
    assert first.response is not None
    assert first.response.startswith(" 1. The graph")
    assert (first.target, first.status, first.generation_seed) == ("3", "unrecorded", None)
    assert first.judged == {"exact_match": ReportedVerdict(score=0.0)}
    assert first.extra["doc"]["level"] == "Level 3"
    assert len(first.extra["prompt_hash"]) == 64
    assert str(first.at).endswith(".jsonl:1")
    facts = said(found)
    assert facts["tasks", "math_perturbed_full", "prompts"] == 10
    assert facts["tasks", "math_perturbed_full", "limit"] == 10
    assert not [place for place in facts if "math_rephrased_full" in place]
    assert {place[1] for place in facts if place[0] == "decoding"} == {first.decoding}
    assert facts["decoding", first.decoding, "name"] == "greedy"
    assert facts["judge", "exact_match", "id"] == "lm-eval/exact_match"
    assert facts["judge", "exact_match", "revision"] == "0.4.9.2"
    rest = found.extra[f"results_{TIME}.json"]
    assert rest["config"]["numpy_seed"] == 1234
    assert "trust_remote_code=True" in rest["config"]["model_args"]
    assert rest["git_hash"] == "1f84a09f"
    assert "torch_seed" not in rest["config"]  # a fact was made of it
    assert any("math_rephrased_full" in remark for remark in found.remarks)


# What is read


def test_own_tasks_have_the_prompt_of_the_document(tmp_path: Path) -> None:
    task = "safebench_harm"
    results(tmp_path, tasks=(task,), kwargs=SAMPLED, repeats=2)
    asked = {"gen_args_0": {"arg_0": "<|user|>do h-1", "arg_1": SAMPLED}}
    both = [
        own("h-1", 0, resps=[["x", "y"]], arguments=asked),
        own("h-2", 1, resps=[["z", ""]], arguments=asked),
    ]
    lines(tmp_path / "a__b", *both, task=task)
    found = read_lm_eval(tmp_path, TUNED, repeat=3)
    told = [(s.prompt_id, s.prompt, s.repeat, s.response, s.generation_seed) for s in found.samples]
    assert told == [
        ("h-1", "do h-1", 3, "x", 77),
        ("h-1", "do h-1", 4, "y", 77),
        ("h-2", "do h-2", 3, "z", 77),
        ("h-2", "do h-2", 4, "", 77),
    ]
    first = found.samples[0]
    assert (first.construct, first.category, first.target) == ("harm", "c", "")
    assert first.judged == {}  # judged anew by the rule
    assert first.extra["metrics"] == {"none": {"harm": 0.0}}
    assert first.extra["rendered_prompt"] == "<|user|>do h-1"
    assert "doc" not in first.extra
    assert "torch's global generator" in said(found)["environment", "sampling_scheme"]
    assert said(found)["decoding", first.decoding, "repeats"] == 2


def test_samples_of_another_task_under_the_name_of_one_of_ours(tmp_path: Path) -> None:
    results(tmp_path, tasks=("safebench_harm",), count=1)
    lines(tmp_path, row(), task="safebench_harm")
    problem = str(refused(tmp_path))
    assert f"samples_safebench_harm_{TIME}.jsonl:1" in problem
    assert "`doc.prompt_id`" in problem


def test_several_filters_of_one_response_count_once(tmp_path: Path) -> None:
    results(tmp_path, count=1)
    other = row(filter="flexible", exact_match=0.0, filtered_resps=["0"])
    lines(tmp_path, row(filter="strict"), other)
    (one,) = read_lm_eval(tmp_path, TUNED).samples
    assert one.judged == {
        "exact_match.strict": ReportedVerdict(score=1.0),
        "exact_match.flexible": ReportedVerdict(score=0.0),
    }
    assert one.extra["filtered_resps"] == {"flexible": ["0"]}  # the other is the response


def test_filters_of_different_responses_are_two_runs(tmp_path: Path) -> None:
    results(tmp_path, count=1)
    lines(tmp_path, row(filter="strict"), row(0, "other", filter="flexible"))
    problem = str(refused(tmp_path))
    assert ".jsonl:2: doc_id 0 has other responses than in line 1" in problem


def test_a_metric_of_all_repeats_is_no_verdict_on_one(tmp_path: Path) -> None:
    results(tmp_path, count=1, repeats=2)
    lines(tmp_path, row(0, "a", "b"))
    found = read_lm_eval(tmp_path, TUNED)
    assert [one.judged for one in found.samples] == [{}, {}]
    assert any("exact_match once for all repeats" in remark for remark in found.remarks)


def test_choices_that_are_scored(tmp_path: Path) -> None:
    results(tmp_path, output="multiple_choice", kwargs={}, count=1)
    lines(tmp_path, choices())
    found = read_lm_eval(tmp_path, TUNED, decoding="greedy")
    (one,) = found.samples
    assert (one.prompt, one.response, one.status) == ("Is it?", " yes", "ok")
    assert one.judged == {"acc": ReportedVerdict(score=1.0)}  # acc_norm is about another choice
    assert one.extra["choices"][0]["loglikelihood"] == -3.5
    assert one.extra["choices"][1]["is_greedy"] is True
    facts = said(found)
    assert facts["decoding", "loglikelihood", "name"] == "loglikelihood"
    assert facts["decoding", "loglikelihood", "do_sample"] is False
    assert isinstance(facts["decoding", "loglikelihood", "max_new_tokens"], Absent)


def test_choices_of_context(tmp_path: Path) -> None:
    results(tmp_path, output="multiple_choice", count=1)
    asked = [["The cup and Ann", " fell"], ["The cup and Bob", " fell"], ["", " fell"]]
    resps = [[[-2.0, False]], [[-1.0, False]], [[-0.5, True]]]
    lines(tmp_path, choices(arguments=asked, resps=resps))
    (one,) = read_lm_eval(tmp_path, TUNED).samples
    assert (one.prompt, one.response) == ("The cup and ", "Bob fell")


@pytest.mark.parametrize(
    ("output", "arguments", "resps"),
    [
        ("loglikelihood_rolling", [["a text"]], [["-12.5"]]),
        ("loglikelihood", [["a", " b"]], [[["-1.0", "True"]]]),
    ],
)
def test_likelihoods_without_choices_are_refused(
    output: str, arguments: Any, resps: Any, tmp_path: Path
) -> None:
    results(tmp_path, output=output, count=1)
    lines(tmp_path, row(arguments=arguments, resps=resps))
    assert "there are no responses" in str(refused(tmp_path))


def test_requests_that_were_logged_without_settings(tmp_path: Path) -> None:
    results(tmp_path, count=1)
    lines(tmp_path, row(arguments={"gen_args_0": {"arg_0": "Q"}}))
    (one,) = (found := read_lm_eval(tmp_path, TUNED)).samples
    assert (one.prompt, one.response, one.status) == ("Q", "a0", "unrecorded")
    assert said(found)["decoding", one.decoding, "max_new_tokens"] == 8  # from the results


def test_a_chat_is_kept_as_logged(tmp_path: Path) -> None:
    results(tmp_path, count=1)
    chat = json.dumps([{"role": "user", "content": "hi"}])
    lines(tmp_path, row(arguments={"gen_args_0": {"arg_0": [chat], "arg_1": GREEDY}}))
    assert read_lm_eval(tmp_path, TUNED).samples[0].prompt == chat


def test_unknown_fields_are_kept(tmp_path: Path) -> None:
    file = results(tmp_path, count=1, new_thing={"a": [1, float("nan")]})
    lines(tmp_path, row(logprobs=[float("inf")], exact_match=float("nan"), doc={"x": float("nan")}))
    found = read_lm_eval(tmp_path, TUNED)
    assert found.extra[file.name]["new_thing"] == {"a": [1, "nan"]}
    (one,) = found.samples
    assert one.extra["logprobs"] == ["inf"]
    assert one.extra["doc"] == {"x": "nan"}
    assert one.judged == {"exact_match": ReportedVerdict()}
    assert one.extra["metrics"] == {"none": {"exact_match": "nan"}}
    json.dumps([dict(one.extra), dict(found.extra)], allow_nan=False)


def test_extra_has_no_keys_of_access_and_no_paths(tmp_path: Path) -> None:
    config = {"model": "hf", "model_args": "pretrained=/home/ann/secret/m1,token=hf_abc,dtype=auto"}
    file = results(
        tmp_path,
        count=1,
        config=config,
        model_name="/home/ann/secret/m1",
        model_name_sanitized="__home__ann__secret__m1",
    )
    lines(tmp_path, row())
    rest = read_lm_eval(tmp_path, TUNED).extra[file.name]
    assert rest["config"]["model_args"] == "pretrained=m1,token=(left out),dtype=auto"
    assert rest["model_name"] == "m1"
    assert "ann" not in json.dumps(rest)


# Layouts


def test_the_layout_before_0_4_3(tmp_path: Path) -> None:
    results(tmp_path, time=None)
    old = [
        row(n, arguments=[[f"Q: q{n}", GREEDY]], filter=..., metrics=..., doc_hash=...)
        for n in range(2)
    ]
    (tmp_path / "pretrained__a__b_gsm.jsonl").write_text(json.dumps(old, indent=2))
    found = read_lm_eval(tmp_path, TUNED)
    assert [one.response for one in found.samples] == ["a0", "a1"]
    assert str(found.samples[1].at).endswith("_gsm.jsonl: sample 2")
    assert found.samples[0].judged == {"exact_match": ReportedVerdict(score=1.0)}


def _as_json_list(file: Path) -> None:
    rows = [json.loads(line) for line in file.read_text().splitlines()]
    file.with_suffix(".json").write_text(json.dumps(rows))
    file.unlink()


def _as_lines_in_json(file: Path) -> None:
    file.rename(file.with_suffix(".json"))


def _packed(file: Path) -> None:
    file.with_name(f"{file.name}.gz").write_bytes(gzip.compress(file.read_bytes()))
    file.unlink()


def _windows(file: Path) -> None:
    file.write_bytes(b"\xef\xbb\xbf" + file.read_bytes().replace(b"\n", b"\r\n") + b"\r\n")


def _colons(file: Path) -> None:
    for one in file.parent.glob(f"*{TIME}*"):
        one.rename(one.with_name(one.name.replace("T03-44-18", "T03:44:18")))


@pytest.mark.parametrize("change", [_as_json_list, _as_lines_in_json, _packed, _windows, _colons])
def test_other_forms_of_the_same_file(change: Callable[[Path], None], tmp_path: Path) -> None:
    results(tmp_path)
    change(lines(tmp_path, row(0), row(1, "line\u2028end")))
    found = read_lm_eval(tmp_path, TUNED)
    assert [one.response for one in found.samples] == ["a0", "line\u2028end"]


@pytest.mark.parametrize("task", ["gsm_2024-01-01", "a_b_3", "leaderboard_x"])
def test_names_of_tasks(task: str, tmp_path: Path) -> None:
    results(tmp_path, tasks=(task,), count=1)
    lines(tmp_path, row(), task=task)
    assert read_lm_eval(tmp_path, TUNED).samples[0].task == task


def test_groups_have_no_samples_of_their_own(tmp_path: Path) -> None:
    groups = {"both": ["gsm", "hum"], "gsm": [], "hum": []}
    results(tmp_path, tasks=("gsm", "hum"), count=1, group_subtasks=groups)
    for task in ("gsm", "hum"):
        lines(tmp_path, row(), task=task)
    assert {one.task for one in read_lm_eval(tmp_path, TUNED).samples} == {"gsm", "hum"}


def test_samples_alone(tmp_path: Path) -> None:
    lines(tmp_path, row(0), row(1))
    found = read_lm_eval(tmp_path, TUNED)
    assert len(found.samples) == 2
    assert any("no file of results lists gsm" in remark for remark in found.remarks)
    facts = said(found)
    assert facts["tasks", "gsm", "name"] == "gsm"
    assert facts["decoding", found.samples[0].decoding, "max_new_tokens"] == 8
    assert isinstance(facts["judge", "exact_match", "revision"], Absent)


def test_one_file_of_results_chooses_its_samples(tmp_path: Path) -> None:
    one, other = results(tmp_path, count=1), results(tmp_path, time=LATER, count=1)
    lines(tmp_path, row(0, "first"))
    lines(tmp_path, row(0, "second"), time=LATER)
    assert read_lm_eval(one, TUNED).samples[0].response == "first"
    assert read_lm_eval(other, TUNED, repeat=2).samples[0].repeat == 2
    problem = str(refused(tmp_path))
    assert "two runs of 'gsm' are in one folder" in problem
    assert TIME in problem
    assert LATER in problem


def test_one_file_of_samples(tmp_path: Path) -> None:
    results(tmp_path, tasks=("gsm", "hum"), count=1)
    file = lines(tmp_path, row())
    assert [one.task for one in read_lm_eval(file, TUNED).samples] == ["gsm"]


def test_runs_of_other_tasks_in_one_folder(tmp_path: Path) -> None:
    results(tmp_path, count=1)
    results(tmp_path, time=LATER, tasks=("hum",), count=1)
    lines(tmp_path, row())
    lines(tmp_path, row(), task="hum", time=LATER)
    found = read_lm_eval(tmp_path, TUNED)
    assert len(found.samples) == 2
    assert len(found.extra) == 2
    config = {"model": "hf", "model_args": {"pretrained": "other"}}
    results(tmp_path, time=LATER, tasks=("hum",), count=1, config=config)
    assert "two models or settings are mixed: model_args" in str(refused(tmp_path))


def test_two_decodings_cannot_have_one_name(tmp_path: Path) -> None:
    results(tmp_path, count=1)
    results(tmp_path, time=LATER, tasks=("hum",), count=1, kwargs=SAMPLED)
    lines(tmp_path, row())
    asked = {"gen_args_0": {"arg_0": "q", "arg_1": SAMPLED}}
    lines(tmp_path, row(arguments=asked), task="hum", time=LATER)
    assert len({one.decoding for one in read_lm_eval(tmp_path, TUNED).samples}) == 2
    assert "two decodings" in str(refused(tmp_path, decoding="greedy"))


# Bad input


def test_samples_of_another_time_than_the_results(tmp_path: Path) -> None:
    results(tmp_path, count=1)
    lines(tmp_path, row(), time=LATER)
    problem = str(refused(tmp_path))
    assert "two runs of 'gsm' are mixed" in problem
    assert LATER in problem


def test_results_without_samples(tmp_path: Path) -> None:
    results(tmp_path)
    problem = refused(tmp_path)
    assert "its samples are not in" in str(problem)
    assert "--log_samples" in str(problem.fix)


def test_nothing_of_lm_eval(tmp_path: Path) -> None:
    assert "holds no output of lm-eval" in str(refused(tmp_path))
    assert "no such file or folder" in str(refused(tmp_path / "absent"))
    (tmp_path / "x.json").write_text("{}")
    assert "holds no" in str(refused(tmp_path / "x.json"))


def test_a_task_that_is_not_there(tmp_path: Path) -> None:
    results(tmp_path, count=1)
    lines(tmp_path, row())
    assert "has no task 'x'; it has gsm" in str(refused(tmp_path, only_task=["x"]))


def test_too_few_and_too_many_prompts(tmp_path: Path) -> None:
    results(tmp_path, count=2)
    lines(tmp_path, row(0))
    assert "has 1 prompts" in str(refused(tmp_path))
    assert "has 1 prompts of the first 2" in str(refused(tmp_path, limit=2))
    assert len(read_lm_eval(tmp_path, TUNED, limit=1).samples) == 1
    lines(tmp_path, row(0), row(1), row(2))
    assert "has 3 prompts" in str(refused(tmp_path))
    found = read_lm_eval(tmp_path, TUNED, limit=1)
    assert any("2 rows with doc_id 1 or above were left out" in one for one in found.remarks)


FULL = json.dumps(row(1))


@pytest.mark.parametrize(
    ("second", "line", "what"),
    [
        (FULL[:60], 2, "cut off before its end"),
        (FULL[:-1], 2, "cut off before its end"),
        (FULL[:60] + "\n" + FULL + "\n", 2, "cut off before its end"),
        ("[1, 2]\n", 2, "expected a sample: a mapping"),
        ("{'doc_id': 1}\n", 2, "not JSON"),
        ('{"doc_id": 1, "doc_id": 2}\n', 2, "occurs twice"),
        ("[" * 100_000 + "\n", 2, "nested too deeply"),
        ('{"doc_id": 1, "doc": ' + "[" * 400 + "]" * 400 + "}\n", 2, "nested too deeply"),
        ("\n" + json.dumps(row(0)) + "\n", 3, "in line 1"),
        (json.dumps(row(1, doc_id=...)) + "\n", 2, "`doc_id` is missing"),
        (json.dumps(row(1, doc_id="1")) + "\n", 2, "`doc_id` is '1'"),
        (json.dumps(row(1, resps=...)) + "\n", 2, "`resps` is missing"),
        (json.dumps(row(1, resps=[])) + "\n", 2, "`resps` is []"),
        (json.dumps(row(1, resps=[[1.5]])) + "\n", 2, "a response is 1.5"),
        (json.dumps(row(1, resps=[[float("nan")]])) + "\n", 2, "a response is nan"),
        (json.dumps(row(1, "a", "b")) + "\n", 2, "doc_id 1 has 2 responses, doc_id 0 has 1"),
        (json.dumps(row(1, arguments=[["q", SAMPLED]])) + "\n", 2, "other settings"),
        (json.dumps(row(1, arguments={})) + "\n", 2, "`arguments` is {}"),
        (json.dumps(row(1, metrics="acc")) + "\n", 2, "`metrics` is 'acc'"),
        (json.dumps(row(1, filter="other")) + "\n", 2, "has no row of the filter"),
        ('{"doc_id": 1, "doc": "\\ud800"}\n', 2, "half a character"),
        ('{"doc_id": ' + "1" * 5000 + "}\n", 2, "digits"),
    ],
)
def test_a_line_that_cannot_be_used(second: str, line: int, what: str, tmp_path: Path) -> None:
    results(tmp_path)
    file = lines(tmp_path, row(0), second)
    problem = str(refused(tmp_path))
    if "filter" not in what:  # the prompt without the row is the first one
        assert f"{file}:{line}: " in problem
    assert what in problem
    assert len(problem) < 600


@pytest.mark.parametrize(
    ("raw", "what"),
    [
        (b"", "is empty"),
        (b"\n \r\n", "is empty"),
        (json.dumps(row()).encode("utf-16"), ":1: the file is in UTF-16"),
        (json.dumps(row()).encode("utf-16-le"), ":1: the file is in UTF-16"),
        (b'{"doc_id": 0, "doc": "caf\xe9"}\n', ":1: byte 26 is not UTF-8"),
        (b'{"doc": "\xe2\x82', ":1: the line is cut off"),
        (b"[1, 2]", "sample 1: it holds 1"),
        (b"[]", "is empty"),
        (b'[{"doc_id": 0},\n {"doc', "cut off"),
    ],
)
def test_a_file_that_cannot_be_used(raw: bytes, what: str, tmp_path: Path) -> None:
    results(tmp_path)
    lines(tmp_path).write_bytes(raw)
    assert what in str(refused(tmp_path))


def test_a_packed_file_that_is_cut_off(tmp_path: Path) -> None:
    raw = gzip.compress(FULL.encode() * 50)
    (tmp_path / f"samples_gsm_{TIME}.jsonl.gz").write_bytes(raw[:-20])
    assert "cannot be unpacked" in str(refused(tmp_path))


def test_bounds(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    file = lines(tmp_path, row(0), row(1))
    monkeypatch.setattr(lm_eval_samples, "MOST_TOTAL", 600)
    assert f"{file}:2: the file is larger" in str(refused(tmp_path))
    monkeypatch.setattr(lm_eval_samples, "MOST_LINE", 50)
    assert f"{file}:1: the line is longer" in str(refused(tmp_path))


def test_a_link_out_of_the_folder(tmp_path: Path) -> None:
    file = lines(tmp_path / "elsewhere", row())
    results(tmp_path / "run", count=1)
    (tmp_path / "run" / file.name).symlink_to(file)
    assert "link to a file outside the folder" in str(refused(tmp_path / "run"))


def test_results_that_are_nested_too_deeply(tmp_path: Path) -> None:
    inner: Any = 1
    for _ in range(300):
        inner = {"a": inner}
    results(tmp_path, count=1, more=inner)
    lines(tmp_path, row())
    assert "nested too deeply" in str(refused(tmp_path))


def test_results_say_other_repeats(tmp_path: Path) -> None:
    results(tmp_path, count=1, repeats=3)
    lines(tmp_path, row())
    assert "repeats 3" in str(refused(tmp_path))


@settings(max_examples=60, deadline=None)
@given(cut=st.integers(1, len(FULL.encode()) - 1))
def test_a_line_cut_anywhere_says_so(cut: int, tmp_path_factory: pytest.TempPathFactory) -> None:
    folder = tmp_path_factory.mktemp("cut")
    file = lines(folder, row(0))
    whole = json.dumps(row(1, "caf\u00e9 \U0001f525 false"), ensure_ascii=False).encode()
    with file.open("ab") as stream:
        stream.write(whole[:cut])
    with pytest.raises(InteropError, match=r"jsonl:2: .*cut off"):
        read_lm_eval(folder, TUNED)


json_values = st.recursive(
    st.none() | st.booleans() | st.floats() | st.text() | st.integers(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=6,
)


@settings(max_examples=80, deadline=None)
@given(key=st.sampled_from(sorted(row())), value=json_values)
def test_any_value_is_read_or_refused(
    key: str, value: Any, tmp_path_factory: pytest.TempPathFactory
) -> None:
    folder = tmp_path_factory.mktemp("any")
    lines(folder, row(0, **{key: value}))
    try:
        found = read_lm_eval(folder, TUNED)
    except InteropError:
        return
    for one in found.samples:
        json.dumps(dict(one.extra), allow_nan=False)
        assert isinstance(one.prompt, str)


def test_prompts_that_samples_picked_are_no_first_prompts(tmp_path: Path) -> None:
    results(tmp_path, count=2)
    lines(tmp_path, row(1), row(3))
    for limit in (None, 2):
        problem = refused(tmp_path, limit=limit)
        assert "doc_id 1" in str(problem) and "--samples" in str(problem)


@pytest.mark.parametrize(
    "request_",
    [
        ["what?", {"until": []}, {"visual": ["a1b2"]}],
        [json.dumps([{"role": "user", "content": [{"type": "image_url"}]}]), {"until": []}],
    ],
)
def test_a_prompt_with_an_image_is_refused(request_: list[Any], tmp_path: Path) -> None:
    results(tmp_path, count=1)
    lines(tmp_path, row(arguments={"gen_args_0": {f"arg_{n}": a for n, a in enumerate(request_)}}))
    assert "more than text" in str(refused(tmp_path))


def test_a_template_and_its_digest_agree(tmp_path: Path) -> None:
    results(tmp_path, count=1, chat_template="t", chat_template_sha="0" * 64)
    lines(tmp_path, row())
    assert "`chat_template_sha` is" in str(refused(tmp_path))
