"""Training tiny-chat from scratch: a Llama of a million parameters, minutes on two cores."""

from __future__ import annotations

import math
import random
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, Final

import torch

from tools.tiny_chat.corpus import Turn
from tools.tiny_chat.tokenizer import CONTEXT

_SORTED_TOGETHER: Final = 16
"""Batches whose conversations are sorted by length together, which spares padding."""


@dataclass(frozen=True)
class Recipe:
    """Everything that decides the weights, beside the corpus and the tokenizer."""

    seed: int = 7
    threads: int = 2
    steps: int = 3400
    batch_size: int = 32
    learning_rate: float = 5e-3
    matrix_learning_rate: float = 1.5e-2
    warmup_steps: int = 60
    weight_decay: float = 0.05
    gradient_norm: float = 1.0
    prompt_loss_weight: float = 0.1
    hidden_size: int = 128
    intermediate_size: int = 320
    layers: int = 4
    heads: int = 4


def new_model(recipe: Recipe, tokenizer: Any) -> Any:
    """The untrained model; the global random state is left as it was."""
    from transformers import LlamaConfig, LlamaForCausalLM

    config = LlamaConfig(
        vocab_size=len(tokenizer),
        hidden_size=recipe.hidden_size,
        intermediate_size=recipe.intermediate_size,
        num_hidden_layers=recipe.layers,
        num_attention_heads=recipe.heads,
        num_key_value_heads=recipe.heads,
        max_position_embeddings=CONTEXT,
        tie_word_embeddings=True,
        bos_token_id=tokenizer.bos_token_id,
        eos_token_id=tokenizer.eos_token_id,
        pad_token_id=tokenizer.pad_token_id,
    )
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(recipe.seed)
        return LlamaForCausalLM(config)


def encode(tokenizer: Any, turn: Turn) -> tuple[list[int], int]:
    """Token ids of a conversation, and how many of them are the prompt's."""
    head = [{"role": "system", "content": turn.system}] if turn.system else []
    asked = [*head, {"role": "user", "content": turn.prompt}]
    prompt = tokenizer.apply_chat_template(asked, tokenize=False, add_generation_prompt=True)
    prompt_ids = tokenizer(prompt, add_special_tokens=False)["input_ids"]
    answer = tokenizer(turn.response + tokenizer.eos_token, add_special_tokens=False)["input_ids"]
    return prompt_ids + answer, len(prompt_ids)


def batches(
    encoded: list[tuple[list[int], int]], recipe: Recipe, pad: int
) -> Iterator[tuple[torch.Tensor, torch.Tensor]]:
    """Token ids (batch x length) and the loss weight of each, padded on the right."""
    rng = random.Random(recipe.seed)
    chunk = recipe.batch_size * _SORTED_TOGETHER
    for start in range(0, len(encoded), chunk):
        part = sorted(encoded[start : start + chunk], key=lambda item: len(item[0]))
        groups = [
            part[at : at + recipe.batch_size] for at in range(0, len(part), recipe.batch_size)
        ]
        rng.shuffle(groups)
        for group in groups:
            longest = max(len(ids) for ids, _ in group)
            ids = torch.full((len(group), longest), pad)
            weight = torch.zeros(len(group), longest)
            for row, (tokens, prompt) in enumerate(group):
                ids[row, : len(tokens)] = torch.tensor(tokens)
                weight[row, :prompt] = recipe.prompt_loss_weight / prompt
                weight[row, prompt : len(tokens)] = (len(tokens) - prompt) ** -0.5
            yield ids, weight


def train(
    turns: list[Turn], tokenizer: Any, recipe: Recipe, progress: Callable[[int, float], None]
) -> Any:
    """The trained model, in evaluation mode; `progress` is called with (step, loss)."""
    torch.set_num_threads(recipe.threads)
    model = new_model(recipe, tokenizer)
    optimizers = _optimizers(model, recipe)
    encoded = [encode(tokenizer, turn) for turn in turns]
    model.train()
    for step, (ids, weight) in enumerate(batches(encoded, recipe, tokenizer.pad_token_id)):
        loss = _loss(model, ids, weight)
        model.zero_grad(set_to_none=True)
        loss.backward()  # type: ignore[no-untyped-call]
        torch.nn.utils.clip_grad_norm_(model.parameters(), recipe.gradient_norm)
        for optimizer, peak in optimizers:
            for group in optimizer.param_groups:
                group["lr"] = peak * _schedule(step, recipe)
            optimizer.step()
        progress(step + 1, loss.item())
    return model.eval()


def _optimizers(model: Any, recipe: Recipe) -> list[tuple[torch.optim.Optimizer, float]]:
    """Muon for the layers' matrices, which halves the steps needed, and AdamW for the rest.

    Each comes with its peak learning rate.
    """
    matrices = [p for name, p in model.named_parameters() if p.ndim == 2 and "embed" not in name]
    chosen = {id(p) for p in matrices}
    others = [p for p in model.parameters() if id(p) not in chosen]
    muon = torch.optim.Muon(
        matrices, lr=recipe.matrix_learning_rate, weight_decay=recipe.weight_decay
    )
    adam = torch.optim.AdamW(
        others, lr=recipe.learning_rate, betas=(0.9, 0.98), weight_decay=recipe.weight_decay
    )
    return [(muon, recipe.matrix_learning_rate), (adam, recipe.learning_rate)]


def _schedule(step: int, recipe: Recipe) -> float:
    """Linear warm-up, then a cosine down to nothing."""
    if step < recipe.warmup_steps:
        return (step + 1) / recipe.warmup_steps
    done = (step - recipe.warmup_steps) / max(1, recipe.steps - recipe.warmup_steps)
    return 0.5 * (1 + math.cos(math.pi * min(1.0, done)))


def _loss(model: Any, ids: torch.Tensor, weight: torch.Tensor) -> torch.Tensor:
    """Weighted mean cross-entropy of the next token, in nats.

    Causal attention never looks at padding on the right, so no mask is needed.
    """
    logits = model(input_ids=ids[:, :-1]).logits
    wanted = weight[:, 1:].reshape(-1)
    each = torch.nn.functional.cross_entropy(
        logits.reshape(-1, logits.shape[-1]), ids[:, 1:].reshape(-1), reduction="none"
    )
    return (each * wanted).sum() / wanted.sum()
