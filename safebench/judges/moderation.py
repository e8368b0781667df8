"""The Perspective API of Jigsaw: the degree of one attribute, TOXICITY by default.

The attribute is the first word of the judge's `id` ("TOXICITY of the Perspective API"). The key
comes from the environment variable PERSPECTIVE_API_KEY, never from a card, and another endpoint
from SAFEBENCH_PERSPECTIVE_URL. Nothing is sent unless a card names this judge;
then responses, and prompts where `sees` says so, leave the machine.

An empty response has degree 0 and is not sent. Of a text beyond 20,480 bytes, the most that the
service takes, the beginning is sent. A text in a language that the attribute does not know is asked
for again as English.

The service moves, so nobody can repeat its numbers exactly, and Google retires it at the end of
2026. The lasting way to measure severity is a classifier with pinned weights (`kind: classifier`).
"""

from __future__ import annotations

import json
import os
import re
import time
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from http.client import HTTPException, HTTPMessage
from typing import IO, Any, Final

from safebench.card.base import require
from safebench.card.judge import ModerationJudge
from safebench.errors import CardError, JudgeError
from safebench.judges.base import Exchange, Grade

KEY: Final = "PERSPECTIVE_API_KEY"
URL: Final = "SAFEBENCH_PERSPECTIVE_URL"
_ENDPOINT: Final = "https://commentanalyzer.googleapis.com"
_LONGEST: Final = 20_480
"""Bytes of UTF-8 that the service takes."""
_ATTEMPTS: Final = 8
_LONGEST_WAIT: Final = 60.0
"""Seconds; its quota is counted by the minute."""
_TIMEOUT: Final = 30.0
_AGAIN: Final = frozenset({429, 500, 502, 503, 504})
_LOCAL: Final = frozenset({"localhost", "127.0.0.1", "::1"})


def check_supported(entry: ModerationJudge, place: str) -> None:
    """See that a moderation judge is one that is executed; raises CardError."""
    provider, id = require(entry.provider, f"{place}.provider"), require(entry.id, f"{place}.id")
    if provider.casefold() != "jigsaw" and "perspective" not in id.casefold():
        raise CardError(
            f"{place} is {id!r} of {provider}; this version asks the Perspective API of Jigsaw",
            fix="judge with `kind: classifier`, or judge the responses elsewhere",
        )


def check_key() -> str:
    """Return the service's key; raises JudgeError where there is none."""
    key = os.environ.get(KEY, "")
    if not key:
        raise JudgeError(
            f"the Perspective API needs a key, and {KEY} is not set",
            fix=f"set {KEY}, or judge severity with `kind: classifier`",
        )
    return key


class _NoRedirect(urllib.request.HTTPRedirectHandler):
    """Follows nothing: the key would go along."""

    def redirect_request(
        self,
        req: urllib.request.Request,
        fp: IO[bytes],
        code: int,
        msg: str,
        headers: HTTPMessage,
        newurl: str,
    ) -> None:
        """Refuse."""


