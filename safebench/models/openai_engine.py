"""Servers that speak OpenAI's API, asked through the `openai` client, one response per request.

A request carries a seed of its own, so requests are never grouped; several are under way at once.
The client is given the whole address and returns the body as text: many servers deviate from the
format, and a reply without an answer must not be taken for an empty response.
"""

from __future__ import annotations

import json
import os
import re
import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

from safebench.errors import MissingDependencyError, ModelError
from safebench.models.arguments import check_known, positive
from safebench.models.interface import Conversation, EngineSpec, Generated, OnBatch, Value
from safebench.models.loading import Located, load_tokenizer
from safebench.models.named_engine import (
    NamedEngine,
    Request,
    ask_all,
    ending,
    error_message,
    shown,
)
from safebench.models.prompts import templated
from safebench.models.sampling import Stream

try:
    import openai
except ImportError as problem:
    raise MissingDependencyError(
        f"servers are asked through a package that is not installed: {problem}",
        fix="pip install 'safebench[api]'",
    ) from problem

CONNECT_SECONDS = 10.0
REPLY_SECONDS = 120
ATTEMPTS = 3
LONGEST_PAUSE_SECONDS = 60.0
CONTEXT_TOKENS = 2048
"""lm-eval's default of max_length."""
GREEDY_SEED = 1234
"""lm-eval's default of `seed`, sent where nothing is sampled."""

_WITHOUT_STOP = re.compile(r"\bo[134]\b|gpt-5")
"""Models of OpenAI that refuse stop strings; responses are cut here anyway."""
_AGAIN = frozenset({408, 409, 425, 429, 500, 502, 503, 504, 529})
"""Statuses of temporary failures."""
_KEY_FIX = "set the environment variable with the API's key, such as OPENAI_API_KEY"
_SETTING_FIX = (
    "see what the message names: the model's name, or a setting that this API does not take; "
    "leave it out of the card's decoding"
)
_FIXES = {
    400: _SETTING_FIX,
    401: _KEY_FIX,
    403: _KEY_FIX,
    404: "check that base_url is the whole address (.../v1/chat/completions) and that the server "
    "knows the model's name",
    422: _SETTING_FIX,
}


@dataclass(frozen=True)
class _Api:
    """What differs between the names that lm-eval gives to OpenAI's API."""

    chat: bool
    address: str | None = None
    """Where requests go unless base_url says; such an API needs a key."""
    key: str = "OPENAI_API_KEY"
    limit: str = "max_tokens"
    """Field for the longest response."""
    tokenizer: str | None = None
    """Kind of tokenizer that prompts are sent through, unless tokenizer_backend says."""


_OPENAI = "https://api.openai.com/v1"
_APIS = {
    "azure-openai-chat-completions": _Api(
        True, key="AZURE_OPENAI_API_KEY", limit="max_completion_tokens"
    ),
    "local-chat-completions": _Api(True),
    "local-completions": _Api(False, tokenizer="huggingface"),
    "openai-chat-completions": _Api(
        True, f"{_OPENAI}/chat/completions", limit="max_completion_tokens"
    ),
    "openai-completions": _Api(False, f"{_OPENAI}/completions", tokenizer="tiktoken"),
}
_ARGUMENTS = """
    add_bos_token api_version base_url batch_size ca_cert_path custom_prefix_token_id eos_string
    max_gen_toks max_images max_length max_retries model num_concurrent pretrained revision seed
    think_end_token timeout tokenized_requests tokenizer tokenizer_backend truncate
    trust_remote_code use_fast_tokenizer verify_certificate
"""
"""Arguments of lm-eval's clients, so that cards made with them can be executed; some have no effect
here."""


