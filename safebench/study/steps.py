"""How far a run is, as a person sees it: step by step, or many units at once."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from datetime import timedelta
from pathlib import Path

from safebench.progress import Progress
from safebench.study.estimate import length_in_epochs
from safebench.study.executors.interface import KINDS, Ended, Executor, Kind, Unit
from safebench.study.plan import Plan
from safebench.study.training import training_rows
from safebench.tuning.registry import trained


class Steps:
    """Is told when units begin and end, and shows the progress."""

    def __init__(self, progress: Progress) -> None:
        """Take the display."""
        self._progress = progress
        self._units: Sequence[Unit] = ()
        self._prompts = 0

    def start(self, units: Sequence[Unit], prompts: int) -> None:
        """Take the units that will be done, and the number of prompts of a repeat."""
        self._units, self._prompts = units, prompts

    def began(self, unit: Unit) -> None:
        """Note that a unit began; shows nothing unless a subclass does."""

    def ended(self, ended: Ended) -> None:
        """Note that a unit ended; shows nothing unless a subclass does."""

    def stop(self) -> None:
        """End the last step."""
        self._progress.stop()


class OneByOne(Steps):
    """A bar for each fine-tuning and one for all responses; the work itself advances them."""

    def __init__(self, plan: Plan, folder: Path, progress: Progress) -> None:
        """Take a plan and the folder of its run."""
        super().__init__(progress)
        self._plan, self._folder = plan, folder
        self._tuned = 0
        self._is_generating = False

    def began(self, unit: Unit) -> None:
        """Begin a step; all blocks of responses are one."""
        if unit.kind == "generate":
            if not self._is_generating:
                self._progress.stop()
                repeats = sum(u.given.repeats for u in self._units if u.kind == "generate")
                self._progress.start("generate", repeats * self._prompts)
                self._is_generating = True
            return
        self._progress.stop()
        if unit.kind == "answer":
            self._progress.start("answer", len(self._plan.answered_set(unit.given).questions))
        elif (recipe := trained(self._plan.card)) is not None:
            self._tuned += 1
            runs = sum(u.kind == "tune" for u in self._units)
            rows = training_rows(self._plan, self._folder, unit.given[0])
            self._progress.start(f"tune {self._tuned}/{runs}", length_in_epochs(recipe, rows))


class Many(Steps):
    """One bar of units, with how many of each kind are done and the time that is left."""

    def __init__(self, progress: Progress, executor: Executor) -> None:
        """Take the executor, which knows its number of workers once it is opened."""
        super().__init__(progress)
        self._executor = executor
        self._all, self._done = Counter[Kind](), Counter[Kind]()
        self._seconds: dict[Kind, float] = dict.fromkeys(KINDS, 0.0)

    def start(self, units: Sequence[Unit], prompts: int) -> None:
        """Begin the only step."""
        self._all = Counter(unit.kind for unit in units)
        self._progress.start("units", len(units))

    def ended(self, ended: Ended) -> None:
        """Show one unit more."""
        kind = ended.unit.kind
        self._done[kind] += 1
        self._seconds[kind] += getattr(ended.value, "seconds", 0.0)
        done = ", ".join(f"{k} {self._done[k]}/{self._all[k]}" for k in KINDS if self._all[k])
        workers = self._executor.workers
        left = seconds_left(self._all - self._done, self._done, self._seconds, workers)
        note = "" if left is None else f", {timedelta(seconds=round(left))} left"
        self._progress.advance(1, done + note)


def seconds_left(
    left: Counter[Kind], done: Counter[Kind], seconds: Mapping[Kind, float], workers: int
) -> float | None:
    """Return how long the rest takes if every unit takes what those of its kind took so far.

    None while a kind that is left has no finished unit. The kinds follow each other, and one kind
    occupies at most as many workers as it has units left.
    """
    kinds = [kind for kind, count in left.items() if count]
    if any(not done[kind] for kind in kinds):
        return None
    return sum(seconds[kind] / done[kind] * left[kind] / min(workers, left[kind]) for kind in kinds)
