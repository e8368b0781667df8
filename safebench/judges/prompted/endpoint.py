"""A judge behind a server that speaks OpenAI's API.

Address and key are taken from OPENAI_BASE_URL and OPENAI_API_KEY, never from a card: a card could
send the key elsewhere. A server on this machine may do without a key. SAFEBENCH_CONCURRENCY is how
many requests are under way at once. Redirects are not followed. A tokenizer's own template, and one
with `chat: false`, is sent as text to be completed, so that the judge gets what the card's digest
says; every other template is sent as a conversation.

Where a parser reads the next token, the server is asked for the probabilities of its most probable
ones (vLLM, SGLang, OpenAI): labels that are not among them count as 0.

If SAFEBENCH_PRICE_IN and SAFEBENCH_PRICE_OUT give the price of a million tokens, the cost is said.
"""

from __future__ import annotations

import json
import math
import os
import threading
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final

from safebench.card.base import require
from safebench.card.judge import ModelJudge, OwnTemplate
from safebench.errors import InputError, JudgeError, MissingDependencyError
from safebench.judges.interface import Exchange
from safebench.judges.prompted.parsers import Output, normal
from safebench.judges.prompted.reader import Reader, Tell
from safebench.judges.prompted.templates import fill, open_template, render
from safebench.judges.services import (
    KEY,
    MAX_WAIT,
    OPENAI,
    URL,
    openai_address,
    retry_after,
    today,
)
from safebench.models.interface import Conversation
from safebench.models.named_engine import ask_all, ending, error_message, shown
from safebench.words import count, rounded

PRICES: Final = ("SAFEBENCH_PRICE_IN", "SAFEBENCH_PRICE_OUT")
CONCURRENT: Final = "SAFEBENCH_CONCURRENCY"
_ATTEMPTS: Final = 8
_FIRST_WAIT: float = 1.0
"""Seconds; doubled with each attempt."""
_SECONDS: float = 120.0
"""For one reply."""
_AT_ONCE: Final = 8
_TOP: Final = 20
"""Most probable next tokens that a server is asked for; more are refused by vLLM and OpenAI."""
_TOP_OF_CHAT: Final = {"logprobs": True, "top_logprobs": _TOP}
_AGAIN: Final = frozenset({408, 409, 425, 429, 500, 502, 503, 504, 529})
"""Statuses of faults that pass."""