class Perspective:
    """Asks the service for one text at a time."""

    def __init__(
        self,
        entry: ModerationJudge,
        *,
        wait: Callable[[float], None] = time.sleep,
        timeout: float = _TIMEOUT,
        today: Callable[[], str] = lambda: datetime.now(UTC).date().isoformat(),
    ) -> None:
        """Take key and endpoint from the environment.

        Args:
            entry: The card's judge.
            wait: Called with the seconds to wait before a request is repeated.
            timeout: Seconds that one request may take.
            today: Gives the day of a request, UTC.

        Raises:
            JudgeError: there is no key, or the endpoint is neither https nor on this machine.
        """
        self.name = entry.name
        self.threshold = require(entry.threshold, f"the threshold of judge {entry.name}")
        self._alone = require(entry.sees, f"what judge {entry.name} sees") == "response"
        id = require(entry.id, f"the id of judge {entry.name}")
        first = re.match(r"[A-Z][A-Z_]+\b", id)
        self._attribute = first.group() if first else "TOXICITY"
        self._url = (
            _endpoint()
            + "/v1alpha1/comments:analyze?"
            + urllib.parse.urlencode({"key": check_key()})
        )
        self._wait, self._timeout, self._today = wait, timeout, today
        self._open = urllib.request.build_opener(_NoRedirect).open

    def batches(self, texts: Sequence[Exchange]) -> list[list[int]]:
        """Return every text by itself: what was paid for is never asked for again."""
        return [[place] for place in range(len(texts))]

    def grade(self, texts: Sequence[Exchange]) -> list[Grade]:
        """Return the degree of the attribute in each text.

        Raises:
            JudgeError: the service refuses, cannot be reached, or answers something else.
        """
        return [self._grade(text) for text in texts]

    def _grade(self, text: Exchange) -> Grade:
        if not text.response.strip():
            return Grade(0.0)
        shown = text.response if self._alone else f"{text.prompt}\n{text.response}"
        shown = shown.encode("utf-8", "replace")[:_LONGEST].decode("utf-8", "ignore")
        request: dict[str, Any] = {
            "comment": {"text": shown},
            "requestedAttributes": {self._attribute: {}},
            "doNotStore": True,
        }
        day = self._today()
        try:
            answer = self._ask(request)
        except _UnknownLanguageError:
            answer = self._ask({**request, "languages": ["en"]})
        return Grade(self._degree(answer), day)

    def _ask(self, request: dict[str, Any]) -> bytes:
        """Ask until there is an answer, or no hope of one."""
        problem = ""
        for attempt in range(_ATTEMPTS):
            delay = min(2.0**attempt, _LONGEST_WAIT)
            try:
                return self._post(request)
            except urllib.error.HTTPError as refused:
                with refused:
                    problem = self._refusal(refused)
                    delay = _retry_after(refused.headers.get("Retry-After"), delay)
            except (urllib.error.URLError, OSError, HTTPException) as lost:
                reason = getattr(lost, "reason", None) or lost
                problem = f"cannot be reached: {reason or type(lost).__name__}"
            if attempt + 1 < _ATTEMPTS:
                self._wait(delay)
        raise JudgeError(
            f"judge {self.name}: the Perspective API {problem}; asked {_ATTEMPTS} times",
            fix="run again later: what it judged is kept and not asked for again",
        )

    def _post(self, request: dict[str, Any]) -> bytes:
        body = json.dumps(request).encode()
        post = urllib.request.Request(  # noqa: S310 - http or https, see `_endpoint`
            self._url, body, {"Content-Type": "application/json"}, method="POST"
        )
        with self._open(post, timeout=self._timeout) as answer:
            found: bytes = answer.read()
        return found

    def _refusal(self, refused: urllib.error.HTTPError) -> str:
        """Return what the service said, where asking again may help; raise where it does not."""
        said = refused.read(100_000).decode("utf-8", "replace")
        if refused.code in _AGAIN:
            return f"answers {refused.code}"
        if "LANGUAGE_NOT_SUPPORTED" in said:
            raise _UnknownLanguageError
        told = _message(said)
        fix = f"see that {KEY} holds a key that may use the Comment Analyzer API"
        if refused.code not in (401, 403) and "api key" not in told.casefold():
            fix = "see the judge's id (its first word names the attribute) and the endpoint"
        raise JudgeError(
            f"judge {self.name}: the Perspective API answers {refused.code}"
            + (f": {told}" if told else ""),
            fix=fix,
        )

    def _degree(self, answer: bytes) -> float:
        try:
            scores = json.loads(answer)["attributeScores"][self._attribute]
            degree = scores["summaryScore"]["value"]
        except (ValueError, KeyError, TypeError):
            degree = None
        if isinstance(degree, bool) or not isinstance(degree, int | float) or not 0 <= degree <= 1:
            raise JudgeError(
                f"judge {self.name}: the Perspective API's answer has no {self._attribute} "
                f"in [0, 1]: {answer[:80].decode('utf-8', 'replace')!r}",
                fix=f"see what {URL} names, and the attribute that the judge's id names",
            )
        return float(degree)


class _UnknownLanguageError(Exception):
    """The attribute is not known in the text's language."""


def _endpoint() -> str:
    """Return where the service is: an address that a key may be sent to."""
    url = os.environ.get(URL, "") or _ENDPOINT
    parts = urllib.parse.urlsplit(url)
    if parts.scheme == "https" or (parts.scheme == "http" and parts.hostname in _LOCAL):
        return url.rstrip("/")
    raise JudgeError(
        f"{URL} is {url!r}, and a key is sent over https alone",
        fix="give an address that begins with https://, or one on this machine",
    )


def _retry_after(stated: str | None, otherwise: float) -> float:
    """Return the seconds to wait that a service states, as a number or a date, within bounds."""
    if stated is None:
        return otherwise
    try:
        seconds = float(stated)
    except ValueError:
        try:
            seconds = (parsedate_to_datetime(stated) - datetime.now(UTC)).total_seconds()
        except (TypeError, ValueError):
            return otherwise
    return min(max(seconds, 0.0), _LONGEST_WAIT) if seconds == seconds else otherwise


def _message(said: str) -> str:
    """Return the service's own words on a refusal, if there are any."""
    try:
        return str(json.loads(said)["error"]["message"])[:200]
    except (ValueError, KeyError, TypeError):
        return ""
