"""A run's folder: what is finished, who is at work, and which card it is for.

Responses are committed in whole blocks of cells (written, synced, renamed), so that a crash loses
at most the block in flight. What only an unfinished run needs lies in `.work`. Finished work is
sealed (`seals.py`), and what is not whole when a run goes on is made again.
"""

from __future__ import annotations

import errno
import json
import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import pyarrow as pa

from safebench.errors import RunError
from safebench.evidence.claim import Claim, differing
from safebench.evidence.journal import JOURNAL_FILE, Journal, Run
from safebench.evidence.lock import LockedError, VanishedError, holder, locked
from safebench.evidence.seals import Seals
from safebench.evidence.submission import CARD_FILE
from safebench.evidence.tables import RESPONSES, read_table, table_bytes
from safebench.files import replace_file, sync_folder

_WORK = ".work"
_LOCK = ".lock"
_CLAIM = "run.json"
_ENVIRONMENT = "environment.json"
_MAY_SHRINK = ("batch_size", "threads")
_FULL = (errno.ENOSPC, errno.EDQUOT)
_LOOK = "look at it with `safebench score`"


class Store:
    """The state of one run in one folder."""

    def __init__(self, folder: Path) -> None:
        """Take the run's folder; nothing is touched yet."""
        self.folder = folder
        self.work = folder / _WORK
        self.journal = Journal(folder)
        self.seals = Seals(folder, self.work)

    @contextmanager
    def opened(self, claim: Claim) -> Iterator[None]:
        """Make the folder this run's alone for the time of the block.

        Raises:
            RunError: another run holds it, it holds another card's work, it cannot be written, or
                the disk is full, whatever a library raises in the block then.
        """
        self._check_free()
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            (self.folder / _LOCK).touch()
        except OSError as problem:
            raise disk_full(problem, self.folder) or RunError(
                f"{self.folder}: cannot be written ({problem.strerror})",
                fix="give --out a folder you may write to",
            ) from problem
        try:
            with locked(self.folder / _LOCK):
                self._claim(claim)
                yield
        except LockedError as problem:
            who = f" ({problem})" if str(problem) else ""
            raise RunError(
                f"{self.folder}: another run is at work in this folder{who}",
                fix="wait for it, or give another --out",
            ) from problem
        except VanishedError as problem:
            raise RunError(
                f"{self.folder}: another run finished in this folder just now", fix=_LOOK
            ) from problem
        except Exception as problem:
            full = disk_full(problem, self.folder)
            if full is None:
                raise
            raise full from problem

    def holder(self) -> str | None:
        """Return who is at work in the folder; None when nobody is."""
        return holder(self.folder / _LOCK)

    @property
    def is_finished(self) -> bool:
        """Whether the folder holds a finished submission."""
        return (self.folder / CARD_FILE).is_file() and not (self.work / _CLAIM).is_file()

    def is_finished_for(self, asked: str) -> bool:
        """Whether the folder holds the finished run of what was asked for, by `asked_for`.

        Nothing that a card names is looked for: what was made needs neither data nor models.
        """
        if not self.is_finished:
            return False
        ends = [event for event in self.journal.read() if event["event"] == "finished"]
        return bool(ends) and ends[-1].get("plan") == asked

    def _check_free(self) -> None:
        """Check that the folder is new, empty, or an unfinished run's; nothing is touched."""
        if not self.folder.is_dir() or (self.work / _CLAIM).is_file():
            return
        if (self.folder / CARD_FILE).is_file():
            raise RunError(
                f"{self.folder}: already holds a finished submission",
                fix=f"{_LOOK}, or give another --out",
            )
        if any(p.name not in (_LOCK, _WORK, JOURNAL_FILE) for p in self.folder.iterdir()):
            raise RunError(
                f"{self.folder}: is not empty and holds no unfinished run",
                fix="give --out a new folder",
            )

    def _claim(self, claim: Claim) -> None:
        path = self.work / _CLAIM
        is_new = not path.is_file()
        self.seals.begin(claim.card)
        if not is_new and self._is_readable():
            self._check_same(claim)
        elif self.seals.is_anothers():
            raise RunError(
                f"{path}: is damaged, and no work in {self.folder} is this card's and whole",
                fix="give the card that the folder was begun with, or another --out",
            )
        else:
            self._check_free()
            replace_file(path, _bytes(claim.as_json()))
        folders = (self.folder, self.folder / "data", self.work)
        for place in (*folders, self.work / "responses", self.work / "seals"):
            for stale in place.glob(".*.*"):  # what replace_file had begun when it was killed
                if stale.is_file():
                    stale.unlink()
        shutil.rmtree(self.made, ignore_errors=True)  # what nobody has put in its place
        if not is_new:
            self._remove_broken()

    def _is_readable(self) -> bool:
        """Tell whether an unfinished folder still says what it is for; seals say it as well."""
        try:
            self.claim()
        except RunError:
            return False
        return True

    def _remove_broken(self) -> None:
        """Remove finished work that is damaged, or is another card's; it is made again."""
        for path in self.seals.broken():
            if path.is_dir() and not path.is_symlink():
                shutil.rmtree(path)
            else:
                path.unlink()
            name = path.relative_to(self.folder).as_posix()
            self.journal.note("problem", what=name, reason="damaged; it is made again")

    def begin_again(self, claim: Claim) -> None:
        """Mark the folder of a finished submission as that of an unfinished run."""
        replace_file(self.work / _CLAIM, _bytes(claim.as_json()))

    def claim(self) -> Claim:
        """Return what an unfinished folder is for; raises RunError."""
        path = self.work / _CLAIM
        try:
            return Claim.from_json(path.read_bytes())
        except FileNotFoundError as problem:
            if self.is_finished:
                raise RunError(
                    f"{self.folder}: its run is finished, and its card is written", fix=_LOOK
                ) from problem
            raise RunError(
                f"{self.folder}: holds no unfinished run", fix="give the folder of `safebench run`"
            ) from problem
        except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as problem:
            raise RunError(
                f"{path}: not written by a run", fix="give another --out, or remove the folder"
            ) from problem

    def _check_same(self, claim: Claim) -> None:
        found = self.claim()
        if claim.is_same_work(found):
            return
        if found.shard != claim.shard:
            what = f"shard {found.shard}, not {claim.shard}"
            fix = f"give --shard {found.shard} to continue it, or another --out"
        else:
            what = f"an unfinished run of another card ({differing(found.card, claim.card)})"
            fix = "restore that card to continue it, or give another --out"
        raise RunError(f"{self.folder}: holds {what}; finished work there is kept", fix=fix)

    def compare_environment(self, environment: dict[str, Any]) -> None:
        """Check that earlier work had the same environment, as far as both are known.

        Raises:
            RunError: it differs; the message says in what.
        """
        before = self.environment()
        changed = [
            _changed(name, before[name], environment[name])
            for name in environment
            if name in before and name not in _MAY_SHRINK and before[name] != environment[name]
        ]
        if changed:
            raise RunError(
                f"{self.folder}: was begun in another environment ({'; '.join(changed)})",
                fix="continue in that environment, or give another --out",
            )

    def check_environment(self, environment: dict[str, Any]) -> None:
        """Record the environment of this work, or check that earlier work had the same.

        Fields may come in parts. The smallest batch size and number of threads of all sessions
        are kept.

        Raises:
            RunError: it differs; the message says in what.
        """
        self.compare_environment(environment)
        before = self.environment()
        merged = {**before, **environment}
        for name in _MAY_SHRINK:
            if name in before and name in environment:
                merged[name] = min(before[name], environment[name])
        if merged != before:
            path, content = self.work / _ENVIRONMENT, _bytes(merged)
            self.seals.put(path, content)
            replace_file(path, content)

    def forget_environment(self) -> None:
        """Forget the environment of an attempt that produced nothing; the next may differ."""
        (self.work / _ENVIRONMENT).unlink(missing_ok=True)

    def environment(self) -> dict[str, Any]:
        """Return the environment recorded so far."""
        path = self.work / _ENVIRONMENT
        try:
            return dict(json.loads(path.read_bytes())) if path.is_file() else {}
        except (ValueError, TypeError, RecursionError):  # damaged: recorded again
            return {}

    def path(self, block: str) -> Path:
        """Return where a block's responses are, or will be."""
        return self.work / "responses" / f"{block}.parquet"

    def has(self, block: str) -> bool:
        """Tell whether a block was committed."""
        return self.path(block).is_file()

    def commit(self, block: str, responses: pa.Table) -> None:
        """Commit a block's responses."""
        content = table_bytes(responses)
        self.seals.put(self.path(block), content)
        replace_file(self.path(block), content)

    @property
    def made(self) -> Path:
        """Where workers leave what nobody has checked and put in its place."""
        return self.work / "made"

    def states(self, run: Run) -> Path:
        """Return where the fine-tuning of a run leaves what it would go on from."""
        return self.work / "tuning" / f"{run[0]}-seed-{run[1]}"

    def judged(self, block: str, judge: str) -> Path:
        """Return where a judge's grades of a block are, or will be."""
        return self.work / "judged" / f"{block}--{judge}.jsonl"

    def put(self, made: Path, place: Path, sha256: str) -> None:
        """Seal what a worker has made, and put it in its place; it was written durably.

        Args:
            made: Relative to `self.made`.
            place: In this folder.
            sha256: Of the file, or of the folder's files.

        Raises:
            RunError: it is not there: the worker wrote to another disk.
        """
        self.seals.put(place, sha256)
        place.parent.mkdir(parents=True, exist_ok=True)
        try:
            (self.made / made).rename(place)
        except FileNotFoundError as problem:
            raise RunError(
                f"{self.made / made}: was written on another machine, and is not there on this one",
                fix="give --out a folder on storage that all machines share, by one path",
            ) from problem
        sync_folder(place.parent)

    def load(self, block: str) -> pa.Table:
        """Return a committed block's responses."""
        return read_table(self.path(block), RESPONSES)

    def finish(self) -> None:
        """Remove what only an unfinished run needs, first the claim that marks it as one."""
        (self.work / _CLAIM).unlink(missing_ok=True)
        shutil.rmtree(self.work, ignore_errors=True)
        with suppress(PermissionError):  # Windows keeps a file that is open, as this one is
            (self.folder / _LOCK).unlink(missing_ok=True)


def disk_full(problem: BaseException | None, folder: Path) -> RunError | None:
    """Return a message if this is what libraries raise when a disk is full; None otherwise."""
    while problem is not None:
        coded = isinstance(problem, OSError) and problem.errno in _FULL
        if coded or "No space left on device" in str(problem) or "os error 28" in str(problem):
            return RunError(
                f"{folder}: no space left on the disk; finished cells are kept",
                fix="make room, then run the same command again",
            )
        problem = problem.__cause__ or problem.__context__
    return None


def _bytes(content: dict[str, Any]) -> bytes:
    return (json.dumps(content, indent=1, ensure_ascii=False) + "\n").encode()


def _changed(name: str, before: Any, now: Any) -> str:
    if isinstance(before, dict) and isinstance(now, dict):
        return ", ".join(
            f"{key} {before.get(key)} -> {now.get(key)}"
            for key in sorted({*before, *now})
            if before.get(key) != now.get(key)
        )
    return f"{name} {before} -> {now}"
