"""The work of a run: its units are listed, done by workers, checked, and put in their place."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

import torch

from safebench.card.base import require
from safebench.card.card import Card
from safebench.card.model import ApiModel
from safebench.card.results import Environment
from safebench.errors import DivergedError, ModelError, RunError, TuningError
from safebench.evidence.journal import Run
from safebench.evidence.store import Store, disk_full
from safebench.files import replace_file
from safebench.harness.evaluate import LESS_MEMORY
from safebench.judges.cache import JudgementCache, cache_file
from safebench.judges.registry import KINDS, try_judges
from safebench.models.loading import free_memory
from safebench.progress import Progress
from safebench.study.api_models import RequestDays, is_dated
from safebench.study.cells import Block, runs_of, weights_folder
from safebench.study.engines import Settings
from safebench.study.executors.interface import Executor, Lost, LostError, Unit, perform
from safebench.study.executors.local import InProcess
from safebench.study.making import Made, Maker, made_on
from safebench.study.plan import Plan
from safebench.study.steps import Many, OneByOne, Steps
from safebench.study.submission import write_submission

_ACCIDENTS: Final = (ModelError, TuningError, LostError, MemoryError, torch.OutOfMemoryError)
"""Failures that leave the other cells possible; any other error ends the run."""


@dataclass(frozen=True)
class RunResult:
    """How an execution ended."""

    card: Card | None
    """The completed card; None while cells are left for another call."""
    done: int
    """Cells of the grid, or of this shard, that are finished."""
    cells: int
    """Cells of the grid, or of this shard, without those of lost runs."""
    lost: dict[Run, str] = field(default_factory=dict)
    """Runs that failed or were withdrawn, with the reason."""


class Runner:
    """Gives out what is left of a plan, and puts what was made in its place."""

    def __init__(
        self,
        plan: Plan,
        store: Store,
        settings: Settings,
        progress: Progress,
        only: Callable[[Block], bool],
        *,
        tuned: Path | None = None,
        elsewhere: Executor | None = None,
    ) -> None:
        """Take a plan, the opened folder of its run, and how to execute it.

        `only` tells which cells are made now; `tuned`: where weights lie that several runs share,
        if they do; `elsewhere` has workers in other processes: without it, this one does the work.
        """
        self.plan, self.store, self.progress, self.only = plan, store, progress, only
        days = RequestDays(store.journal) if is_dated(plan.card) else None
        self.steps: Steps = OneByOne(plan, store.folder, progress)
        if elsewhere is not None:
            self.steps = Many(progress, elsewhere)
        self.maker = Maker(plan, store, settings, tuned=tuned, report=progress.advance, days=days)
        self.checkpoints = self.maker.checkpoints
        self.executor = elsewhere or InProcess(self.maker)
        self._is_here = elsewhere is None
        self.problems: list[str] = []

    def run(self) -> RunResult:
        """Do the remaining work; write the submission when none is left."""
        store, journal = self.store, self.store.journal
        journal.register(runs_of(self.plan.blocks))
        for name, source in self.plan.files.items():
            replace_file(
                store.folder / name, source if isinstance(source, bytes) else source.read_bytes()
            )
        left = self._left() or self.checkpoints.is_incomplete() or not store.environment()
        if left or any(self._judgements(self.plan.blocks)):
            judges = require(self.plan.card.judge, "judge")
            try_judges(judges, store.folder, self.maker.device, self.progress)
            free_memory()
            self._make()
        if self.problems:
            more = f"; and {len(self.problems) - 1} more" if len(self.problems) > 1 else ""
            raise RunError(
                f"{self.problems[0]}{more}; finished cells are kept",
                fix="correct this and run the same command again; journal.jsonl lists them all",
            )
        lost = journal.lost()
        blocks = [b for b in self.plan.blocks if b.run not in lost]
        tasks = len(self.plan.tasks)
        cells = sum(b.repeats * tasks for b in blocks)
        done = sum(b.repeats * tasks for b in blocks if store.has(b.name))
        if done < cells or self.plan.shard != "1/1":
            return RunResult(None, done, cells, lost)
        if "tuned" in {b.condition for b in self.plan.blocks} - {b.condition for b in blocks}:
            raise RunError(
                f"every training seed was lost; the first: {next(iter(lost.values()))}",
                fix="lower hyperparameters.learning_rate: there is nothing to report",
            )
        environment = Environment.model_validate_json(json.dumps(store.environment()))
        self.maker.close()  # judges get its memory
        # What workers have graded is not graded again below.
        cache = JudgementCache(cache_file())
        for path in sorted((store.work / "judged").glob("*.jsonl")):
            cache.take(path)
        card = write_submission(self.plan, store, environment, self.progress, self.maker.device)
        journal.note("finished", plan=self.plan.asked)
        store.finish()
        return RunResult(card, done, cells, lost)

    def _make(self) -> None:
        """Fine-tune, generate and grade what is left."""
        if not self._has_made_anything():
            self.store.forget_environment()  # nothing was made in it that this session must match
        left = self._left()
        if self._is_here:
            self.store.check_environment(self.maker.environment())
        to_grade = not self._is_here and self.store.environment()
        # A server's wrong argument is reported once, not for every model. Where nothing is left to
        # be made, the engine is started for the environment that the card needs.
        if isinstance(self.plan.card.model, ApiModel) or not (left or to_grade):
            self.maker.engine.start()
            self.store.check_environment(self.maker.environment())
        self.checkpoints.copy_listed()
        units = list(self._units(left))
        self.steps.start(units, self.plan.prompts)
        with self.executor:
            if not self._is_here:
                self.store.journal.note("workers", count=self.executor.workers)
            done = perform(self.executor, units, began=self.steps.began, lost=self._lost)
            for ended in done:
                if ended.problem is None:
                    self._put(ended.unit, ended.value)
                else:
                    self._hear(ended.unit, ended.problem)
                self.steps.ended(ended)
        self.steps.stop()

    def _left(self) -> list[Block]:
        """Return the blocks that are to be made now."""
        lost, has = self.store.journal.lost(), self.store.has
        return [
            b
            for b in self.plan.blocks
            if b.run not in lost
            and self.only(b)
            # Responses whose weights were damaged are made again with them.
            and (not has(b.name) or self.checkpoints.is_missing(b))
        ]

    def _has_made_anything(self) -> bool:
        """Tell whether an earlier session left responses, weights or training data."""
        folder = self.store.folder
        answers = (folder / answered.path for answered in self.plan.self_answered)
        return (
            any(self.store.has(block.name) for block in self.plan.blocks)
            or (folder / "adapters").exists()
            or any(path.exists() for path in answers)
        )

    def _units(self, left: list[Block]) -> Iterator[Unit]:
        """Yield the units that make these blocks, each after those that it waits for."""
        missing = [b for b in left if self.checkpoints.is_missing(b)]
        answers: dict[str, list[str]] = {}
        for one in self.checkpoints.unanswered({b.condition for b in missing}):
            unit = Unit("answer", f"the answers of {one.dataset.name}", given=one.dataset.name)
            answers.setdefault(one.dataset.role, []).append(unit.name)
            yield unit
        # A shard begins with the run of which it has most: another may be training the rest.
        runs = sorted(runs_of(missing), key=lambda run: -sum(b.run == run for b in missing))
        for run in runs:
            yield Unit("tune", _name_of(run), tuple(answers.get(run[0], ())), given=run)
        for block in left:
            after = (_name_of(block.run),) if block in missing else ()
            yield Unit("generate", block.name, after, str(block.weights), block)
        yield from self._judgements(self.plan.blocks)

    def _judgements(self, blocks: Iterable[Block]) -> Iterator[Unit]:
        """Yield the units of judges with weights; other judges are asked at the end.

        A run in one process has no such units: it grades at the end, each text once.
        """
        if self._is_here:
            return
        lost = self.store.journal.lost()
        for judge in require(self.plan.card.judge, "judge"):
            if not KINDS[judge.kind].loads_weights or getattr(judge, "access", None) == "api":
                continue
            for block in blocks:
                is_graded = self.store.judged(block.name, judge.name).is_file()
                is_there = self.store.has(block.name) or self.only(block)
                if block.run not in lost and is_there and not is_graded:
                    name = f"{judge.name} on {block.name}"
                    yield Unit("judge", name, (block.name,), judge.name, (judge.name, block.name))

    def _put(self, unit: Unit, made: Made) -> None:
        """Put what a unit has made in its place, after checking its environment."""
        store, folder = self.store, self.store.folder
        # Where memory ran out the batch was halved, which the card records.
        with made_on(made.where, unit):
            store.check_environment(made.environment)
        if unit.kind == "answer":
            place = self.plan.answered_set(unit.given).path
            store.put(made.path, folder / place, made.sha256)
        elif unit.kind == "tune":
            condition, seed = unit.given
            store.put(made.path, weights_folder(folder, condition, seed), made.sha256)
            shutil.rmtree(store.states(unit.given), ignore_errors=True)
            store.journal.note(
                "tuned", condition=condition, training_seed=seed, seconds=made.seconds
            )
        elif unit.kind == "generate":
            store.put(made.path, store.path(unit.name), made.sha256)
            store.journal.note(
                "block", block=unit.name, responses=made.responses, seconds=made.seconds
            )
        else:
            judge, block = unit.given
            store.put(made.path, store.judged(block, judge), made.sha256)
            store.journal.note("graded", judge=judge, block=block, seconds=made.seconds)
        if made.remark:
            self.progress.say(made.remark)

    def _lost(self, event: Lost) -> None:
        """Note that a worker was lost; its unit is done again."""
        self.store.journal.note(
            "problem", what=event.unit.name, reason=f"its worker was lost by {event.how}"
        )

    def _hear(self, unit: Unit, problem: Exception) -> None:
        """Note a failure that leaves the other cells possible; raise any other."""
        if isinstance(problem, DivergedError) and unit.kind == "tune":
            condition, seed = unit.given
            self.store.journal.note(
                "failed", condition=condition, training_seed=seed, reason=str(problem)
            )
            shutil.rmtree(self.store.states(unit.given), ignore_errors=True)
            self.progress.say(
                f"{unit.name} failed: {problem}; the card will list it and count it as the worst "
                "outcome"
            )
            return
        if not isinstance(problem, _ACCIDENTS) or disk_full(problem, self.store.folder):
            raise problem
        text = f"{unit.name}: {str(problem).strip() or 'out of memory'}"
        short = isinstance(problem, MemoryError | torch.OutOfMemoryError)
        fix = LESS_MEMORY if short else getattr(problem, "fix", None)
        self.problems.append(f"{text} ({fix})" if fix else text)
        self.store.journal.note("problem", what=unit.name, reason=str(problem))
        self.progress.say(f"{text}; continuing with the others")


def _name_of(run: Run) -> str:
    return f"{run[0]}, training seed {run[1]}"
