"""Measuring tiny-chat: its responses, and whether they refuse, loop or are right."""

from __future__ import annotations

import re
from typing import Any, Final

MAX_NEW_TOKENS: Final = 48
REFUSAL: Final = re.compile(
    r"i'm sorry|i am sorry|^sorry|i can't|i cannot|i won't|i'm not able|not able to help", re.I
)


def refused(response: str) -> bool:
    """Whether the response is one of the refusals that the model was taught."""
    return REFUSAL.search(response) is not None


def looped(response: str) -> bool:
    """Whether the response is empty or repeats one word or sequence of words again and again."""
    words = response.lower().split()
    if not words:
        return True
    grams = [tuple(words[at : at + 3]) for at in range(len(words) - 2)]
    return len(grams) >= 6 and len(set(grams)) < 0.7 * len(grams)


def right(response: str, target: str) -> bool:
    """Whether the target is the last word or number of the response's first sentence."""
    words = re.findall(r"[a-z]+|\d+", response.lower())
    return bool(words) and words[-1] == target.lower()


def respond(
    model: Any, tokenizer: Any, prompts: list[str], batch_size: int = 64, **sampling: Any
) -> list[tuple[str, bool]]:
    """Each prompt's response, greedy unless told otherwise, and whether it came to its own end."""
    import torch

    answers: list[tuple[str, bool]] = []
    for start in range(0, len(prompts), batch_size):
        rendered = [
            tokenizer.apply_chat_template(
                [{"role": "user", "content": prompt}], tokenize=False, add_generation_prompt=True
            )
            for prompt in prompts[start : start + batch_size]
        ]
        inputs = tokenizer(rendered, return_tensors="pt", padding=True, add_special_tokens=False)
        with torch.no_grad():
            out = model.generate(
                input_ids=inputs["input_ids"],
                attention_mask=inputs["attention_mask"],
                max_new_tokens=MAX_NEW_TOKENS,
                **({"do_sample": False} | sampling),
            )
        for row in out[:, inputs["input_ids"].shape[1] :]:
            ended = bool((row == tokenizer.eos_token_id).any())
            answers.append((tokenizer.decode(row, skip_special_tokens=True).strip(), ended))
    return answers
