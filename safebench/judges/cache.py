"""What judges that cost something said, kept so that a run that goes on does not ask again.

One JSON object a line, only ever appended to. A line that a crash tore is cut off, and what it
held is asked for again.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable
from pathlib import Path

from safebench.errors import RunError
from safebench.judges.base import Grade


def key_of(*parts: str) -> str:
    """Return the SHA-256 of judge, task, prompt id and response: no text is kept."""
    return hashlib.sha256(json.dumps(parts).encode()).hexdigest()


class JudgementCache:
    """Grades by key, in memory and in one file."""

    def __init__(self, path: Path) -> None:
        """Read what an earlier run left; the file is made when there is something to keep."""
        self._path = path
        self._grades: dict[str, Grade] = {}
        content = path.read_bytes() if path.is_file() else b""
        whole = content[: content.rfind(b"\n") + 1]
        if len(whole) < len(content):
            with path.open("r+b") as file:
                file.truncate(len(whole))
        for number, line in enumerate(whole.splitlines(), start=1):
            try:
                found = json.loads(line)
                self._grades[found["key"]] = Grade(float(found["degree"]), found["day"])
            except (ValueError, KeyError, TypeError) as problem:
                raise RunError(
                    f"{path}:{number}: not a kept judgement",
                    fix=f"remove {path.name}: what it held is judged again",
                ) from problem

    def get(self, key: str) -> Grade | None:
        """Return what is kept under a key."""
        return self._grades.get(key)

    def keep(self, grades: Iterable[tuple[str, Grade]]) -> None:
        """Keep a batch of grades."""
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
