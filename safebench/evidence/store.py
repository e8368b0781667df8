"""A run's folder: what is finished, who is at work, and which card it is for.

Responses are committed in whole blocks of cells (written, synced, renamed), so that a crash loses
at most the block in flight. What only an unfinished run needs lies in `.work`.
"""

from __future__ import annotations

import fcntl
import json
import os
import shutil
import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import IO, Any

import pyarrow as pa

from safebench.card.card import Card
from safebench.card.differences import protocol_differences
from safebench.errors import RunError
from safebench.evidence.journal import Journal
from safebench.evidence.tables import RESPONSES, read_table, write_table
from safebench.files import replace_file

CARD_FILE = "card.yaml"
_WORK = ".work"
_LOCK = ".lock"
_CLAIM = "run.json"
_ENVIRONMENT = "environment.json"
_SCHEMA = "safebench/run/1"
_MAY_SHRINK = ("batch_size", "threads")


@dataclass(frozen=True)
class Size:
    """How much one block of cells is."""

    condition: str
    training_seed: int | None
    cells: int
    """Repeats times tasks."""
    responses: int


@dataclass(frozen=True)
class Claim:
    """What a folder is for: a pinned card, and the blocks of its grid that are made here."""

    card: Card
    blocks: dict[str, Size]
    """Blocks by name, in order."""
    shard: str = "1/1"
    """Which part of the grid this is, `i/n`."""

    def as_json(self) -> dict[str, Any]:
        """Return what run.json holds."""
        return {
            "schema": _SCHEMA,
            "shard": self.shard,
            "blocks": {name: asdict(size) for name, size in self.blocks.items()},
            "card": json.loads(self.card.model_dump_json(exclude_none=True)),
        }


