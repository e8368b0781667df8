"""Any lm-eval model by name: a real server's answers, seeds, names, refusals, secrets."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch

from safebench.card.card import Card
from safebench.card.decoding import Decoding
from safebench.card.results import Environment
from safebench.errors import MissingDependencyError, ModelError, RunError
from safebench.harness.evaluate import Response, build_prompts, generate
from safebench.harness.tasks import load_task
from safebench.models.arguments import parse_backend_args
from safebench.models.interface import Engine, EngineSpec, PlacedWeights
from safebench.models.loading import Located, load_tokenizer
from safebench.models.registry import open_engine
from safebench.models.sampling import Stream
from safebench.models.transformers_engine import HfEngine
from safebench.resources import builtin_model_dir
from safebench.study.engines import Settings, make_engine
from tests.models.serving import (
    Served,
    chat_reply,
    free_port,
    recording,
    transformers_server,
)
from tests.plans import plan_data

BASE = PlacedWeights("base", None, None, "base", None)
TUNED = PlacedWeights("tuned", 3, 2, "adapter", Path("adapters/tuned-seed-3"))
GREEDY = Decoding(name="greedy", do_sample=False, max_new_tokens=24)
SAMPLED = Decoding(name="t10", do_sample=True, temperature=1.5, max_new_tokens=24, repeats=2)
STREAM = Stream(7, "base", None, None, "t10")


@pytest.fixture(scope="session")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    with transformers_server(tmp_path_factory.mktemp("served")) as server:
        yield server


def named(
    name: str, args: dict[str, Any], *, base: str = "b", revision: str | None = None, **more: Any
) -> Any:
    return open_engine(EngineSpec(Located(base, revision, ""), name=name, args=args, **more))


def api(url: str, more: str = "", **options: Any) -> Engine:
    line = f"base_url={url},max_retries=1{more}"
    return named(
        "local-chat-completions", parse_backend_args(line), **{"base": "the/base", **options}
    )


def answers(
    engine: Any,
    decoding: Decoding = GREEDY,
    weights: PlacedWeights = BASE,
    *,
    count: int = 4,
    batch_size: int = 8,
    chat: bool = True,
) -> list[Response]:
    tasks = [load_task("safebench_harm", limit=count)]
    with engine.using(weights):
        prompts = build_prompts(engine, tasks, chat=chat, system_prompt=None)
        return generate(
            engine, prompts, decoding, STREAM, batch_size=batch_size, on_batch=lambda n: None
        )


def texts(responses: list[Response]) -> list[str]:
    return [response.text for response in responses]


# A real server


def ours(folder: Path) -> HfEngine:
    located = Located(str(folder), None, "")
    return HfEngine(EngineSpec(located, load_tokenizer(located), batch_size=8))


def log(served: Served) -> str:
    return served.log.read_text(errors="replace")[-3000:]


@pytest.mark.slow
def test_a_real_server_answers_as_our_engine_does(served: Served) -> None:
    engine = api(
        served.url,
        base=str(served.model),
        tokenizer=load_tokenizer(Located(str(served.model), None, "")),
    )
    short = GREEDY.model_copy(update={"max_new_tokens": 9})
    for decoding in (GREEDY, short):
        mine = answers(ours(served.model), decoding, count=12)
        theirs = answers(engine, decoding, count=12)
        assert texts(theirs) == texts(mine), log(served)
        assert [r.status for r in theirs] == [r.status for r in mine]
        assert all(abs(a.new_tokens - b.new_tokens) <= 1 for a, b in zip(theirs, mine, strict=True))
    assert "truncated" in {r.status for r in mine}


@pytest.mark.slow
def test_a_real_server_completes_text(served: Served) -> None:
    line = f"base_url={served.url.replace('/chat', '')},model={{base}},tokenized_requests=false"
    engine = named("local-completions", parse_backend_args(line), base=str(served.model))
    mine = answers(ours(served.model), count=3, chat=False)
    assert texts(answers(engine, count=3, chat=False)) == texts(mine), log(served)


@pytest.mark.slow
def test_a_real_server_draws_by_the_seed_of_the_request(served: Served) -> None:
    first = answers(api(served.url, base=str(served.sampling)), SAMPLED)
    again = answers(api(served.url, base=str(served.sampling)), SAMPLED)
    assert texts(first) == texts(again), log(served)
    assert len(set(texts(first))) > len(first) // 2


@pytest.mark.slow
def test_a_real_server_says_which_setting_it_does_not_take(served: Served) -> None:
    with pytest.raises(ModelError, match=r"replied 422: Unexpected fields.*top_k") as problem:
        answers(api(served.url, base=str(served.model)), SAMPLED.model_copy(update={"top_k": 5}))
    assert "decoding" in str(problem.value.fix)


@pytest.mark.slow
def test_weights_are_served_under_their_own_names(served: Served) -> None:
    engine = api(
        served.url, base="unused/id", names={None: str(served.model), 3: str(served.sampling)}
    )
    assert texts(answers(engine, SAMPLED)) != texts(answers(engine, SAMPLED, TUNED))


# What is sent


def test_each_request_carries_its_own_seed_and_neutral_settings() -> None:
    with recording(lambda body, n: (200, chat_reply("ok"))) as server:
        found = answers(api(server.url, ",num_concurrent=3"), SAMPLED)
    wanted = {
        STREAM.key("safebench_harm", r.document["prompt_id"], r.repeat) % 2**31 for r in found
    }
    assert {body["seed"] for body in server.bodies} == wanted
    assert len(wanted) == 8
    for body in server.bodies:
        assert (body["temperature"], body["top_p"], body["max_tokens"]) == (1.5, 1.0, 24)
        assert not {"stop", "do_sample", "repetition_penalty", "top_k", "min_p"} & set(body)
        assert body["messages"][-1]["role"] == "user"


def test_settings_are_passed_when_they_are_set() -> None:
    decoding = SAMPLED.model_copy(
        update={"top_k": 5, "min_p": 0.1, "repetition_penalty": 1.2, "stop": ("\n\n",)}
    )
    with recording(lambda body, n: (200, chat_reply("ok"))) as server:
        answers(api(server.url), decoding, count=1)
    body = server.bodies[0]
    assert (body["top_k"], body["min_p"], body["repetition_penalty"]) == (5, 0.1, 1.2)
    assert body["stop"] == ["\n\n"]


def test_requests_are_under_way_together_and_come_back_in_order() -> None:
    def slow(body: dict[str, Any], number: int) -> tuple[int, dict[str, Any]]:
        time.sleep(0.2 if number % 2 else 0.05)
        return 200, chat_reply(body["messages"][-1]["content"])

    with recording(slow) as server:
        found = answers(api(server.url, ",num_concurrent=4"), SAMPLED)
    assert 2 <= server.most_at_once <= 4
    assert texts(found) == [r.document["prompt"].strip() for r in found]


def test_a_control_has_fewer_requests_at_once_and_another_order() -> None:
    control = GREEDY.model_copy(update={"repeats": 2, "repeat_control": True})
    with recording(lambda body, n: (200, chat_reply(str(body["messages"])))) as server:
        found = answers(api(server.url, ",num_concurrent=1"), control, count=6)
    asked = [body["messages"][-1]["content"] for body in server.bodies]
    assert asked[:6] != asked[6:]
    assert sorted(asked[:6]) == sorted(asked[6:])
    assert all(r.document["prompt"].strip() in r.text for r in found)


def test_text_is_sent_as_the_tokens_that_our_engine_would_see() -> None:
    model = builtin_model_dir("tiny-chat")
    assert model is not None
    reply = {"choices": [{"index": 0, "text": "ok", "finish_reason": "stop"}]}
    with recording(lambda body, n: (200, reply)) as server:
        engine = named("local-completions", {"base_url": server.url}, base=str(model))
        assert texts(answers(engine, count=2)) == ["ok"] * 2
    lm = ours(model).lm
    tasks = [load_task("safebench_harm", limit=2)]
    prompts = build_prompts(ours(model), tasks, chat=True, system_prompt=None)
    wanted = [lm.tok_encode(prompt.context) for prompt in prompts]
    assert [body["prompt"] for body in server.bodies] == [[tokens] for tokens in wanted]


def test_base_and_tuned_reach_their_own_names() -> None:
    with recording(lambda body, n: (200, chat_reply("ok"))) as server:
        engine = api(server.url)
        answers(engine, count=1)
        answers(engine, count=1, weights=TUNED)
        named = api(server.url, names={None: "gpt-2026-01-01", 3: "ft:gpt:abc"})
        answers(named, count=1)
        answers(named, count=1, weights=TUNED)
    assert [body["model"] for body in server.bodies] == [
        "the/base",
        "tuned-seed-3-epoch-2",
        "gpt-2026-01-01",
        "ft:gpt:abc",
    ]


def test_one_name_for_two_weights_is_refused() -> None:
    engine = api("http://127.0.0.1:1/v1/chat/completions", ",model=fixed")
    with (
        pytest.raises(ModelError, match=r"for base and tuned-seed-3-epoch-2") as problem,
        engine.using(TUNED),
    ):
        pass
    assert "model={model}" in str(problem.value.fix)


# What comes back


def test_statuses_are_the_replys_own() -> None:
    said = {
        1: chat_reply("cut", "length"),
        2: chat_reply(None, "content_filter"),
        3: chat_reply(None),
    }
    with recording(lambda body, n: (200, said.get(n, chat_reply(" whole ")))) as server:
        found = answers(api(server.url))
    assert [(r.text, r.status) for r in found] == [
        ("cut", "truncated"),
        ("", "blocked"),
        ("", "ok"),
        ("whole", "ok"),
    ]
    assert {r.new_tokens for r in found} == {3}


def test_what_a_reply_leaves_out_is_no_empty_answer() -> None:
    said = {
        1: {"choices": [{"message": {"content": "no index"}, "finish_reason": "stop"}]},
        2: {"choices": [{"index": 0, "message": {"content": None, "refusal": "I will not."}}]},
        3: {"choices": [{"message": {}, "finish_reason": "content_filter"}]},
        4: {"choices": [{"message": {"reasoning": "hm"}, "finish_reason": "length"}]},
    }
    with recording(lambda body, n: (200, said[n])) as server:
        found = answers(api(server.url))
    assert [(r.text, r.status) for r in found] == [
        ("no index", "ok"),
        ("I will not.", "ok"),
        ("", "blocked"),
        ("", "truncated"),
    ]


def test_a_served_model_is_sent_text_without_a_tokenizer() -> None:
    reply = {"choices": [{"text": "ok", "finish_reason": "stop"}]}
    with recording(lambda body, n: (200, reply)) as server:
        engine = named("local-completions", {"base_url": server.url}, base="no-model", served=True)
        assert not engine.takes_chat
        assert texts(answers(engine, count=2, chat=False)) == ["ok"] * 2
    assert all(isinstance(body["prompt"], str) for body in server.bodies)


def test_a_filter_that_answers_400_is_a_blocked_response() -> None:
    filtered = {"error": {"code": "content_filter", "message": "the prompt was filtered"}}
    with recording(lambda body, n: (400, filtered)) as server:
        assert [r.status for r in answers(api(server.url), count=2)] == ["blocked"] * 2


def test_stop_strings_the_server_ignored_are_cut_here() -> None:
    decoding = GREEDY.model_copy(update={"stop": ("END",)})
    with recording(lambda body, n: (200, chat_reply("yes END and more", "length"))) as server:
        found = answers(api(server.url), decoding, count=1)
    assert (found[0].text, found[0].status) == ("yes", "ok")


@pytest.mark.parametrize(
    ("status", "reply", "said", "fix"),
    [
        (400, {"error": {"message": "min_p is no parameter"}}, "400: min_p is no param", "setting"),
        (401, {"error": {"message": "bad key sk-hidden-key"}}, r"401: bad key \*\*\*", "API_KEY"),
        (404, {"detail": "no such model"}, "404: no such model", "base_url"),
        (500, {"odd": "thing"}, "500: .*odd", "log"),
        (200, {"error": {"message": "overloaded"}}, "without an answer: .*overloaded", "base_url"),
        (200, {"text_of": "something else"}, "without an answer: .*something else", "base_url"),
        (200, ["odd"], "without an answer: .*odd", "base_url"),
        (200, chat_reply(["a", "part"]), "not text", ""),
        (200, {"choices": [{"text": "a completion"}]}, "without an answer", "kind of API"),
        (200, {"choices": []}, "without an answer", "kind of API"),
        (200, None, "something that is not JSON", "login page"),
    ],
)
def test_a_refusal_is_quoted(
    status: int, reply: Any, said: str, fix: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "sk-hidden-key")
    with (
        recording(lambda body, n: (status, reply)) as server,
        pytest.raises(ModelError, match=said) as problem,
    ):
        answers(api(server.url))
    assert "backend local-chat-completions at http://127.0.0.1" in str(problem.value)
    assert fix in str(problem.value.fix or "")
    assert len(server.bodies) == 1  # nothing more is asked


def test_a_passing_fault_is_asked_again() -> None:
    def busy_once(body: dict[str, Any], number: int) -> tuple[int, dict[str, Any]]:
        return (503, {"error": "busy"}) if number == 1 else (200, chat_reply("ok"))

    with recording(busy_once) as server:
        engine = named("local-chat-completions", {"base_url": server.url})
        assert texts(answers(engine, count=1)) == ["ok"]
    assert len(server.bodies) == 2


def test_a_server_that_is_not_there_is_named() -> None:
    url = f"http://127.0.0.1:{free_port()}/v1/chat/completions"
    with pytest.raises(ModelError, match="cannot be reached") as problem:
        answers(api(url))
    assert url in str(problem.value) and "start the server" in str(problem.value.fix)


def test_a_server_that_is_too_slow_is_named() -> None:
    def stuck(body: dict[str, Any], number: int) -> tuple[int, dict[str, Any]]:
        time.sleep(1.5)
        return 200, chat_reply("late")

    with recording(stuck) as server, pytest.raises(ModelError, match="no reply within 1 s"):
        answers(api(server.url, ",timeout=1"), count=1)


def test_an_address_that_is_none_is_said() -> None:
    with pytest.raises(ModelError, match="base_url 'here'") as problem:
        answers(api("here"))
    assert "base_url" in str(problem.value.fix)


# What cannot be


def test_a_prompt_too_long_is_refused_not_cut() -> None:
    with recording(lambda body, n: (200, chat_reply("ok"))) as server:
        engine = named(
            "local-completions",
            {"base_url": server.url, "max_length": 30},
            base=str(builtin_model_dir("tiny-chat")),
        )
        with pytest.raises(ModelError, match=r"exceed the 29 that it takes"):
            answers(engine)
    assert not server.bodies


def test_conversations_and_text_are_not_mixed_up() -> None:
    with pytest.raises(ModelError, match="takes conversations"):
        answers(api("http://127.0.0.1:1/v1/chat/completions"), chat=False)
    engine = named(
        "local-completions",
        {"base_url": "http://127.0.0.1:1/v1/completions", "tokenizer_backend": None},
        base="b",
    )
    with pytest.raises(ModelError, match="takes text"):
        answers(engine)


def test_openai_is_sent_what_the_card_says_in_its_own_words(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "sk-of-a-test")
    decoding = GREEDY.model_copy(update={"stop": ("END",)})
    with recording(lambda body, n: (200, chat_reply("yes END"))) as server:
        for model in ("gpt-5-mini", "gpt-4.1"):
            args = {"base_url": server.url, "model": model}
            found = answers(named("openai-chat-completions", args), decoding, count=1)
            assert texts(found) == ["yes"]
    assert server.headers[0]["Authorization"] == "Bearer sk-of-a-test"
    reasoning, other = server.bodies
    assert "stop" not in reasoning  # such models refuse it
    assert other["stop"] == ["END"]
    assert (reasoning["temperature"], reasoning["max_completion_tokens"]) == (0, 24)


def test_azure_is_asked_for_its_deployment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AZURE_OPENAI_API_KEY", "az-of-a-test")
    filtered = {"error": {"code": "content_filter", "message": "the prompt was filtered"}}
    with recording(
        lambda body, n: (200, chat_reply("ok")) if n == 1 else (400, filtered)
    ) as server:
        args = {
            "base_url": server.url.split("/v1")[0],
            "model": "mine",
            "api_version": "2025-01-01",
        }
        found = answers(named("azure-openai-chat-completions", args), count=2)
    assert [r.status for r in found] == ["ok", "blocked"]
    assert server.paths[0] == "/openai/deployments/mine/chat/completions?api-version=2025-01-01"
    assert server.headers[0]["Api-Key"] == "az-of-a-test"


def test_a_local_server_gets_no_key_that_is_not_set(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)
    with recording(lambda body, n: (200, chat_reply("ok"))) as server:
        answers(api(server.url), count=1)
    assert "Authorization" not in server.headers[0]


def test_another_api_of_lm_eval_keeps_status_and_count(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ANTHROPIC_API_KEY", "ak-of-a-test")
    replies = {
        1: {"content": [{"text": "cut"}], "stop_reason": "max_tokens"},
        2: {"content": [{"text": "I will not."}], "stop_reason": "refusal"},
    }
    whole = {"content": [{"text": "ok"}], "stop_reason": "end_turn"}

    def reply(body: dict[str, Any], number: int) -> tuple[int, Any]:
        return 200, replies.get(number, whole) | {"usage": {"output_tokens": number}}

    decoding = GREEDY.model_copy(update={"stop": ("END",)})
    with recording(reply) as server:
        args = {"base_url": server.url, "max_retries": 1}
        engine = named("anthropic-chat", args)
        found = answers(engine, decoding, count=3)
    assert [(r.text, r.status, r.new_tokens) for r in found] == [
        ("cut", "truncated", 1),
        ("I will not.", "blocked", 2),
        ("ok", "ok", 3),
    ]
    assert engine.is_server and engine.scheme == "anthropic-chat/unseeded"
    with recording(lambda body, n: (401, {"error": {"message": "bad ak-of-a-test"}})) as server:
        args = {"base_url": server.url, "max_retries": 1}
        with pytest.raises(ModelError, match=r"replied 401: .*bad \*\*\*"):
            answers(named("anthropic-chat", args), decoding, count=1)


def test_a_missing_key_is_said_before_anything_is_sent(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)
    with pytest.raises(ModelError, match="OPENAI_API_KEY"):
        named("openai-chat-completions", {})


def test_unknown_names_are_answered_with_near_ones() -> None:
    with pytest.raises(ModelError, match="no backend named 'vlm'") as problem:
        named("vlm", {})
    assert "vllm" in str(problem.value.fix)
    with pytest.raises(ModelError) as problem:
        named("huggingface", {})
    assert "leave --backend out" in str(problem.value.fix)
    with pytest.raises(ModelError, match="no argument 'num_concurent'") as problem:
        api("http://127.0.0.1:1", ",num_concurent=2")
    assert "num_concurrent" in str(problem.value.fix)
    with pytest.raises(ModelError, match="needs the address"):
        named("local-completions", {})
    with pytest.raises(ModelError, match=r"num_concurrent=0"):
        api("http://127.0.0.1:1", ",num_concurrent=0")


def test_a_missing_package_is_named_with_its_extra() -> None:
    with pytest.raises(MissingDependencyError, match="litellm") as problem:
        named("litellm", {"model": "m"}).start()
    assert problem.value.fix == 'pip install "lm-eval[litellm]"'


# In this process


def test_another_model_in_this_process_answers() -> None:
    engine = named("dummy", {"of": "{model}"}, batch_size=3)
    before = torch.random.get_rng_state()
    batches: list[int] = []
    with engine.using(TUNED):
        prompts = build_prompts(
            engine, [load_task("safebench_harm", limit=4)], chat=False, system_prompt=None
        )
        found = generate(engine, prompts, SAMPLED, STREAM, batch_size=3, on_batch=batches.append)
    assert texts(found) == ["lol"] * 8
    assert batches == [3, 3, 2]
    assert engine.scheme == "dummy/unseeded"
    assert torch.equal(torch.random.get_rng_state(), before)


def test_a_model_is_made_once_for_the_same_arguments() -> None:
    engine = named("dummy", {"of": "{model}"})
    made = []
    for weights in (BASE, BASE, TUNED, BASE):
        with engine.using(weights):
            made.append(id(engine.lm))
            kept = engine.lm
    assert made[0] == made[1]
    assert engine.lm is kept


def test_what_a_backend_raises_is_one_message(monkeypatch: pytest.MonkeyPatch) -> None:
    from lm_eval.models.dummy import DummyLM

    def broken(*args: Any, **kwargs: Any) -> Any:
        raise AssertionError("out of luck\nand more")

    monkeypatch.setattr(DummyLM, "generate_until", broken)
    with pytest.raises(ModelError, match=r"^backend dummy failed: out of luck$"):
        answers(named("dummy", {}), chat=False)


def test_the_environment_says_what_is_known() -> None:
    engine = api("http://127.0.0.1:1/v1/chat/completions", ",num_concurrent=4")
    filled = Environment(python="3.11", libraries={}, **engine.environment())
    assert (filled.backend, filled.batch_size) == ("local-chat-completions", 4)
    assert filled.sampling_scheme == "local-chat-completions/request-seed"
    assert filled.backend_args["model"] == "{model}"
    assert "not_reported" in filled.device.model_dump()
    there = named("dummy", {"tensor_parallel_size": 2, "x": None}, batch_size=3)
    here = Environment(python="3.11", libraries={}, **there.environment())
    assert (here.tensor_parallel, here.batch_size, here.backend_args["x"]) == (2, 3, "none")


# Arguments


def test_arguments_are_read_by_type() -> None:
    assert parse_backend_args("a=1, b=0.5,c=true,d=None,e='1',f=x=y,,g={base}") == {
        "a": 1,
        "b": 0.5,
        "c": True,
        "d": None,
        "e": "1",
        "f": "x=y",
        "g": "{base}",
    }
    assert parse_backend_args("") == {}


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("a", "not name=value"),
        ("a=1,a=2", "given twice"),
        ("a={bas}", r"no placeholder \{bas\}"),
        ("a=.nan", "not a finite number"),
        ("trust_remote_code=true", "a model's own code"),
        ("api_key=abc", "'api_key' is a secret"),
        ("auth_token=abc", "is a secret"),
        ("header=abc", "is a secret"),
        ("OPENAI_API_KEY=abc", "is a secret"),
        ("base_url=http://me:word@host/v1", "holds a secret"),
        ("base_url=http://host/v1?api-key=abc", "holds a secret"),
        ("model=sk-abcdefghijklmnopqrst", "holds a secret"),
    ],
)
def test_wrong_arguments_and_secrets_are_refused(line: str, said: str) -> None:
    with pytest.raises(ModelError, match=said) as problem:
        parse_backend_args(line)
    shown = f"{problem.value} {problem.value.fix}"
    assert "abc" not in shown and "word" not in shown


@pytest.mark.parametrize(
    "line", ["tokenizer=x", "think_end_token=x", "tokenized_requests=false", "add_bos_token=true"]
)
def test_arguments_about_tokens_are_no_secrets(line: str) -> None:
    assert len(parse_backend_args(line)) == 1


@pytest.mark.parametrize(
    ("weights", "wanted"),
    [
        (BASE, {"pretrained": "org/m", "revision": "c0"}),
        (TUNED, {"pretrained": "org/m", "revision": "c0", "lora_local_path": str(TUNED.folder)}),
        (PlacedWeights("tuned", 3, 2, "full", Path("w")), {"pretrained": "w"}),
    ],
)
def test_one_line_serves_every_form(weights: PlacedWeights, wanted: dict[str, str]) -> None:
    engine = named(
        "dummy",
        parse_backend_args("pretrained={weights},revision={revision},lora_local_path={adapter}"),
        base="org/m",
        revision="c0",
    )
    given: list[dict[str, Any]] = []

    class Spy:
        @staticmethod
        def create_from_arg_obj(args: dict[str, Any]) -> Any:
            given.append(args)
            return object()

    engine._class = Spy
    with engine.using(weights):
        pass
    assert given == [{**wanted, "batch_size": 1}]


# The chat template's arguments, and what the card says of a template


def test_a_server_is_sent_the_arguments_of_its_template() -> None:
    with recording(lambda body, n: (200, chat_reply("ok"))) as server:
        answers(api(server.url, template_arguments={"enable_thinking": False}), count=1)
        answers(api(server.url), count=1)
    sent = [body.get("chat_template_kwargs") for body in server.bodies]
    assert sent == [{"enable_thinking": False}, None]


@pytest.mark.parametrize("name", ["local-completions", "anthropic-chat"])
def test_arguments_that_cannot_be_sent_are_refused(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ANTHROPIC_API_KEY", "k")
    args = {"base_url": "http://127.0.0.1:1/v1/completions", "model": "m"}
    with pytest.raises(ModelError, match="enable_thinking"):
        named(name, args, served=True, template_arguments={"enable_thinking": False})


@pytest.mark.parametrize(
    ("template", "said"),
    [
        ({"source": "file", "path": "t.jinja"}, "is a file"),
        ({"source": "tokenizer", "date": "2026-11-27"}, "has a date"),
        ({"source": "tokenizer", "arguments": {"enable_thinking": False}}, None),
        ({"source": "none"}, None),
    ],
)
def test_a_server_cannot_be_told_a_template_or_a_day(
    template: dict[str, Any], said: str | None
) -> None:
    model = {"base": {"id": "builtin:tiny-chat"}, "chat_template": template}
    card = Card.model_validate_json(json.dumps(plan_data(model=model)))
    plan: Any = SimpleNamespace(card=card, base=Located("b", None, ""), tokenizer=None)
    url = "base_url=http://127.0.0.1:1/v1/chat/completions"
    settings = Settings(backend="local-chat-completions", backend_args=url)
    if said is None:
        engine: Any = make_engine(plan, settings, "cpu")
        assert engine.spec.template_arguments == template.get("arguments", {})
        return
    with pytest.raises(RunError, match=said):
        make_engine(plan, settings, "cpu")
