"""The base of engines chosen with --backend: arguments per model, order, length, environment.

The second half is shared by engines that ask a server: concurrency, how a reply ended, messages.
"""

from __future__ import annotations

import json
import os
import random
import threading
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import CancelledError, ThreadPoolExecutor
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from importlib.metadata import version
from typing import Any, TypeVar

from safebench.card.base import NotReported
from safebench.errors import ModelError, visible
from safebench.models.arguments import check_arguments, fill, placeholder_values, recorded
from safebench.models.interface import (
    BASE,
    Arrangement,
    Conversation,
    EngineSpec,
    Generated,
    OnBatch,
    PlacedWeights,
    Value,
)
from safebench.models.quiet import raised_as
from safebench.models.sampling import Stream


@dataclass(frozen=True)
class Request:
    """One prompt with the settings that lm-eval asks for, and the seed of its response."""

    context: str | Conversation
    settings: dict[str, Any]
    """lm-eval's, without those that change nothing."""
    seed: int
    """The response's key (spec/v1/sampling.md) modulo 2**31."""


class NamedEngine(ABC):
    """An engine whose models are named by arguments; one model is in place at a time."""

    is_server = True
    takes_chat = False

    def __init__(self, spec: EngineSpec, args: Mapping[str, Value], *, seeded: bool) -> None:
        """Take the spec, the arguments with their defaults, and whether seeds are sent.

        Raises:
            ModelError: an argument is wrong.
        """
        check_arguments(args)
        self.spec, self.name, self.args = spec, spec.name, dict(args)
        self.batch_size, self.seeded = spec.batch_size, seeded
        # A seed that is sent does not promise that the server draws by it: transformers' own
        # seeds one generator for all requests that are under way.
        self.scheme = f"{self.name}/{'request-seed' if seeded else 'unseeded'}"
        self._placed: dict[str, Value] | None = None
        self._owners = {json.dumps(self._filled(BASE), sort_keys=True): BASE}

    @property
    def tokenizer_name(self) -> str:
        """Empty: conversations are not cached."""
        return ""

    def start(self) -> None:
        """Put the base model in place if none is; raises ModelError."""
        if self._placed is None:
            self._replace(self._filled(BASE))

    @contextmanager
    def using(self, weights: PlacedWeights) -> Iterator[None]:
        """Put weights in place for the duration of the block; raises ModelError."""
        filled = self._filled(weights)
        owner = self._owners.setdefault(json.dumps(filled, sort_keys=True), weights)
        if owner.name != weights.name:
            raise ModelError(
                f"backend {self.name}: its arguments are the same for {owner.name} and "
                f"{weights.name}, so one model would answer for both",
                fix="name the weights in --backend-args: model={model} for a server, "
                "pretrained={weights} for a class in this process",
            )
        if filled != self._placed:
            self._replace(filled)
        yield

    def generate(
        self, requests: Sequence[Any], stream: Stream, arrangement: Arrangement, on_batch: OnBatch
    ) -> list[Generated]:
        """Answer lm-eval requests; see `Engine.generate`."""
        self.start()
        asked = [
            Request(request.args[0], _effective(request.args[1]), key % 2**31)
            for request, key in zip(requests, stream.keys(requests), strict=True)
        ]
        for is_chat in {isinstance(request.context, Conversation) for request in asked}:
            self._check_form(is_chat)
        self._check_lengths(asked)
        order = list(range(len(asked)))
        if arrangement.shuffled is not None:
            random.Random(arrangement.shuffled).shuffle(order)  # noqa: S311 - no secret
        chosen = [asked[i] for i in order]
        with raised_as(ModelError, f"backend {self.name} failed"):
            answers = self._answer(chosen, stream, arrangement.batch_size, on_batch)
        done = dict(zip(order, answers, strict=True))
        return [self._finished(asked[i].settings, done[i]) for i in range(len(asked))]

    def environment(self) -> dict[str, Any]:
        """Return the fields of the card's environment that this engine determines, as used."""
        fields: dict[str, Any] = {
            "harness": f"lm-eval {version('lm-eval')}",
            "backend": self.name,
            "batch_size": self.batch_size,
            "attention": NotReported(not_reported=f"the backend {self.name} chooses it"),
            "sampling_scheme": self.scheme,
            "backend_args": recorded(self.args),
        }
        if self.is_server:
            unseen = NotReported(not_reported="a server generated, which does not say")
            places = ("device", "tensor_parallel", "kv_cache_dtype", "serving_quantization")
            fields.update(dict.fromkeys(places, unseen))
        return fields

    def _starting(self) -> AbstractContextManager[None]:
        """Report errors of a backend's library during set-up as a ModelError."""
        fix = "correct --backend-args, or what the message names"
        return raised_as(ModelError, f"backend {self.name} cannot start", fix=fix)

    @abstractmethod
    def _replace(self, filled: dict[str, Value]) -> None:
        """Make the model of these arguments the one in place, and set `_placed`."""

    @abstractmethod
    def _encoder(self) -> tuple[Callable[[Any], Sequence[int]], int] | None:
        """Return what encodes prompts, and the most tokens of a prompt and its response.

        None where the backend itself refuses what is too long.
        """

    @abstractmethod
    def _answer(
        self, requests: Sequence[Request], stream: Stream, batch_size: int, on_batch: OnBatch
    ) -> list[Generated]:
        """Answer requests in their order, with the whole text that the model gave."""

    @staticmethod
    def client_arguments(spec: EngineSpec) -> dict[str, Value]:
        """Return the arguments of a server's client, with defaults that all clients need."""
        args = dict(spec.args)
        if not {"model", "pretrained"} & set(args):
            args["model"] = "{model}"
        if spec.served and not {"tokenizer", "tokenizer_backend"} & set(args):
            # There is no tokenizer here, and lm-eval would look for one on the Hub by the name of
            # the model: text is sent.
            args["tokenizer_backend"], args["tokenized_requests"] = None, False
        return args

    def _filled(self, weights: PlacedWeights) -> dict[str, Value]:
        return fill(self.args, placeholder_values(self.spec, weights))

    def _finished(self, settings: Mapping[str, Any], answer: Generated) -> Generated:
        """Cut a text at its first stop string, and tell whether it reached the length limit."""
        text, status, tokens = answer.text, answer.status, answer.new_tokens
        if self.spec.tokenizer is not None:
            tokens = len(self.spec.tokenizer(text, add_special_tokens=False)["input_ids"])
            if not self.is_server and tokens >= settings["max_gen_toks"]:
                status = "truncated"
        cuts = [place for mark in settings["until"] if mark and (place := text.find(mark)) >= 0]
        if cuts:
            text, status = text[: min(cuts)], "ok" if status == "truncated" else status
        return Generated(text.strip(), status, tokens)

    def _check_form(self, is_chat: bool) -> None:
        """Refuse text where the server takes conversations, and the reverse."""
        if not self.is_server or is_chat == self.takes_chat:
            return
        if self.takes_chat:
            raise ModelError(
                f"backend {self.name} takes conversations, and the card has no chat template",
                fix="use local-completions, or give the card a chat_template",
            )
        raise ModelError(
            f"backend {self.name} takes text, and was given a conversation",
            fix="use local-chat-completions, or leave tokenized_requests=False and "
            "tokenizer_backend=None out, so that the chat template is applied here",
        )

    def _check_lengths(self, requests: Sequence[Request]) -> None:
        """Refuse prompts whose beginning would be cut off silently."""
        encoder = self._encoder()
        if encoder is None:
            return
        encode, longest = encoder
        for text, new_tokens in {(r.context, r.settings["max_gen_toks"]) for r in requests}:
            if (tokens := len(encode(text))) + new_tokens > longest:
                raise ModelError(
                    f"backend {self.name}: a prompt of {tokens} tokens and {new_tokens} new ones "
                    f"exceed the {longest} that it takes",
                    fix="give a larger max_length=TOKENS in --backend-args, if the model takes "
                    "it, or lower max_new_tokens",
                )


