"""A disk that is full is one message, whatever a library raises then."""

from __future__ import annotations

import errno
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from safebench.errors import RunError

_FULL = (errno.ENOSPC, errno.EDQUOT)


@contextmanager
def told_when_full(out: Path) -> Iterator[None]:
    """Say in one message that a disk is full, whatever a library raises then; raises RunError."""
    try:
        yield
    except Exception as problem:
        full = disk_full(problem, out)
        if full is None:
            raise
        raise full from problem


def disk_full(problem: BaseException | None, out: Path) -> RunError | None:
    """Return a message if this is what libraries raise when a disk is full."""
    while problem is not None:
        coded = isinstance(problem, OSError) and problem.errno in _FULL
        if coded or "No space left on device" in str(problem) or "os error 28" in str(problem):
            return RunError(
                f"{out}: no space left on the disk; finished cells are kept",
                fix="make room, then run the same command again",
            )
        problem = problem.__cause__ or problem.__context__
    return None
