"""Asking a model behind an HTTP API through lm-eval's class for it, one request at a time.

lm-eval groups requests by their settings, so a seed of its own for each would end its concurrency
and its batches. Here several threads ask for one response each, which also shows the reply that
belongs to a request: why it ended, and what is said when it is refused.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Any, cast
from unittest.mock import patch

import lm_eval.models.api_models as api_models
import requests
from lm_eval.api.instance import Instance
from lm_eval.models.api_models import TemplateAPI

from safebench.errors import ModelError, visible

CONNECT_SECONDS = 10.0
REPLY_SECONDS = 120
ATTEMPTS = 3
LONGEST_PAUSE_SECONDS = 60.0

_AGAIN = frozenset({408, 409, 425, 429, 500, 502, 503, 504, 529})
_STATUS = {
    "length": "truncated",
    "max_tokens": "truncated",
    "content_filter": "blocked",
    "refusal": "blocked",
}
_ANSWERS = frozenset({"content", "text"})
"""Where other APIs than OpenAI's put theirs."""
_SHOWN = 300


class Server:
    """lm-eval's model of an API, asked from several threads."""

    def __init__(self, lm: TemplateAPI, backend: str, concurrent: int, attempts: int) -> None:
        """Take the model over: retries, batches and concurrency are done here."""
        self.lm, self.backend = lm, backend
        self.concurrent, self.attempts = concurrent, attempts
        self.reply_seconds = lm.timeout
        lm._batch_size, lm._concurrent, lm.max_retries = 1, 1, 1
        lm.timeout = (min(CONNECT_SECONDS, lm.timeout), lm.timeout)
        self._thread = threading.local()
        self._stop = threading.Event()
        self._watch()

    def ask(
        self, asked: Sequence[Instance], concurrent: int, on_batch: Callable[[int], None]
    ) -> list[tuple[str, str, int | None]]:
        """Return text, status and the server's count of tokens for every request, in order.

        Raises:
            ModelError: the server cannot be reached or refuses; it says why.
        """
        self._stop.clear()
        silent = partial(api_models.tqdm, disable=True)
        with patch.object(api_models, "tqdm", silent), ThreadPoolExecutor(concurrent) as pool:
            waiting = [pool.submit(self._one, request) for request in asked]
            try:
                found = []
                for answer in waiting:
                    found.append(answer.result())
                    on_batch(1)
            except BaseException:
                self._stop.set()
                pool.shutdown(wait=False, cancel_futures=True)
                raise
        return found

    def _one(self, request: Instance) -> tuple[str, str, int | None]:
        for attempt in range(1, self.attempts + 1):
            pause = min(2.0 ** (attempt - 1), 10.0)
            self._thread.reply = None
            try:
                texts = self.lm.generate_until([request])
                break
            except requests.HTTPError as problem:
                reply = cast("requests.Response", problem.response)
                if _is_filtered(reply):
                    return "", "blocked", None
                if reply.status_code not in _AGAIN or attempt == self.attempts:
                    raise self._refused(reply) from problem
                asked_for = reply.headers.get("Retry-After", "")
                if asked_for.isdecimal():
                    pause = min(float(asked_for), LONGEST_PAUSE_SECONDS)
            except requests.RequestException as problem:
                # A reply that takes too long would take too long again.
                slow = isinstance(problem, requests.ReadTimeout)
                if slow or attempt == self.attempts:
                    raise self._unreachable(problem, slow) from problem
            if self._stop.wait(pause):
                raise ModelError("another request failed")
        text = next((text for text in texts if text), "")
        if not isinstance(text, str):
            raise ModelError(f"{self._where()} replied with something that is no text")
        status, tokens = _read(self._thread.reply)
        return text, status, tokens

    def _watch(self) -> None:
        """See what is sent and what comes back, which lm-eval keeps to itself."""
        parse, payload = self.lm.parse_generations, self.lm._create_payload

        def parsed(outputs: Any, **rest: Any) -> Any:
            self._thread.reply = outputs
            # Without this a reply of another kind would pass for an empty response.
            if isinstance(outputs, dict) and _has_answer(outputs, "chat" in self.backend):
                return parse(outputs=outputs, **rest)
            said = outputs.get("error", outputs) if isinstance(outputs, dict) else outputs
            raise ModelError(
                f"{self._where()} replied without an answer: {_shown(str(said))}",
                fix="see that base_url is the address of this backend's kind of API",
            )

        def sent(messages: Any, **rest: Any) -> Any:
            wanted = (rest.get("gen_kwargs") or {}).get("temperature", 0)
            body = payload(messages, **rest)
            if not any(body.get("stop") or []):
                body.pop("stop", None)  # servers refuse an empty list
            given = body.get("temperature", wanted)
            if given != wanted:
                raise ModelError(
                    f"lm-eval's {self.backend} sends temperature {given:g} for the model "
                    f"{body.get('model')!r} where the card says {wanted:g}",
                    fix="use --backend local-chat-completions with the same base_url, or give "
                    "the card that temperature",
                )
            return body

        self.lm.parse_generations, self.lm._create_payload = parsed, sent

    def _where(self) -> str:
        return f"backend {self.backend} at {self.lm.base_url}"

    def _refused(self, reply: requests.Response) -> ModelError:
        fixes = {
            401: "set the environment variable with the API's key, such as OPENAI_API_KEY",
            403: "set the environment variable with the API's key, such as OPENAI_API_KEY",
            404: "see that base_url is the whole address (.../v1/chat/completions) and that the "
            "server knows the model's name",
            400: "see what the message names: the model's name, or a setting that this API does "
            "not take; leave it out of the card's decoding",
        }
        fixes[422] = fixes[400]
        fix = fixes.get(reply.status_code, "see the server's log, then run the same line again")
        return ModelError(
            f"{self._where()} replied {reply.status_code}: {_message(reply)}", fix=fix
        )

    def _unreachable(self, problem: requests.RequestException, slow: bool) -> ModelError:
        if slow:
            return ModelError(
                f"{self._where()} gave no reply within {self.reply_seconds:g} s",
                fix="give a longer timeout=SECONDS in --backend-args, or a lower num_concurrent",
            )
        if isinstance(problem, requests.exceptions.SSLError):
            return ModelError(
                f"{self._where()}: its certificate is not trusted: {_shown(str(problem))}",
                fix="set REQUESTS_CA_BUNDLE to the file of the certificate that signed it",
            )
        if isinstance(problem, requests.ConnectionError):
            return ModelError(
                f"{self._where()} cannot be reached ({self.attempts} attempts)",
                fix="start the server, or correct base_url; then run the same line again",
            )
        if isinstance(problem, requests.exceptions.InvalidJSONError):
            return ModelError(
                f"{self._where()} replied with something that is no JSON",
                fix="see that base_url is the whole address (.../v1/chat/completions), and that "
                "no proxy or login page answers in its place",
            )
        return ModelError(
            f"{self._where()}: {_shown(str(problem))}", fix="correct base_url in --backend-args"
        )


