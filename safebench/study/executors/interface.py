"""What executes the units of a study: read this first.

A unit is a piece of work whose result follows from its name alone: it may be done anywhere, and
done again. An `Executor` has workers, each of which does one unit at a time. `perform` takes care
of everything else: what waits for what, which worker gets which unit, and units whose worker was
lost. A new executor is a file with a class like this, which passes tests/study/test_executors.py.
"""

from __future__ import annotations

import pickle
import traceback
from collections import Counter, deque
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Any, Literal, Protocol

from safebench.errors import RunError

Kind = Literal["answer", "tune", "generate", "judge"]
KINDS: tuple[Kind, ...] = ("answer", "tune", "generate", "judge")
"""In order of priority: what most other units wait for is done first."""
ATTEMPTS = 3
"""A unit is given up when its worker was lost this many times."""
_LOOK_AHEAD = 1024
"""Units that are held at once: a grid of millions is listed only as it is worked off."""


@dataclass(frozen=True)
class Unit:
    """One piece of work."""

    kind: Kind
    name: str
    """Says what is made; no other unit of any kind has it."""
    after: tuple[str, ...] = ()
    """Names of units listed earlier that must have ended well."""
    warm: str = ""
    """What a worker has loaded once it has done this unit; it is given units with the same next."""
    given: Any = None
    """What the work needs to know of it; small, since it is sent to the worker."""


@dataclass(frozen=True)
class Ended:
    """A unit ended: with a value, or with the problem that the work raised."""

    unit: Unit
    value: Any = None
    problem: Exception | None = None


@dataclass(frozen=True)
class Lost:
    """A worker died, or its node went, before its unit ended."""

    unit: Unit
    how: str


Work = Callable[[Unit], Any]
"""Does a unit; returns a small result, and raises what a person has to know."""
OpenWork = Callable[[], Work]
"""Called once in every worker, before its first unit; it is pickled on the way there."""


class LostError(RunError):
    """Workers were lost repeatedly on one unit; other units are not affected."""


class Executor(Protocol):
    """Workers that each do one unit at a time; used as a context manager, whose end stops them."""

    workers: int
    """How many there are, or will be."""

    def __enter__(self) -> Executor:
        """Get ready; raises RunError."""

    def __exit__(self, *_: object) -> None:
        """Stop all workers at once, whatever they are doing."""

    def free(self) -> list[str]:
        """Return the names of the workers that wait for a unit."""

    def give(self, worker: str, unit: Unit) -> None:
        """Let a free worker do a unit."""

    def wait(self) -> list[Ended | Lost]:
        """Return what happened to units; waits until something did, or a worker became free.

        Raises:
            RunError: no worker is left, and none can be started.
        """


def do(work: Work, unit: Unit) -> Ended:
    """Do a unit; what the work raises is part of the result, in a form that can be pickled."""
    try:
        return Ended(unit, value=work(unit))
    except Exception as problem:
        return Ended(unit, problem=_portable(problem))


def _portable(problem: Exception) -> Exception:
    """Return an exception that can be pickled, with its traceback as a note."""
    problem.add_note(traceback.format_exc())
    try:
        back = pickle.loads(pickle.dumps(problem))  # noqa: S301 - what was pickled just now
        if type(back) is type(problem) and str(back) == str(problem):
            return problem
    except Exception:  # noqa: S110 - said below, as the type's name and message
        pass
    portable = RuntimeError(f"{type(problem).__name__}: {problem}")
    portable.add_note(traceback.format_exc())
    return portable


def perform(
    executor: Executor,
    units: Iterable[Unit],
    *,
    began: Callable[[Unit], None] = lambda unit: None,
    lost: Callable[[Lost], None] = lambda event: None,
) -> Iterator[Ended]:
    """Do all units, and yield each as it ends.

    Units that wait for another begin only when the caller asks for the next result, so that it can
    put that unit's result in place first. Units that wait for a failed one are left out. A unit
    whose worker was lost is given to another worker, `ATTEMPTS` times in all.

    Args:
        executor: Opened.
        units: Each after those that it waits for; taken from as needed.
        began: Called with every unit that is given to a worker.
        lost: Called with every loss of a worker.
    """
    queue, losses, running = _Queue(units), Counter[str](), 0
    warm: dict[str, str] = {}
    while True:
        for worker in executor.free():
            unit = queue.take(warm.get(worker, ""))
            if unit is None:
                break
            warm[worker] = unit.warm
            began(unit)
            executor.give(worker, unit)
            running += 1
        if not running and queue.is_empty():
            return
        for event in executor.wait():
            running -= 1
            if isinstance(event, Lost):
                lost(event)
                losses[event.unit.name] += 1
                if losses[event.unit.name] < ATTEMPTS:
                    queue.put_back(event.unit)
                    continue
                event = Ended(event.unit, problem=_given_up(event))
            yield event
            queue.end(event)


def _given_up(event: Lost) -> LostError:
    return LostError(
        f"{ATTEMPTS} workers were lost while they did it, the last one by {event.how}",
        fix="if memory is short, lower --batch-size or --workers",
    )


class _Queue:
    """Units by priority; each becomes ready when all that it waits for has ended."""

    def __init__(self, units: Iterable[Unit]) -> None:
        self._more = iter(units)
        self._ready: dict[Kind, deque[Unit]] = {kind: deque() for kind in KINDS}
        self._waiting: list[Unit] = []
        self._open: set[str] = set()
        self._failed: set[str] = set()

    def take(self, warm: str) -> Unit | None:
        """Return the next ready unit, preferring one that fits what the worker has loaded."""
        self._fill()
        for ready in self._ready.values():
            if ready:
                unit = next((one for one in ready if warm and one.warm == warm), ready[0])
                ready.remove(unit)
                return unit
        return None

    def put_back(self, unit: Unit) -> None:
        """Put a unit that has to be done again at the front."""
        self._ready[unit.kind].appendleft(unit)

    def end(self, ended: Ended) -> None:
        """Note that a unit ended, and release the units that waited for it."""
        self._open.discard(ended.unit.name)
        if ended.problem is not None:
            self._failed.add(ended.unit.name)
        waiting, self._waiting = self._waiting, []
        for unit in waiting:
            self._place(unit)

    def is_empty(self) -> bool:
        """Tell whether nothing is left to begin."""
        self._fill()
        return not self._waiting and not any(self._ready.values())

    def _fill(self) -> None:
        """Take in more units, unless enough are held."""
        while sum(map(len, self._ready.values())) + len(self._waiting) < _LOOK_AHEAD:
            unit = next(self._more, None)
            if unit is None:
                return
            self._open.add(unit.name)
            self._place(unit)

    def _place(self, unit: Unit) -> None:
        if self._failed.intersection(unit.after):
            self._open.discard(unit.name)
            self._failed.add(unit.name)  # and what waits for this one
        elif self._open.intersection(unit.after):
            self._waiting.append(unit)
        else:
            self._ready[unit.kind].append(unit)