def _effective(settings: Mapping[str, Any]) -> dict[str, Any]:
    """Return settings without those that change nothing, which some servers refuse."""
    kept = {name: value for name, value in settings.items() if value is not None}
    if kept.get("repetition_penalty") == 1.0:
        del kept["repetition_penalty"]
    return kept


_STATUS = {
    "length": "truncated",
    "max_tokens": "truncated",
    "content_filter": "blocked",
    "refusal": "blocked",
}
"""Status of a response by why it ended, in the words of OpenAI's and Anthropic's APIs."""
_SHOWN = 300

Q = TypeVar("Q")
A = TypeVar("A")


def ask_all(
    ask: Callable[[Q], A],
    requests: Sequence[Q],
    concurrent: int,
    on_batch: OnBatch,
    stop: threading.Event,
) -> list[A]:
    """Return the answers in the order of the requests, `concurrent` of them under way at once.

    After a failure no more requests are sent, and those that wait to retry give up: `stop` is set.
    The first failure is raised, not those that it caused.
    """
    stop.clear()
    failures: list[Exception] = []

    def ask_unless_stopped(request: Q) -> A:
        if stop.is_set():
            raise CancelledError
        try:
            return ask(request)
        except Exception as problem:
            failures.append(problem)
            # Here, not where the result is read: this thread takes the next request at once.
            stop.set()
            raise

    with ThreadPoolExecutor(concurrent) as pool:
        waiting = [pool.submit(ask_unless_stopped, request) for request in requests]
        answers = []
        try:
            for future in waiting:
                answers.append(future.result())
                on_batch(1)
        except BaseException as problem:
            stop.set()
            pool.shutdown(wait=False, cancel_futures=True)
            if failures and isinstance(problem, Exception):
                raise failures[0] from failures[0].__cause__
            raise
    return answers


def ending(reply: Any) -> tuple[str, int | None]:
    """Return the status of a response and its number of tokens, as far as the reply has them."""
    if not isinstance(reply, dict):
        return "ok", None
    choices = reply.get("choices") or [reply]
    choice = choices[0] if isinstance(choices[0], dict) else {}
    reason = choice.get("finish_reason") or choice.get("stop_reason")
    usage = reply.get("usage") or {}
    tokens = usage.get("completion_tokens", usage.get("output_tokens"))
    return _STATUS.get(str(reason), "ok"), tokens if isinstance(tokens, int) else None


def error_message(body: Any) -> str:
    """Return the message in the body of a server's error."""
    for key in ("error", "detail", "message"):
        if isinstance(body, dict) and body.get(key):
            body = body[key]
    return shown(body)


def shown(value: Any) -> str:
    """Return a value fit for a message: short, printable, without keys of the environment."""
    text = value if isinstance(value, str) else str(value)
    for name, secret in os.environ.items():
        if len(secret) >= 6 and name.upper().endswith(("_KEY", "_TOKEN", "_SECRET")):
            text = text.replace(secret, "***")
    text = visible(" ".join(text.split()))
    return text if len(text) <= _SHOWN else text[:_SHOWN] + "..."