class Store:
    """The state of one run in one folder."""

    def __init__(self, folder: Path) -> None:
        """Take the run's folder; nothing is touched yet."""
        self.folder = folder
        self.work = folder / _WORK
        self.journal = Journal(folder)

    @contextmanager
    def opened(self, claim: Claim) -> Iterator[None]:
        """Make the folder this run's alone.

        Raises:
            RunError: another run holds it, it holds another card's work, or it cannot be written.
        """
        self._check_free()
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            lock = (self.folder / _LOCK).open("a+")
        except OSError as problem:
            raise RunError(
                f"{self.folder}: cannot be written ({problem.strerror})",
                fix="give --out a folder you may write to",
            ) from problem
        with lock:
            self._hold(lock)
            self._claim(claim)
            yield

    def _check_free(self) -> None:
        """See that the folder is new, empty, or an unfinished run's; nothing is touched."""
        if not self.folder.is_dir() or (self.work / _CLAIM).is_file():
            return
        if (self.folder / CARD_FILE).is_file():
            raise RunError(
                f"{self.folder}: already holds a finished submission",
                fix="look at it with `safebench score`, or give another --out",
            )
        if any(p.name not in (_LOCK, _WORK) for p in self.folder.iterdir()):
            raise RunError(
                f"{self.folder}: is not empty and holds no unfinished run",
                fix="give --out a new folder",
            )

    def _hold(self, lock: IO[str]) -> None:
        try:
            _lock(lock)
        except OSError as problem:
            lock.seek(0)
            who = lock.read().strip()
            raise RunError(
                f"{self.folder}: another run is at work in this folder{f' ({who})' if who else ''}",
                fix="wait for it, or give another --out",
            ) from problem
        if not os.path.samestat(os.fstat(lock.fileno()), (self.folder / _LOCK).stat()):
            raise RunError(
                f"{self.folder}: another run finished in this folder just now",
                fix="look at it with `safebench score`",
            )
        lock.truncate(0)
        lock.write(f"process {os.getpid()} on {socket.gethostname()}")
        lock.flush()

    def holder(self) -> str | None:
        """Return who is at work in the folder; None when nobody is."""
        try:
            with (self.folder / _LOCK).open("r") as lock:
                fcntl.flock(lock, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except FileNotFoundError:
            return None
        except OSError:
            return (self.folder / _LOCK).read_text(encoding="utf-8").strip() or "a process"
        return None

    @property
    def is_finished(self) -> bool:
        """Whether the folder holds a finished submission."""
        return (self.folder / CARD_FILE).is_file() and not (self.work / _CLAIM).is_file()

    def _claim(self, claim: Claim) -> None:
        if (self.work / _CLAIM).is_file():
            self._check_same(claim)
        else:
            self._check_free()
            replace_file(self.work / _CLAIM, _bytes(claim.as_json()))
        for place in (self.folder, self.folder / "data", self.work, self.work / "responses"):
            for stale in place.glob(".*.*"):  # what replace_file had begun when it was killed
                if stale.is_file():
                    stale.unlink()

    def claim(self) -> Claim:
        """Return what an unfinished folder is for; raises RunError."""
        path = self.work / _CLAIM
        try:
            found = json.loads(path.read_bytes())
            card = Card.model_validate_json(json.dumps(found["card"]))
            blocks = {str(name): Size(**size) for name, size in found["blocks"].items()}
            return Claim(card, blocks, str(found["shard"]))
        except FileNotFoundError as problem:
            if self.is_finished:
                raise RunError(
                    f"{self.folder}: its run is finished, and its card is written",
                    fix="look at it with `safebench score`",
                ) from problem
            raise RunError(
                f"{self.folder}: holds no unfinished run", fix="give the folder of `safebench run`"
            ) from problem
        except (ValueError, KeyError, TypeError, AttributeError) as problem:
            raise RunError(
                f"{path}: not what a run writes", fix="give another --out, or remove the folder"
            ) from problem

    def _check_same(self, claim: Claim) -> None:
        found = self.claim()
        mine, theirs = (_decided(c) for c in (claim, found))
        if mine == theirs:
            return
        if found.shard != claim.shard:
            what = f"shard {found.shard}, not {claim.shard}"
            fix = f"give --shard {found.shard} to go on, or another --out"
        else:
            what = f"an unfinished run of another card ({_differing(found, claim)})"
            fix = "restore the card to go on, or give another --out"
        raise RunError(f"{self.folder}: holds {what}; finished work there is kept", fix=fix)

    def check_environment(self, environment: dict[str, Any]) -> None:
        """Record what work is done with, or see that it is what earlier work was done with.

        Fields may come in parts. The smallest batch size and number of threads of all sessions
        are kept.

        Raises:
            RunError: it is another; names what differs.
        """
        before = self.environment()
        both = [name for name in environment if name in before]
        changed = [
            _changed(name, before[name], environment[name])
            for name in both
            if name not in _MAY_SHRINK and before[name] != environment[name]
        ]
        if changed:
            raise RunError(
                f"{self.folder}: was begun in another environment ({'; '.join(changed)})",
                fix="go on where it was begun, or give another --out",
            )
        merged = {**before, **environment}
        for name in _MAY_SHRINK:
            if name in both:
                merged[name] = min(before[name], environment[name])
        if merged != before:
            replace_file(self.work / _ENVIRONMENT, _bytes(merged))

    def forget_environment(self) -> None:
        """Forget what an attempt that made nothing was to be done with; the next may differ."""
        (self.work / _ENVIRONMENT).unlink(missing_ok=True)

    def environment(self) -> dict[str, Any]:
        """Return what work was done with, as far as it is known."""
        path = self.work / _ENVIRONMENT
        return dict(json.loads(path.read_bytes())) if path.is_file() else {}

    def path(self, block: str) -> Path:
        """Return where a block's responses are, or will be."""
        return self.work / "responses" / f"{block}.parquet"

    def has(self, block: str) -> bool:
        """Tell whether a block was committed."""
        return self.path(block).is_file()

    def commit(self, block: str, responses: pa.Table) -> None:
        """Commit a block's responses."""
        write_table(responses, self.path(block))

    def load(self, block: str) -> pa.Table:
        """Return a committed block's responses."""
        return read_table(self.path(block), RESPONSES)

    def finish(self) -> None:
        """Remove what only an unfinished run needs; the claim first, which says that it is one."""
        (self.work / _CLAIM).unlink(missing_ok=True)
        shutil.rmtree(self.work, ignore_errors=True)
        (self.folder / _LOCK).unlink(missing_ok=True)


def _lock(file: IO[str]) -> None:
    """Lock a file; whoever only looks whether it is locked (`holder`) is waited for."""
    for wait in (0.05, 0.2, None):
        try:
            return fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            if wait is None:
                raise
            time.sleep(wait)


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


def same_study(card: Card) -> dict[str, Any]:
    """Return what must be the same for work to belong together: all but titles, people, places."""
    content: dict[str, Any] = json.loads(card.model_dump_json(exclude_none=True))
    content.pop("submission")
    model = content["model"]
    revision = model["base"].get("revision")
    if str(revision).startswith("sha256:"):
        model["base"].pop("id")
    elif isinstance(revision, dict) and "unpinnable" in revision:  # a run fills in the days
        model["base"]["revision"] = "unpinnable"
    for entry in (model.get("chat_template", {}), model.get("training_chat_template", {})):
        entry.pop("path", None)
    for entry in (*_entries(content.get("tasks")), *_entries(model.get("weights"))):
        entry.pop("path", None)
    for judge in _entries(content.get("judge")):
        if isinstance(judge.get("revision"), dict):  # the same
            judge["revision"] = "unpinnable"
    return content


def _entries(value: Any) -> list[dict[str, Any]]:
    return [entry for entry in value if isinstance(entry, dict)] if isinstance(value, list) else []


def _decided(claim: Claim) -> dict[str, Any]:
    return {**claim.as_json(), "card": same_study(claim.card)}


def _differing(old: Claim, new: Claim) -> str:
    """Name what differs between two cards, as a person would."""
    found = protocol_differences(old.card, new.card)
    lines = [f"{v.name}: {v.a} -> {v.b}" for v in found.variables]
    lines += [text.replace(" in A", " there").replace(" in B", " here") for text in found.extent]
    if lines:
        return "; ".join(lines)
    first, second = (same_study(c.card) for c in (old, new))
    names = [k for k in sorted({*first, *second}) if first.get(k) != second.get(k)]
    return ", ".join(names) or "other cells of it"
