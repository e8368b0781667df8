"""What a card says is sent is looked for in what a template makes of it."""

from __future__ import annotations

import hashlib
from functools import partial
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from jinja2 import Environment

from safebench.card.model import ChatTemplateFromTokenizer
from safebench.errors import CardError, SafebenchError, TaskError, TuningError
from safebench.harness.evaluate import build_prompts
from safebench.harness.tasks import load_task
from safebench.models.conversation import (
    keep_default_template,
    require_system_prompt,
    template_digest,
)
from safebench.models.interface import Conversation, EngineSpec
from safebench.models.loading import Located, load_tokenizer
from safebench.models.openai_engine import OpenAIEngine
from safebench.models.transformers_engine import HfEngine
from safebench.tuning.render import rendered_sha256
from tests.models.serving import chat_reply, recording
from tests.small_models import CHAT_TEMPLATE, save_llama

SYSTEM = "Answer in  one short\nsentence."
RAISING = (
    "{% if messages[0].role == 'system' %}{{ raise_exception('System role not supported') }}"
    "{% endif %}" + CHAT_TEMPLATE
)
IGNORING = CHAT_TEMPLATE.replace("<|sys|>{{ m.content }}", "")
KEEPING = {
    "as it is": CHAT_TEMPLATE,
    "trimmed": CHAT_TEMPLATE.replace("m.content", "m.content | trim"),
    "before the question": (
        "{% set kept = namespace(text='') %}"
        "{% for m in messages %}{% if m.role == 'system' %}{% set kept.text = m.content %}"
        "{% else %}<|user|>{{ kept.text }} {{ m.content }}{% endif %}{% endfor %}"
    ),
}
LOSING = {
    "refuses": (RAISING, "refuses it: System role not supported"),
    "passes over": (IGNORING, "leaves it out: of a conversation with it the template makes '<s>"),
    "cuts": (CHAT_TEMPLATE.replace("<|sys|>{{ m.content", "<|sys|>{{ m.content[:9]"), "leaves it"),
    "has one of its own": (
        CHAT_TEMPLATE.replace("<|sys|>{{ m.content }}", "<|sys|>You are helpful."),
        "leaves it out",
    ),
    "is for strings that are none": (
        CHAT_TEMPLATE.replace("{{ bos_token }}", "{{ messages[0].content[0].text.upper() }}"),
        "refuses it",
    ),
}


class Tokenizer:
    """A chat template without a model."""

    def __init__(self, template: str) -> None:
        self.chat_template = template

    def apply_chat_template(self, messages: list[dict[str, str]], **_: Any) -> str:
        def raise_exception(text: str) -> None:
            raise ValueError(text)

        found = Environment(autoescape=False).from_string(self.chat_template)  # noqa: S701 - no page
        return found.render(
            messages=messages, bos_token="<s>", eos_token="</s>", raise_exception=raise_exception
        )


@pytest.mark.parametrize("template", KEEPING.values(), ids=KEEPING)
def test_a_template_with_a_place_for_a_system_prompt_is_taken(template: str) -> None:
    require_system_prompt(Tokenizer(template), SYSTEM)


@pytest.mark.parametrize(("template", "said"), LOSING.values(), ids=LOSING)
def test_a_system_prompt_that_would_be_lost_is_refused(template: str, said: str) -> None:
    require_system_prompt(Tokenizer(template), None)
    with pytest.raises(CardError) as refused:
        require_system_prompt(Tokenizer(template), SYSTEM)
    assert said in str(refused.value)
    assert "take prompting.system_prompt out of the card" in str(refused.value.fix)


@pytest.mark.parametrize(("template", "said"), list(LOSING.values())[:4], ids=list(LOSING)[:4])
def test_training_text_loses_no_message_but_those_of_the_model(template: str, said: str) -> None:
    turns = [{"role": "user", "content": "And?"}]
    rows = [
        {"prompt": turns, "completion": [{"role": "assistant", "content": "<think>So</think>"}]}
    ]
    shortened = CHAT_TEMPLATE.replace("<|bot|>{{ m.content }}", "<|bot|>")
    assert rendered_sha256(rows, Tokenizer(shortened)) != rendered_sha256(
        rows, Tokenizer(CHAT_TEMPLATE)
    )
    first, second = rows[0], {**rows[0], "prompt": [{"role": "system", "content": SYSTEM}, *turns]}
    with pytest.raises(TuningError, match="training example 2") as refused:
        rendered_sha256([first, second], Tokenizer(template))
    assert "(often `system`)" in str(refused.value.fix)
    with pytest.raises(TuningError, match="leaves the user message of training example 1 out"):
        rendered_sha256(rows, Tokenizer("nothing of it"))


