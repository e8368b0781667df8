"""The language model lm-eval drives: HFLM with batch-independent sampling."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from lm_eval.api.registry import register_model
from lm_eval.models.huggingface import HFLM
from lm_eval.models.utils_hf import stop_sequences_criteria

from safebench.errors import ModelError
from safebench.models.loading import context_length
from safebench.models.sampling import Stream, seeded_processors


@dataclass(frozen=True)
class Generated:
    """One response as the model gave it."""

    text: str
    status: str
    """`ok`, or `truncated` when it was cut at the longest length."""
    new_tokens: int | None
    """Tokens generated, the end token not counted; None where the backend does not say."""


@register_model("safebench_hf")
class SafebenchLM(HFLM):  # type: ignore[misc]  # lm-eval is untyped
    """transformers weights behind lm-eval's interface, one noise stream per response.

    `stream` is set before an evaluation; `generated` then holds, for every request in order, what
    was generated, since lm-eval's own interface returns text alone.
    """

    def __init__(self, model: Any, tokenizer: Any, batch_size: int) -> None:
        """Take loaded weights and a tokenizer that pads on the left."""
        logger = logging.getLogger("lm_eval")
        level = logger.level
        logger.setLevel(logging.ERROR)  # it warns that a loaded model was given: that is the plan
        try:
            super().__init__(pretrained=model, tokenizer=tokenizer, batch_size=batch_size)
        finally:
            logger.setLevel(level)
        self.stream: Stream | None = None
        self.generated: list[Generated] = []
        self.on_batch: Callable[[int], None] = lambda count: None

    def use(self, model: Any) -> None:
        """Generate from these weights from now on."""
        self._model = model

    def generate_until(self, requests: Sequence[Any], disable_tqdm: bool = False) -> list[str]:
        """Answer requests, whose documents carry `prompt_id`; repeats are counted in order."""
        keys = self._keys(requests)
        prompts = [self.tok_encode(request.args[0]) for request in requests]
        order = sorted(range(len(requests)), key=lambda i: (len(prompts[i]), i))
        done: dict[int, Generated] = {}
        size = int(self.batch_size)
        for start in range(0, len(order), size):
            chosen = order[start : start + size]
            settings = requests[chosen[0]].args[1]
            batch = self._generate(
                [prompts[i] for i in chosen], [keys[i] for i in chosen], settings
            )
            done.update(zip(chosen, batch, strict=True))
            self.on_batch(len(chosen))
        self.generated = [done[i] for i in range(len(requests))]
        return [item.text for item in self.generated]

    def _keys(self, requests: Sequence[Any]) -> list[int]:
        if self.stream is None:
            raise ModelError("no noise stream was set before generation")
        seen: dict[tuple[str, str], int] = {}
        keys = []
        for request in requests:
            place = (request.task_name, str(request.doc["prompt_id"]))
            seen[place] = seen.get(place, 0) + 1
            keys.append(self.stream.key(*place, seen[place]))
        return keys

    def _generate(
        self, prompts: list[list[int]], keys: list[int], settings: dict[str, Any]
    ) -> list[Generated]:
        tokenizer = self.tokenizer
        new_tokens = int(settings["max_gen_toks"])
        width = max(len(prompt) for prompt in prompts)
        self._check_length(width, new_tokens)
        padded = [[tokenizer.pad_token_id] * (width - len(p)) + p for p in prompts]
        context = torch.tensor(padded, device=self.device)
        mask = torch.tensor(
            [[0] * (width - len(p)) + [1] * len(p) for p in prompts], device=self.device
        )
        stop = [text for text in settings.get("until") or [] if text]
        with torch.inference_mode():
            output = self._model.generate(
                input_ids=context,
                attention_mask=mask,
                max_new_tokens=new_tokens,
                do_sample=False,
                num_beams=1,
                # Neutral values: nothing of the model's own generation_config may leak in.
                temperature=1.0,
                top_p=1.0,
                top_k=50,
                repetition_penalty=float(settings.get("repetition_penalty", 1.0)),
                logits_processor=seeded_processors(
                    torch.tensor(keys, device=self.device),
                    width,
                    temperature=float(settings["temperature"]) if settings["do_sample"] else 0.0,
                    top_k=settings.get("top_k"),
                    top_p=settings.get("top_p"),
                    min_p=settings.get("min_p"),
                ),
                stopping_criteria=stop_sequences_criteria(tokenizer, stop, width, len(prompts)),
                pad_token_id=tokenizer.pad_token_id,
                use_cache=True,
            )
        rows = output[:, width:].tolist()
        return [self._finish(row, stop, new_tokens) for row in rows]

    def _finish(self, row: list[int], stop: list[str], limit: int) -> Generated:
        ends = self._end_tokens()
        count = next((i for i, token in enumerate(row) if token in ends), len(row))
        ended = count < len(row)
        text = self.tokenizer.decode(row[:count], skip_special_tokens=True)
        cuts = [position for mark in stop if (position := text.find(mark)) >= 0]
        if cuts:
            text = text[: min(cuts)]
        status = "ok" if ended or cuts or count < limit else "truncated"
        return Generated(text.strip(), status, count)

    def _end_tokens(self) -> set[int]:
        configured = self._model.generation_config.eos_token_id
        listed = configured if isinstance(configured, list) else [configured]
        return {t for t in [*listed, self.tokenizer.eos_token_id] if t is not None}

    def _check_length(self, width: int, new_tokens: int) -> None:
        longest = context_length(self._model)
        if longest is not None and width + new_tokens > longest:
            raise ModelError(
                f"a prompt of {width} tokens and {new_tokens} new ones exceed the model's "
                f"{longest} positions",
                fix="lower max_new_tokens, or leave the longest prompts out by `limit`",
            )
