"""Whether a board may be published as it stands: what CI of a submissions repository asks.

Every submission is read as the build reads it, one by one and in so many processes. What was
published is known from the board's log; which levels it had, from an earlier state of the board.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, field
from functools import partial
from multiprocessing import get_context
from pathlib import Path

from safebench.checks import LEVELS
from safebench.errors import EvidenceError
from safebench.evidence import board_log
from safebench.evidence.board_log import LOG_FILE, LogEntry, LogLine
from safebench.progress import Progress, Silent
from safebench.site.board import Board, read_board
from safebench.site.board_rows import level_on_board
from safebench.site.sources import SUBMISSIONS, LeftOut, places, read_place
from safebench.site.standing import log_entries, standing_of

_WORTH_A_PROCESS = 16


@dataclass(frozen=True)
class Problem:
    """Why a board may not be published as it stands."""

    name: str
    """What it is about: `household`, `household/reruns/lab-b`, `log.jsonl`."""
    message: str
    fix: str


@dataclass(frozen=True)
class Seen:
    """What a folder below submissions/ holds."""

    name: str
    level: str | None = None
    """None where it does not hold."""
    reruns: int = 0
    log: tuple[LogEntry, ...] = ()
    left_out: tuple[LeftOut, ...] = ()


@dataclass(frozen=True)
class Before:
    """A board as it was published."""

    levels: Mapping[str, str] = field(default_factory=dict)
    """Of each submission that was there, or of those that may have changed since."""
    ids: frozenset[str] = frozenset()
    """Of every submission that was there."""
    log: tuple[LogLine, ...] = ()


@dataclass(frozen=True)
class CheckedBoard:
    """What was found."""

    seen: tuple[Seen, ...]
    problems: tuple[Problem, ...]
    before: Before


def check_board(
    folder: Path,
    before: Before | None = None,
    *,
    workers: int = 1,
    progress: Progress | None = None,
) -> CheckedBoard:
    """Check every submission of a board, and what became of those that were published.

    `before`: the board as it was published, where that is known (earlier.py).

    Raises:
        InputError: there is no board, or board.yaml is wrong.
    """
    board = read_board(folder)
    folders = places(folder)
    problems: list[Problem] = []
    try:
        log = board_log.read_log(folder)
    except EvidenceError as problem:
        log = ()
        problems.append(Problem(LOG_FILE, str(problem), problem.fix or ""))
    before = before or Before()
    seen = list(_see_all(board, folders, log, workers, progress or Silent()))
    there = [line for one in seen for line in one.log]
    for one in seen:
        problems += _of_folder(one)
        problems += of_owner(one, log)
    problems += _of_log(log, there, seen, before)
    problems += _of_levels(seen, before, {problem.name for problem in problems})
    return CheckedBoard(tuple(seen), tuple(problems), before)


def see(board: Board, lines: Mapping[str, Sequence[LogLine]], place: Path) -> Seen:
    """Read one folder as the build does; nothing but a few words of it is kept."""
    found = read_place(place)
    entry = found.entry
    if entry is None:
        return Seen(place.name, left_out=found.left_out)
    log = log_entries([entry])
    standing = standing_of(entry, board, board_log.gone(lines.get(place.name, ()), log))
    level = level_on_board(entry.report.level, standing)
    return Seen(place.name, level, len(entry.reruns), tuple(log), found.left_out)


def _see_all(
    board: Board, folders: Sequence[Path], log: Iterable[LogLine], workers: int, progress: Progress
) -> Iterator[Seen]:
    lines: dict[str, list[LogLine]] = defaultdict(list)
    for line in log:
        lines[line.id.partition("/")[0]].append(line)
    look = partial(see, board, dict(lines))
    progress.start("submissions", len(folders))
    workers = min(workers, len(folders) // _WORTH_A_PROCESS)
    if workers < 2:
        for place in folders:
            yield look(place)
            progress.advance(1)
    else:
        # Not forked: threads of pyarrow and numpy would be copied half-way through what they do.
        with ProcessPoolExecutor(workers, get_context("spawn")) as pool:
            for one in pool.map(look, folders, chunksize=4):
                yield one
                progress.advance(1)
    progress.stop()


def _of_folder(one: Seen) -> Iterator[Problem]:
    for left in one.left_out:
        for message in left.problems:
            yield Problem(
                left.name,
                message,
                f"safebench validate {SUBMISSIONS}/{left.name} explains it; correct the folder, or "
                "take it out of the change",
            )


def of_owner(one: Seen, log: Iterable[LogLine]) -> Iterator[Problem]:
    """Yield where what was signed with one key comes back with another, or with none."""
    for entry in one.log:
        known = [line for line in log if (line.kind, line.id) == (entry.kind, entry.id)]
        if known and known[-1].key not in (None, entry.key):
            now = "unsigned" if entry.key is None else f"signed with key {entry.key[:16]}"
            yield Problem(
                entry.id,
                f"was published signed with key {str(known[-1].key)[:16]}, and is {now}",
                "have it signed by whom it belongs to, or submit it under an id of its own",
            )


def _of_log(
    log: Sequence[LogLine], there: Sequence[LogEntry], seen: Sequence[Seen], before: Before
) -> Iterator[Problem]:
    if tuple(log[: len(before.log)]) != before.log:
        yield Problem(
            LOG_FILE,
            "does not begin with the log that was published",
            "restore it: lines are only ever added to a log",
        )
    named = {left.name for one in seen for left in one.left_out}
    for line in board_log.gone(log, there):
        if line.id not in named:
            yield Problem(
                line.id,
                f"a {line.kind} with content {line.content[:16]} was published, and is not there",
                "put it back: a run that should not count is withdrawn in its card, and stays",
            )


def _of_levels(seen: Sequence[Seen], before: Before, reported: set[str]) -> Iterator[Problem]:
    now = {one.name: one for one in seen}
    for name in sorted(before.ids - now.keys() - reported):
        yield Problem(
            name,
            "was published, and is not there",
            "put it back: a number that was wrong is corrected, and a run that should not count is "
            "withdrawn in its card",
        )
    for name, level in before.levels.items():
        one = now.get(name)
        if one is None or one.level is None:
            continue  # reported already
        if LEVELS.index(one.level) < LEVELS.index(level):
            yield Problem(
                name,
                f"had level {level}, and has {one.level}",
                f"safebench validate {SUBMISSIONS}/{name} says what is missing for the next level",
            )