@pytest.fixture(scope="module")
def llama(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_llama(tmp_path_factory.mktemp("llama"))


def prompts(engine: Any, **how: Any) -> list[Any]:
    return build_prompts(engine, [load_task("safebench_harm", limit=2)], **how)


class Layout:
    """What lays prompts out, without a model."""

    tokenizer_name = ""

    def __init__(self, *, server: bool) -> None:
        self._server = server

    def apply_chat_template(self, messages: Any, add_generation_prompt: bool = True) -> Any:
        if self._server:
            return Conversation(tuple(messages))
        ending = "<|bot|>" if add_generation_prompt else ""
        return "".join(f"<|{m['role']}|>{m['content']}" for m in messages) + ending


ADDED = {
    "description": "Be brief.\n",
    "num_fewshot": 1,
    "gen_prefix": "Sure, here is",
    "doc_to_text": "{{ prompt }}",  # what it is already
}
"""Settings of a task's YAML that shape a prompt."""


@pytest.mark.slow
@pytest.mark.parametrize("system", [None, SYSTEM])
@pytest.mark.parametrize("layout", ["text", "template", "server"])
@pytest.mark.parametrize("setting", ADDED)
def test_nothing_is_sent_that_the_card_does_not_say(
    setting: str, layout: str, system: str | None
) -> None:
    loaded = load_task("safebench_harm", limit=3)
    loaded.task.set_config("fewshot_split", "test")
    loaded.task.set_config(setting, ADDED[setting])
    engine: Any = Layout(server=layout == "server")
    build = partial(build_prompts, engine, [loaded], chat=layout != "text", system_prompt=system)
    if setting == "doc_to_text":
        assert len(build()) == 3
        return
    with pytest.raises(TaskError) as refused:
        build()
    assert setting in str(refused.value.fix), str(refused.value)


@pytest.mark.slow
@pytest.mark.parametrize("template", [RAISING, IGNORING])
def test_nothing_is_generated_without_the_system_prompt(llama: Path, template: str) -> None:
    located = Located(str(llama), None, "")
    tokenizer = load_tokenizer(located)
    engine = HfEngine(EngineSpec(located, tokenizer, batch_size=8))
    for chat in (True, False):
        found = prompts(engine, chat=chat, system_prompt=SYSTEM)
        assert all(SYSTEM in str(prompt.context) for prompt in found)
    tokenizer.chat_template = template
    assert len(prompts(engine, chat=True, system_prompt=None)) == 2
    lost = r"the system prompt 'Answer in one short sentence\.' is not|System role not supported"
    with pytest.raises(TaskError, match=lost):
        prompts(engine, chat=True, system_prompt=SYSTEM)
    tokenizer.chat_template = "{{ messages[0].content }}"
    with pytest.raises(SafebenchError, match=r"harm-001: the task's prompt '.*' is not in what"):
        prompts(engine, chat=True, system_prompt=SYSTEM)


@pytest.mark.slow
def test_a_server_is_sent_the_system_prompt(monkeypatch: pytest.MonkeyPatch) -> None:
    with recording(lambda body, n: (200, chat_reply("ok"))) as server:
        base = Located("the/base", None, "")
        engine = OpenAIEngine(
            EngineSpec(base, name="local-chat-completions", args={"base_url": server.url})
        )
        found = prompts(engine, chat=True, system_prompt=SYSTEM)
        assert all(
            prompt.context.messages[0] == {"role": "system", "content": SYSTEM} for prompt in found
        )
        lost = Conversation(({"role": "user", "content": "?"},))
        monkeypatch.setattr(engine, "apply_chat_template", lambda chat, **_: lost)
        with pytest.raises(TaskError, match="the system prompt"):
            prompts(engine, chat=True, system_prompt=SYSTEM)


def test_of_several_templates_the_one_that_is_applied_is_digested() -> None:
    own = ChatTemplateFromTokenizer(source="tokenizer")
    tokenizer: Any = SimpleNamespace(chat_template={"rag": "x", "default": CHAT_TEMPLATE})
    keep_default_template(tokenizer)
    digest = hashlib.sha256(CHAT_TEMPLATE.encode()).hexdigest()
    assert template_digest(tokenizer, own, "model.chat_template") == digest
    tokenizer = SimpleNamespace(chat_template={"rag": "x"})
    keep_default_template(tokenizer)
    with pytest.raises(CardError, match=r"templates rag, and none is called default"):
        template_digest(tokenizer, own, "model.chat_template")
