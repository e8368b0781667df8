"""Any other lm-eval model by its name: a thin adapter.

Classes that generate in this process (sglang, ...) get batches. Classes of other APIs
(anthropic-chat, litellm, ...) get single requests from several threads: lm-eval would otherwise
send requests with different seeds one after another. A class that takes no seed and draws from
torch's generator gets another state of it for each cell: cells with the same noise would not be
independent.
"""

from __future__ import annotations

import inspect
import json
import threading
from collections.abc import Callable, Sequence
from difflib import get_close_matches
from functools import partial
from typing import Any
from unittest.mock import patch

import torch
from lm_eval.api.instance import Instance
from lm_eval.api.registry import get_model, model_registry
from lm_eval.models import api_models
from lm_eval.models.api_models import JsonChatStr, TemplateAPI

from safebench.errors import MissingDependencyError, ModelError
from safebench.models.arguments import check_known, positive
from safebench.models.interface import Conversation, EngineSpec, Generated, OnBatch, Value
from safebench.models.loading import free_memory
from safebench.models.named_engine import NamedEngine, Request, ask_all, ending, shown
from safebench.models.prompts import templated
from safebench.models.quiet import first_line, preserved_random_state, quiet
from safebench.models.sampling import Stream

OURS = frozenset({"hf", "hf-auto", "huggingface", "safebench_hf"})
"""lm-eval's names for transformers models, which our own engine loads."""
_LITELLM = frozenset({"litellm", "litellm-chat", "litellm-chat-completions"})
"""Classes that send a seed with every request."""
_EXTRAS = {"vllm-vlm": "vllm", "openvino": "optimum"}


def backend_names() -> list[str]:
    """Return the names of lm-eval's models, those of OpenAI's API included."""
    return sorted(name for name in model_registry if name not in OURS)


