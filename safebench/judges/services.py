"""Services over the network: where a key may be sent, and how long one asks to wait."""

from __future__ import annotations

import math
import os
import urllib.parse
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Final

from safebench.errors import JudgeError

KEY: Final = "OPENAI_API_KEY"
URL: Final = "OPENAI_BASE_URL"
OPENAI: Final = "https://api.openai.com/v1"
MAX_WAIT: Final = 60.0
"""Seconds; quotas are counted by the minute."""
_LOCAL: Final = frozenset({"localhost", "127.0.0.1", "::1"})


def address(variable: str, default: str) -> str:
    """Return the address that a variable of the environment holds, if a key may be sent to it.

    Raises:
        JudgeError: it is neither https nor on this machine.
    """
    url = os.environ.get(variable, "") or default
    if urllib.parse.urlsplit(url).scheme == "https" or is_local(url):
        return url.rstrip("/")
    raise JudgeError(
        f"{variable} is {url!r}, and a key is only sent over https",
        fix="give an address that begins with https://, or one on this machine",
    )


def is_local(url: str) -> bool:
    """Tell whether an address is one on this machine."""
    parts = urllib.parse.urlsplit(url)
    return parts.scheme == "http" and parts.hostname in _LOCAL


def openai_address(name: str) -> str:
    """Return where a judge is asked through OpenAI's API, by the environment.

    Raises:
        JudgeError: a key must not be sent there, or there is none.
    """
    url = address(URL, OPENAI)
    if not os.environ.get(KEY) and not is_local(url):
        raise JudgeError(
            f"judge {name} needs a key, and {KEY} is not set",
            fix=f"set {KEY}; or {URL}, where a server on this machine needs none",
        )
    return url


def today() -> str:
    """Return the day, UTC, YYYY-MM-DD."""
    return datetime.now(UTC).date().isoformat()


def retry_after(header: str | None, otherwise: float) -> float:
    """Return the seconds to wait by a Retry-After header, a number or a date, within bounds."""
    if header is None:
        return otherwise
    try:
        seconds = float(header)
    except ValueError:
        try:
            seconds = (parsedate_to_datetime(header) - datetime.now(UTC)).total_seconds()
        except (TypeError, ValueError):
            return otherwise
    return otherwise if math.isnan(seconds) else min(max(seconds, 0.0), MAX_WAIT)
