"""One process at a time: a lock on a file, with the name of its holder in it.

The operating system keeps the lock and drops it when its holder ends, however it ends: what a
killed run left behind blocks nobody.
"""

from __future__ import annotations

import os
import socket
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

_WAITS = (0.05, 0.2, None)
"""Seconds before another attempt: `holder` takes the lock for a moment to see whether it can."""
_FAR = 2**30
"""Windows locks bytes, which nobody else can read then: one far behind the holder's name."""


class LockedError(Exception):
    """Another process holds the lock; the message is its name, where it left one."""


class VanishedError(Exception):
    """The file was removed while the lock was waited for: its holder has finished."""


@contextmanager
def locked(path: Path) -> Iterator[None]:
    """Hold a file's lock for the time of the block; the file is made where there is none.

    Raises:
        OSError: the file cannot be made.
        LockedError, VanishedError: the lock was not got.
    """
    with path.open("a+b", buffering=0) as file:
        for wait in _WAITS:
            try:
                _lock(file, shared=False)
                break
            except OSError as problem:
                if wait is None:
                    raise LockedError(_name_in(path)) from problem
                time.sleep(wait)
        # A lock on a file without a name keeps nobody out: the next process makes a new file.
        if not path.is_file() or not os.path.samestat(os.fstat(file.fileno()), path.stat()):
            raise VanishedError
        file.truncate(0)
        file.write(f"process {os.getpid()} on {socket.gethostname()}".encode())
        yield


def holder(path: Path) -> str | None:
    """Return who holds a file's lock; None when nobody does."""
    try:
        with path.open("rb", buffering=0) as file:
            _lock(file, shared=True)
    except FileNotFoundError:
        return None
    except OSError:
        return _name_in(path) or "a process"
    return None


def _name_in(path: Path) -> str:
    return path.read_text(encoding="utf-8").strip()


def _lock(file: BinaryIO, *, shared: bool) -> None:
    """Lock an open file until it is closed; raises OSError where another process has it.

    The modules are imported here since each exists on its own system alone, and whoever only reads
    submissions locks nothing.
    """
    if sys.platform == "win32":
        import msvcrt

        file.seek(_FAR)
        msvcrt.locking(file.fileno(), msvcrt.LK_NBLCK, 1)
    else:
        import fcntl

        fcntl.flock(file, (fcntl.LOCK_SH if shared else fcntl.LOCK_EX) | fcntl.LOCK_NB)