class OpenAIEngine(NamedEngine):
    """Asks a server for conversations (chat completions) or texts (completions)."""

    def __init__(self, spec: EngineSpec) -> None:
        """Check the arguments; nothing is sent.

        Raises:
            ModelError: an argument is wrong, or an API that needs a key has none.
        """
        check_known(spec.name, spec.args, _ARGUMENTS.split())
        self.api = _APIS[spec.name]
        super().__init__(spec, self._with_defaults(spec), seeded=True)
        self.takes_chat = self.api.chat
        if spec.template_arguments and spec.served and not self.takes_chat:
            raise ModelError(
                f"backend {spec.name} applies no chat template: nothing would be given "
                f"{', '.join(spec.template_arguments)}",
                fix="use local-chat-completions, or take them out of the card",
            )
        self.batch_size = positive(self.args, "num_concurrent", 1)
        self.attempts = positive(self.args, "max_retries", ATTEMPTS)
        self.timeout = positive(self.args, "timeout", REPLY_SECONDS)
        self.address = self._address()
        self._client, self._path, self._headers = self._make_client()
        self._stop = threading.Event()
        self._model = ""
        self._tokenizer: Any = None
        self._tokenized = False
        """Whether prompts are sent as token ids."""

    def apply_chat_template(self, messages: Any, add_generation_prompt: bool = True) -> Any:
        """Return a conversation, or text where prompts are tokenized here."""
        self.start()
        if not self._tokenized:
            return Conversation(tuple(messages))
        # The base model's carries the template, the day and the arguments of the card.
        return templated(self.spec.tokenizer or self._tokenizer, messages, add_generation_prompt)

    def _with_defaults(self, spec: EngineSpec) -> dict[str, Value]:
        """Return the arguments as the card records them."""
        args = self.client_arguments(spec)
        is_chosen = {"tokenizer", "tokenizer_backend"} & set(args)
        if self.api.tokenizer == "huggingface" and not is_chosen:
            args["tokenizer_backend"], args["tokenizer"] = "huggingface", "{base}"
            args.setdefault("revision", "{revision}")
        return args

    def _address(self) -> str:
        variable = os.environ.get("AZURE_OPENAI_ENDPOINT") if "azure" in self.name else None
        address = str(self.args.get("base_url") or variable or self.api.address or "")
        parts = urlsplit(address)
        if parts.scheme in ("http", "https") and parts.netloc:
            return address
        problem = f": base_url {address!r} is not an address" if address else ""
        raise ModelError(
            f"backend {self.name}{problem or ' needs the address of its server'}",
            fix="give base_url=http://HOST:PORT/v1/chat/completions (or /v1/completions)",
        )

    def _make_client(self) -> tuple[openai.OpenAI, str, dict[str, Any]]:
        """Return the client, the path that it posts to, and the headers of each request."""
        key = os.environ.get(self.api.key, "")
        if not key and not self.name.startswith("local-"):
            raise ModelError(
                f"backend {self.name}: {self.api.key} is not set",
                fix="set this environment variable to the API's key",
            )
        options: dict[str, Any] = {
            "api_key": key or "none",
            "max_retries": 0,
            "timeout": openai.Timeout(self.timeout, connect=min(CONNECT_SECONDS, self.timeout)),
        }
        verify = self.args.get("ca_cert_path") or self.args.get("verify_certificate", True)
        if verify is not True:
            options["http_client"] = openai.DefaultHttpxClient(
                verify=verify if isinstance(verify, str) else bool(verify)
            )
        if "azure" in self.name:
            version = str(self.args.get("api_version") or "2025-03-01-preview")
            client = openai.AzureOpenAI(azure_endpoint=self.address, api_version=version, **options)
            return client, "/chat/completions", {}
        headers = {} if key else {"Authorization": openai.Omit()}
        return openai.OpenAI(base_url=self.address, **options), self.address, headers

    def _replace(self, filled: dict[str, Value]) -> None:
        self._model = str(filled.get("model") or filled.get("pretrained"))
        self._tokenizer, self._tokenized = None, False
        kind = filled.get("tokenizer_backend", self.api.tokenizer)
        if "tokenizer" in filled and kind is None and "tokenizer_backend" not in filled:
            kind = "huggingface"
        if kind not in (None, "None", "none"):
            with self._starting():
                self._tokenizer = self._load_tokenizer(str(kind), filled)
            self._tokenized = not self.api.chat and bool(filled.get("tokenized_requests", True))
        self._placed = filled

    def _load_tokenizer(self, kind: str, filled: Mapping[str, Value]) -> Any:
        if kind == "tiktoken":
            import tiktoken

            return _Tiktoken(tiktoken.encoding_for_model(self._model))
        if kind == "remote":
            from lm_eval.utils import RemoteTokenizer

            return RemoteTokenizer(self.address, self.timeout)
        named, revision = str(filled.get("tokenizer") or self._model), filled.get("revision")
        if named == self.spec.base.source and self.spec.tokenizer is not None:
            return self.spec.tokenizer
        return load_tokenizer(Located(named, None if revision is None else str(revision), ""))

    def _encoder(self) -> tuple[Callable[[Any], Sequence[int]], int] | None:
        if not self._tokenized:
            return None  # the server refuses what is too long
        # One position is kept for the first new token, as lm-eval does.
        return self._encode, positive(self.args, "max_length", CONTEXT_TOKENS) - 1

    def _encode(self, text: str) -> list[int]:
        special = bool(self.args.get("add_bos_token", False))
        return list(self._tokenizer(text, add_special_tokens=special)["input_ids"])

    def _answer(
        self, requests: Sequence[Request], stream: Stream, batch_size: int, on_batch: OnBatch
    ) -> list[Generated]:
        concurrent = max(1, min(self.batch_size, batch_size))
        return ask_all(self._ask, requests, concurrent, on_batch, self._stop)

    def _body(self, request: Request) -> dict[str, Any]:
        """Return what is sent for one response."""
        settings = dict(request.settings)
        sampled, stop = settings.pop("do_sample"), list(settings.pop("until"))
        body: dict[str, Any] = {
            "model": self._model,
            self.api.limit: settings.pop("max_gen_toks"),
            "temperature": 0,
            "seed": request.seed if sampled else self.args.get("seed", GREEDY_SEED),
        }
        if sampled:
            body["top_p"] = 1.0  # neither the server's default nor the model's
        body.update(settings)
        eos = self.args.get("eos_string") or getattr(self._tokenizer, "eos_token", None)
        if eos and eos not in stop:
            stop.append(str(eos))
        if any(stop) and not (self.api.limit != "max_tokens" and _WITHOUT_STOP.search(self._model)):
            # Never an empty list, which some servers refuse.
            body["stop"] = stop[:4] if self.api.chat else stop
        if isinstance(request.context, Conversation):
            body["messages"] = [dict(message) for message in request.context.messages]
            if self.spec.template_arguments:
                body["chat_template_kwargs"] = dict(self.spec.template_arguments)
        elif self._tokenized:
            body["prompt"] = [self._encode(request.context)]
        else:
            body["prompt"] = request.context
        return body

    def _ask(self, request: Request) -> Generated:
        """Return the answer to one request; temporary failures are retried."""
        body = self._body(request)
        for attempt in range(1, self.attempts + 1):
            pause = min(2.0 ** (attempt - 1), 10.0)
            try:
                text = self._client.post(
                    self._path, cast_to=str, body=body, options={"headers": self._headers}
                )
                return self._read(text)
            except openai.APIStatusError as problem:
                reply = problem.response
                if reply.status_code == 400 and '"content_filter"' in reply.text:
                    return Generated("", "blocked", None)  # so some providers refuse a prompt
                if reply.status_code not in _AGAIN or attempt == self.attempts:
                    raise self._refused(reply.status_code, reply.text) from problem
                asked_for = reply.headers.get("Retry-After", "")
                if asked_for.isdecimal():
                    pause = min(float(asked_for), LONGEST_PAUSE_SECONDS)
            except openai.APIConnectionError as problem:
                # A reply that takes too long would take too long again. The client wraps the error
                # of its HTTP library, which alone tells this from a connection that takes long.
                slow = type(problem.__cause__).__name__ == "ReadTimeout"
                if slow or attempt == self.attempts:
                    raise self._unreachable(problem, slow) from problem
            if self._stop.wait(pause):
                raise ModelError("another request failed")
        raise AssertionError("the last attempt returns or raises")

    def _read(self, text: str) -> Generated:
        """Return the answer that a reply holds; raises ModelError where it holds none."""
        try:
            reply = json.loads(text)
        except ValueError as problem:
            raise ModelError(
                f"{self._where()} replied with something that is not JSON",
                fix="check that base_url is the whole address (.../v1/chat/completions), and that "
                "no proxy or login page answers in its place",
            ) from problem
        choices = reply.get("choices") if isinstance(reply, dict) else None
        choice = choices[0] if isinstance(choices, list) and choices else None
        holder = choice.get("message") if isinstance(choice, dict) and self.api.chat else choice
        if not isinstance(holder, dict) or not (self.api.chat or "text" in holder):
            instead = reply.get("error", reply) if isinstance(reply, dict) else reply
            raise ModelError(
                f"{self._where()} replied without an answer: {shown(instead)}",
                fix="check that base_url is the address of this backend's kind of API",
            )
        answer = holder.get("content" if self.api.chat else "text")
        if answer is None and isinstance(holder.get("refusal"), str):
            answer = holder["refusal"]  # a model's own words, apart from its answers
        if not isinstance(answer, str | None):
            raise ModelError(f"{self._where()} replied with something that is not text")
        mark = self.args.get("think_end_token")
        if answer and mark and self.api.chat:
            answer = answer.rpartition(str(mark))[2].lstrip()
        return Generated(answer or "", *ending(reply))

    def _where(self) -> str:
        return f"backend {self.name} at {self.address}"

    def _refused(self, status: int, text: str) -> ModelError:
        try:
            reason = error_message(json.loads(text))
        except ValueError:
            reason = shown(text)
        fix = _FIXES.get(status, "see the server's log, then run the same command again")
        return ModelError(f"{self._where()} replied {status}: {reason}", fix=fix)

    def _unreachable(self, problem: openai.APIConnectionError, slow: bool) -> ModelError:
        if slow:
            return ModelError(
                f"{self._where()} gave no reply within {self.timeout:g} s",
                fix="give a longer timeout=SECONDS in --backend-args, or a lower num_concurrent",
            )
        cause = shown(str(problem.__cause__ or problem))
        if "CERTIFICATE_VERIFY_FAILED" in cause:
            return ModelError(
                f"{self._where()}: its certificate is not trusted: {cause}",
                fix="give ca_cert_path=FILE in --backend-args: the certificate that signed it",
            )
        return ModelError(
            f"{self._where()} cannot be reached ({self.attempts} attempts): {cause}",
            fix="start the server, or correct base_url; then run the same command again",
        )


class _Tiktoken:
    """OpenAI's tokenizer with the two members that are used here."""

    def __init__(self, encoding: Any) -> None:
        self.encoding, self.eos_token = encoding, encoding.decode([encoding.eot_token])

    def __call__(self, text: str, add_special_tokens: bool = False) -> dict[str, list[int]]:
        return {"input_ids": self.encoding.encode(text)}
