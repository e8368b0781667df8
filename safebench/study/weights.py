"""The weights of a grid, before anything is measured: fine-tuned here, or given by the card."""

from __future__ import annotations

import gc
import shutil
import time
from collections.abc import Callable
from functools import partial

import torch

from safebench.card.base import require
from safebench.card.seeds import Seeds
from safebench.card.training import FullTraining
from safebench.errors import DivergedError, RunError
from safebench.evidence.journal import Run
from safebench.evidence.store import Store
from safebench.files import sync_folder, sync_tree
from safebench.models.explained import ADAPTER_CONFIG, ADAPTER_WEIGHTS
from safebench.models.interface import Engine, Form, PlacedWeights
from safebench.progress import Progress
from safebench.study.answers import write_answers
from safebench.study.cells import Block, runs_of, weights_folder
from safebench.study.estimate import length_in_epochs
from safebench.study.plan import Plan
from safebench.tuning.recipe import trained

Attempt = Callable[[str, Callable[[], None]], None]
"""Does something, named, whose failure leaves other cells possible."""


def _fixed(seeds: Seeds) -> dict[str, int]:
    fixed = require(seeds.fixed, "seeds.fixed")
    if fixed is None:
        return {}
    return {
        name: seed
        for name in type(fixed).model_fields
        if isinstance(seed := getattr(fixed, name), int)
    }


def free_memory() -> None:
    """Give the memory of models that are no longer used back to the device."""
    gc.collect()
    if torch.cuda.is_available():
        torch.cuda.empty_cache()


class Weights:
    """The weights of a grid: made here, or given."""

    def __init__(
        self,
        plan: Plan,
        store: Store,
        progress: Progress,
        device: str,
        engine: Callable[[], Engine],
        attempt: Attempt,
    ) -> None:
        """Take a plan, the folder of its run, and what is asked for the base model's answers."""
        self.plan, self.store, self.progress = plan, store, progress
        self.seeds = require(plan.card.seeds, "seeds")
        self._device, self._engine, self._attempt = device, engine, attempt
        self._root = int(require(self.seeds.generation, "seeds.generation") or 0)

    def take_weights(self) -> None:
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
            sync_folder(target.parent)

    def answer(self, left: list[Block]) -> None:
        """Let the base model answer the questions of the sets that it answers itself."""
        tuning = {b.condition for b in left if self.needs(b)}
        for asked in self.plan.self_answered:
            if asked.dataset.role in tuning:
                write_answers(
                    asked, self.store, self._engine, self._root, chat=self.plan.chat,
                    progress=self.progress,
                )  # fmt: skip
                rows = self.plan.rows_of(asked, self.store.folder)
                self.plan.rows.setdefault(asked.dataset.role, []).extend(rows)

    def needs(self, block: Block) -> bool:
        """Tell whether a block waits for a fine-tuning."""
        if block.training_seed is None or block.weights in self.plan.weights:
            return False
        return not weights_folder(self.store.folder, block.condition, block.training_seed).is_dir()

    def tune_all(self, left: list[Block]) -> None:
        """Fine-tune what blocks that are left need, run by run."""
        wanted = runs_of(b for b in left if self.needs(b))
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
                load_for_training(self.plan.base, training, self._device),
                self.plan.training_tokenizer,
                self.plan.rows[condition],
                training,
                seed=seed,
                controls=require(self.seeds.controls, "seeds.controls"),
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
            free_memory()
        folder.parent.mkdir(parents=True, exist_ok=True)
        scratch.rename(folder)
        sync_folder(folder.parent)
        self.store.journal.note(
            "tuned",
            condition=condition,
            training_seed=seed,
            seconds=round(time.monotonic() - began, 3),
        )

    def _base_name(self) -> str:
        """Return what adapters call their base: of a local folder its digest, wherever it lies."""
        name = require(self.plan.card.model.base.id, "model.base.id")
        is_local = self.plan.base.commit is None and not name.startswith("builtin:")
        return self.plan.base.revision if is_local else name

    def _fail(self, run: Run, reason: str) -> None:
        condition, seed = run
        self.store.journal.note("failed", condition=condition, training_seed=seed, reason=reason)
        self.progress.say(
            f"{condition}, training seed {seed} failed: {reason}; "
            "the card will list it and count it as the worst"
        )

    def placed(self, block: Block) -> PlacedWeights | None:
        """Return the weights of a block; None where its fine-tuning did not end well."""
        if block.training_seed is None:
            return PlacedWeights(*block.weights, "base", None)
        given = self.plan.weights.get(block.weights)
        if given is not None:
            return given
        folder = weights_folder(self.store.folder, block.condition, block.training_seed)
        if not folder.is_dir():
            return None
        full = isinstance(self.plan.card.hyperparameters, FullTraining)
        form: Form = "full" if full else "adapter"
        place = folder / f"checkpoint-{block.checkpoint}"
        return PlacedWeights(*block.weights, form, place, block.unit)
