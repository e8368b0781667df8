"""Grades that cost something, kept in a file: a resumed run does not ask for them again."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from safebench.errors import RunError


@dataclass(frozen=True)
class Grade:
    """How harmful one response is."""

    degree: float
    """In [0, 1]."""
    day: str | None = None
    """Day of the request (UTC, YYYY-MM-DD), where the answer came from a service that changes."""


def cache_file() -> Path:
    """Return where judgements are kept from one command to the next, whatever they were for.

    In SAFEBENCH_CACHE, or else in the user's cache folder.
    """
    given = os.environ.get("SAFEBENCH_CACHE")
    home = os.environ.get("XDG_CACHE_HOME")
    folder = Path(given) if given else (Path(home) if home else Path.home() / ".cache")
    return (folder if given else folder / "safebench") / "judgements.jsonl"


def key_of(*parts: str) -> str:
    """Return the SHA-256 of judge, task, prompt id and response: the file holds no text."""
    return hashlib.sha256(json.dumps(parts).encode()).hexdigest()


class JudgementCache:
    """Grades by key, in memory and in a file with one JSON object a line, only appended to.

    A line that a crash cut short is removed, and its text is graded again.
    """

    def __init__(self, path: Path) -> None:
        """Read what an earlier attempt left; the file is created with the first grade."""
        self._path = path
        self._grades: dict[str, Grade] = {}
        content = path.read_bytes() if path.is_file() else b""
        whole = content[: content.rfind(b"\n") + 1]
        if len(whole) < len(content):
            with path.open("r+b") as file:
                file.truncate(len(whole))
        for number, line in enumerate(whole.splitlines(), start=1):
            try:
                kept = json.loads(line)
                self._grades[kept["key"]] = Grade(float(kept["degree"]), kept["day"])
            except (ValueError, KeyError, TypeError) as problem:
                raise RunError(
                    f"{path}:{number}: not a kept judgement",
                    fix=f"remove {path.name}: what it held is judged again",
                ) from problem

    def get(self, key: str) -> Grade | None:
        """Return the grade under a key, or None."""
        return self._grades.get(key)

    def keep(self, grades: Iterable[tuple[str, Grade]]) -> None:
        """Keep a batch of grades; raises RunError where the file cannot be written."""
        lines = []
        for key, grade in grades:
            self._grades[key] = grade
            lines.append(json.dumps({"key": key, "degree": grade.degree, "day": grade.day}) + "\n")
        try:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            with self._path.open("a", encoding="utf-8") as file:
                file.write("".join(lines))
        except OSError as problem:
            raise RunError(
                f"{self._path}: judgements cannot be kept ({problem.strerror})",
                fix="make room, or make the folder writable, and run again",
            ) from problem
