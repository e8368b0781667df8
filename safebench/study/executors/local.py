"""Units on this machine: in this process, or in worker processes, one for each accelerator."""

from __future__ import annotations

import multiprocessing
import os
import pickle
import signal
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from multiprocessing.connection import Connection, wait
from typing import Any

from safebench.study.executors.interface import Ended, Lost, OpenWork, Unit, Work, do

_PATIENCE = 10.0
"""Seconds that idle workers get to end cleanly before they are killed."""
Environment = dict[str, str]
"""Environment variables that a worker has in addition to those of this process."""


class InProcess:
    """Does each unit in this process, as soon as it is given."""

    workers = 1

    def __init__(self, work: Work) -> None:
        """Take what does a unit."""
        self._work = work
        self._ended: Ended | None = None

    def __enter__(self) -> InProcess:
        """Nothing is needed."""
        return self

    def __exit__(self, *_: object) -> None:
        """Nothing is held."""

    def free(self) -> list[str]:
        """Return the only worker, unless its last result is still to be fetched."""
        return [] if self._ended else [""]

    def give(self, worker: str, unit: Unit) -> None:
        """Do a unit."""
        self._ended = do(self._work, unit)

    def wait(self) -> list[Ended | Lost]:
        """Return how the unit ended."""
        ended, self._ended = self._ended, None
        return [ended] if ended else []


class Local:
    """Worker processes on this machine; one that dies is replaced.

    A worker is started when there is a unit for it, and ends with this process, however that ends.
    """

    def __init__(
        self, open_work: OpenWork, environments: Sequence[Environment], *, fork: bool
    ) -> None:
        """Take the work to open in each worker, and the environment of each.

        `fork` starts workers with everything imported; not for workers that use an accelerator.
        """
        self.workers = len(environments)
        self._open_work = open_work
        self._environments = {str(place): one for place, one in enumerate(environments)}
        self._running: dict[str, _Worker] = {}
        can_fork = fork and "forkserver" in multiprocessing.get_all_start_methods()
        self._context: Any = multiprocessing.get_context("forkserver" if can_fork else "spawn")

    def __enter__(self) -> Local:
        """Have the process that workers are forked from import everything once."""
        if self._context.get_start_method() == "forkserver":
            self._context.set_forkserver_preload([self._open_work.__class__.__module__, __name__])
        return self

    def __exit__(self, *_: object) -> None:
        """Kill busy workers, whose units will be done again; let the idle ones end."""
        for worker in self._running.values():
            if worker.unit is not None:
                worker.process.kill()
            worker.pipe.close()
        until = time.monotonic() + _PATIENCE
        for worker in self._running.values():
            worker.process.join(max(0.0, until - time.monotonic()))
            worker.process.kill()
            worker.process.join()
        self._running.clear()

    def free(self) -> list[str]:
        """Return the workers without a unit, running ones first."""
        idle = [name for name, worker in self._running.items() if worker.unit is None]
        return idle + [name for name in self._environments if name not in self._running]

    def give(self, worker: str, unit: Unit) -> None:
        """Send a unit to a worker; start the worker if it is not running."""
        if worker not in self._running:
            ours, theirs = self._context.Pipe()
            process = self._context.Process(
                target=_work_until_closed,
                # Pickled here, so that a worker imports no library before it is ready.
                args=(theirs, pickle.dumps(self._open_work)),
            )
            with variables(self._environments[worker]):
                process.start()
            theirs.close()
            self._running[worker] = _Worker(process, ours)
        self._running[worker].unit = unit
        with suppress(OSError):  # it died just now, which `wait` finds
            self._running[worker].pipe.send(unit)

    def wait(self) -> list[Ended | Lost]:
        """Wait until a worker has ended its unit, or has died."""
        by_pipe = {one.pipe: name for name, one in self._running.items()}
        events: list[Ended | Lost] = []
        for pipe in wait(list(by_pipe)):
            name = by_pipe[pipe]  # type: ignore[index]
            worker = self._running[name]
            try:
                events.append(worker.pipe.recv())
                worker.unit = None
            except (EOFError, OSError):
                worker.process.join()
                del self._running[name]
                if worker.unit is not None:
                    events.append(Lost(worker.unit, _how(worker.process.exitcode)))
        return events


class _Worker:
    """A process that does one unit after another."""

    def __init__(self, process: Any, pipe: Connection) -> None:
        self.process, self.pipe = process, pipe
        self.unit: Unit | None = None


@contextmanager
def variables(environment: Environment) -> Iterator[None]:
    """Set environment variables for the time of the block; a process started in it keeps them."""
    before = {name: os.environ.get(name) for name in environment}
    os.environ.update(environment)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value


def _how(code: int | None) -> str:
    if code is not None and code < 0:
        return f"signal {signal.Signals(-code).name}"
    return f"exit code {code}"


def _work_until_closed(pipe: Connection, open_work: bytes) -> None:
    """Do the units that come through a pipe; the life of a worker process."""
    for number in (signal.SIGINT, signal.SIGTERM):  # the starting process stops its workers
        signal.signal(number, signal.SIG_IGN)
    threading.Thread(target=_end_with_parent, daemon=True).start()
    opened: Work | None = None

    def work(unit: Unit) -> Any:
        nonlocal opened
        if opened is None:
            opened = pickle.loads(open_work)()  # noqa: S301 - of the process that started this one
        return opened(unit)

    while True:
        try:
            unit = pipe.recv()
        except (EOFError, OSError):
            return
        pipe.send(do(work, unit))


def _end_with_parent() -> None:
    """End this process when the one that started it is gone."""
    parent = multiprocessing.parent_process()
    if parent is not None:
        wait([parent.sentinel])
        os._exit(1)