def _has_answer(reply: dict[str, Any], chat: bool) -> bool:
    """Whether a reply is of the kind that is asked for; lm-eval's gaps in reading it are filled.

    A choice without `index` stands where it is, a message without `content` has none, and the words
    of a model under `refusal` are its answer.
    """
    if "choices" not in reply:
        return bool(_ANSWERS & {key for key in reply if reply[key]})
    choices = reply["choices"]
    if not isinstance(choices, list) or not choices:
        return False
    for number, choice in enumerate(choices):
        if not isinstance(choice, dict):
            return False
        choice.setdefault("index", number)
        if not chat:
            if "text" not in choice:
                return False
            continue
        message = choice.get("message")
        if not isinstance(message, dict):
            return False
        if message.get("content") is None:
            said = message.get("refusal")
            message["content"] = said if isinstance(said, str) else None
    return True


def _is_filtered(reply: requests.Response) -> bool:
    """Whether a filter refused the prompt, which some providers report as a bad request."""
    return reply.status_code == 400 and '"content_filter"' in reply.text


def _read(reply: Any) -> tuple[str, int | None]:
    """Return status and count of tokens from a reply, as far as it says them."""
    if not isinstance(reply, dict):
        return "ok", None
    choices = reply.get("choices") or [reply]
    choice = choices[0] if isinstance(choices[0], dict) else {}
    ended = choice.get("finish_reason") or choice.get("stop_reason")
    usage = reply.get("usage") or {}
    tokens = usage.get("completion_tokens", usage.get("output_tokens"))
    return _STATUS.get(str(ended), "ok"), tokens if isinstance(tokens, int) else None


def _message(reply: requests.Response) -> str:
    """Return a server's own words for what was wrong."""
    said: Any = reply.text
    try:
        said = reply.json()
        for key in ("error", "detail", "message"):
            if isinstance(said, dict) and said.get(key):
                said = said[key]
    except ValueError:
        pass
    return _shown(said if isinstance(said, str) else str(said))


def _shown(text: str) -> str:
    """Return a text that is fit for a message: short, printable, without our keys."""
    for name, value in os.environ.items():
        if len(value) >= 6 and name.upper().endswith(("_KEY", "_TOKEN", "_SECRET")):
            text = text.replace(value, "***")
    text = visible(" ".join(text.split()))
    return text if len(text) <= _SHOWN else text[:_SHOWN] + "..."
