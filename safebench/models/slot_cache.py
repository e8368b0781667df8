"""A cache of keys and values with a place and a length for every row, and the models it can serve.

Each row holds its tokens from position 0 on, independently of other rows: nothing is padded on the
left, a new row can take the place of a finished one, and no step copies the cache.
"""

from __future__ import annotations

import inspect
from typing import Any

import torch
from transformers import Cache, DynamicCache
from transformers.cache_utils import CacheLayerMixin, DynamicLayer

from safebench.models.loading import is_out_of_memory
from safebench.models.prefill import read

ARGUMENTS = {"attention_mask", "position_ids", "past_key_values", "logits_to_keep"}
"""What the forward pass of a model must take."""

GROWTH = 32
"""Tokens of spare room when the cache grows."""
BLOCK = 16
"""Widths are multiples of this many tokens: aligned for kernels, alike in many batches."""


def rounded(tokens: int) -> int:
    """Round a number of tokens up to a whole number of blocks."""
    return -(-tokens // BLOCK) * BLOCK


class Layer(CacheLayerMixin):  # type: ignore[misc]  # transformers is untyped
    """One layer's keys and values, each (slots, heads, capacity, size of a head)."""

    def __init__(self, slots: int, capacity: int) -> None:
        """Allocate nothing yet: heads and types are known when the first keys arrive."""
        super().__init__()
        self.slots, self.capacity = slots, capacity
        self.width = 0
        self.places = self.positions = torch.empty(0, dtype=torch.long)

    def lazy_initialization(self, key_states: torch.Tensor, value_states: torch.Tensor) -> None:
        """Make room for states shaped (rows, heads, tokens, size of a head)."""
        self.keys, self.values = (
            # Zeros: what is masked is multiplied by 0, which NaN would survive.
            states.new_zeros(self.slots, states.shape[1], self.capacity, states.shape[3])
            for states in (key_states, value_states)
        )
        self.is_initialized = True

    def update(
        self, key_states: torch.Tensor, value_states: torch.Tensor, *args: Any, **kwargs: Any
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Put one new token of every active row in its place; return what the rows attend to."""
        if not self.is_initialized:
            self.lazy_initialization(key_states, value_states)
        places, positions = (x.to(key_states.device) for x in (self.places, self.positions))
        self.keys[places, :, positions] = key_states[:, :, 0]
        self.values[places, :, positions] = value_states[:, :, 0]
        rows, width = len(places), self.width
        return self.keys[:rows, :, :width], self.values[:rows, :, :width]

    def grow(self, capacity: int) -> None:
        """Make room for more tokens in every slot."""
        self.capacity = capacity
        if self.is_initialized:
            for name in ("keys", "values"):
                kept = getattr(self, name)
                larger = kept.new_zeros(*kept.shape[:2], capacity, kept.shape[3])
                larger[:, :, : kept.shape[2]] = kept
                setattr(self, name, larger)

    def fill(self, slots: torch.Tensor, source: Any, rows: torch.Tensor) -> None:
        """Put the rows of a prefilled layer (rows, heads, tokens, size) into slots."""
        if not self.is_initialized:
            self.lazy_initialization(source.keys, source.values)
        slots, rows = slots.to(self.keys.device), rows.to(self.keys.device)
        for kept, states in ((self.keys, source.keys), (self.values, source.values)):
            kept[slots, :, : states.shape[2]] = states[rows]

    def move(self, target: torch.Tensor, source: torch.Tensor, width: int) -> None:
        """Copy the first `width` tokens of slots into others."""
        if self.is_initialized:
            target, source = target.to(self.keys.device), source.to(self.keys.device)
            for kept in (self.keys, self.values):
                kept[target, :, :width] = kept[source, :, :width]

    def get_mask_sizes(self, query_length: int) -> tuple[int, int]:
        """Return the width that is attended to, and where it begins."""
        return self.width, 0

    def get_seq_length(self) -> int:
        """Return the width before the present token."""
        return max(0, self.width - 1)

    def get_max_length(self) -> int:
        """Return the most tokens that a row can have."""
        return self.capacity


class SlotCache(Cache):  # type: ignore[misc]  # transformers is untyped
    """All layers of one model, and the mask that says how far each row goes."""

    def __init__(self, layers: int, slots: int, model: Any) -> None:
        """Make room for `slots` rows, of no tokens yet."""
        super().__init__(layers=[Layer(slots, 0) for _ in range(layers)])
        self.capacity = 0
        self.hidden = torch.finfo(model.dtype).min
        self.mask = torch.empty((slots, 1, 1, 0), dtype=model.dtype, device=model.device)
        self.places = torch.arange(slots, device=model.device)

    def reserve(self, width: int) -> None:
        """Make room for rows of this many tokens, with some to spare."""
        if width <= self.capacity:
            return
        more = rounded(max(width, self.capacity + self.capacity // 2) + GROWTH)
        mask = self.mask.new_full((*self.mask.shape[:3], more), self.hidden)
        mask[..., : self.capacity] = self.mask
        self.mask, self.capacity = mask, more
        for layer in self.layers:
            layer.grow(more)

    def fill(self, slots: list[int], prefilled: DynamicCache, rows: list[int]) -> None:
        """Put prefilled rows into slots."""
        to, of = (torch.tensor(x, device=self.mask.device) for x in (slots, rows))
        for layer, source in zip(self.layers, prefilled.layers, strict=True):
            layer.fill(to, source, of)

    def show(self, slots: list[int], lengths: list[int]) -> None:
        """Let slots attend to their first tokens, and to nothing behind them."""
        device = self.mask.device
        places = torch.arange(self.capacity, device=device)
        behind = places >= torch.tensor(lengths, device=device).unsqueeze(1)
        rows = self.mask.new_zeros(behind.shape).masked_fill_(behind, self.hidden)
        self.mask[torch.tensor(slots, device=device), 0, 0] = rows

    def move(self, target: torch.Tensor, source: torch.Tensor, width: int) -> None:
        """Copy slots, mask and all."""
        self.mask[target] = self.mask[source]
        for layer in self.layers:
            layer.move(target, source, width)

    def aim(self, positions: torch.Tensor, width: int) -> torch.Tensor:
        """Set where the next token of each active row goes; return the mask of that step.

        Args:
            positions: int64, shape (rows,).
            width: tokens that the longest row then has.
        """
        rows, width = len(positions), rounded(width)
        self.reserve(width)
        places = self.places[:rows]
        self.mask.view(-1).index_fill_(0, places * self.capacity + positions, 0.0)
        for layer in self.layers:
            layer.width, layer.places, layer.positions = width, places, positions
        return self.mask[:rows, ..., :width]


def bare(model: Any) -> Any:
    """Return the transformers model inside a peft one whose adapter lives in its layers.

    Adapters that change the input (prompt tuning and its kin) leave the model as it is.
    """
    configured = getattr(model, "peft_config", None)
    if not configured or not hasattr(model, "get_base_model"):
        return model
    changes_input = (
        c.is_prompt_learning or getattr(c, "alora_invocation_tokens", None)
        for c in configured.values()
    )
    return model if any(changes_input) else model.get_base_model()


def is_plain(model: Any) -> bool:
    """Return whether a model attends to a full cache, which can be laid out as above.

    Declarations of its class are not trusted: two rows of different lengths, whose common start is
    read once, are run through the cache and compared with the same tokens in one pass.
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


@torch.inference_mode()
def _agrees(model: Any, layers: int) -> bool:
    """Compare this cache with a plain forward pass, on arbitrary tokens."""
    size = model.config.get_text_config(decoder=True).vocab_size
    tokens = torch.arange(1, 13, device=model.device) * 7 % size
    texts = [tuple(tokens[:length].tolist()) for length in (9, 4)]
    cache = SlotCache(layers, 2, model)
    cache.reserve(12)
    try:
        before = read(model, [texts[0][:3]])
        cache.fill([0, 1], read(model, [text[3:] for text in texts], before), [0, 1])
        cache.show([0, 1], [len(text) for text in texts])
        for step in range(3):
            positions = torch.tensor([len(text) + step for text in texts], device=model.device)
            got = model(
                input_ids=tokens[positions].unsqueeze(1),
                attention_mask=cache.aim(positions, 10 + step),
                position_ids=positions.unsqueeze(1),
                past_key_values=cache,
                use_cache=True,
                logits_to_keep=1,
            ).logits[:, -1]
        expected = model(input_ids=tokens[None]).logits[0, positions]
    except (RuntimeError, TypeError, ValueError, AttributeError, IndexError) as problem:
        if is_out_of_memory(problem):
            raise
        return False
    scale = expected.abs().max().item()
    error = (got - expected).abs().max().item()
    # Some attention takes its softmax in float32 whatever the dtype: a wrong layout is off by far
    # more than the rounding of either.
    exact = max(torch.finfo(expected.dtype).eps, torch.finfo(torch.float32).eps)
    return bool(error <= 32 * exact * scale)
