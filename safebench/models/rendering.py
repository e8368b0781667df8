"""Rendering other people's Jinja templates with bounds on time, memory and length.

Jinja's sandbox keeps a template from files and code, but not from endless work, and nothing inside
a process can stop a single long operation. So templates run in another process
(`template_worker.py`), one for all of them; if it is killed, the next rendering starts a new one.
"""

from __future__ import annotations

import atexit
import json
import os
import subprocess
import sys
import threading
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from safebench.errors import CardError

SECONDS = 5.0
"""Processor time of one rendering."""
CHARACTERS = 2**24
"""Longest text of one rendering."""
MEMORY = 2**29
"""Bytes of address space of the process that renders, where the system bounds them (not macOS)."""
_LIMIT_FIX = "correct the template: it repeats something too often, or without an end"


class AsksForDateError(CardError):
    """A chat template writes today's date, and the card pins none."""


class TemplateFailedError(Exception):
    """A template itself failed; the message is its own."""


class _Worker:
    """The process that renders; after a fork, the child starts its own."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._process: subprocess.Popen[str] | None = None
        self._owner = 0

    def ask(self, request: dict[str, Any]) -> dict[str, Any] | None:
        """Return the answer to a request; None if the process died of it."""
        line = json.dumps(request, default=str) + "\n"
        with self._lock:
            process = self._started()
            try:
                process.stdin.write(line)  # type: ignore[union-attr]
                process.stdin.flush()  # type: ignore[union-attr]
                reply = process.stdout.readline()  # type: ignore[union-attr]
            except OSError:
                reply = ""
            if not reply.endswith("\n"):
                self._stop()
                return None
            answer: dict[str, Any] = json.loads(reply)
            return answer

    def _started(self) -> subprocess.Popen[str]:
        if self._process is not None and self._process.poll() is not None:
            self._stop()
        if self._process is None or self._owner != os.getpid():
            script = Path(__file__).with_name("template_worker.py")
            self._process = subprocess.Popen(
                # -P: the script's folder holds modules of ours, which are not meant.
                [sys.executable, "-P", str(script), str(MEMORY)],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,
                encoding="utf-8",
            )
            self._owner = os.getpid()
            atexit.register(self._stop)
        return self._process

    def _stop(self) -> None:
        process, self._process = self._process, None
        if process is None or self._owner != os.getpid():
            return
        process.kill()
        with process:  # closes its pipes, and waits
            pass


_WORKER = _Worker()


def render(template: str, values: Mapping[str, Any], where: str) -> str:
    """Return a rendering template's text.

    Args:
        template: Jinja source.
        values: What it may name; what JSON does not know is given as text.
        where: The template's file, for messages.

    Raises:
        CardError: it takes more time, memory or room than a template may.
        TemplateFailedError: it raises an error of its own.
    """
    asked = {"template": template, "chat": False, "values": dict(values), "date": None}
    return str(_answered(asked, where)["text"])


def try_chat(
    template: str, values: Mapping[str, Any], where: str, date: str | None
) -> dict[str, str]:
    """Render a chat template in the dialect of transformers; return the dates that it asked for.

    Args:
        template: Jinja source.
        values: The conversation and what else it may name.
        where: The template's place in the card, for messages.
        date: Day that it is told, YYYY-MM-DD, at 00:00.

    Returns:
        The date in each format that the template asked for.

    Raises:
        CardError: as `render` does.
        AsksForDateError: it asks for the date, and `date` is None.
        TemplateFailedError: it raises an error of its own.
    """
    asked = {"template": template, "chat": True, "values": dict(values), "date": date}
    answer = _answered(asked, where)
    if "date" in answer:
        raise AsksForDateError(
            f"{where}: the chat template writes today's date, so that it gives another text "
            "tomorrow",
            fix=f"pin the day in the card, in {where}: `date: YYYY-MM-DD`",
        )
    return dict(answer["dates"])


def names_read(template: str, where: str, *, chat: bool = True) -> list[str]:
    """Return the names that a template reads and does not set itself, sorted; see `render`.

    Raises:
        CardError: it cannot be read within bounds.
        TemplateFailedError: it is no Jinja template.
    """
    asked = {"template": template, "chat": chat, "values": None, "date": None}
    return list(_answered(asked, where)["names"])


def _answered(asked: dict[str, Any], where: str) -> dict[str, Any]:
    answer = _WORKER.ask({**asked, "seconds": SECONDS, "characters": CHARACTERS})
    if answer is None:
        limit = f"takes more than {SECONDS:g} s of processor time, or more memory than there is"
        answer = {"limit": limit}
    if "limit" in answer:
        raise CardError(f"{where}: the template {answer['limit']}", fix=_LIMIT_FIX)
    if "error" in answer:
        raise TemplateFailedError(answer["error"])
    return answer
