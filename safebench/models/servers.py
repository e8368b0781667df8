"""What engines that ask a server share: concurrency, how a reply ended, and messages about it."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import CancelledError, ThreadPoolExecutor
from typing import Any, TypeVar

from safebench.errors import visible
from safebench.models.interface import OnBatch

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

    After a failure nothing more is asked, and requests that wait to retry give up: `stop` is set.
    What is raised is the failure that came first, not what it made the others raise.
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
    """Return the words of a server's error from its body."""
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
