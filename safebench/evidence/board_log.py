"""log.jsonl of a board: what it was ever given, in an order that nobody can change unseen.

Every line holds the digest of the line before it, so that none can be changed or taken out without
changing all later ones. Lines are only ever added.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

from pydantic import StringConstraints, ValidationError

from safebench.card.base import Section, Sha256
from safebench.errors import EvidenceError
from safebench.files import replace_file

if TYPE_CHECKING:
    from safebench.evidence.registration import Registration

LOG_FILE = "log.jsonl"
_START = "0" * 64
_MOST_BYTES = 64 * 2**20


class LogEntry(Section):
    """Something that a board was given."""

    kind: Literal["submission", "rerun", "registration"]
    """What it is."""
    id: Annotated[str, StringConstraints(min_length=1, max_length=200)]
    """A submission's id; `ID/reruns/NAME` of a rerun; the generation digest of a registration."""
    content: Sha256
    """Digest of card, manifest and verdict, or of the registration."""
    key: Sha256 | None
    """Fingerprint of the key or identity that signed it; null where nobody did."""


class LogLine(LogEntry):
    """A line of the log: an entry, and the line before it."""

    previous: Sha256
    """SHA-256 of the line before, without its line feed; zeros for the first."""


def read_log(board: Path) -> tuple[LogLine, ...]:
    """Return the lines of a board's log, which follow from each other; none where there is no log.

    Raises:
        EvidenceError: it is no plain file, or a line is damaged, or does not follow from the last.
    """
    path = board / LOG_FILE
    if not path.exists() and not path.is_symlink():
        return ()
    if path.is_symlink() or not path.is_file() or path.stat().st_size > _MOST_BYTES:
        raise EvidenceError(f"{path}: no plain file of at most {_MOST_BYTES:,} bytes", fix=_RESTORE)
    lines, previous = [], _START
    *texts, rest = path.read_bytes().split(b"\n")
    if rest:
        raise EvidenceError(f"{path}: the last line is cut short", fix=_RESTORE)
    for number, text in enumerate(texts, start=1):
        try:
            line = LogLine.model_validate_json(text)
        except ValidationError as problem:
            message = f"{path}:{number}: {problem.errors()[0]['msg']}"
            raise EvidenceError(message, fix=_RESTORE) from problem
        if line.previous != previous:
            raise EvidenceError(
                f"{path}:{number}: previous is {line.previous}, but the line before has {previous}:"
                " a line was changed or taken out",
                fix=_RESTORE,
            )
        lines.append(line)
        previous = hashlib.sha256(text).hexdigest()
    return tuple(lines)


_RESTORE = "restore the log from an earlier copy: lines are only ever added to it"


def append(board: Path, entries: Iterable[LogEntry]) -> tuple[LogLine, ...]:
    """Add entries to a board's log, those aside that are in it, and return all lines."""
    lines, path = list(read_log(board)), board / LOG_FILE
    content = path.read_bytes() if lines else b""
    known, new = {_entry(line) for line in lines}, []
    last = content.rstrip(b"\n").rpartition(b"\n")[2]
    for entry in entries:
        if _entry(entry) in known:
            continue
        known.add(_entry(entry))
        previous = hashlib.sha256(last).hexdigest() if last else _START
        line = LogLine(**entry.model_dump(), previous=previous)
        last = json.dumps(line.model_dump(mode="json"), ensure_ascii=True).encode()
        new.append(last + b"\n")
        lines.append(line)
    if new:
        replace_file(path, content + b"".join(new))
    return tuple(lines)


def _entry(entry: LogEntry) -> tuple[str, str, str, str | None]:
    return entry.kind, entry.id, entry.content, entry.key


def gone(lines: Sequence[LogLine], there: Iterable[LogEntry]) -> list[LogLine]:
    """Return the submissions and reruns of a log that are gone, or differ from what was logged.

    A submission may be replaced by another version of it; a rerun may not, since the one that was
    taken away may have found something else.
    """
    entries = list(there)
    known = {(entry.kind, entry.content) for entry in entries}
    ids = {entry.id for entry in entries if entry.kind == "submission"}
    return [
        line
        for line in lines
        if line.kind != "registration"
        and (line.kind, line.content) not in known
        and line.id not in ids
    ]


def registration_entry(registration: Registration) -> LogEntry:
    """Return a registration as an entry of the log."""
    from safebench.evidence.registration import as_bytes

    return LogEntry(
        kind="registration",
        id=registration.generation,
        content=hashlib.sha256(as_bytes(registration)).hexdigest(),
        key=registration.fingerprint,
    )
