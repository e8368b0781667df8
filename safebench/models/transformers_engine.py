"""Our own engine: transformers weights, loaded once, sampled so that batches do not matter."""

from __future__ import annotations

import json
import random
import weakref
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import cached_property
from importlib.metadata import version
from typing import Any

import torch
from lm_eval.api.registry import register_model
from lm_eval.models.huggingface import HFLM

from safebench.errors import ModelError
from safebench.models.decode_loop import Decoder, Endings, Job
from safebench.models.interface import Arrangement, EngineSpec, Generated, OnBatch, PlacedWeights
from safebench.models.library_decoder import LibraryDecoder
from safebench.models.loading import (
    Located,
    context_length,
    free_memory,
    is_out_of_memory,
    load_base,
)
from safebench.models.prompts import encode
from safebench.models.quiet import quiet
from safebench.models.sampling import (
    Sampling,
    Stream,
    choose,
    filtered,
    gumbel_noise,
    penalised,
    sequences,
)
from safebench.models.slot_cache import bare, is_plain
from safebench.models.weights import with_adapter


class HfEngine:
    """Loads the base model once and exchanges adapters; a noise stream for each response."""

    name = "hf"
    scheme = "safebench/gumbel-splitmix64/1"
    is_server = takes_chat = False

    def __init__(self, spec: EngineSpec) -> None:
        """Store what to load; it is loaded when it is first used."""
        self.spec, self.batch_size = spec, spec.batch_size

    @cached_property
    def base(self) -> Any:
        """The base model; raises ModelError."""
        return self._load(self.spec.base)

    @cached_property
    def lm(self) -> SafebenchLM:
        """The lm-eval model around the weights in place; raises ModelError."""
        return SafebenchLM(self.base, self.spec.tokenizer, self.batch_size)

    @property
    def tokenizer_name(self) -> str:
        """Name that lm-eval keys its caches by."""
        return str(self.lm.tokenizer_name)

    def start(self) -> None:
        """Load the base model; raises ModelError."""
        _ = self.lm

    def apply_chat_template(self, messages: Any, add_generation_prompt: bool = True) -> Any:
        """Return messages as text, by the tokenizer's template."""
        return self.lm.apply_chat_template(messages, add_generation_prompt)

    @contextmanager
    def using(self, weights: PlacedWeights) -> Iterator[None]:
        """Put weights in place for the duration of the block; raises ModelError."""
        if weights.folder is None:
            self.lm.use(self.base)
            yield
        elif weights.form == "adapter":
            with with_adapter(self.base, weights.folder) as model:
                self.lm.use(model)
                yield
        else:
            self.lm.use(self._load(Located(str(weights.folder), None, "")))
            yield
        self.lm.use(self.base)

    def generate(
        self, requests: Sequence[Any], stream: Stream, arrangement: Arrangement, on_batch: OnBatch
    ) -> list[Generated]:
        """Answer lm-eval requests; see `Engine.generate`."""
        lm = self.lm
        lm.stream, lm.on_batch = stream, on_batch
        lm.batch_size_per_gpu = arrangement.batch_size
        lm.shuffled = arrangement.shuffled
        lm.generate_until(list(requests))
        return list(lm.generated)

    def _load(self, located: Located) -> Any:
        spec = self.spec
        return load_base(
            located,
            spec.dtype,
            spec.device,
            quantization=spec.quantization,
            attention=spec.attention,
        )

    def environment(self) -> dict[str, Any]:
        """Return the fields of the card's environment that this engine determines, as used."""
        return {
            "harness": f"lm-eval {version('lm-eval')}",
            "backend": self.name,
            "device": device_name(self.base),
            "batch_size": min(self.batch_size, self.lm.smallest_batch),
            "attention": str(self.base.config._attn_implementation),
            "sampling_scheme": self.scheme,
        }


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
        self.on_batch: OnBatch = lambda count: None
        self.shuffled: int | None = None
        """A seed: requests are taken in an order drawn from it, instead of by length."""
        self.smallest_batch = int(batch_size)
        """The smallest batch size that lack of memory has made necessary."""
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
        if self.stream is None:
            raise ModelError("no noise stream was set before generation")
        prompts = self.encoded([request.args[0] for request in requests])
        keys = self.stream.keys(requests)
        return [
            Job(number, prompts[request.args[0]], key)
            for number, (request, key) in enumerate(zip(requests, keys, strict=True))
        ]

    def encoded(self, contexts: Sequence[str]) -> dict[str, tuple[int, ...]]:
        """Return each distinct context's tokens, as `tok_encode` gives them."""
        return encode(self.tokenizer, contexts)

    def gap(
        self, context: str, first: str, second: str, settings: Mapping[str, Any], key: int
    ) -> float | None:
        """Return the lead of the second response's token where the two responses diverge.

        The lead is in logits of the weights in place or, for sampled tokens, in logits / T after
        filters plus the noise of `key`. It is infinite if the filters removed the first response's
        token. Texts are tokenized again; None if the tokens are the same, or if the weights do not
        choose the second's token: its text was then generated as other tokens.
        """
        prompt = self.encoded([context])[context]
        # The end token counts: one response may stop where the other goes on.
        both = [
            [*self.tokenizer(text, add_special_tokens=False)["input_ids"], self.eot_token_id]
            for text in (first, second)
        ]
        parting = [(i, a, b) for i, (a, b) in enumerate(zip(*both, strict=False)) if a != b]
        if not parting:
            return None
        step, a, b = parting[0]
        tokens = torch.tensor([[*prompt, *both[0][:step]]], device=self.device)
        sampling = Sampling.of(settings)
        with torch.inference_mode():
            logits = self._model(tokens).logits[:, -1].float()
            if sampling.repetition_penalty != 1.0:
                seen = torch.zeros_like(logits, dtype=torch.bool).scatter_(1, tokens, value=True)
                logits = penalised(logits, seen, sampling.repetition_penalty)
            keys = torch.tensor([key], device=self.device)
            if int(choose(logits, keys, step, sampling)) != b:
                return None
            scores, pair = logits.double(), torch.tensor([a, b], device=self.device)
            if sampling.temperature:
                s, g = sequences(keys, step)
                scores = filtered(logits, sampling).double()
                scores[:, pair] += gumbel_noise(s, g, pair)
        return float(scores[0, b] - scores[0, a])

    def _generate(
        self, jobs: list[Job], settings: dict[str, Any], done: dict[int, Generated]
    ) -> None:
        """Make the responses of requests that share their settings, in as many rows as fit."""
        limit = int(settings["max_gen_toks"])
        self._check_length(max(len(job.prompt) for job in jobs), limit)
        endings = Endings(self.tokenizer, self._end_tokens(), settings.get("until") or [], limit)
        sampling = Sampling.of(settings)
        size = int(self.batch_size)

        def finished(group: dict[int, Generated]) -> None:
            done.update(group)
            self.on_batch(len(group))

        while jobs := [job for job in self._ordered(jobs) if job.number not in done]:
            try:
                self._decoder(sampling, endings, size).run(jobs, finished)
            except RuntimeError as problem:
                if not is_out_of_memory(problem):
                    raise
                reason = str(problem).splitlines()[0]
            else:
                return
            # Outside the handler, where nothing holds the tensors of the failed pass any more.
            if size == 1:
                raise ModelError(
                    f"out of memory with one response at a time: {reason}",
                    fix="lower max_new_tokens, load the model smaller, or use a larger device",
                )
            size = size // 2
            self.smallest_batch = min(self.smallest_batch, size)
            free_memory()

    def _ordered(self, jobs: list[Job]) -> list[Job]:
        """Put the longest prompts first: a lack of memory then shows at once."""
        if self.shuffled is None:
            return sorted(jobs, key=lambda job: (-len(job.prompt), job.prompt, job.number))
        order = sorted(jobs, key=lambda job: job.number)
        random.Random(self.shuffled).shuffle(order)  # noqa: S311 - an order is no secret
        return order

    def _decoder(self, sampling: Sampling, endings: Endings, size: int) -> Decoder | LibraryDecoder:
        inner = bare(self._model)
        if inner not in self._plain:
            self._plain[inner] = is_plain(inner)
        if self._plain[inner]:
            return Decoder(inner, sampling, endings, size)
        return LibraryDecoder(self._model, self.tokenizer.pad_token_id, sampling, endings, size)

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


def device_name(model: Any) -> str:
    """Return the device of a model: `cpu`, or the names of the accelerators."""
    devices = {p.device for p in model.parameters() if p.device.type != "meta"}
    names = {
        torch.cuda.get_device_name(device) if device.type == "cuda" else device.type
        for device in devices
    }
    count = len([device for device in devices if device.type == "cuda"])
    return ", ".join(sorted(names)) + (f" x {count}" if count > 1 else "")
