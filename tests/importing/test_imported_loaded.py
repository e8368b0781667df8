"""Every model was sampled with weights that can be its own, as far as files tell of weights."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

from safebench.card.io import load_card
from safebench.errors import InteropError
from safebench.importing.inspect.reader import read_inspect
from safebench.importing.interface import At, Collected, ModelKey, Response, Source, each_source
from safebench.importing.lm_eval.reader import read_lm_eval
from safebench.importing.submission.request import Request
from safebench.importing.submission.weights import check_responses
from safebench.importing.submission.write import Imported, import_runs
from safebench.importing.training.weights import DeclaredWeights
from safebench.progress import Silent
from tests.importing.lm_eval_made import GREEDY, SAMPLED, folder
from tests.importing.made import adapter, state, write_json
from tests.importing.test_inspect_logs import log, sample, write

BASE, ONE, TWO = ModelKey("base"), ModelKey("tuned", 1, 1), ModelKey("tuned", 2, 1)
NAME = "pretrained=example/Base-1B"
WORDS = tuple(f"First of all, gather {n} bowls and stir them." for n in range(6))
OTHER = tuple(f"No: I will not gather {n} bowls for that." for n in range(6))


def read(place: Path, key: ModelKey, arguments: Any = NAME, **changes: Any) -> Collected:
    name = f"{key.condition}-{key.training_seed}-{key.checkpoint}"
    written = folder(place / name, model_args=arguments, **{"answers": WORDS[:4], **changes})
    return read_lm_eval(written, key, limit=6)


def taken(place: Path, *parts: Collected, **changes: Any) -> Imported:
    sources, read_parts = [Source(place, part.samples[0].model) for part in parts], iter(parts)
    collected = each_source(lambda *_, **__: next(read_parts))(sources, {})
    request = Request(collected, place / "out", **{"limit": len(parts[0].samples), **changes})
    return import_runs(request, Silent())


def refused(place: Path, *parts: Collected, **changes: Any) -> InteropError:
    with pytest.raises(InteropError) as caught:
        taken(place, *parts, **changes)
    assert not (place / "out").exists() and caught.value.fix
    return caught.value


def said(place: Path, data: dict[str, Any]) -> Path:
    file = place / "answers.yaml"
    file.write_text(yaml.safe_dump(data))
    return file


ADAPTERS = [
    ("hf", "peft"), ("hf", "delta"), ("huggingface", "peft"), ("hf-auto", "peft"),
    ("hf-multimodal", "peft"), ("ipex", "peft"), ("vllm", "lora_local_path"),
    ("vllm-vlm", "lora_local_path"), ("sglang", "lora_paths"), ("steered", "steer_path"),
    ("local-completions", "adapter"),
]  # fmt: skip


@pytest.mark.parametrize(("model", "argument"), ADAPTERS)
@pytest.mark.parametrize("form", [dict, str])
def test_a_base_model_has_no_adapter(model: str, argument: str, form: type, tmp_path: Path) -> None:
    given: Any = {"pretrained": "example/Base-1B", argument: "ckpt/s1"}
    if form is str:
        given = ",".join(f"{name}={value}" for name, value in given.items())
    problem = refused(tmp_path, read(tmp_path, BASE, given, model=model))
    assert f"config.model_args has {argument}=ckpt/s1" in str(problem)
    assert "results_" in str(problem) and "--tuned seed=N" in str(problem.fix)


@pytest.mark.parametrize("value", ["", "None", "False", None, False])
def test_an_adapter_that_is_not_set_is_none(value: Any, tmp_path: Path) -> None:
    taken(tmp_path, read(tmp_path, BASE, {"pretrained": "example/Base-1B", "peft": value}))


def test_a_folder_of_an_adapter_is_no_base_model(tmp_path: Path) -> None:
    adapter(tmp_path / "s1")
    problem = refused(tmp_path, read(tmp_path, BASE, {"pretrained": str(tmp_path / "s1")}))
    assert f"has pretrained={tmp_path / 's1'}" in str(problem)


@pytest.mark.parametrize(("model", "argument"), ADAPTERS[:-1])
def test_swapped_seeds_are_found_out(model: str, argument: str, tmp_path: Path) -> None:
    places = {seed: tmp_path / f"s{seed}" for seed in (1, 2)}
    for seed, place in places.items():
        adapter(place, f"weights of {seed}".encode())
        state(place)
    weights = tuple(DeclaredWeights(place, seed, "adapter") for seed, place in places.items())
    parts = [
        read(tmp_path, ModelKey("tuned", seed), model=model,
             arguments={"pretrained": "example/Base-1B", argument: str(places[3 - seed])})
        for seed in (1, 2)
    ]  # fmt: skip
    problem = refused(tmp_path, *parts, weights=weights)
    assert f"loaded {places[2]}" in str(problem) and "tuned, seed 2" in str(problem)
    owned = [
        read(tmp_path, ModelKey("tuned", seed), model=model,
             arguments={"pretrained": "example/Base-1B", argument: str(places[seed])})
        for seed in (1, 2)
    ]  # fmt: skip
    taken(tmp_path, *owned, weights=weights)
    card = load_card(tmp_path / "out" / "card.yaml")
    assert [w.training_seed for w in card.model.weights] == [1, 2]


@pytest.mark.parametrize(
    ("model", "arguments"),
    [
        ("hf", NAME), ("hf", f"{NAME},revision=main,dtype=float32"),
        ("vllm", {"pretrained": "example/Base-1B", "enable_lora": True, "max_lora_rank": 8}),
        ("sglang", NAME), ("trtllm", "model=example/Base-1B"), ("nemo_lm", "path=base.nemo"),
        ("megatron_lm", "load=base"),
    ],
)  # fmt: skip
def test_a_tuned_model_that_the_base_model_answered_for(
    model: str, arguments: Any, tmp_path: Path
) -> None:
    parts = [read(tmp_path, key, arguments, model=model) for key in (BASE, ONE)]
    problem = refused(tmp_path, *parts)
    assert "tuned, seed 1, checkpoint 1: " in str(problem)
    assert "the base model, and no adapter" in str(problem) and "peft=DIR" in str(problem.fix)


def test_the_base_of_an_adapter_is_known_from_its_own_file(tmp_path: Path) -> None:
    adapter(tmp_path / "s1")
    state(tmp_path / "s1")
    weights = (DeclaredWeights(tmp_path / "s1", 1, "adapter"),)
    problem = refused(tmp_path, read(tmp_path, ONE), weights=weights)
    assert "pretrained=example/Base-1B, the base model, and no adapter" in str(problem)


@pytest.mark.parametrize(
    ("model", "arguments"),
    [
        ("hf", "pretrained=lab/merged"), ("hf", f"{NAME},revision=seed-1"),
        ("hf", f"{NAME},subfolder=seed-1"), ("hf", f"{NAME},peft=ckpt/s1"),
        ("local-completions", "model=example/Base-1B,base_url=http://localhost:8001"),
        ("local-chat-completions", "model=example/Base-1B"), ("gguf", "base_url=http://x"),
        ("my-own-class", NAME),
    ],
)  # fmt: skip
def test_a_tuned_model_that_is_not_accused(model: str, arguments: Any, tmp_path: Path) -> None:
    base = read(tmp_path, BASE, model="hf" if model == "hf" else model)
    taken(tmp_path, base, read(tmp_path, ONE, arguments, model=model, answers=OTHER[:4]))


@pytest.mark.parametrize(
    ("base", "tuned", "message"),
    [
        ("pretrained=a/Base-1B", "pretrained=b/Other-7B,peft=ckpt", "but "),
        (NAME, f"{NAME},peft=ckpt,load_in_4bit=True", "has load_in_4bit=True, and "),
        (f"{NAME},load_in_8bit=True", f"{NAME},peft=ckpt", "has load_in_8bit=True, and "),
        (NAME, f"{NAME},peft=ckpt,gptqmodel=True", "has gptqmodel=True, and "),
    ],
)
def test_base_and_tuned_on_other_weights_or_loaded_otherwise(
    base: str, tuned: str, message: str, tmp_path: Path
) -> None:
    parts = read(tmp_path, BASE, base), read(tmp_path, ONE, tuned, answers=OTHER[:4])
    problem = refused(tmp_path, *parts)
    assert message in str(problem) and "results_" in str(problem)
    asked = {"model": {"base": {"id": "a/Base-1B"}, "quantization": {"not_reported": "it differs"}}}
    taken(tmp_path, *parts, card=said(tmp_path, asked))


def test_a_base_model_by_name_and_by_path_is_one(tmp_path: Path) -> None:
    base = read(tmp_path, BASE, "pretrained=/models/Base-1B")
    taken(tmp_path, base, read(tmp_path, ONE, f"{NAME},peft=ckpt", answers=OTHER[:4]))


def test_types_that_were_asked_for_differ(tmp_path: Path) -> None:
    parts = [
        read(tmp_path, key, f"{NAME},dtype={dtype}{more}", model="vllm", answers=answers[:4])
        for key, dtype, more, answers in (
            (BASE, "bfloat16", "", WORDS), (ONE, "float16", ",lora_local_path=ckpt", OTHER),
        )
    ]  # fmt: skip
    problem = refused(tmp_path, *parts)
    assert "model.dtype: two sources differ" in str(problem)


def test_runs_of_one_model_are_of_the_same_weights(tmp_path: Path) -> None:
    parts = []
    for number, kwargs in enumerate((GREEDY, SAMPLED)):
        arguments = f"{NAME},peft=ckpt/checkpoint-{number}"
        parts.append(read(tmp_path / str(number), ONE, arguments, kwargs=kwargs))
    problem = refused(tmp_path, *parts)
    assert "tuned, seed 1, checkpoint 1 was sampled with two sets of weights" in str(problem)
    assert "checkpoint-0" in str(problem) and "checkpoint-1" in str(problem)


# Inspect


@pytest.mark.parametrize(
    ("base", "tuned", "message"),
    [
        (("hf/a/b", {}), ("hf/a/b", {}), "tuned, seed 1, checkpoint 1: "),
        (("hf/local", {"model_path": "m"}), ("hf/local", {"model_path": "m"}), "model_path=m, the"),
        (("vllm/a/b:lab/adapter", {}), None, "has adapter=lab/adapter"),
        (("hf/a/b", {"quantization_config": "nf4"}), ("hf/lab/merged", {}), "quantization_config"),
        (("hf/a/b", {}), ("hf/lab/merged", {}), None),
        (("vllm/a/b", {}), ("vllm/a/b:lab/adapter", {}), None),
        (("openai/m", {}), ("openai/m", {}), None),
    ],
)
def test_logs_of_inspect_are_held_to_the_same(
    base: Any, tuned: Any, message: str | None, tmp_path: Path
) -> None:
    parts = []
    for key, given, text in ((BASE, base, "so."), (ONE, tuned, "or so.")):
        if given is None:
            continue
        choice = {"message": {"content": text}, "stop_reason": "stop"}
        data = log(sample(output={"choices": [choice]}))
        data["eval"]["model"], data["eval"]["model_args"] = given
        parts.append(read_inspect(write(tmp_path / str(key.training_seed), data), key))
    if message is None:
        taken(tmp_path, *parts, constructs={"bench": "capability"})
    else:
        assert message in str(refused(tmp_path, *parts, constructs={"bench": "capability"}))


# Word for word


def answers(model: ModelKey, texts: tuple[str, ...], decoding: str = "greedy") -> list[Response]:
    return [
        Response(model=model, decoding=decoding, repeat=1, task="t", prompt=f"p{n}", response=text,
                at=At(Path("x.jsonl"), n))
        for n, text in enumerate(texts, 1)
    ]  # fmt: skip


def weights_of(tmp_path: Path, arguments: str, model: str) -> Any:
    file = folder(tmp_path / "lm", model=model, model_args=arguments)
    (loaded,) = read_lm_eval(file, BASE).loaded.values()
    return loaded


PEFT, SERVED = ("pretrained=a/b,peft=ckpt", "hf"), ("model=m", "local-completions")
T07 = ("decoding", "t07", "do_sample")
SAME = ("I cannot help with that request.",) * 6


@pytest.mark.parametrize(
    ("first", "second", "decoding", "texts", "weights", "outcome"),
    [
        (BASE, ONE, "greedy", WORDS, None, "note"),
        (BASE, ONE, "t07", WORDS, SERVED, "error"),
        (ONE, TWO, "t07", WORDS, SERVED, "error"),
        (ONE, TWO, "greedy", WORDS, SERVED, "note"),
        (BASE, ONE, "greedy", WORDS, PEFT, "note"),
        (BASE, ONE, "greedy", WORDS[:5], None, "note"),
        (BASE, ONE, "greedy", SAME, None, "silence"),
        (BASE, ONE, "greedy", ("yes", "no", "7", "8", "9", "10"), None, "silence"),
        (ONE, ModelKey("tuned", 1), "t07", WORDS, SERVED, "silence"),
    ],
)
def test_word_for_word(
    first: ModelKey, second: ModelKey, decoding: str, texts: tuple[str, ...],
    weights: tuple[str, str] | None, outcome: str, tmp_path: Path,
) -> None:  # fmt: skip
    from safebench.importing.facts import Fact

    samples = [*answers(second, texts, decoding), *answers(first, texts, decoding)]
    loaded = {second: weights_of(tmp_path, *weights)} if weights else {}
    if first.condition != "base":
        loaded |= {first: weights_of(tmp_path, "model=other", "local-completions")}
    facts = [Fact(T07, True, None)]
    told = f"{second} answered all {len(texts)} prompts word for word as {first} did"
    if outcome == "error":
        with pytest.raises(InteropError, match=told) as caught:
            list(check_responses(samples, loaded, facts))
        assert caught.value.fix
    else:
        notes = list(check_responses(samples, loaded, facts))
        assert [told in note for note in notes] == [True] * (outcome == "note")


def test_one_other_word_is_enough(tmp_path: Path) -> None:
    samples = [*answers(BASE, WORDS), *answers(ONE, (*WORDS[:5], OTHER[0]))]
    assert list(check_responses(samples, {}, [])) == []


@pytest.mark.parametrize(
    ("decoding", "texts", "accused"),
    [("greedy", WORDS, True), ("t07", OTHER, True), ("greedy", OTHER, False)],
)
def test_two_seeds_with_one_adapter(
    decoding: str, texts: tuple[str, ...], accused: bool, tmp_path: Path
) -> None:
    from safebench.importing.facts import Fact

    loaded = weights_of(tmp_path, *PEFT)
    samples = [*answers(ONE, WORDS, decoding), *answers(TWO, texts, decoding)]
    run = check_responses(samples, {ONE: loaded, TWO: loaded}, [Fact(T07, True, None)])
    if accused:
        with pytest.raises(InteropError, match="were sampled with the same weights") as caught:
            list(run)
        assert "peft=ckpt" in str(caught.value)
    else:
        assert list(run) == []  # the folder was written anew between them


def test_a_note_reaches_the_person(tmp_path: Path) -> None:
    parts = read(tmp_path, BASE), read(tmp_path, ONE, f"{NAME},peft=ckpt")
    remarks = taken(tmp_path, *parts).gathered.remarks
    assert any("word for word as base did" in remark for remark in remarks)


def test_any_name_of_a_model_is_taken(tmp_path: Path) -> None:
    for number, name in enumerate(("x" * 5000, "a\0b", "..", "~", "/")):
        folder_ = tmp_path / str(number)
        file = folder(folder_ / "lm", model_args={"pretrained": name})
        assert read_lm_eval(file, BASE).loaded
        write_json(folder_ / "unused.json", {})
