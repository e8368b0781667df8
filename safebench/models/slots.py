"""A cache of keys and values in which every row has a place and a length of its own.

Row i holds its tokens from position 0 on, whatever the rows beside it are: nothing is padded on
the left, a new row can take the place of one that ended, and no step copies the cache.
"""

from __future__ import annotations

from typing import Any

import torch
from transformers import Cache, DynamicCache
from transformers.cache_utils import CacheLayerMixin

BLOCK = 16
"""Widths are multiples of this many tokens: aligned for kernels, alike in many batches."""


def rounded(tokens: int) -> int:
    """Round a number of tokens up to a whole number of blocks."""
    return -(-tokens // BLOCK) * BLOCK


class Layer(CacheLayerMixin):  # type: ignore[misc]  # transformers is untyped
    """One layer's keys and values, each (slots, capacity, heads, size of a head)."""

    def __init__(self, slots: int, capacity: int) -> None:
        """Allocate nothing yet: heads and types are known when the first keys arrive."""
        super().__init__()
        self.slots, self.capacity = slots, capacity
        self.rows = self.width = 0
        self.places = torch.empty(0, dtype=torch.long)

    def lazy_initialization(self, key_states: torch.Tensor, value_states: torch.Tensor) -> None:
        """Make room for states shaped (rows, heads, tokens, size of a head)."""
        self.keys, self.values = (
            # Zeros: what is masked is multiplied by 0, which NaN would survive.
            states.new_zeros(self.slots, self.capacity, states.shape[1], states.shape[3])
            for states in (key_states, value_states)
        )
        self.is_initialized = True

    def update(
        self, key_states: torch.Tensor, value_states: torch.Tensor, *args: Any, **kwargs: Any
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Put one new token of every active row in its place; return what the rows attend to."""
        if not self.is_initialized:
            self.lazy_initialization(key_states, value_states)
        places = self.places.to(key_states.device)
        both = []
        for kept, states in ((self.keys, key_states), (self.values, value_states)):
            kept.flatten(0, 1).flatten(1).index_copy_(
                0, places, states.transpose(1, 2).reshape(len(places), -1)
            )
            both.append(kept[: self.rows, : self.width].transpose(1, 2))
        return both[0], both[1]

    def fill(self, slots: torch.Tensor, source: Any, rows: torch.Tensor) -> None:
        """Put the rows of a prefilled layer (rows, heads, tokens, size) into slots."""
        if not self.is_initialized:
            self.lazy_initialization(source.keys, source.values)
        slots, rows = slots.to(self.keys.device), rows.to(self.keys.device)
        for kept, states in ((self.keys, source.keys), (self.values, source.values)):
            kept[slots, : states.shape[2]] = states[rows].transpose(1, 2)

    def move(self, target: torch.Tensor, source: torch.Tensor, width: int) -> None:
        """Copy the first `width` tokens of slots into others."""
        if self.is_initialized:
            target, source = target.to(self.keys.device), source.to(self.keys.device)
            for kept in (self.keys, self.values):
                kept[target, :width] = kept[source, :width]

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

    def __init__(self, layers: int, slots: int, capacity: int, model: Any) -> None:
        """Make room for `slots` rows of at most `capacity` tokens, a whole number of blocks."""
        super().__init__(layers=[Layer(slots, capacity) for _ in range(layers)])
        self.capacity = capacity
        self.mask = torch.full(
            (slots, 1, 1, capacity),
            torch.finfo(model.dtype).min,
            dtype=model.dtype,
            device=model.device,
        )
        self.starts = torch.arange(slots, device=model.device) * capacity

    def fill(self, slots: list[int], prefilled: DynamicCache, rows: list[int]) -> None:
        """Put prefilled rows into slots."""
        to, of = (torch.tensor(x, device=self.mask.device) for x in (slots, rows))
        for layer, source in zip(self.layers, prefilled.layers, strict=True):
            layer.fill(to, source, of)

    def show(self, slots: list[int], lengths: list[int]) -> None:
        """Let slots attend to their first tokens, and to nothing behind them."""
        device = self.mask.device
        inside = torch.arange(self.capacity, device=device) < torch.tensor(
            lengths, device=device
        ).unsqueeze(1)
        hidden = torch.finfo(self.mask.dtype).min
        rows = torch.zeros(inside.shape, dtype=self.mask.dtype, device=device)
        self.mask[torch.tensor(slots, device=device), 0, 0] = rows.masked_fill(~inside, hidden)

    def move(self, target: torch.Tensor, source: torch.Tensor, width: int) -> None:
        """Copy slots, mask and all."""
        self.mask[target] = self.mask[source]
        for layer in self.layers:
            layer.move(target, source, width)

    def aim(self, positions: torch.Tensor, width: int) -> torch.Tensor:
        """Say where the next token of each active row goes; return the mask of that step.

        Args:
            positions: int64, shape (rows,).
            width: tokens that the longest row then has, at most the capacity.
        """
        rows = len(positions)
        width = rounded(width)
        places = self.starts[:rows] + positions
        self.mask.view(-1).index_fill_(0, places, 0.0)
        for layer in self.layers:
            layer.rows, layer.width, layer.places = rows, width, places
        return self.mask[:rows, ..., :width]
