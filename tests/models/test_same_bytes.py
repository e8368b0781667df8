"""The embedded model's text alone, in any batch, in any order, and asked again in part."""

from __future__ import annotations

import json
from types import SimpleNamespace
from typing import Any

import pytest

from safebench.models.loading import load_base, load_tokenizer, locate
from safebench.models.sampling import Stream
from safebench.models.transformers_engine import SafebenchLM
from safebench.resources import tasks_dir

PROMPTS, REPEATS = 14, 3
DECODINGS = {
    "t20": {"do_sample": True, "temperature": 2.0, "max_gen_toks": 16, "until": []},
    "t07": {
        "do_sample": True,
        "temperature": 0.7,
        "min_p": 0.1,
        "max_gen_toks": 16,
        "until": [],
    },
    "t0": {"do_sample": False, "max_gen_toks": 16, "until": []},
}


def asked(lm: SafebenchLM, decoding: str) -> list[Any]:
    lines = (tasks_dir() / "safebench_harm" / "harm.jsonl").read_text().splitlines()
    documents = [json.loads(line) for line in lines][::7][:PROMPTS]
    return [
        SimpleNamespace(
            args=(
                lm.apply_chat_template([{"role": "user", "content": document["prompt"]}]),
                DECODINGS[decoding],
            ),
            doc=document,
            task_name="safebench_harm",
        )
        for document in documents
        for _ in range(REPEATS)
    ]


@pytest.mark.parametrize(("dtype", "share"), [("float64", 1.0), ("float32", 0.995)])
def test_the_same_text_in_any_batch_and_order(dtype: str, share: float) -> None:
    located = locate("builtin:tiny-chat", None, tasks_dir())
    model, tokenizer = load_base(located, dtype, "cpu"), load_tokenizer(located)
    same: list[bool] = []
    for decoding in DECODINGS:
        lm = SafebenchLM(model, tokenizer, 64)
        lm.stream = Stream(1, "base", None, None, decoding)
        requests = asked(lm, decoding)
        expected = lm.generate_until(requests)
        if decoding == "t20":
            assert len(set(expected)) > 2 * PROMPTS  # where texts differ, a slip would show
        others = [(7, 3), (64, 4)]
        if decoding == "t20":
            others.append((1, None))
        for batch, shuffled in others:
            other = SafebenchLM(model, tokenizer, batch)
            other.stream, other.shuffled = lm.stream, shuffled
            found = other.generate_until(requests)
            same += [a == b for a, b in zip(expected, found, strict=True)]
        rest = slice(5 * REPEATS, 12 * REPEATS)  # as after a run that was interrupted
        found = lm.generate_until(requests[rest])
        same += [a == b for a, b in zip(expected[rest], found, strict=True)]
    assert len(same) == (7 * PROMPTS + 3 * 7) * REPEATS
    assert sum(same) >= share * len(same)
