"""Executing a plan: fine-tune, generate, commit; an interrupted run goes on."""

from __future__ import annotations

import errno
import gc
import json
import platform
import shutil
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from importlib.metadata import version
from pathlib import Path

import pyarrow as pa
import torch

from safebench.card.base import known
from safebench.card.card import Card
from safebench.card.environment import Environment
from safebench.card.io import load_card
from safebench.card.seeds import Seeds
from safebench.card.training import FullTraining
from safebench.errors import DivergedError, ModelError, RunError, SafebenchError, TuningError
from safebench.evidence.journal import Run
from safebench.evidence.store import CARD_FILE, Claim, Size, Store, same_study
from safebench.evidence.tables import RESPONSES, make_table
from safebench.files import replace_file, sync_tree
from safebench.harness.evaluate import LESS_MEMORY, Prompt, Response, build_prompts, generate
from safebench.models.engine import Engine, Form, Placed
from safebench.models.explained import ADAPTER_CONFIG, ADAPTER_WEIGHTS
from safebench.models.loading import default_device, see_device
from safebench.models.sampling import Stream
from safebench.study.answers import write_answers
from safebench.study.cells import Block, runs_of, weights_folder
from safebench.study.engines import Settings, described, make_engine
from safebench.study.estimate import length_in_epochs
from safebench.study.open_judges import see_judges_usable
from safebench.study.plan import Plan
from safebench.study.progress import Progress
from safebench.study.runnable import loadable, trained
from safebench.study.submission import write_submission

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
_FULL = (errno.ENOSPC, errno.EDQUOT)


@dataclass(frozen=True)
class Outcome:
    """How an execution ended."""

    card: Card | None
    """The filled card; None when cells are left that were not asked for."""
    done: int
    """Cells of the grid, or of this shard, that are finished."""
    cells: int
    """Cells of the grid, or of this shard, without those of lost runs."""
    lost: dict[Run, str] = field(default_factory=dict)
    """Runs that failed or were withdrawn, with the reason."""


def execute(
    plan: Plan,
    out: Path,
    settings: Settings,
    progress: Progress,
    *,
    only: Callable[[Block], bool] = lambda block: True,
) -> Outcome:
    """Execute a plan into a folder; the filled card is written last.

    An interrupted run is continued by the same call. `only` leaves other cells for another call;
    the card is written when none is left.

    Raises:
        SafebenchError: something a person can put right; finished work is kept.
    """
    see_device(settings.device or default_device())
    see_judges_usable(plan.card)
    store = Store(out)
    with told_when_full(out), store.opened(claim_of(plan)), _threads(settings.threads):
        try:
            store.journal.note(
                "session", batch_size=settings.batch_size, device=settings.device,
                threads=torch.get_num_threads(), shard=plan.shard,
            )  # fmt: skip
            return _Runner(plan, store, settings, progress, only).run()
        except (Exception, KeyboardInterrupt) as problem:
            known_one = isinstance(problem, SafebenchError)
            _stopped(store, str(problem) if known_one else repr(problem))
            raise


def finished_earlier(plan: Plan, out: Path) -> Outcome | None:
    """Return the outcome of a finished run of this plan; None where the folder holds none.

    Raises:
        RunError: it holds a finished submission of another card.
    """
    store = Store(out)
    if not store.is_finished or plan.shard != "1/1":
        return None
    card = load_card(out / CARD_FILE)
    cleared = card.model_copy(
        update={
            "model": loadable(card).model_copy(update={"weights": loadable(plan.card).weights}),
            "data": plan.with_answers(out).data,
            "spec": plan.card.spec,
            "environment": None,
            "results": None,
            "evidence": None,
        }
    )
    if same_study(cleared) != same_study(plan.with_answers(out)):
        raise RunError(
            f"{out}: already holds a finished submission of another card",
            fix="look at it with `safebench score`, or give another --out",
        )
    store.finish()  # whatever a run that was killed while it tidied up has left
    states = store.journal.states()
    lost = {run: state.reason or "" for run, state in states.items() if run in store.journal.lost()}
    return Outcome(card, 0, 0, lost)


