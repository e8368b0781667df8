"""The work of a run: weights are put in place, and one block of cells after another committed."""

from __future__ import annotations

import json
import platform
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from importlib.metadata import version
from typing import Any

import torch

from safebench.card.base import require
from safebench.card.card import Card
from safebench.card.model import ApiModel
from safebench.card.results import Environment
from safebench.errors import DivergedError, ModelError, RunError, TuningError
from safebench.evidence.journal import Run
from safebench.evidence.store import Store, disk_full
from safebench.evidence.tables import RESPONSES, make_table
from safebench.files import replace_file
from safebench.harness.evaluate import LESS_MEMORY, Prompt, Response, build_prompts, generate
from safebench.judges.judging import marks_of
from safebench.judges.registry import try_judges
from safebench.judges.text import is_unfinished
from safebench.models.interface import Engine, PlacedWeights
from safebench.models.loading import default_device, free_memory
from safebench.models.sampling import Stream
from safebench.progress import Progress
from safebench.study.api_models import RequestDays, is_dated
from safebench.study.cells import Block, runs_of
from safebench.study.engines import Settings, environment_of, make_engine
from safebench.study.extend import earlier_rows
from safebench.study.plan import Plan
from safebench.study.submission import write_submission
from safebench.study.weights import Checkpoints

