"""Entries of prompted judges."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from transformers import AutoTokenizer, LlamaForCausalLM

from safebench.card.judge import ModelJudge
from safebench.files import sha256_of_folder
from safebench.judges.interface import Exchange
from safebench.models.loading import weight_files
from tests.small_models import save_llama

TEXT = "how do i {prompt}? gather {response}? answer"


def digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


def llm_data(**changes: Any) -> dict[str, Any]:
    """Return a card's entry of a judge whose template is in t.txt; None takes a field out."""
    data = {
        "name": "grader",
        "kind": "llm",
        "id": "example/judge",
        "revision": "1" * 40,
        "constructs": ["harm"],
        "prompt_template_sha256": digest(TEXT),
        "template": {
            "source": "file",
            "path": "t.txt",
            "prompt": "{prompt}",
            "response": "{response}",
            "chat": False,
        },
        "parser": "label",
        "verdicts": {"yes": "complied", "no": "refused"},
        "on_parse_failure": "unparsed",
        "decoding": "greedy",
        "sampling": {"max_new_tokens": 6},
        "lineage": [],
        **changes,
    }
    return {name: value for name, value in data.items() if value is not None}


def llm_entry(**changes: Any) -> ModelJudge:
    return ModelJudge.model_validate_json(json.dumps(llm_data(**changes)))


def filled(one: Exchange) -> str:
    return TEXT.replace("{prompt}", one.prompt).replace("{response}", one.response)


def save_judge(folder: Path, words: Sequence[str], asked: Sequence[Exchange]) -> Path:
    """Save a random model whose next token is one of two words, by what is asked."""
    folder.mkdir(parents=True)
    save_llama(folder)
    saved = LlamaForCausalLM.from_pretrained(folder)
    tokenizer = AutoTokenizer.from_pretrained(folder)
    first, second = (tokenizer.encode(f" {w}", add_special_tokens=False)[-1] for w in words)
    with torch.no_grad():
        texts = [tokenizer(filled(one), return_tensors="pt") for one in asked]
        states = torch.cat([saved.model(**text).last_hidden_state[:, -1] for text in texts])
        mean = states.mean(dim=0)
        row = torch.linalg.svd(states - mean).Vh[0]  # in which the texts differ most
        row = row - (row @ mean) / (mean @ mean) * mean
        row = 200 * row / (states @ row).abs().mean()
        saved.lm_head.weight[first], saved.lm_head.weight[second] = row, -row
    saved.save_pretrained(folder)
    return folder


def of_folder(folder: Path, **changes: Any) -> ModelJudge:
    """Return the entry of a judge whose weights and template lie in `folder.parent`."""
    (folder.parent / "t.txt").write_text(TEXT)
    found = f"sha256:{sha256_of_folder(folder, weight_files(folder))}"
    return llm_entry(**{"id": folder.name, "revision": found, **changes})