def claim_of(plan: Plan) -> Claim:
    """Return what a folder says that it is for."""
    sizes = {
        b.name: Size(
            b.condition, b.training_seed, b.repeats * len(plan.tasks), b.repeats * plan.prompts
        )
        for b in plan.blocks
    }
    return Claim(plan.card, sizes, plan.shard)


def _stopped(store: Store, reason: str) -> None:
    try:
        store.journal.note("stopped", reason=reason)
    except OSError:
        return  # the disk is full: the message says so


@contextmanager
def told_when_full(out: Path) -> Iterator[None]:
    """Say in one message that a disk is full, whatever a library raises then; raises RunError."""
    try:
        yield
    except Exception as problem:
        full = _disk_full(problem, out)
        if full is None:
            raise
        raise full from problem


def _disk_full(problem: BaseException | None, out: Path) -> RunError | None:
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


@contextmanager
def _threads(count: int | None) -> Iterator[None]:
    """Use this many threads for the time of the block."""
    before = torch.get_num_threads()
    torch.set_num_threads(count or before)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def _fixed(seeds: Seeds) -> dict[str, int]:
    fixed = known(seeds.fixed, "seeds.fixed")
    if fixed is None:
        return {}
    return {
        name: seed
        for name in type(fixed).model_fields
        if isinstance(seed := getattr(fixed, name), int)
    }