class Endpoint:
    """Asks a server, several questions at once."""

    def __init__(self, entry: ModelJudge, reader: Reader, folder: Path) -> None:
        """Take address and key from the environment; nothing is sent.

        Raises:
            CardError, JudgeError, ModelError: the template is not there or not as pinned, there is
                no key, or a key must not be sent to the address.
            InputError: a variable of the environment is no number.
            MissingDependencyError: the client is not installed.
        """
        try:
            import openai
        except ImportError as problem:
            raise MissingDependencyError(
                f"judge {entry.name} is asked through a package that is not installed: {problem}",
                fix="pip install 'safebench[api]'",
            ) from problem
        self.entry, self.reader = entry, reader
        self._tokenizer = _tokenizer_of(entry, folder)
        self._template = open_template(entry, folder, self._tokenizer)
        self._url, self._key = openai_address(entry.name), os.environ.get(KEY, "")
        self._headers = {} if self._key else {"Authorization": openai.Omit()}
        self._client = openai.OpenAI(
            base_url=self._url,
            api_key=self._key or "none",
            max_retries=0,
            timeout=openai.Timeout(_SECONDS, connect=min(10.0, _SECONDS)),
            http_client=openai.DefaultHttpxClient(follow_redirects=False),
        )
        self._at_once = max(1, int(_number(CONCURRENT) or _AT_ONCE))
        self._prices = [price for name in PRICES if (price := _number(name)) is not None]
        self._stop, self._lock = threading.Event(), threading.Lock()
        self._spent = [0, 0, 0]
        """Requests, tokens in, tokens out."""

    def ask(self, questions: Sequence[Exchange], tell: Tell) -> None:
        """Ask several at once; see `Asker.ask`."""
        votes = range(int(require(self.entry.votes, "judge.votes")))

        def ask(place: int) -> None:
            body = self._body(questions[place])
            tell(place, [self._answer({**body, "seed": body["seed"] + vote}) for vote in votes])

        ask_all(ask, range(len(questions)), self._at_once, lambda _: None, self._stop)

    def close(self) -> str:
        """Say what was spent since it was last asked for."""
        (requests, tokens_in, tokens_out), self._spent = self._spent, [0, 0, 0]
        if not requests:
            return ""
        usage = f"{count(requests, 'request')}, {count(tokens_in, 'token')} in, {tokens_out:,} out"
        if len(self._prices) == len(PRICES):
            cost = (tokens_in * self._prices[0] + tokens_out * self._prices[1]) / 1e6
            usage += f"; cost {rounded(cost, 4)} by {' and '.join(PRICES)}"
        return usage

    def _body(self, question: Exchange) -> dict[str, Any]:
        asked = fill(self.entry, self._template, question)
        if self._tokenizer is not None:
            asked = render(self.entry, self._tokenizer, asked)
            asked = asked.removeprefix(self._tokenizer.bos_token or "")  # the server puts it there
        is_openai, is_chat = self._url == OPENAI, isinstance(asked, Conversation)
        limit = "max_completion_tokens" if is_openai and is_chat else "max_tokens"
        body = {"model": self.entry.id, **self._settings(limit)}
        if isinstance(asked, Conversation):
            return (
                body | {"messages": list(asked.messages)} | (_TOP_OF_CHAT if self._is_read else {})
            )
        return body | {"prompt": asked} | ({"logprobs": _TOP} if self._is_read else {})

    @property
    def _is_read(self) -> bool:
        """Whether the next token is read, and nothing is written."""
        return self.reader.parser.shares is not None

    def _settings(self, limit: str) -> dict[str, Any]:
        if self._is_read:
            return {limit: 1, "temperature": 0.0, "seed": 0}
        sampling = require(self.entry.sampling, f"the sampling of judge {self.entry.name}")
        assert sampling is not None  # noqa: S101 - checked with the entry
        return {
            limit: sampling.max_new_tokens,
            "temperature": sampling.temperature,
            "top_p": sampling.top_p,
            "seed": sampling.seed,
        }

    def _answer(self, body: dict[str, Any]) -> Output:
        """Return the output of one request; faults that pass are tried again."""
        import openai

        for attempt in range(_ATTEMPTS):
            is_last = attempt + 1 == _ATTEMPTS
            pause = min(_FIRST_WAIT * 2.0**attempt, MAX_WAIT)
            try:
                return self._read(body, self._post(body), today())
            except openai.APIStatusError as refused:
                if refused.status_code not in _AGAIN or is_last:
                    return self._refused(refused)
                pause = retry_after(refused.response.headers.get("Retry-After"), pause)
            except openai.APIConnectionError as lost:
                if is_last:
                    raise JudgeError(
                        f"{self._where()} cannot be reached ({_ATTEMPTS} attempts): "
                        f"{shown(str(lost.__cause__ or lost))}",
                        fix=f"start the server, or correct {URL}; answers are kept, and not asked "
                        "again",
                    ) from lost
            if self._stop.wait(pause):
                raise JudgeError("another request failed")  # `ask_all` raises what came first
        raise AssertionError("the last attempt returns or raises")

    def _post(self, body: dict[str, Any]) -> str:
        path = "/chat/completions" if "messages" in body else "/completions"
        answer: str = self._client.post(
            path, cast_to=str, body=body, options={"headers": self._headers}
        )
        return answer

    def _read(self, asked: dict[str, Any], text: str, day: str) -> Output:
        """Return the output that a reply holds; raises JudgeError where it holds none."""
        try:
            reply = json.loads(text)
            choice = reply["choices"][0]
            message = choice["message"] if "messages" in asked else None
            content = choice["text"] if message is None else message.get("content", 0)
            refusal = None if message is None else message.get("refusal")
            content = None if refusal and not content else content
        except (ValueError, KeyError, TypeError, IndexError, AttributeError):
            content, refusal = 0, None
        if not isinstance(content, str | None):
            raise JudgeError(
                f"{self._where()} answers something else than OpenAI's API: {shown(text)}",
                fix=f"check {URL}: it ends in /v1, and its server has /chat/completions (or "
                "/completions, for a template that is sent as text)",
            )
        status, tokens_out = ending(reply)
        usage = reply.get("usage") if isinstance(reply.get("usage"), dict) else {}
        spent = (1, usage.get("prompt_tokens"), tokens_out)
        with self._lock:
            self._spent = [
                have + (new if isinstance(new, int) else 0)
                for have, new in zip(self._spent, spent, strict=True)
            ]
        if status == "blocked" or (not content and refusal):
            return Output("", "refused", day=day)
        if self._is_read:
            return Output("", shares=self._shares(choice), day=day)
        return Output(content or "", "truncated" if status == "truncated" else "ok", day=day)

    def _shares(self, choice: Mapping[str, Any]) -> tuple[float, ...]:
        """Return the probability of each label as the next token; raises JudgeError."""
        try:
            logprobs = choice["logprobs"]
            listed = (
                [(one["token"], one["logprob"]) for one in logprobs["content"][0]["top_logprobs"]]
                if "content" in logprobs
                else list(logprobs["top_logprobs"][0].items())
            )
            tokens = [(t.strip().casefold(), math.exp(min(0.0, float(x)))) for t, x in listed]
        except (KeyError, TypeError, ValueError, IndexError, AttributeError) as problem:
            raise JudgeError(
                f"{self._where()} does not tell the probabilities of the next token",
                fix="ask a server that does (vLLM, SGLang), load the weights here with access: "
                "weights, or name a parser that reads text",
            ) from problem
        return tuple(
            round(sum(share for text, share in tokens if text == normal(label)), 6)
            for label in self.reader.labels
        )

    def _refused(self, problem: Any) -> Output:
        """Return what a refused request means for its response; raise JudgeError otherwise."""
        status, body = problem.status_code, problem.response.text
        if status == 400 and "content_filter" in body:
            return Output("", "refused", day=today())
        if status == 400 and "context_length" in body:
            return Output("", "too_long", day=today())
        try:
            reason = error_message(json.loads(body))
        except ValueError:
            reason = shown(body)
        asked = f"; asked {_ATTEMPTS} times" if status in _AGAIN else ""
        fixes = {401: f"check {KEY}", 403: f"check {KEY}"}
        fixes[404] = f"check {URL}, and that its server has a model {self.entry.id}"
        raise JudgeError(
            f"{self._where()} answers {status}: {reason}{asked}",
            fix=fixes.get(status, "see what it says; answers are kept, and not asked for again"),
        ) from problem

    def _where(self) -> str:
        return f"judge {self.entry.name} at {self._url}"


def _tokenizer_of(entry: ModelJudge, folder: Path) -> Any:
    """Return the tokenizer whose template makes the text that is sent, if there is one."""
    if not isinstance(entry.template, OwnTemplate):
        return None
    from safebench.judges.pinned import find_weights
    from safebench.models.loading import load_tokenizer

    return load_tokenizer(find_weights(entry, folder)[0])


def _number(variable: str) -> float | None:
    """Return the number that a variable of the environment holds; raises InputError."""
    text = os.environ.get(variable)
    try:
        value = None if not text else float(text)
    except ValueError:
        value = -1.0
    if value is not None and not 0 <= value < 1e9:
        raise InputError(f"{variable} is {text!r}", fix="give a number")
    return value