_LIBRARIES = (
    "safebench",
    "lm-eval",
    "transformers",
    "peft",
    "trl",
    "torch",
    "tokenizers",
    "numpy",
    "scipy",
)


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
    """Puts weights in place and commits one block after another."""

    def __init__(
        self,
        plan: Plan,
        store: Store,
        settings: Settings,
        progress: Progress,
        only: Callable[[Block], bool],
    ) -> None:
        self.plan = plan
        self.store = store
        self.settings = settings
        self.progress = progress
        self.only = only
        self.device = settings.device or default_device()
        self.checkpoints = Checkpoints(
            plan, store, progress, self.device, lambda: self.engine, self._attempt
        )
        self.problems: list[str] = []
        self._engine: Engine | None = None
        self._prompts: list[Prompt] = []
        self._days = RequestDays(store.journal) if is_dated(plan.card) else None

    def run(self) -> RunResult:
        """Do the remaining work; write the submission when none is left."""
        store, journal = self.store, self.store.journal
        journal.register(runs_of(self.plan.blocks))
        for name, source in self.plan.files.items():
            replace_file(
                store.folder / name, source if isinstance(source, bytes) else source.read_bytes()
            )
        if self._left() or self.checkpoints.is_incomplete() or not store.environment():
            judges = require(self.plan.card.judge, "judge")
            try_judges(judges, store.folder, self.device, self.progress)
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
        self._engine = None  # judges get its memory
        free_memory()
        card = write_submission(self.plan, store, environment, self.progress, self.device)
        journal.note("finished", plan=self.plan.asked)
        store.finish()
        return RunResult(card, done, cells, lost)

    def _make(self) -> None:
        """Fine-tune and generate what is left."""
        if not self._has_made_anything():
            self.store.forget_environment()
        self.store.check_environment(
            {
                "python": platform.python_version(),
                "libraries": {name: version(name) for name in _LIBRARIES},
                "threads": torch.get_num_threads(),
                "batch_size": self.settings.batch_size,
            }
        )
        if isinstance(self.plan.card.model, ApiModel) or not self._left():
            self.engine.start()  # a wrong argument is reported once, not for every model
        self.checkpoints.copy_listed()
        self.checkpoints.write_answers(self._left())
        if any(self.checkpoints.is_missing(block) for block in self._left()):
            self._engine = None  # a fine-tuning needs its memory
            free_memory()
            self.checkpoints.fine_tune(self._left())
        self._generate_all()

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

    @property
    def engine(self) -> Engine:
        """What generates; made when something is to be generated."""
        if self._engine is None:
            self._engine = make_engine(self.plan, self.settings, self.device)
            self._check_engine(self._engine)
        return self._engine

    def _check_engine(self, engine: Engine) -> None:
        """Check that an engine is what earlier sessions of this run recorded, or record it."""
        self.store.check_environment(environment_of(engine, self.plan.declared))

    def _attempt(self, what: str, work: Callable[[], None]) -> None:
        """Do work whose failure leaves the other cells possible."""
        try:
            work()
        except (ModelError, TuningError, MemoryError, torch.OutOfMemoryError) as problem:
            if isinstance(problem, DivergedError) or disk_full(problem, self.store.folder):
                raise
            text = f"{what}: {str(problem).strip() or 'out of memory'}"
            short = isinstance(problem, MemoryError | torch.OutOfMemoryError)
            fix = LESS_MEMORY if short else getattr(problem, "fix", None)
            self.problems.append(f"{text} ({fix})" if fix else text)
            self.store.journal.note("problem", what=what, reason=str(problem))
            self.progress.say(f"{text}; continuing with the others")

    def _generate_all(self) -> None:
        left = self._left()
        self.progress.start("generate", sum(b.repeats for b in left) * self.plan.prompts)
        for weights in dict.fromkeys(b.weights for b in left):
            blocks = [b for b in left if b.weights == weights]
            placed = self.checkpoints.weights_of(blocks[0])
            if placed is not None:  # otherwise its fine-tuning failed, which was reported
                self._attempt(blocks[0].name, partial(self._generate_with, placed, blocks))
        self.progress.stop()

    def _generate_with(self, placed: PlacedWeights, blocks: list[Block]) -> None:
        with self.engine.using(placed):
            if not self._prompts:
                # Whether an API's prompts are conversations is for its client to say.
                is_api = isinstance(self.plan.card.model, ApiModel)
                chat = self.engine.takes_chat if is_api else self.plan.chat
                system_prompt = self.plan.card.system_prompt
                self._prompts = build_prompts(
                    self.engine, self.plan.tasks, chat=chat, system_prompt=system_prompt
                )
            for block in blocks:
                self._attempt(block.name, partial(self._generate, block))

    def _generate(self, block: Block) -> None:
        decodings = require(self.plan.card.decoding, "decoding")
        decoding = next(d for d in decodings if d.name == block.decoding)
        began = time.monotonic()
        if self._days is not None:
            self._days.begin()
        kept = earlier_rows(self.store, block, self._prompts, decoding)
        answered = {(row["task"], row["prompt_id"]) for row in kept}
        self._report(block.name, len(kept))
        responses = generate(
            self.engine,
            [p for p in self._prompts if (p.task, str(p.document["prompt_id"])) not in answered],
            decoding,
            Stream(self.plan.generation_seed, *block.weights, block.decoding),
            batch_size=self.engine.batch_size,
            on_batch=partial(self._report, block.name),
        )
        # Where memory ran out the batch was halved, which the card records.
        self._check_engine(self.engine)
        seed = self.plan.generation_seed if decoding.do_sample else None
        marks = marks_of(self.plan.card)
        rows = [*kept, *_rows(block, seed, responses, marks)]
        self.store.commit(block.name, make_table(rows, RESPONSES))
        self.store.journal.note(
            "block",
            block=block.name,
            responses=len(rows),
            seconds=round(time.monotonic() - began, 3),
        )
        if responses and not any(r.text for r in responses):
            self.progress.say(
                f"{block.name}: all {len(responses)} responses are empty: the model ends at once"
            )

    def _report(self, block: str, count: int) -> None:
        if self._days is not None:
            self._days.answered()
        self.progress.advance(count, block)


def _rows(
    block: Block,
    generation_seed: int | None,
    responses: list[Response],
    marks: tuple[str, str],
) -> list[dict[str, Any]]:
    return [
        {
            "condition": block.condition,
            "training_seed": block.training_seed,
            "checkpoint": block.checkpoint,
            "decoding": block.decoding,
            "repeat": response.repeat,
            "generation_seed": generation_seed,
            "task": response.task,
            "prompt_id": response.document["prompt_id"],
            "prompt": response.document["prompt"],
            "response": response.text,
            "status": "truncated" if is_unfinished(response.text, marks) else response.status,
            "new_tokens": response.new_tokens,
        }
        for response in responses
    ]
