"""What is made of one submission: checked, rendered, and dropped again but for a small row.

It is the same work in this process and in others, and what a cache gives is what was made before.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import suppress
from dataclasses import dataclass, replace
from multiprocessing import get_context
from pathlib import Path
from typing import Any

from safebench.checks.registry import RESPONSES_FILE
from safebench.errors import InputError, RunError, SafebenchError
from safebench.evidence import board_log
from safebench.evidence.audit import AUDIT_FILE
from safebench.evidence.board_log import LogEntry, LogLine
from safebench.evidence.commitments import COMMITMENTS_FILE
from safebench.evidence.registration import REGISTRATION_FILE
from safebench.evidence.signature import SIGNATURE_FILE, content_digest, covered_files
from safebench.evidence.sigstores import BUNDLE_FILE
from safebench.evidence.submission import CARD_FILE
from safebench.files import sha256_of
from safebench.site import extras
from safebench.site.board import Board
from safebench.site.board_rows import make_row
from safebench.site.cache import Cache, Record, key_of
from safebench.site.kept_rows import row_as_json, small
from safebench.site.pages import Pages
from safebench.site.sources import RERUNS, Doubtful, Entry, LeftOut, plain_files, read_place
from safebench.site.standing import log_entries, standing_of
from safebench.site.writing import Writer

_ANSWERED_FOR = (SIGNATURE_FILE, BUNDLE_FILE, REGISTRATION_FILE)
_WORTH_A_PROCESS = 16
"""Submissions from which on a further process saves more time than it takes to start."""


@dataclass(frozen=True)
class Task:
    """A folder to read, and what the board's log says of it."""

    place: Path
    lines: tuple[LogLine, ...] = ()


@dataclass(frozen=True)
class Made:
    """What was made of a folder; its files are written."""

    row: bytes | None
    """As `row_from_json` reads it; None where the folder does not hold."""
    left_out: tuple[LeftOut, ...] = ()
    log: tuple[LogEntry, ...] = ()
    reruns: int = 0
    sums: dict[str, str] | None = None
    size: int = 0
    key: str | None = None
    """Of its record in the cache."""
    recalled: bool = False
    """Whether that record was there."""


class Maker:
    """Reads folders of one board, and writes what it makes of them into one site."""

    def __init__(self, board: Board, site: Path, cache: Cache | None = None) -> None:
        self.pages = Pages(board)
        self.site = site
        self.cache = cache
        self._settings = board.model_dump_json()

    def recall(self, task: Task) -> Made | None:
        """Write what was made of a folder before; None where that is not known, or it changed."""
        if self.cache is None:
            return None
        with suppress(Doubtful, SafebenchError, OSError):
            files = _digests(task.place)
            key = self._key(task, files)
            record = self.cache.read(key)
            if record is not None:
                return replace(self._write(task, record, files, key), recalled=True)
        return None

    def make(self, task: Task) -> Made:
        """Check a folder and write what is published of it.

        Raises:
            InputError: the folder changes while it is read.
        """
        try:
            files = _digests(task.place) if not task.place.is_symlink() else {}
        except (Doubtful, OSError):
            files = {}  # which is said when it is read
        found = read_place(task.place)
        if found.entry is None:
            return Made(None, found.left_out)
        record = self._record(found.entry, task, files)
        if self.cache is None or found.left_out:  # what is left out is looked at every time
            return self._write(task, record, files, None, found.left_out)
        key = self._key(task, files)
        made = self._write(task, record, files, key)
        self.cache.write(key, record)
        return made

    def _record(self, entry: Entry, task: Task, files: dict[str, str]) -> Record:
        log = log_entries([entry])
        standing = standing_of(entry, self.pages.board, board_log.gone(task.lines, log))
        row = make_row(entry, standing)
        published = {name: files[name] for name in published_files(entry)}
        page = self.pages.submission(entry, row, published)
        made = dict(extras.submission_files(self.pages, entry, row))
        facts = {
            "row": row_as_json(small(row)).decode(),
            "log": [one.model_dump(mode="json") for one in log],
            "reruns": len(entry.reruns),
            "published": list(published),
        }
        return Record(facts, {f"submissions/{entry.id}.html": page.encode(), **made})

    def _write(
        self,
        task: Task,
        record: Record,
        files: dict[str, str],
        key: str | None,
        left_out: tuple[LeftOut, ...] = (),
    ) -> Made:
        site, facts = Writer(self.site), record.facts
        for name in facts["published"]:
            digest = site.copy(f"files/{task.place.name}/{name}", task.place / name)
            if digest != files[name]:
                raise InputError(
                    f"{task.place / name}: changed while it was read", fix="build once more"
                )
        for name, content in record.made.items():
            site.write(name, content)
        return Made(
            row=facts["row"].encode(),
            left_out=left_out,
            log=tuple(LogEntry(**one) for one in facts["log"]),
            reruns=facts["reruns"],
            sums=site.sums,
            size=site.size,
            key=key,
        )

    def _key(self, task: Task, files: dict[str, str]) -> str:
        there = {content_digest(covered_files(rerun)) for rerun in _reruns(task, files)}
        gone = [
            line.id for line in task.lines if line.kind == "rerun" and line.content not in there
        ]
        return key_of(files, self._settings, task.place.name, *gone)


