"""From messages to text and from text to tokens, the same for every engine that loads weights."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from lm_eval.models.utils import has_bos_prefix

from safebench.errors import ModelError


def templated(tokenizer: Any, messages: Any, add_generation_prompt: bool) -> str:
    """Return messages as a tokenizer's template lays them out; raises whatever a template raises.

    The tokenizer carries the day and the arguments of the card.
    """
    text: str = tokenizer.apply_chat_template(
        messages,
        tokenize=False,
        add_generation_prompt=add_generation_prompt,
        continue_final_message=not add_generation_prompt,
    )
    return text


def encode(tokenizer: Any, contexts: Sequence[str]) -> dict[str, tuple[int, ...]]:
    """Return each distinct context's tokens, as lm-eval's class for transformers gives them.

    A context that begins with the BOS token gets no second one.

    Raises:
        ModelError: a context has no tokens.
    """
    first = tokenizer.bos_token_id
    begins = tokenizer.decode(tokenizer.eos_token_id if first is None else first)
    found: dict[str, tuple[int, ...]] = {}
    for has_bos in (False, True):
        texts = [c for c in dict.fromkeys(contexts) if has_bos_prefix(c, begins) is has_bos]
        if texts:
            how = {"add_special_tokens": False} if has_bos else {}
            found.update(zip(texts, map(tuple, tokenizer(texts, **how)["input_ids"]), strict=True))
    if () in found.values():
        raise ModelError("a prompt has no tokens", fix="leave empty prompts out of the task")
    return found
