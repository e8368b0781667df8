"""lm-eval's results: real ones, and what they can have."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

import pytest
import yaml

from safebench.errors import InteropError
from safebench.importing.draft.start import CardBasics
from safebench.importing.facts import BY_FILE, Absent, Nothing
from tests.importing.made import COMMIT, adapter, draft, read, results, values, write_json

UNTUNED = CardBasics(method="none")
SHA_OF_T = hashlib.sha256(b"t").hexdigest()


def decodings(found: dict[tuple[str, ...], Any]) -> list[dict[str, Any]]:
    listed: dict[str, dict[str, Any]] = {}
    for place, value in found.items():
        if place[0] == "decoding":
            listed.setdefault(place[1], {})[place[2]] = value
    return list(listed.values())


def test_real_results(shared_data: Path) -> None:
    found = read(shared_data / "interop")
    said = values(found)
    name = "RylanSchaeffer/mem_Qwen3-93M_minerva_math_rep_0_sbst_1.0000_epch_1_ot_1"
    assert said["model", "base", "id"] == name
    assert said["model", "base", "revision"] == "82047f5e5d5245c1b3a4cd75ad98aa441d6487cd"
    assert said["model", "dtype"] == "bfloat16"
    assert said["model", "chat_template", "source"] == "none"
    (greedy,) = decodings(said)  # both tasks share one setting
    assert greedy["do_sample"] is False
    assert greedy["max_new_tokens"] == 512
    assert greedy["stop"] == ["Problem:", "\n\n"]
    assert greedy["repeats"] == 1
    assert "temperature" not in greedy  # 0.0 of a greedy decoding says nothing
    for task in ("math_perturbed_full", "math_rephrased_full"):
        about = {place[2]: value for place, value in said.items() if place[:2] == ("tasks", task)}
        assert about["version"] == "1.0"
        assert about["prompts"] == 5000
        assert about["metric"] == "exact_match"
        assert about["direction"] == "higher_is_better"
        assert about["dataset_id"].startswith("stellaathena/math_")
        assert "limit" not in about
    assert said["prompting", "few_shot"] == 0
    assert said["prompting", "system_prompt"] == Nothing()
    assert said["seeds", "generation"] == 1234
    assert said["environment", "harness"] == "lm-eval 0.4.9.2"
    assert said["environment", "libraries"] == {
        "numpy": "2.2.6",
        "torch": "2.9.0",
        "transformers": "4.57.6",
        "triton": "3.5.0",
    }
    assert said["environment", "device"] == "NVIDIA A100-SXM4-80GB"
    assert said["environment", "batch_size"] == 16
    assert found.filled["model", "dtype"].comment == "results_*.json: config.model_dtype"


@pytest.mark.parametrize(
    "basics", [CardBasics(), CardBasics(method="none"), CardBasics(method="full")]
)
def test_a_card_of_real_results_validates(basics: CardBasics, shared_data: Path) -> None:
    report = draft(shared_data / "interop", basics=basics).report
    assert report.errors == 0
    assert report.level == "incomplete"


def test_the_samples_alone_name_task_and_decoding(shared_data: Path, tmp_path: Path) -> None:
    (real,) = (shared_data / "interop").glob("samples_*.jsonl")
    (tmp_path / real.name).write_bytes(real.read_bytes())
    said = values(read(tmp_path))
    assert said["tasks", "math_perturbed_full", "name"] == "math_perturbed_full"
    (greedy,) = decodings(said)
    assert (greedy["max_new_tokens"], greedy["repeats"]) == (512, 1)


def test_samples_alone_in_the_layout_before_0_4_4(tmp_path: Path) -> None:
    row = {"doc_id": 0, "doc": {}, "arguments": [["q", {"max_gen_toks": 8}]], "resps": [["a", "b"]]}
    write_json(tmp_path / "samples_gsm_2024-01-02T03-04-05.678901.jsonl", row)
    (only,) = decodings(values(read(tmp_path)))
    assert (only["max_new_tokens"], only["repeats"]) == (8, 2)


def test_what_the_command_line_replaced_is_not_the_setting(tmp_path: Path) -> None:
    results(tmp_path, config={"gen_kwargs": {"temperature": 0.9}})
    (only,) = decodings(values(read(tmp_path)))
    assert only["do_sample"] is False


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ({"do_sample": True, "temperature": 0.7, "top_p": 0.9}, {"temperature": 0.7, "top_p": 0.9}),
        ({"temperature": 0.7, "max_new_tokens": 9}, {"do_sample": True, "max_new_tokens": 9}),
        ({"temperature": 0.0}, {"do_sample": False}),
        ({"do_sample": True, "temperature": 1.0, "top_k": 20}, {"top_k": 20}),
        ({"until": "END"}, {"stop": ["END"]}),
        ({"until": None}, {"stop": []}),
        ({"repetition_penalty": 1.2}, {"repetition_penalty": 1.2}),
        ({"min_p": 0.1, "temperature": 1}, {"min_p": 0.1}),
        ({"num_beams": 4}, {"extra": {"num_beams": 4}}),
    ],
)
def test_settings(given: dict[str, Any], expected: dict[str, Any], tmp_path: Path) -> None:
    results(tmp_path, task={"generation_kwargs": given})
    (only,) = decodings(values(read(tmp_path)))
    assert {name: only[name] for name in expected} == expected
    assert draft(tmp_path).report.errors == 0


def test_what_the_settings_leave_to_the_backend_is_marked(tmp_path: Path) -> None:
    results(tmp_path, task={"generation_kwargs": {"do_sample": True}})
    (only,) = decodings(values(read(tmp_path)))
    for field in ("temperature", "top_k", "repetition_penalty", "max_new_tokens"):
        assert isinstance(only[field], Absent), field
    made = draft(tmp_path)
    assert "- name: sampled" in made.text
    assert made.report.errors == 0


def test_distinct_settings_have_distinct_names(tmp_path: Path) -> None:
    for number, given in enumerate(
        (
            {"do_sample": False, "max_gen_toks": 64},
            {"do_sample": False, "max_gen_toks": 128},
            {"temperature": 0.7},
            {"temperature": 0.7, "top_p": 0.9},
            {"temperature": 1.0},
        )
    ):
        name = f"results_2026-01-02T03-04-0{number}.json"
        results(tmp_path, name, task={"generation_kwargs": given})
    made = draft(tmp_path)
    names = [d["name"] for d in made.report.document.data["decoding"]]
    assert names == ["greedy", "greedy-2", "t07", "t07-2", "t1"]
    assert made.report.errors == 0


def test_tasks_of_likelihoods_generate_nothing(tmp_path: Path) -> None:
    results(tmp_path, task={"output_type": "multiple_choice", "generation_kwargs": None})
    said = values(read(tmp_path))
    assert decodings(said) == []
    assert said["tasks", "harm", "name"] == "harm"


def test_a_limit_is_kept(tmp_path: Path) -> None:
    results(tmp_path, **{"n-samples": {"harm": {"original": 100, "effective": 8}}})
    said = values(read(tmp_path))
    assert (said["tasks", "harm", "limit"], said["tasks", "harm", "prompts"]) == (8, 8)
    assert said["tasks", "harm", "available"] == 100


def test_of_several_metrics_a_person_chooses(tmp_path: Path) -> None:
    better = {"harm": {"acc": True, "acc_norm": True}}
    results(tmp_path, higher_is_better=better)
    assert ("tasks", "harm", "metric") not in values(read(tmp_path))


def test_a_chat_template_and_a_system_prompt(tmp_path: Path) -> None:
    digest = hashlib.sha256(b"template").hexdigest()
    results(
        tmp_path,
        chat_template="template",
        chat_template_sha=digest,
        system_instruction="Be kind.",
    )
    said = values(read(tmp_path))
    assert said["model", "chat_template", "source"] == "tokenizer"
    assert said["model", "chat_template", "sha256"] == digest
    assert said["prompting", "system_prompt"] == "Be kind."
    assert draft(tmp_path).report.errors == 0


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ({"enable_thinking": False}, {"enable_thinking": False}),
        ("pretrained=a/b,enable_thinking=False", {"enable_thinking": False}),
        ({"chat_template_args": {"effort": "low", "tools": []}}, {"effort": "low"}),
    ],
)
def test_what_a_chat_template_was_given(
    tmp_path: Path, arguments: Any, said: dict[str, Any]
) -> None:
    config = {"model": "hf", "model_args": arguments}
    results(tmp_path, chat_template="t", chat_template_sha=SHA_OF_T, config=config)
    place = ("model", "chat_template", "arguments")
    found = values(read(tmp_path))
    assert {p[3]: value for p, value in found.items() if p[:3] == place} == said
    written = yaml.safe_load(draft(tmp_path).text)
    assert written["model"]["chat_template"]["arguments"] == said


def test_a_template_that_the_tokenizer_has_and_nobody_applied(tmp_path: Path) -> None:
    results(tmp_path / "eval")
    adapter(tmp_path / "out")
    (tmp_path / "out" / "chat_template.jinja").write_text("template")
    found = read(tmp_path)
    assert values(found)["model", "chat_template", "source"] == "none"
    assert ("model", "chat_template", "sha256") not in values(found)
    (remark,) = found.remarks
    assert "chat_template.jinja says model.chat_template.source is 'tokenizer'" in remark
    assert draft(tmp_path).report.errors == 0


def test_few_shot_that_differs_between_tasks_is_said(tmp_path: Path) -> None:
    results(tmp_path, **{"n-shot": {"harm": 0, "math": 5}})
    found = values(read(tmp_path))["prompting", "few_shot"]
    assert isinstance(found, Absent)
    assert "n-shot.harm" in found.reason and "n-shot.math" in found.reason


@pytest.mark.parametrize(
    ("config", "about", "device"),
    [
        ({"device": "cuda:0"}, "Is CUDA available: False", "cpu"),  # what lm-eval writes on a CPU
        ({"device": None}, "Is CUDA available: False", "cpu"),
        ({"device": "cpu"}, "Is CUDA available: True\nGPU 0: Example X1", "cpu"),
        ({"device": "cuda"}, "Is CUDA available: True\nGPU 0: Example X1", "Example X1"),
        ({"device": "cuda"}, "Is CUDA available: True\nGPU 0: A\nGPU 1: B", None),
        ({"device": "mps"}, "Is CUDA available: False", None),
    ],
)
def test_the_device_is_not_what_was_asked_for(
    config: dict[str, Any], about: str, device: str | None, tmp_path: Path
) -> None:
    results(tmp_path, config=config, pretty_env_info=about)
    assert values(read(tmp_path)).get(("environment", "device")) == device


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        ("pretrained=example/Base-1B,dtype=bfloat16", "example/Base-1B"),
        ({"pretrained": "example/Base-1B"}, "example/Base-1B"),
        ({"model": "example-api-model"}, "example-api-model"),
        ("pretrained=/home/someone/Base-1B", "Base-1B"),
        ("dtype=float32", None),
        ("", None),
    ],
)
def test_the_model_that_was_measured(arguments: Any, expected: str | None, tmp_path: Path) -> None:
    results(tmp_path, config={"model_args": arguments})
    assert values(read(tmp_path)).get(("model", "base", "id")) == expected
    assert draft(tmp_path).report.errors == 0


def test_a_commit_that_lm_eval_did_not_record_is_marked_with_the_reason(tmp_path: Path) -> None:
    results(tmp_path, config={"model_sha": ""})
    found = values(read(tmp_path))["model", "base", "revision"]
    assert isinstance(found, Absent)
    assert "loaded main" in found.reason
    assert draft(tmp_path).report.errors == 0


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        ("pretrained=a/b,load_in_4bit=True,bnb_4bit_quant_type=nf4", "nf4"),
        ({"pretrained": "a/b", "load_in_8bit": True}, "int8"),
    ],
)
def test_quantization(arguments: Any, expected: str, tmp_path: Path) -> None:
    results(tmp_path, config={"model_args": arguments})
    assert values(read(tmp_path))["model", "quantization"] == expected


@pytest.mark.parametrize(
    ("argument", "value"),
    [("quantization", "awq"), ("gguf_file", "m.gguf"), ("gptqmodel", True), ("autogptq", "m")],
)
def test_quantization_that_no_card_has_a_word_for(
    argument: str, value: Any, tmp_path: Path
) -> None:
    results(tmp_path, config={"model": "hf", "model_args": {"pretrained": "a/b", argument: value}})
    found = values(read(tmp_path))["model", "quantization"]
    assert isinstance(found, Absent)
    assert f"model_args have {argument}={value}" in found.reason


@pytest.mark.parametrize(
    ("model", "logged", "expected"),
    [
        ("vllm", None, "float16"),
        ("vllm", "torch.bfloat16", "bfloat16"),
        ("hf", "", "float16"),
        ("local-completions", None, None),
    ],
)
def test_the_type_that_was_asked_for_where_none_was_logged(
    model: str, logged: str | None, expected: str | None, tmp_path: Path
) -> None:
    given = {"pretrained": "a/b", "dtype": "float16"}
    results(tmp_path, config={"model": model, "model_args": given, "model_dtype": logged})
    assert values(read(tmp_path)).get(("model", "dtype")) == expected


@pytest.mark.parametrize("argument", ["peft", "lora_local_path", "delta"])
def test_a_model_under_an_adapter_is_the_base(argument: str, tmp_path: Path) -> None:
    results(tmp_path, config={"model_args": f"pretrained=example/Base-1B,{argument}=out"})
    assert read(tmp_path).filled["model", "base", "id"].facts[0].rank == BY_FILE


def test_a_template_that_a_server_applied_is_not_none(tmp_path: Path) -> None:
    results(tmp_path, chat_template="", chat_template_sha=None)  # as local-chat-completions has it
    assert ("model", "chat_template", "source") not in values(read(tmp_path))


def test_an_evaluation_of_merged_weights_is_no_base_model(tmp_path: Path) -> None:
    adapter(tmp_path / "out")
    merged = {"model_args": "pretrained=lab/merged", "model_sha": "f" * 40}
    results(tmp_path / "eval", config=merged)
    found = read(tmp_path)
    said = values(found)
    assert said["model", "base", "id"] == "example/Base-1B"
    assert said["model", "base", "revision"] == COMMIT
    (remark,) = found.remarks
    assert "model.base.id is 'lab/merged'; the draft has 'example/Base-1B'" in remark


def test_base_and_tuned_results_make_one_card(tmp_path: Path) -> None:
    adapter(tmp_path / "out")
    results(tmp_path / "base", config={"model_args": "pretrained=example/Base-1B"})
    results(tmp_path / "tuned", config={"model_args": "pretrained=example/Base-1B,peft=out"})
    found = read(tmp_path)
    assert found.remarks == ()
    assert found.filled["model", "dtype"].comment.endswith("(2 files)")
    assert draft(tmp_path).report.errors == 0


def test_runs_with_other_batch_sizes_are_said_and_no_error(tmp_path: Path) -> None:
    results(tmp_path / "a", config={"batch_size": 8})
    results(tmp_path / "b", config={"batch_size": "16"})
    found = values(read(tmp_path))["environment", "batch_size"]
    assert isinstance(found, Absent)
    assert found.reason.startswith("it differs: 8 (results_")


def test_a_server_may_be_a_providers(tmp_path: Path) -> None:
    results(tmp_path, config={"model": "openai-chat-completions", "model_args": "model=gpt-x"})
    assert any("set model.access: api" in remark for remark in read(tmp_path).remarks)


@pytest.mark.parametrize("size", ["auto", "auto:4", "N/A", None])
def test_a_batch_size_that_was_not_a_number(size: str | None, tmp_path: Path) -> None:
    results(tmp_path, config={"batch_size": size})
    assert ("environment", "batch_size") not in values(read(tmp_path))
    assert draft(tmp_path).report.errors == 0


def test_old_results_without_later_keys(tmp_path: Path) -> None:
    data = {"results": {"harm": {}}, "configs": {"harm": {}}, "config": {"model": "hf"}}
    write_json(tmp_path / "results_2024-01-02T03-04-05.json", data)
    said = values(read(tmp_path))
    assert ("prompting", "system_prompt") not in said
    assert ("model", "chat_template", "source") not in said
    made = draft(tmp_path)
    assert made.report.errors == 0
    assert "report prompting.system_prompt" in " ".join(made.report.missing_for_next)


@pytest.mark.parametrize(
    ("changes", "key"),
    [
        ({"results": None}, "results"),
        ({"configs": []}, "configs"),
        ({"config": {"model_dtype": 3}}, "config.model_dtype"),
        ({"n-shot": {"harm": "many"}}, "n-shot.harm"),
        ({"n-samples": {"harm": {"effective": -0.5}}}, "n-samples.harm.effective"),
        ({"task": {"generation_kwargs": {"temperature": "hot"}}}, "generation_kwargs.temperature"),
        ({"task": {"generation_kwargs": {"until": [1]}}}, "generation_kwargs.until"),
    ],
)
def test_values_that_make_no_sense(changes: dict[str, Any], key: str, tmp_path: Path) -> None:
    path = results(tmp_path, **changes)
    with pytest.raises(InteropError) as raised:
        read(tmp_path)
    assert str(path) in str(raised.value)
    assert f"{key}`" in str(raised.value)


def test_a_task_with_a_name_that_no_card_can_hold(tmp_path: Path) -> None:
    path = results(tmp_path)
    data = json.loads(path.read_text())
    data["configs"] = {"bad name\n": data["configs"]["harm"]}
    write_json(path, data)
    with pytest.raises(InteropError) as raised:
        draft(tmp_path)
    assert "\n" not in str(raised.value)
    assert "tasks[0].name" in str(raised.value)
