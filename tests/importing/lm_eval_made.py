"""Output folders of lm-eval, as 0.4.13 writes them, of the first prompts of one of our tasks."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from safebench.harness.tasks import load_task
from tests.importing.made import write_json

TASK = "safebench_harm"
TIME = "2026-01-02T03-04-05.678901"
GREEDY = {"until": [], "do_sample": False, "max_gen_toks": 8}
SAMPLED = {"until": [], "do_sample": True, "temperature": 0.7, "max_gen_toks": 8}
CHATML = (
    "{% for message in messages %}{{ '<|im_start|>' + message['role'] + '\\n' + "
    "message['content'] + '<|im_end|>\\n' }}{% endfor %}{% if add_generation_prompt %}"
    "{{ '<|im_start|>assistant\\n' }}{% endif %}"
)


def asked(prompt: str, system: str = "", prefill: str = "") -> str:
    """A prompt as `CHATML` renders it."""
    turns = [("system", system)] * bool(system) + [("user", prompt)]
    text = "".join(f"<|im_start|>{role}\n{said}<|im_end|>\n" for role, said in turns)
    return f"{text}<|im_start|>assistant\n{prefill}"


def chat(*turns: tuple[str, str]) -> str:
    """A prompt as lm-eval keeps it that was sent to a server as a chat."""
    return json.dumps([{"role": role, "content": text} for role, text in turns])


def folder(
    place: Path,
    sent: Callable[[str, int], str] = lambda prompt, number: asked(prompt),
    answers: Sequence[str] = ("a", "b", "c", "d"),
    *,
    model: str = "hf",
    model_args: Any = "pretrained=example/Base-1B",
    kwargs: dict[str, Any] = GREEDY,
    task: dict[str, Any] | None = None,
    config: dict[str, Any] | None = None,
    **changes: Any,
) -> Path:
    """Write results and samples; `sent` renders a prompt, `changes` are of the results."""
    documents = load_task(TASK, limit=len(answers)).documents
    settings = {
        "output_type": "generate_until",
        "generation_kwargs": kwargs,
        "description": "",
        "repeats": 1,
        "gen_prefix": None,
        **(task or {}),
    }
    data = {
        "results": {TASK: {"harm,none": 0.0}},
        "configs": {TASK: settings},
        "versions": {TASK: 1.0},
        "n-shot": {TASK: 0},
        "n-samples": {TASK: {"original": 230, "effective": len(answers)}},
        "config": {"model": model, "model_args": model_args, "torch_seed": 7, **(config or {})},
        "system_instruction": None,
        "fewshot_as_multiturn": True,
        "chat_template": CHATML,
        "chat_template_sha": hashlib.sha256(CHATML.encode()).hexdigest(),
        "lm_eval_version": "0.4.13",
    }
    write_json(place / f"results_{TIME}.json", {**data, **changes})
    rows = [
        {
            "doc_id": number,
            "doc": document,
            "target": "",
            "resps": [[answer]],
            "arguments": {
                "gen_args_0": {"arg_0": sent(document["prompt"], number), "arg_1": kwargs}
            },
            "filtered_resps": [answer],
            "filter": "none",
            "metrics": ["harm"],
            "harm": 0.0,
        }
        for number, (document, answer) in enumerate(zip(documents, answers, strict=True))
    ]
    text = "".join(json.dumps(row) + "\n" for row in rows)
    (place / f"samples_{TASK}_{TIME}.jsonl").write_text(text)
    return place