class LmEvalEngine(NamedEngine):
    """An lm-eval model, made anew for every distinct set of arguments."""

    def __init__(self, spec: EngineSpec) -> None:
        """Find the class; its model is made when weights are put in place.

        Raises:
            ModelError: no such backend, or an argument is wrong.
            MissingDependencyError: its package is not installed.
        """
        self._replies = threading.local()
        self._class = _find_class(spec.name)
        self.is_server = issubclass(self._class, TemplateAPI)
        args = dict(spec.args)
        if self.is_server:
            # lm-eval's classes take any argument in silence: these are those that they name.
            bases = self._class.__mro__
            check_known(
                spec.name, args, {p for base in bases for p in inspect.signature(base).parameters}
            )
            args = self.client_arguments(spec)
            self._class = _watched(self._class, self._replies)
        super().__init__(spec, args, seeded=spec.name in _LITELLM)
        self.takes_chat = "chat" in spec.name or spec.name in _LITELLM
        if spec.template_arguments and (spec.served or self.takes_chat):
            raise ModelError(
                f"backend {spec.name} cannot send arguments of a chat template: "
                f"{', '.join(spec.template_arguments)}",
                fix="use local-chat-completions, or take them out of the card",
            )
        if self.is_server:
            self.batch_size = positive(self.args, "num_concurrent", 1)
        self.lm: Any = None

    @property
    def tokenizer_name(self) -> str:
        """Name that lm-eval keys its caches by."""
        self.start()
        return str(self.lm.tokenizer_name)

    def apply_chat_template(self, messages: Any, add_generation_prompt: bool = True) -> Any:
        """Return messages as the class in place lays them out."""
        self.start()
        if self.spec.tokenizer is not None and not self.takes_chat:
            # The base model's carries the template, the day and the arguments of the card; the
            # class has a tokenizer of its own, and arguments that the card does not say.
            return templated(self.spec.tokenizer, messages, add_generation_prompt)
        made = self.lm.apply_chat_template(messages, add_generation_prompt=add_generation_prompt)
        if isinstance(made, JsonChatStr):
            return Conversation(tuple(json.loads(made.prompt)))
        return made

    def environment(self) -> dict[str, Any]:
        """Return the fields of the card's environment that this engine determines, as used."""
        fields = super().environment()
        if not self.is_server:
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

    def _replace(self, filled: dict[str, Value]) -> None:
        # The previous model goes first: memory rarely suffices for two.
        self.lm = self._placed = None
        if not self.is_server:
            free_memory()
        # An API is asked from our threads, one request each.
        own = {"batch_size": 1, "num_concurrent": 1} if self.is_server else {}
        with self._starting(), quiet(), preserved_random_state():
            try:
                self.lm = self._class.create_from_arg_obj(
                    {"batch_size": self.batch_size, **filled, **own}
                )
                if self.is_server:
                    _ = self.lm.header  # reads the key from the environment
            except ImportError as problem:
                raise _missing(self.name, problem) from problem
        self._placed = filled

    def _encoder(self) -> tuple[Callable[[Any], Sequence[int]], int] | None:
        # These would cut the beginning of a prompt that is too long and go on.
        if self.is_server and self.lm.tokenized_requests:
            special = self.lm.add_bos_token
            return partial(self.lm.tok_encode, add_special_tokens=special), self.lm.max_length
        if self.name == "sglang":
            return self.lm.tok_encode, self.lm.max_length
        return None

    def _answer(
        self, requests: Sequence[Request], stream: Stream, batch_size: int, on_batch: OnBatch
    ) -> list[Generated]:
        asked = [self._instance(request) for request in requests]
        if self.is_server:
            concurrent = max(1, min(self.batch_size, batch_size))
            silent = partial(api_models.tqdm, disable=True)
            with patch.object(api_models, "tqdm", silent):
                return ask_all(self._ask, asked, concurrent, on_batch, threading.Event())
        takes = inspect.signature(self.lm.generate_until).parameters
        options = {"disable_tqdm": True} if "disable_tqdm" in takes else {}
        texts: list[str | None] = []
        with preserved_random_state():
            if not self.seeded:
                torch.manual_seed(stream.key("", "", 0) % 2**63)
            for start in range(0, len(asked), batch_size):
                chunk = asked[start : start + batch_size]
                texts += self.lm.generate_until(chunk, **options)
                on_batch(len(chunk))
        return [Generated(text or "", "ok", None) for text in texts]

    def _ask(self, request: Instance) -> Generated:
        """Ask an API once; lm-eval retries, and its class reads the reply."""
        self._replies.last = None
        try:
            texts = self.lm.generate_until([request])
        except Exception as problem:
            reply = getattr(problem, "response", None)
            if reply is None:
                raise
            if reply.status_code == 400 and '"content_filter"' in reply.text:
                return Generated("", "blocked", None)
            raise ModelError(
                f"backend {self.name} at {self.lm.base_url} replied {reply.status_code}: "
                f"{shown(reply.text)}",
                fix="see what the message names, then run the same command again",
            ) from problem
        return Generated(next(filter(None, texts), ""), *ending(self._replies.last))

    def _instance(self, request: Request) -> Instance:
        context = request.context
        if isinstance(context, Conversation):
            context = JsonChatStr(json.dumps(list(context.messages), ensure_ascii=False))
        settings = dict(request.settings)
        if settings["do_sample"] and self.seeded:
            settings["seed"] = request.seed
            if self.is_server:
                settings.setdefault("top_p", 1.0)
        return Instance("generate_until", {}, (context, settings), 0)


def _find_class(name: str) -> Any:
    if name in OURS:
        raise ModelError(
            f"backend {name!r} is lm-eval's own for transformers",
            fix="leave --backend out: safebench loads transformers weights itself",
        )
    if name not in model_registry:
        known = backend_names()
        near = get_close_matches(name, known, n=3)
        hint = f"did you mean {' or '.join(near)}?" if near else f"one of: {', '.join(known)}"
        raise ModelError(f"no backend named {name!r}", fix=hint)
    try:
        return get_model(name)
    except ImportError as problem:
        raise _missing(name, problem) from problem


def _missing(name: str, problem: ImportError) -> MissingDependencyError:
    """Return the error that says what to install."""
    extra = "litellm" if name in _LITELLM else _EXTRAS.get(name)
    if extra is None and "[api]" in str(problem):
        extra = "api"
    return MissingDependencyError(
        f"backend {name!r} needs a package that is not installed: {first_line(problem)}",
        fix=f'pip install "lm-eval[{extra}]"' if extra else f"pip install {problem.name or name}",
    )


def _watched(cls: Any, replies: threading.local) -> Any:
    """Return a class that keeps the reply it reads: lm-eval passes on the text alone."""

    class Watched(cls):  # type: ignore[misc]
        def parse_generations(self, outputs: Any, **more: Any) -> Any:
            replies.last = outputs
            return super().parse_generations(outputs=outputs, **more)

    return Watched