def _reruns(task: Task, files: dict[str, str]) -> set[Path]:
    """Return the folders of reruns, where the log knows of any."""
    if not task.lines:
        return set()
    parts = [name.split("/") for name in files]
    return {task.place / RERUNS / p[1] for p in parts if len(p) > 2 and p[0] == RERUNS}


def _digests(place: Path) -> dict[str, str]:
    return {name: sha256_of(place / name) for name in plain_files(place)}


def make_all(maker: Maker, tasks: Sequence[Task], workers: int) -> Iterator[tuple[int, Made]]:
    """Yield what is made of each folder with its position, what is known from before first.

    Raises:
        RunError: a process that checked was killed.
    """
    new = []
    for position, task in enumerate(tasks):
        made = maker.recall(task)
        if made is None:
            new.append(position)
        else:
            yield position, made
    yield from zip(new, _make_new(maker, [tasks[n] for n in new], workers), strict=True)


def _make_new(maker: Maker, tasks: Sequence[Task], workers: int) -> Iterable[Made]:
    workers = min(workers, len(tasks) // _WORTH_A_PROCESS)
    if workers < 2:
        yield from map(maker.make, tasks)
        return
    start = (maker.pages.board, maker.site, maker.cache)
    # Not forked: threads of pyarrow and numpy would be copied half-way through what they do.
    pool = ProcessPoolExecutor(workers, get_context("spawn"), _start, start)
    try:
        yield from pool.map(_work, tasks, chunksize=4)
    except BrokenProcessPool as problem:
        raise RunError(
            "a process that checked submissions was killed, perhaps for memory",
            fix="give --workers 1",
        ) from problem
    finally:
        pool.shutdown(cancel_futures=True)


_OF_PROCESS: list[Maker] = []


def _start(*given: Any) -> None:
    _OF_PROCESS.append(Maker(*given))


def _work(task: Task) -> Made:
    return _OF_PROCESS[0].make(task)


def published_files(submission: Entry) -> list[str]:
    """Return the files of a submission, and of its reruns, that the site carries.

    What the card's evidence does not list was not checked, and stays here. Responses are among them
    only when the card says that they are public.
    """
    names = [CARD_FILE]
    evidence = submission.card.given_evidence
    if evidence is not None:
        names += ["outcomes.parquet", "manifest.json", *_ANSWERED_FOR]
        # Labels of an audit hold no text, and the numbers corrected by them are recomputed so;
        # commitments are there to be published, before anybody asks for a text.
        open_to_all = {AUDIT_FILE, COMMITMENTS_FILE}
        if evidence.response_policy == "public":
            open_to_all.add(RESPONSES_FILE)
        names += [file.path for file in evidence.files if file.path in open_to_all]
    for rerun in submission.reruns:
        inner = [CARD_FILE, "verdict.json", "outcomes.parquet", "manifest.json", *_ANSWERED_FOR]
        names += [f"reruns/{rerun.name}/{name}" for name in inner]
    return [name for name in names if (submission.folder / name).is_file()]
