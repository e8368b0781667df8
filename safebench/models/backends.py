"""Any lm-eval model by its name, answering instead of our own engine.

What is added to lm-eval's class: its arguments are filled in for each weights (backend_args.py),
every sampled request carries a seed of its own where the class can send one, and an API is asked
so that a reply's end and a refusal's reason are seen (backend_api.py).

The seed of a request is its key (spec/v1/sampling.md) mod 2**31. That it is sent does not promise
that the server draws by it: transformers' own does if it is asked for one response at a time, and
does not under num_concurrent, since it seeds one generator for all. Where a class sends none, the
scheme is `NAME/unseeded`; one that draws from torch's generator in this process is at least given
another state for each cell, since cells that shared their noise would not be independent.
"""

from __future__ import annotations

import gc
import inspect
import random
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import partial
from importlib.metadata import version
from typing import Any

import torch
from lm_eval.api.instance import Instance
from lm_eval.models.api_models import JsonChatStr, TemplateAPI

from safebench.card.base import NotReported
from safebench.errors import ModelError, SafebenchError
from safebench.models.backend_api import ATTEMPTS, REPLY_SECONDS, Server
from safebench.models.backend_args import (
    Value,
    check_arguments,
    fill,
    parse_backend_args,
    recorded,
    values_for,
)
from safebench.models.backend_classes import (
    OPENAI,
    SEEDED,
    api_arguments,
    backend_names,
    find_class,
    first_line,
    missing,
    positive,
)
from safebench.models.engine import Arrangement, PlacedWeights
from safebench.models.lm import Generated
from safebench.models.quiet import quiet
from safebench.models.rng import preserved_random_state
from safebench.models.sampling import Stream

__all__ = ["NamedEngine", "backend_names", "parse_backend_args"]

_CHAT = ("chat", "litellm")
_BASE = PlacedWeights("base", None, None, "base", None)