class _Runner:
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
        self.seeds = known(plan.card.seeds, "seeds")
        self.root = int(known(self.seeds.generation, "seeds.generation") or 0)
        self.problems: list[str] = []
        self._engine: Engine | None = None
        self._prompts: list[Prompt] = []

    def run(self) -> Outcome:
        """Do what is left to do; write the submission when nothing is."""
        store, journal = self.store, self.store.journal
        journal.register(runs_of(self.plan.blocks))
        for name, source in self.plan.files.items():
            replace_file(
                store.folder / name, source if isinstance(source, bytes) else source.read_bytes()
            )
        if self._left():
            store.see_environment(
                {
                    "python": platform.python_version(),
                    "libraries": {name: version(name) for name in _LIBRARIES},
                    "threads": torch.get_num_threads(),
                    "batch_size": self.settings.batch_size,
                }
            )
            self._take_weights()
            self._answer()
            self._tune_all()
            self._generate_all()
        if self.problems:
            more = f"; and {len(self.problems) - 1} more like it" if len(self.problems) > 1 else ""
            raise RunError(
                f"{self.problems[0]}{more}; finished cells are kept",
                fix="put it right and run the same command again; journal.jsonl lists every one",
            )
        lost = {r: s.reason or "" for r, s in journal.states().items() if r in journal.lost()}
        blocks = [b for b in self.plan.blocks if b.run not in lost]
        tasks = len(self.plan.tasks)
        cells = sum(b.repeats * tasks for b in blocks)
        done = sum(b.repeats * tasks for b in blocks if store.has(b.name))
        card = None
        if done == cells and self.plan.shard == "1/1":
            if not any(b.condition == "tuned" for b in blocks) and self._tunes():
                raise RunError(
                    f"every training seed was lost; the first: {next(iter(lost.values()))}",
                    fix="change the recipe: there is nothing to report",
                )
            card = write_submission(self.plan, store, self._environment(), self.progress)
            journal.note("finished")
            store.finish()
        return Outcome(card, done, cells, lost)

    def _tunes(self) -> bool:
        return any(b.condition == "tuned" for b in self.plan.blocks)

    def _left(self) -> list[Block]:
        """Return the blocks that are to be made now."""
        lost = self.store.journal.lost()
        return [
            b
            for b in self.plan.blocks
            if b.run not in lost and self.only(b) and not self.store.has(b.name)
        ]

    def _environment(self) -> Environment:
        return Environment.model_validate_json(json.dumps(self.store.environment()))

    @property
    def engine(self) -> Engine:
        """What generates; made when something is to be generated."""
        if self._engine is None:
            self._engine = make_engine(self.plan, self.settings, self.device)
            self.store.see_environment(described(self._engine))
        return self._engine

    def _release(self) -> None:
        """Give the memory of the model back, for a fine-tuning to have it."""
        self._engine = None
        gc.collect()
        if torch.cuda.is_available():
            torch.cuda.empty_cache()

    def _attempt(self, what: str, work: Callable[[], None]) -> None:
        """Do something whose failure leaves other cells possible."""
        try:
            work()
        except (ModelError, TuningError, MemoryError, torch.OutOfMemoryError) as problem:
            if isinstance(problem, DivergedError) or _disk_full(problem, self.store.folder):
                raise
            text = f"{what}: {str(problem).strip() or 'out of memory'}"
            short = isinstance(problem, MemoryError | torch.OutOfMemoryError)
            fix = LESS_MEMORY if short else getattr(problem, "fix", None)
            self.problems.append(f"{text} ({fix})" if fix else text)
            self.store.journal.note("problem", what=what, reason=str(problem))
            self.progress.say(f"{text}; going on with the others")

    def _take_weights(self) -> None:
        """Copy the adapters that the card gives into the submission; whole models stay."""
        for (condition, seed, checkpoint), placed in self.plan.weights.items():
            if placed.form != "adapter" or placed.folder is None or seed is None:
                continue
            target = weights_folder(self.store.folder, condition, seed) / f"checkpoint-{checkpoint}"
            if target.is_dir():
                continue
            scratch = self.store.work / "given"
            shutil.rmtree(scratch, ignore_errors=True)
            scratch.mkdir(parents=True)
            for name in (ADAPTER_CONFIG, ADAPTER_WEIGHTS):
                shutil.copyfile(placed.folder / name, scratch / name)
            sync_tree(scratch)
            target.parent.mkdir(parents=True, exist_ok=True)
            scratch.rename(target)

    def _answer(self) -> None:
        """Let the base model answer the questions of the sets that it answers itself."""
        tuning = {b.condition for b in self._left() if self._needs_tuning(b)}
        for asked in self.plan.self_answered:
            if asked.dataset.role in tuning:
                write_answers(
                    asked, self.store, lambda: self.engine, self.root, chat=self.plan.chat,
                    batch_size=self.settings.batch_size, progress=self.progress,
                )  # fmt: skip
                rows = self.plan.rows_of(asked, self.store.folder)
                self.plan.rows.setdefault(asked.dataset.role, []).extend(rows)
        if tuning:
            self._release()

    def _needs_tuning(self, block: Block) -> bool:
        if block.training_seed is None or block.weights in self.plan.weights:
            return False
        return not weights_folder(self.store.folder, block.condition, block.training_seed).is_dir()

    def _tune_all(self) -> None:
        left = [b for b in self._left() if b.training_seed is not None]
        wanted = [
            r for r in runs_of(left) if any(self._needs_tuning(b) for b in left if b.run == r)
        ]
        for number, (condition, seed) in enumerate(wanted, start=1):
            what = f"{condition}, training seed {seed}"
            label = f"tune {number}/{len(wanted)}"
            self._attempt(what, partial(self._tune, condition, int(seed or 0), label))

    def _tune(self, condition: str, seed: int, label: str) -> None:
        from safebench.tuning.prepare import load_for_training
        from safebench.tuning.train import fine_tune

        training = trained(self.plan.card)
        if training is None:
            raise RunError("there is nothing to fine-tune")
        total = length_in_epochs(training, self.plan.rows[condition])
        reached: float = 0.0
        last: float | None = None

        def report(at: float, loss: float | None) -> None:
            nonlocal reached, last
            last = loss if loss is not None else last
            note = f"epoch {min(at, total):.1f}"
            self.progress.advance(
                at - reached, note + ("" if last is None else f"  loss {last:.2f}")
            )
            reached = at

        folder = weights_folder(self.store.folder, condition, seed)
        scratch = self.store.work / "tuning"
        shutil.rmtree(scratch, ignore_errors=True)
        self.progress.start(label, total)
        began = time.monotonic()
        try:
            fine_tune(
                load_for_training(self.plan.base, training, self.device),
                self.plan.training_tokenizer,
                self.plan.rows[condition],
                training,
                seed=seed,
                controls=known(self.seeds.controls, "seeds.controls"),
                fixed=_fixed(self.seeds),
                base_name=self._base_name(),
                out=scratch,
                progress=report,
            )
        except DivergedError as problem:
            self._fail((condition, seed), str(problem))
            return
        finally:
            self.progress.stop()
        folder.parent.mkdir(parents=True, exist_ok=True)
        scratch.rename(folder)
        self.store.journal.note(
            "tuned", condition=condition, training_seed=seed, seconds=_since(began)
        )

    def _base_name(self) -> str:
        """Return what adapters call their base: of a local folder its digest, wherever it lies."""
        name = known(self.plan.card.model.base.id, "model.base.id")
        is_local = self.plan.base.commit is None and not name.startswith("builtin:")
        return self.plan.base.revision if is_local else name

    def _fail(self, run: Run, reason: str) -> None:
        condition, seed = run
        self.store.journal.note("failed", condition=condition, training_seed=seed, reason=reason)
        self.progress.say(
            f"{condition}, training seed {seed} failed: {reason}; "
            "the card will list it and count it as the worst"
        )

    def _generate_all(self) -> None:
        left = self._left()
        self.progress.start("generate", sum(b.repeats for b in left) * self.plan.prompts)
        for weights in dict.fromkeys(b.weights for b in left):
            blocks = [b for b in left if b.weights == weights]
            placed = self._placed(blocks[0])
            if placed is None:
                continue  # its fine-tuning did not end well, and that was said
            self._attempt(blocks[0].name, partial(self._generate_with, placed, blocks))
        self.progress.stop()

    def _placed(self, block: Block) -> Placed | None:
        """Return the weights of a block; None where its fine-tuning did not end well."""
        if block.training_seed is None:
            return Placed(*block.weights, "base", None)
        given = self.plan.weights.get(block.weights)
        if given is not None:
            return given
        folder = weights_folder(self.store.folder, block.condition, block.training_seed)
        if not folder.is_dir():
            return None
        full = isinstance(self.plan.card.hyperparameters, FullTraining)
        form: Form = "full" if full else "adapter"
        return Placed(*block.weights, form, folder / f"checkpoint-{block.checkpoint}")

    def _generate_with(self, placed: Placed, blocks: list[Block]) -> None:
        with self.engine.using(placed):
            if not self._prompts:
                self._prompts = build_prompts(
                    self.engine,
                    self.plan.tasks,
                    chat=self.plan.chat,
                    system_prompt=self.plan.system_prompt,
                )
            for block in blocks:
                self._attempt(block.name, partial(self._generate, block))

    def _generate(self, block: Block) -> None:
        decodings = known(self.plan.card.decoding, "decoding")
        decoding = next(d for d in decodings if d.name == block.decoding)
        began = time.monotonic()
        responses = generate(
            self.engine,
            self._prompts,
            decoding,
            Stream(self.root, *block.weights, block.decoding),
            batch_size=self.engine.batch_size,
            on_batch=lambda count: self.progress.advance(count, block.name),
        )
        self.store.see_environment(described(self.engine))  # memory may have halved the batch
        seed = self.root if decoding.do_sample else None
        self.store.commit(block.name, _rows(block, seed, responses))
        self.store.journal.note(
            "block", block=block.name, responses=len(responses), seconds=_since(began)
        )
        if responses and not any(r.text for r in responses):
            self.progress.say(
                f"{block.name}: all {len(responses)} responses are empty: the model ends at once"
            )


def _since(began: float) -> float:
    return round(time.monotonic() - began, 3)


def _rows(block: Block, generation_seed: int | None, responses: list[Response]) -> pa.Table:
    return make_table(
        [
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
                "status": response.status,
                "new_tokens": response.new_tokens,
            }
            for response in responses
        ],
        RESPONSES,
    )
