"""The language model lm-eval drives: HFLM with batch-independent sampling."""

from __future__ import annotations

import gc
import json
import random
import weakref
from collections.abc import Callable, Sequence
from typing import Any

import torch
from lm_eval.api.registry import register_model
from lm_eval.models.huggingface import HFLM
from lm_eval.models.utils import has_bos_prefix

from safebench.errors import ModelError
from safebench.models.decoding import Decoder, Job
from safebench.models.endings import Endings, Generated
from safebench.models.fallback import LibraryDecoder
from safebench.models.loading import context_length
from safebench.models.quiet import quiet
from safebench.models.sampling import Sampling, Stream
from safebench.models.support import bare, is_out_of_memory, is_plain

__all__ = ["Generated", "SafebenchLM"]


@register_model("safebench_hf")
class SafebenchLM(HFLM):  # type: ignore[misc]  # lm-eval is untyped
    """transformers weights behind lm-eval's interface, one noise stream per response.

    `stream` is set before an evaluation; `generated` then holds, for every request in order, what
    was generated, since lm-eval's own interface returns text alone. `on_batch` hears how many
    responses have ended since it was last called.
    """

    def __init__(self, model: Any, tokenizer: Any, batch_size: int) -> None:
        """Take loaded weights, a tokenizer, and the most responses in one forward pass."""
        with quiet():  # it warns that a loaded model was given: that is the plan
            super().__init__(pretrained=model, tokenizer=tokenizer, batch_size=batch_size)
        self.stream: Stream | None = None
        self.generated: list[Generated] = []
        self.on_batch: Callable[[int], None] = lambda count: None
        self.shuffled: int | None = None
        """A seed: requests are taken in an order drawn from it, instead of by length."""
        self.smallest_batch = int(batch_size)
        """The fewest rows that memory has forced a batch down to."""
        self._plain: weakref.WeakKeyDictionary[Any, bool] = weakref.WeakKeyDictionary()

    def use(self, model: Any) -> None:
        """Generate from these weights from now on."""
        self._model = model

    def generate_until(self, requests: Sequence[Any], disable_tqdm: bool = False) -> list[str]:
        """Answer requests, whose documents carry `prompt_id`; repeats are counted in order.

        Raises:
            ModelError: no stream was set, a prompt is empty or too long, the logits are not finite
                numbers, or memory does not suffice for one row.
        """
        jobs = self._jobs(requests)
        groups: dict[str, list[Job]] = {}
        for job in jobs:
            settings = json.dumps(requests[job.number].args[1], sort_keys=True)
            groups.setdefault(settings, []).append(job)
        done: dict[int, Generated] = {}
        for settings, group in groups.items():
            self._generate(group, json.loads(settings), done)
        self.generated = [done[i] for i in range(len(requests))]
        return [item.text for item in self.generated]

    def _jobs(self, requests: Sequence[Any]) -> list[Job]:
        prompts = self._encoded([request.args[0] for request in requests])
        return [
            Job(number, prompts[request.args[0]], key)
            for number, (request, key) in enumerate(
                zip(requests, self._keys(requests), strict=True)
            )
        ]

    def _encoded(self, contexts: Sequence[str]) -> dict[str, tuple[int, ...]]:
        """Return each distinct context's tokens, as `tok_encode` gives them."""
        begins = self.tokenizer.decode(self.prefix_token_id)
        usual = {} if self.add_bos_token is None else {"add_special_tokens": self.add_bos_token}
        found: dict[str, tuple[int, ...]] = {}
        for has_bos in (False, True):
            texts = [c for c in dict.fromkeys(contexts) if has_bos_prefix(c, begins) is has_bos]
            if texts:
                how = {"add_special_tokens": False} if has_bos else usual
                encoded = self.tokenizer(texts, **how)["input_ids"]
                found.update(zip(texts, map(tuple, encoded), strict=True))
        if () in found.values():
            raise ModelError("a prompt has no tokens", fix="leave empty prompts out of the task")
        return found

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
        self, jobs: list[Job], settings: dict[str, Any], done: dict[int, Generated]
    ) -> None:
        """Make the responses of requests that share their settings, in as many rows as fit."""
        limit = int(settings["max_gen_toks"])
        self._check_length(max(len(job.prompt) for job in jobs), limit)
        endings = Endings(self.tokenizer, self._end_tokens(), settings.get("until") or [], limit)
        how = Sampling.of(settings)
        size = int(self.batch_size)

        def finished(group: dict[int, Generated]) -> None:
            done.update(group)
            self.on_batch(len(group))

        while jobs := [job for job in self._ordered(jobs) if job.number not in done]:
            try:
                self._decoder(how, endings, size).run(jobs, finished)
            except RuntimeError as problem:
                if not is_out_of_memory(problem):
                    raise
                told = str(problem).splitlines()[0]
            else:
                return
            # Outside the handler, where nothing holds the tensors of the failed pass any more.
            if size == 1:
                raise ModelError(
                    f"out of memory with one response at a time: {told}",
                    fix="lower max_new_tokens, load the model smaller, or use a larger device",
                )
            size = size // 2
            self.smallest_batch = min(self.smallest_batch, size)
            gc.collect()
            if torch.cuda.is_available():
                torch.cuda.empty_cache()

    def _ordered(self, jobs: list[Job]) -> list[Job]:
        """Longest prompts first, which tells at once whether memory suffices."""
        if self.shuffled is None:
            return sorted(jobs, key=lambda job: (-len(job.prompt), job.prompt, job.number))
        order = sorted(jobs, key=lambda job: job.number)
        random.Random(self.shuffled).shuffle(order)  # noqa: S311 - an order is no secret
        return order

    def _decoder(self, how: Sampling, endings: Endings, size: int) -> Decoder | LibraryDecoder:
        inner = bare(self._model)
        if inner not in self._plain:
            self._plain[inner] = is_plain(inner)
        if self._plain[inner]:
            return Decoder(inner, how, endings, size)
        return LibraryDecoder(self._model, self.tokenizer.pad_token_id, how, endings, size)

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
