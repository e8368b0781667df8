"""journal.jsonl: what happened in a run's folder, and when; runs are registered before they start.

Its events are those of spec/v1/evidence.md. A run that failed or was withdrawn is a result; a
`problem` is an accident, and the next session tries again. Times are kept here alone, so that every
other file has the same bytes whenever it was made.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Literal

from safebench.files import replace_file

JOURNAL_FILE = "journal.jsonl"
ENDS = ("registered", "failed", "withdrawn")
"""Events that say what became of a run."""
Run = tuple[str, int | None]
"""Condition and training seed."""


@dataclass(frozen=True)
class RunState:
    """What became of a registered run so far."""

    condition: str
    training_seed: int | None
    status: Literal["registered", "failed", "withdrawn"]
    reason: str | None = None


def as_line(event: str, **details: Any) -> str:
    """Return an event of now as a line of the journal."""
    head = {"time": datetime.now(UTC).isoformat(timespec="milliseconds"), "event": event}
    return json.dumps({**head, **details}, ensure_ascii=False) + "\n"


class Journal:
    """Appends to, and reads, a folder's journal."""

    def __init__(self, folder: Path) -> None:
        """Take the run's folder; nothing is touched yet."""
        self.path = folder / JOURNAL_FILE

    def note(self, event: str, **details: Any) -> None:
        """Append an event, durably."""
        line = as_line(event, **details)
        with self.path.open("ab") as file:
            if file.tell() and not self._ends_whole():
                line = "\n" + line  # a crash cut the last one short
            file.write(line.encode())
            file.flush()
            os.fsync(file.fileno())

    def begin_again(self, event: str, **details: Any) -> None:
        """Begin a new journal, with an event that says what came before it."""
        replace_file(self.path, as_line(event, **details).encode())

    def _ends_whole(self) -> bool:
        with self.path.open("rb") as file:
            file.seek(-1, os.SEEK_END)
            return file.read(1) == b"\n"

    def register(self, runs: Iterable[Run]) -> None:
        """Register runs that are not registered yet."""
        known = set(self.states())
        for condition, seed in runs:
            if (condition, seed) not in known:
                self.note("registered", condition=condition, training_seed=seed)

    def read(self) -> list[dict[str, Any]]:
        """Return the events in order; a line cut short by a crash is skipped."""
        if not self.path.is_file():
            return []
        found = []
        for line in self.path.read_bytes().split(b"\n"):
            try:
                event = json.loads(line)
            except (ValueError, RecursionError):
                continue
            if isinstance(event, dict) and "event" in event:
                found.append(event)
        return found

    def states(self) -> dict[Run, RunState]:
        """Return what became of every registered run, in the order of registration."""
        found: dict[Run, RunState] = {}
        for event in self.read():
            seed = event.get("training_seed")
            if event["event"] not in ENDS or not (seed is None or isinstance(seed, int)):
                continue
            run = (str(event.get("condition")), seed)
            if event["event"] != "registered" or run not in found:
                found[run] = RunState(*run, event["event"], event.get("reason"))
        return found

    def lost(self) -> dict[Run, str]:
        """Return the runs that failed or were withdrawn, with the reason."""
        return {
            run: state.reason or ""
            for run, state in self.states().items()
            if state.status != "registered"
        }
