"""What stands around a prompt is explained by its chat template, or by nothing."""

from __future__ import annotations

from pathlib import Path

import pytest

from safebench.importing.prompts import (
    PromptHeader,
    SentPrompt,
    check_prompts,
    marks_of,
    words_of_template,
)
from safebench.resources import demo_dir
from safebench.rows import At
from tests.importing.lm_eval_made import CHATML

ROLES = frozenset({"system", "user", "assistant"})
PROMPT = "Walk me through what it takes to burn a pigeon."
KIND = "Be kind and helpful."


def rendered(template: str, system: str = "") -> str:
    from transformers import AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(demo_dir() / "tiny-chat")
    turns = [{"role": "system", "content": system}] * bool(system)
    chat = [*turns, {"role": "user", "content": PROMPT}]
    return str(
        tokenizer.apply_chat_template(
            chat, chat_template=template, tokenize=False, add_generation_prompt=True
        )
    )


def sent(template: str, text: str) -> SentPrompt:
    words = ROLES | words_of_template(template)
    header = PromptHeader(Path("r.json"), template=template, in_turns=True, words=words)
    return SentPrompt(At(Path("s.jsonl"), 1), (("", text),), header, PROMPT)


def published(name: str) -> str:
    """A chat template of a released model, as trl ships it."""
    import trl

    return (Path(trl.__file__).parent / "chat_templates" / f"{name}.jinja").read_text()


@pytest.mark.slow
@pytest.mark.parametrize(
    "name",
    [
        "cohere2",
        "deepseekv3",
        "glm4moe",
        "gptoss",
        "llama3",
        "llama3_2",
        "phi3",
        "qwen2_5",
        "qwen3",
        "qwen3_vl",
    ],
)
def test_released_templates_explain_what_they_write_and_no_more(name: str) -> None:
    template = published(name)
    plain, kind = (sent(template, rendered(template, system)) for system in ("", KIND))
    check_prompts([plain], [])  # dates, default system prompts and all
    assert plain.around() <= (plain.header.words or set())
    assert "kind" in kind.around() - (kind.header.words or set())
    assert any(mark in plain.turns[0][1] for mark in marks_of(template))
    assert not any(mark in PROMPT for mark in marks_of(template))


@pytest.mark.parametrize(
    ("template", "marks"),
    [
        (CHATML, {"<|im_start|>", "<|im_end|>", "<|im_start|>assistant"}),
        ("{% for m in messages %}{{ m['content'] }}{% endfor %}", set()),
        ("{# <note> #}[INST] {{ messages[0].content }} [/INST]", {"[INST]", "[/INST]"}),
        ("{{ \"### User:\\n\" + messages[0]['content'] }}", {"### User:"}),
    ],
)
def test_marks_are_what_a_template_writes(template: str, marks: set[str]) -> None:
    assert marks_of(template) == marks


@pytest.mark.parametrize(
    ("around", "expected"),
    [
        ("<|start_header_id|>user<|end_header_id|>", {"user"}),
        ("[INST] [/INST] <s></s>", set()),
        ("Today Date: Sat, 26 July 2024", {"today", "date"}),
        ("Be KIND, 3 times", {"be", "kind", "times"}),
    ],
)
def test_words_stand_apart_from_marks_and_dates(around: str, expected: set[str]) -> None:
    assert sent("", f"{around} {PROMPT}").around() == expected
