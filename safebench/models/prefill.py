"""Reading prompts before the first new token: what all share once, the rest by length."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from typing import Any

import torch
from transformers import DynamicCache

Tokens = tuple[int, ...]

POSITIONS = 2048
"""Most positions of one forward pass: enough to keep a device busy, few enough to bound memory."""
POSITIONS_OF_A_PASS = {"cpu": 32}
"""Cost of another forward pass (it reads all weights), in positions that could be read instead.

Measured with SmolLM2-135M on one core: .07 s a pass, .003 s a position.
"""
POSITIONS_OF_A_PASS_ON_ACCELERATOR = 256


def pass_cost(model: Any) -> int:
    """Return how many positions are read in the time that another forward pass takes."""
    return POSITIONS_OF_A_PASS.get(model.device.type, POSITIONS_OF_A_PASS_ON_ACCELERATOR)


def shared_start(texts: Collection[Tokens], cost: int) -> Tokens:
    """Return the common start of distinct texts; () if reading it once would save nothing."""
    if not texts:
        return ()
    first, last = min(texts), max(texts)  # whatever these two share, all between them do
    differing = (i for i, (a, b) in enumerate(zip(first, last, strict=False)) if a != b)
    start = first[: next(differing, len(first))]
    return start if len(start) * (len(texts) - 1) > cost else ()


def grouped(texts: Collection[Tokens], cost: int, most: int = POSITIONS) -> Iterator[list[Tokens]]:
    """Yield texts in groups, longest first, each to be read in one pass.

    Texts of a group are padded to its longest. A group ends before it has more than `most`
    positions (a longer text is alone), and before more than `cost` of them are padding.
    """
    group: list[Tokens] = []
    padding = 0
    for text in sorted(texts, key=lambda text: (-len(text), text)):
        width = len(group[0]) if group else len(text)
        padding += width - len(text)
        if group and (padding > cost or width * (len(group) + 1) > most):
            yield group
            group, padding = [], 0
        group.append(text)
    if group:
        yield group


def read(model: Any, texts: Sequence[Tokens], before: DynamicCache | None = None) -> DynamicCache:
    """Return the keys and values of texts, one row each, as wide as the longest.

    Args:
        model: a causal language model of transformers.
        texts: at least one token each.
        before: one row with the common start of all texts; included in what is returned.
    """
    width = max(map(len, texts))
    # Padded on the right, where no token of the text attends, by repeating its last token: a
    # model may treat its padding token in a special way.
    padded = [text + text[-1:] * (width - len(text)) for text in texts]
    cache = DynamicCache(config=model.config)
    for number, layer in enumerate(before.layers if before is not None else ()):
        rows = (len(texts), -1, -1, -1)
        cache.update(layer.keys.expand(rows), layer.values.expand(rows), number)
    model(
        input_ids=torch.tensor(padded, device=model.device),
        past_key_values=cache,
        use_cache=True,
        logits_to_keep=1,
    )
    return cache
