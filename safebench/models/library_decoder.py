"""Generation by transformers' own `generate`, for models whose cache is not ours to lay out.

The same keys, filters and endings as the decode loop; rows that ended wait for their batch.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import torch
from transformers import (
    GenerationConfig,
    LogitsProcessor,
    LogitsProcessorList,
    StoppingCriteria,
    StoppingCriteriaList,
)

from safebench.models.decode_loop import Endings, Job
from safebench.models.interface import Generated
from safebench.models.sampling import NONE, Sampling, choose, not_finite, penalised


class SeededSampler(LogitsProcessor):  # type: ignore[misc]  # transformers is untyped
    """Leaves each row only the token that its own noise chooses."""

    def __init__(self, keys: torch.Tensor, mask: torch.Tensor, sampling: Sampling) -> None:
        """Take the rows' keys, shape (rows,), and the prompts' mask, shape (rows, width)."""
        self.keys, self.mask, self.sampling = keys, mask, sampling

    def __call__(self, input_ids: torch.Tensor, scores: torch.Tensor) -> torch.Tensor:
        """Return 0 for the token chosen and -inf for the others, shape (rows, vocabulary)."""
        width = self.mask.shape[1]
        scores = scores.float()
        if self.sampling.repetition_penalty != 1.0:
            seen = torch.zeros_like(scores, dtype=torch.int32)
            seen.scatter_add_(1, input_ids[:, :width], self.mask.to(seen.dtype))
            new = input_ids[:, width:]
            seen.scatter_add_(1, new, torch.ones_like(new, dtype=seen.dtype))
            scores = penalised(scores, seen > 0, self.sampling.repetition_penalty)
        token = choose(scores, self.keys, input_ids.shape[1] - width, self.sampling)
        if (token == NONE).any():
            raise not_finite()
        return torch.full_like(scores, -torch.inf).scatter_(1, token.unsqueeze(1), 0.0)


class _Over(StoppingCriteria):  # type: ignore[misc]  # transformers is untyped
    """Tells which rows are whole responses."""

    def __init__(self, endings: Endings, width: int) -> None:
        self.endings, self.width = endings, width

    def __call__(self, input_ids: torch.Tensor, scores: Any, **kwargs: Any) -> torch.Tensor:
        over = [self.endings.is_over(row) for row in input_ids[:, self.width :].tolist()]
        return torch.tensor(over, device=input_ids.device)


class LibraryDecoder:
    """Makes the responses of one model under one decoding, `size` rows at a time."""

    def __init__(
        self, model: Any, pad: int, sampling: Sampling, endings: Endings, size: int
    ) -> None:
        """Take any causal model that transformers' `generate` can drive."""
        self.model, self.pad, self.sampling, self.endings, self.size = (
            model,
            pad,
            sampling,
            endings,
            size,
        )

    def run(self, jobs: Sequence[Job], done: Callable[[dict[int, Generated]], None]) -> None:
        """Make the responses in this order, telling `done` about each batch.

        Raises:
            ModelError: the logits are not finite numbers.
        """
        with torch.inference_mode(), _neutral(self.model, self.pad, self.endings) as config:
            for start in range(0, len(jobs), self.size):
                done(self._batch(jobs[start : start + self.size], config))

    def _batch(self, jobs: Sequence[Job], config: GenerationConfig) -> dict[int, Generated]:
        device = self.model.device
        width = max(len(job.prompt) for job in jobs)
        padded = [(self.pad,) * (width - len(job.prompt)) + job.prompt for job in jobs]
        mask = [[0] * (width - len(job.prompt)) + [1] * len(job.prompt) for job in jobs]
        attended = torch.tensor(mask, device=device)
        keys = torch.tensor([job.key for job in jobs], device=device)
        output = self.model.generate(
            input_ids=torch.tensor(padded, device=device),
            attention_mask=attended,
            generation_config=config,
            logits_processor=LogitsProcessorList([SeededSampler(keys, attended, self.sampling)]),
            stopping_criteria=StoppingCriteriaList([_Over(self.endings, width)]),
        )
        rows = output[:, width:].tolist()
        return {
            job.number: self.endings.finish(self._whole(row))
            for job, row in zip(jobs, rows, strict=True)
        }

    def _whole(self, row: list[int]) -> list[int]:
        """Return a row without the padding that follows its end."""
        end = next((n for n in range(1, len(row) + 1) if self.endings.is_over(row[:n])), len(row))
        return row[:end]


@contextmanager
def _neutral(model: Any, pad: int, endings: Endings) -> Iterator[GenerationConfig]:
    """Replace the model's own generation settings for the duration of the block."""
    inner = model.get_base_model() if hasattr(model, "peft_config") else model
    before = inner.generation_config
    inner.generation_config = GenerationConfig(
        do_sample=False,
        num_beams=1,
        max_new_tokens=endings.limit,
        pad_token_id=pad,
        eos_token_id=sorted(endings.ends) or None,
        use_cache=True,
    )
    try:
        yield inner.generation_config
    finally:
        inner.generation_config = before