class NamedEngine:
    """An lm-eval model by name, made once for every distinct set of arguments."""

    def __init__(
        self,
        name: str,
        args: Mapping[str, Value],
        *,
        base: str,
        revision: str | None = None,
        tokenizer: Any = None,
        batch_size: int = 1,
        names: Mapping[int | None, str] | None = None,
        served: bool = False,
    ) -> None:
        """Find the class; its model is made when weights are put in place, or its prompts asked.

        `base` is a folder or a Hub id at the commit `revision`. `tokenizer` counts tokens; without
        one the server's count is taken, if it gives one. `batch_size` is ignored by an API, of
        which `num_concurrent` requests are under way at once. `names` are a provider's names of
        the base model (key None) and of the tuned ones, by training seed. `served`: only a server
        has the model and its tokenizer; it is sent text or conversations.

        Raises:
            ModelError: no such backend, or an argument is wrong.
            MissingDependencyError: its package is not installed.
        """
        check_arguments(args)
        self.name, self.args = name, dict(args)
        self.base, self.revision, self.names = base, revision, dict(names or {})
        self.tokenizer = tokenizer
        self.scheme = f"{name}/{'request-seed' if name in SEEDED else 'unseeded'}"
        self._class = find_class(name)
        self.is_api = issubclass(self._class, TemplateAPI)
        self.batch_size = batch_size
        self.attempts = ATTEMPTS
        if self.is_api:
            self.args = api_arguments(name, self._class, self.args, served=served)
            self.batch_size = positive(self.args, "num_concurrent", 1)
            self.attempts = positive(self.args, "max_retries", ATTEMPTS)
        self._made_for: dict[str, Value] | None = None
        self._lm: Any = None
        self._server: Server | None = None
        self._owners = {_key(self._filled(_BASE)): _BASE}

    @property
    def takes_chat(self) -> bool:
        """Whether the class sends conversations, and not text."""
        return any(word in self.name for word in _CHAT)

    @property
    def lm(self) -> Any:
        """The lm-eval model in place, the base model's if there is none yet; raises ModelError."""
        if self._lm is None:
            self._put(self._filled(_BASE))
        return self._lm

    @contextmanager
    def using(self, weights: PlacedWeights) -> Iterator[None]:
        """Put weights in place for the time of the block; raises ModelError."""
        filled = self._filled(weights)
        owner = self._owners.setdefault(_key(filled), weights)
        if (owner.condition, owner.training_seed, owner.checkpoint) != (
            weights.condition,
            weights.training_seed,
            weights.checkpoint,
        ):
            raise ModelError(
                f"backend {self.name}: its arguments are the same for {owner.name} and "
                f"{weights.name}, so one model would answer for both",
                fix="name the weights in --backend-args: model={model} for a server, "
                "pretrained={weights},lora_local_path={adapter} for vllm",
            )
        self._put(filled)
        yield

    def generate(
        self,
        requests: Sequence[Any],
        stream: Stream,
        arrangement: Arrangement,
        on_batch: Callable[[int], None],
    ) -> list[Generated]:
        """Answer lm-eval requests, in their order; repeats of a prompt are consecutive.

        Raises:
            ModelError: the model failed, or its server did.
        """
        lm = self.lm
        asked = [
            self._request(request, key)
            for request, key in zip(requests, _keys(stream, requests), strict=True)
        ]
        self._check_lengths(lm, asked)
        order = list(range(len(asked)))
        if arrangement.shuffled is not None:
            random.Random(arrangement.shuffled).shuffle(order)  # noqa: S311 - no secret
        chosen = [asked[i] for i in order]
        try:
            if self._server is not None:
                concurrent = max(1, min(self._server.concurrent, arrangement.batch_size))
                answers = self._server.ask(chosen, concurrent, on_batch)
            else:
                answers = self._in_process(lm, chosen, stream, arrangement.batch_size, on_batch)
        except SafebenchError:
            raise
        except Exception as problem:  # lm-eval's classes raise whatever their libraries raise
            raise ModelError(f"backend {self.name} failed: {first_line(problem)}") from problem
        done = dict(zip(order, answers, strict=True))
        return [self._finish(asked[i].args[1], *done[i]) for i in range(len(asked))]

    def environment(self) -> dict[str, Any]:
        """Return the fields of the card's environment that this engine decides, as used."""
        fields: dict[str, Any] = {
            "harness": f"lm-eval {version('lm-eval')}",
            "backend": self.name,
            "batch_size": self.batch_size,
            "attention": NotReported(not_reported=f"the backend {self.name} chooses it"),
            "sampling_scheme": self.scheme,
            "backend_args": recorded(self.args),
        }
        if self.is_api:
            unseen = NotReported(not_reported="a server generated, which does not say")
            places = ("device", "tensor_parallel", "kv_cache_dtype", "serving_quantization")
            return {**fields, **dict.fromkeys(places, unseen)}
        on_gpu = torch.cuda.is_available()
        fields["device"] = torch.cuda.get_device_name() if on_gpu else "cpu"
        for field, argument in (
            ("tensor_parallel", "tensor_parallel_size"),
            ("kv_cache_dtype", "kv_cache_dtype"),
            ("serving_quantization", "quantization"),
        ):
            if self.args.get(argument) is not None:
                fields[field] = self.args[argument]
        return fields

    def _filled(self, weights: PlacedWeights) -> dict[str, Value]:
        return fill(self.args, values_for(weights, self.base, self.revision, self.names))

    def _put(self, filled: dict[str, Value]) -> None:
        """Make the model of these arguments the one in place, the previous one let go before."""
        if self._lm is not None and filled == self._made_for:
            return
        self._lm = self._server = self._made_for = None
        if not self.is_api:
            gc.collect()
            if torch.cuda.is_available():
                torch.cuda.empty_cache()
        self._lm = self._make(filled)
        self._made_for = filled
        if self.is_api:
            self._server = Server(self._lm, self.name, self.batch_size, self.attempts)

    def _make(self, filled: dict[str, Value]) -> Any:
        given = dict(filled)
        if self.is_api:
            given.setdefault("timeout", REPLY_SECONDS)
            given["batch_size"] = 1
        else:
            given.setdefault("batch_size", self.batch_size)
        try:
            with quiet(), preserved_random_state():
                lm = self._class.create_from_arg_obj(given)
                if self.is_api:
                    _ = lm.header  # reads the key from the environment, or says that there is none
            return lm
        except ImportError as problem:
            raise missing(self.name, problem) from problem
        except Exception as problem:  # whatever its library raises
            raise ModelError(
                f"backend {self.name} cannot start: {first_line(problem)}",
                fix="correct --backend-args, or what the message names",
            ) from problem

    def _request(self, request: Any, key: int) -> Instance:
        context, settings = request.args
        self._check_context(context)
        settings = {name: value for name, value in settings.items() if value is not None}
        if settings.get("repetition_penalty") == 1.0:
            del settings["repetition_penalty"]
        if settings["do_sample"]:
            if self.name in OPENAI:
                settings.setdefault("top_p", 1.0)  # not the server's default, nor the model's
            if self.name in SEEDED:
                settings["seed"] = key % 2**31
        return Instance("generate_until", request.doc, (context, settings), 0)

    def _check_context(self, context: Any) -> None:
        if not self.is_api:
            return
        if self.takes_chat and not isinstance(context, JsonChatStr):
            raise ModelError(
                f"backend {self.name} takes conversations, and the card has no chat template",
                fix="use local-completions, or give the card a chat_template",
            )
        if not self.takes_chat and isinstance(context, JsonChatStr):
            raise ModelError(
                f"backend {self.name} takes text, and was given a conversation",
                fix="use local-chat-completions, or leave tokenized_requests=False and "
                "tokenizer_backend=None out, so that the chat template is applied here",
            )

    def _check_lengths(self, lm: Any, asked: list[Instance]) -> None:
        """See that no prompt is too long: lm-eval would cut its beginning off and go on."""
        if self.is_api:
            if not lm.tokenized_requests:
                return  # the server sees to it
            encode = partial(lm.tok_encode, add_special_tokens=lm.add_bos_token)
        elif self.name in ("vllm", "sglang"):
            encode = lm.tok_encode
        else:
            return
        for context, new in {(i.args[0], i.args[1]["max_gen_toks"]) for i in asked}:
            if (tokens := len(encode(context))) + new > lm.max_length:
                raise ModelError(
                    f"backend {self.name}: a prompt of {tokens} tokens and {new} new ones exceed "
                    f"the {lm.max_length} that it takes",
                    fix="give a larger max_length=TOKENS in --backend-args, if the model takes "
                    "it, or lower max_new_tokens",
                )

    def _in_process(
        self,
        lm: Any,
        asked: list[Instance],
        stream: Stream,
        size: int,
        on_batch: Callable[[int], None],
    ) -> list[tuple[str, str, int | None]]:
        takes = inspect.signature(lm.generate_until).parameters
        quiet = {"disable_tqdm": True} if "disable_tqdm" in takes else {}
        texts: list[str] = []
        with preserved_random_state():
            if self.name not in SEEDED:
                torch.manual_seed(stream.key("", "", 0) % 2**63)
            for start in range(0, len(asked), size):
                chunk = asked[start : start + size]
                texts += lm.generate_until(chunk, **quiet)
                on_batch(len(chunk))
        return [(text or "", "ok", None) for text in texts]

    def _finish(
        self, settings: dict[str, Any], text: str, status: str, tokens: int | None
    ) -> Generated:
        """Cut a text at what ends it, and see whether it was cut at the longest length."""
        if self.tokenizer is not None:
            tokens = len(self.tokenizer(text, add_special_tokens=False)["input_ids"])
            if not self.is_api and tokens >= settings["max_gen_toks"]:
                status = "truncated"
        cuts = [place for mark in settings["until"] if mark and (place := text.find(mark)) >= 0]
        if cuts:
            text, status = text[: min(cuts)], "ok" if status == "truncated" else status
        return Generated(text.strip(), status, tokens)


def _keys(stream: Stream, requests: Sequence[Any]) -> Iterator[int]:
    """Yield every request's key; repeats of a prompt are counted in their order."""
    seen: dict[tuple[str, str], int] = {}
    for request in requests:
        place = (request.task_name, str(request.doc["prompt_id"]))
        seen[place] = seen.get(place, 0) + 1
        yield stream.key(*place, seen[place])


def _key(filled: dict[str, Value]) -> tuple[tuple[str, str], ...]:
    return tuple((name, repr(value)) for name, value in sorted(filled.items()))
