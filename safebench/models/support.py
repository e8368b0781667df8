"""Which models the decode loop can drive, found out by asking them."""

from __future__ import annotations

import inspect
from typing import Any

import torch
from transformers import DynamicCache
from transformers.cache_utils import DynamicLayer

from safebench.models.slots import SlotCache

ARGUMENTS = {"attention_mask", "position_ids", "past_key_values", "logits_to_keep"}


def bare(model: Any) -> Any:
    """Return the transformers model inside a peft one whose adapter lives in its layers.

    Adapters that change the input (prompt tuning and its kin) leave the model as it is.
    """
    configured = getattr(model, "peft_config", None)
    if not configured or not hasattr(model, "get_base_model"):
        return model
    if any(c.is_prompt_learning or getattr(c, "alora_invocation_tokens", None)
           for c in configured.values()):  # fmt: skip
        return model
    return model.get_base_model()


def is_plain(model: Any) -> bool:
    """Tell whether a model attends to a full cache that we may lay out ourselves.

    What its class says is not trusted: two rows of different lengths are run through the cache and
    compared with the same tokens run at once.
    """
    if hasattr(model, "peft_config") and hasattr(model, "get_base_model"):
        return False
    config = model.config
    if getattr(config, "is_encoder_decoder", False):
        return False
    if getattr(config, "_attn_implementation", None) not in ("sdpa", "eager"):
        return False
    if not set(inspect.signature(model.forward).parameters) >= ARGUMENTS:
        return False
    layers = DynamicCache(config=config).layers
    if not layers or any(type(layer) is not DynamicLayer for layer in layers):
        return False
    return _agrees(model, len(layers))


def is_out_of_memory(problem: BaseException) -> bool:
    """Tell whether an error says that memory does not suffice, on whatever device."""
    text = str(problem).lower()
    return (
        isinstance(problem, torch.OutOfMemoryError)
        or "out of memory" in text
        or "can't allocate memory" in text
    )


@torch.inference_mode()
def _agrees(model: Any, layers: int) -> bool:
    """Compare the cache's way with a plain forward pass, on tokens that mean nothing."""
    size = model.config.get_text_config(decoder=True).vocab_size
    tokens = torch.arange(1, 13, device=model.device) * 7 % size
    cache = SlotCache(layers, 2, model)
    starts = (0, 5)
    try:
        for step in range(12):
            # The second row waits at its first position until the first row is five ahead.
            positions = torch.tensor([step, max(0, step - starts[1])], device=model.device)
            got = model(
                input_ids=tokens[positions].unsqueeze(1),
                attention_mask=cache.aim(positions, step + 1),
                position_ids=positions.unsqueeze(1),
                past_key_values=cache,
                use_cache=True,
                logits_to_keep=1,
            ).logits[:, -1]
        wanted = torch.stack(
            [model(input_ids=tokens[None, : 12 - start]).logits[0, -1] for start in starts]
        )
    except (RuntimeError, TypeError, ValueError, AttributeError, IndexError) as problem:
        if is_out_of_memory(problem):
            raise
        return False
    scale = wanted.abs().max().item()
    error = (got - wanted).abs().max().item()
    # Some attention takes its softmax in float32 whatever the dtype.
    exact = max(torch.finfo(wanted.dtype).eps, torch.finfo(torch.float32).eps)
    return bool(error <= 32 * exact * scale)
