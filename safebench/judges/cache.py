"""Judgements that cost something, kept in a file: neither a resumed run nor another asks again.

A judgement is kept by what decides the judge's answers and by the text that it read, whatever card
or submission that was for.
"""

from __future__ import annotations

import hashlib
import json
import os
import threading
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from safebench.card.base import Unpinnable
from safebench.card.judge import Judge as JudgeEntry
from safebench.errors import RunError

_DECIDES_NOTHING: Final[dict[str, Any]] = {
    **dict.fromkeys(("name", "primary", "constructs", "calibration", "self_test"), True),
    **dict.fromkeys(("lineage", "decoding", "provider", "on_parse_failure", "reasoning"), True),
    # Where the template's text comes from; its digest and its places stay.
    "template": dict.fromkeys(("path", "distribution", "version", "file", "symbol"), True),
}
"""Fields of a judge's entry that do not decide what it answers to a text."""


@dataclass(frozen=True)
class Grade:
    """What was judged of one response."""

    degree: float | None
    """In [0, 1]; None where there is no verdict."""
    day: str | None = None
    """Day of the request (UTC, YYYY-MM-DD), where the answer came from a service that changes."""
    verdict: str | None = None
    """The verdict, or why there is none, of a judge that gives more than a degree."""
    reason: str = ""
    """What decided, in words."""


def cache_file() -> Path:
    """Return where judgements are kept from one command to the next, whatever they were for.

    In SAFEBENCH_CACHE, or else in the user's cache folder.
    """
    given = os.environ.get("SAFEBENCH_CACHE")
    home = os.environ.get("XDG_CACHE_HOME")
    folder = Path(given) if given else (Path(home) if home else Path.home() / ".cache")
    return (folder if given else folder / "safebench") / "judgements.jsonl"


def identity(entry: JudgeEntry, *left_out: str) -> str:
    """Return what decides a judge's answers, as text: neither its name nor days of requests.

    `left_out` names further fields that do not decide what is kept.
    """
    exclude = _DECIDES_NOTHING | dict.fromkeys(left_out, True)
    if str(entry.revision).startswith("sha256:"):
        exclude["id"] = True  # a folder, wherever it lies
    found = entry.model_dump(mode="json", exclude_none=True, exclude=exclude)
    if isinstance(entry.revision, Unpinnable):
        found["revision"] = "unpinnable"
    return json.dumps(found, sort_keys=True)


def key_of(*parts: str) -> str:
    """Return the SHA-256 of a judge's identity and the texts that it read: none is in the file."""
    return hashlib.sha256(json.dumps(parts).encode()).hexdigest()


class JudgementCache:
    """Grades by key, in memory and in a file with one JSON object a line, only appended to.

    Several threads and processes may append at once: lines are written whole, in one call. A line
    that cannot be read (a crash cut it short, say) is skipped, and its text is judged again.
    """

    def __init__(self, path: Path, *others: Path) -> None:
        """Read what was kept earlier; the file is created with the first grade.

        `others` are files that are read, too, and never written.
        """
        self._path = path
        self._lock = threading.Lock()
        self._grades = {key: kept for one in (*others, path) for key, kept in _read_file(one)}

    def get(self, key: str) -> Grade | None:
        """Return the grade under a key, or None."""
        return self._grades.get(key)

    def take(self, path: Path) -> None:
        """Keep what another file has; raises RunError where this one cannot be written."""
        new = [(key, grade) for key, grade in _read_file(path) if key not in self._grades]
        if new:
            self.keep(new)

    def keep(self, grades: Iterable[tuple[str, Grade]]) -> None:
        """Keep a batch of grades; raises RunError where the file cannot be written."""
        new = list(grades)
        content = "".join(_line(key, grade) for key, grade in new).encode()
        try:
            with self._lock:
                self._grades.update(new)
                self._path.parent.mkdir(parents=True, exist_ok=True)
                with self._path.open("ab+", buffering=0) as file:
                    if file.seek(0, os.SEEK_END):  # a crash may have cut the last line short
                        file.seek(-1, os.SEEK_END)
                        content = content if file.read(1) == b"\n" else b"\n" + content
                    file.write(content)
        except OSError as problem:
            raise RunError(
                f"{self._path}: judgements cannot be kept ({problem.strerror})",
                fix="make room, or make the folder writable, and run again",
            ) from problem


def _line(key: str, grade: Grade) -> str:
    shown = {"key": key, "degree": grade.degree, "day": grade.day}
    if grade.verdict is not None:
        shown |= {"verdict": grade.verdict, "reason": grade.reason}
    return json.dumps(shown) + "\n"


def _read_file(path: Path) -> Iterator[tuple[str, Grade]]:
    content = path.read_bytes() if path.is_file() else b""
    return (kept for line in content.splitlines() if (kept := _read(line)))


def _read(line: bytes) -> tuple[str, Grade] | None:
    """Return the key and grade on a line, or None where there is none."""
    try:
        kept = json.loads(line)
        degree, verdict = kept["degree"], kept.get("verdict")
        if degree is None if verdict is None else not isinstance(verdict, str):
            return None
        degree = None if degree is None else float(degree)
        if degree is not None and not 0.0 <= degree <= 1.0:
            return None
        return str(kept["key"]), Grade(degree, kept["day"], verdict, str(kept.get("reason", "")))
    except (ValueError, KeyError, TypeError, RecursionError):
        return None
