"""The weights of a grid, before anything is measured: fine-tuned here, or listed by the card."""

from __future__ import annotations

import hashlib
import json
import shutil
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

from safebench.card.base import require
from safebench.card.training import FullTraining
from safebench.errors import CardError, DivergedError, RunError
from safebench.evidence.store import Store
from safebench.files import replace_file, sync_folder, sync_tree
from safebench.harness.evaluate import Prompt, generate
from safebench.models.interface import Engine, Form, PlacedWeights
from safebench.models.loading import ADAPTER_CONFIG, ADAPTER_WEIGHTS, free_memory
from safebench.models.sampling import Stream
from safebench.progress import Progress
from safebench.study.cells import Block, runs_of, weights_folder
from safebench.study.estimate import length_in_epochs
from safebench.study.plan import Plan, SelfAnswered
from safebench.tuning.interface import Job
from safebench.tuning.registry import trained, trainer_of

Attempt = Callable[[str, Callable[[], None]], None]
"""Does named work whose failure leaves the other cells possible."""


class Checkpoints:
    """The checkpoints of a grid, which make its weights: fine-tuned here, or listed by the card."""

    def __init__(
        self,
        plan: Plan,
        store: Store,
        progress: Progress,
        device: str,
        engine: Callable[[], Engine],
        attempt: Attempt,
    ) -> None:
        """Take a plan and the folder of its run; `engine` gives the base model its answers."""
        self.plan, self.store, self.progress = plan, store, progress
        self._device, self._engine, self._attempt = device, engine, attempt

    def _listed(self) -> dict[Path, Path]:
        """Return the adapters that the card lists and the submission has not: place, origin."""
        found = {}
        for (condition, seed, checkpoint), listed in self.plan.weights.items():
            if listed.form == "adapter" and listed.folder is not None and seed is not None:
                folder = weights_folder(self.store.folder, condition, seed)
                found[folder / f"checkpoint-{checkpoint}"] = listed.folder
        return {place: origin for place, origin in found.items() if not place.is_dir()}

    def is_incomplete(self) -> bool:
        """Tell whether files are gone that finished work was made with."""
        gone = (a for a in self.plan.self_answered if not (self.store.folder / a.path).is_file())
        return bool(self._listed()) or any(self._has_tuned(a.dataset.role) for a in gone)

    def _has_tuned(self, condition: str) -> bool:
        return any((self.store.folder / "adapters").glob(f"{condition}-seed-*"))

    def copy_listed(self) -> None:
        """Copy the adapters that the card lists into the submission; whole models stay."""
        for target, origin in self._listed().items():
            scratch = self.store.work / "given"
            shutil.rmtree(scratch, ignore_errors=True)
            scratch.mkdir(parents=True)
            for name in (ADAPTER_CONFIG, ADAPTER_WEIGHTS):
                shutil.copyfile(origin / name, scratch / name)
            sync_tree(scratch)
            self.store.seals.put(target, scratch)
            target.parent.mkdir(parents=True, exist_ok=True)
            scratch.rename(target)
            sync_folder(target.parent)

    def write_answers(self, left: list[Block]) -> None:
        """Let the base model answer the questions of the sets that it answers itself."""
        tuning = {b.condition for b in left if self.is_missing(b)}
        for answered in self.plan.self_answered:
            role = answered.dataset.role
            is_there = (self.store.folder / answered.path).is_file()
            if not is_there and (role in tuning or self._has_tuned(role)):
                self._answer(answered)
            if role in tuning:
                rows = self.plan.rows_of(answered, self.store.folder)
                self.plan.rows.setdefault(role, []).extend(rows)

    def _answer(self, answered: SelfAnswered) -> None:
        """Write a self-answered set into the run's folder.

        The questions take the path of any prompt: the same model, chat template, decoding and
        sampling. The noise of an answer has the key of condition `base`, task `data/NAME`, the
        question's number and repeat 1 (spec/v1/sampling.md).

        Raises:
            ModelError: the base model failed on a question.
            CardError: the card has the digest of other answers.
        """
        name, engine = answered.dataset.name, self._engine()
        prompts = [
            Prompt(f"data/{name}", {"prompt_id": str(number)}, self._context(question, engine))
            for number, question in enumerate(answered.questions, start=1)
        ]
        self.progress.start("answer", len(prompts))
        decoding = answered.decoding.model_copy(update={"repeats": 1, "repeat_control": False})
        with engine.using(PlacedWeights("base", None, None, "base", None)):
            responses = generate(
                engine,
                prompts,
                decoding,
                Stream(self.plan.generation_seed, "base", None, None, decoding.name),
                batch_size=engine.batch_size,
                on_batch=lambda count: self.progress.advance(count, name),
            )
        self.progress.stop()
        lines = []
        for question, response in zip(answered.questions, responses, strict=True):
            answer: Any = response.text
            if not isinstance(question, str):
                answer = [{"role": "assistant", "content": answer}]
            row = {"prompt": question, "completion": answer}
            lines.append(json.dumps(row, ensure_ascii=False) + "\n")
        content = "".join(lines).encode()
        digest, declared = hashlib.sha256(content).hexdigest(), answered.dataset.sha256
        if isinstance(declared, str) and declared != digest:
            raise CardError(
                f"data ({name}).sha256 is {declared}, but the answers given here have {digest}",
                fix="remove the value to train on the answers of this machine",
            )
        path = self.store.folder / answered.path
        self.store.seals.put(path, content)
        replace_file(path, content)

    def _context(self, question: Any, engine: Engine) -> Any:
        """Return a question as the model is given it; one that is text is rendered already."""
        if isinstance(question, str):
            return question
        if not self.plan.chat:
            return question[-1]["content"]
        return engine.apply_chat_template(list(question), add_generation_prompt=True)

    def is_missing(self, block: Block) -> bool:
        """Tell whether a block waits for a fine-tuning."""
        if block.training_seed is None or block.weights in self.plan.weights:
            return False
        return not weights_folder(self.store.folder, block.condition, block.training_seed).is_dir()

    def fine_tune(self, left: list[Block]) -> None:
        """Fine-tune what blocks that are left need, run by run."""
        runs = runs_of(b for b in left if self.is_missing(b))
        for number, (condition, seed) in enumerate(runs, start=1):
            what = f"{condition}, training seed {seed}"
            label = f"tune {number}/{len(runs)}"
            self._attempt(what, partial(self._tune, condition, int(seed or 0), label))

    def _tune(self, condition: str, seed: int, label: str) -> None:
        training = trained(self.plan.card)
        if training is None:
            raise RunError("there is nothing to fine-tune")
        seeds = require(self.plan.card.seeds, "seeds")
        fixed = require(seeds.fixed, "seeds.fixed") or ()
        total = length_in_epochs(training, self.plan.rows[condition])
        folder = weights_folder(self.store.folder, condition, seed)
        scratch = self.store.work / "tuning"
        shutil.rmtree(scratch, ignore_errors=True)
        self.progress.start(label, total)
        began = time.monotonic()
        try:
            trainer_of(training).train(
                Job(
                    base=self.plan.base,
                    recipe=training,
                    rows=self.plan.rows[condition],
                    tokenizer=self.plan.training_tokenizer,
                    seed=seed,
                    controls=require(seeds.controls, "seeds.controls"),
                    fixed={name: value for name, value in fixed if isinstance(value, int)},
                    base_name=self._base_name(),
                    out=scratch,
                    device=self._device,
                    progress=self._reporter(total),
                )
            )
        except DivergedError as problem:
            self.store.journal.note(
                "failed", condition=condition, training_seed=seed, reason=str(problem)
            )
            self.progress.say(
                f"{condition}, training seed {seed} failed: {problem}; "
                "the card will list it and count it as the worst outcome"
            )
            return
        finally:
            self.progress.stop()
            free_memory()
        self.store.seals.put(folder, scratch)
        folder.parent.mkdir(parents=True, exist_ok=True)
        scratch.rename(folder)
        sync_folder(folder.parent)
        self.store.journal.note(
            "tuned",
            condition=condition,
            training_seed=seed,
            seconds=round(time.monotonic() - began, 3),
        )

    def _reporter(self, total: float) -> Callable[[float, float | None], None]:
        """Return what a trainer calls with the epochs done and the loss, where it has a new one."""
        reached: float = 0.0
        last = ""

        def report(at: float, loss: float | None) -> None:
            nonlocal reached, last
            last = last if loss is None else f"  loss {loss:.2f}"
            self.progress.advance(at - reached, f"epoch {min(at, total):.1f}{last}")
            reached = at

        return report

    def _base_name(self) -> str:
        """Return what adapters call their base: of a local folder its digest, wherever it lies."""
        name = require(self.plan.card.model.base.id, "model.base.id")
        is_local = self.plan.base.commit is None and not name.startswith("builtin:")
        return self.plan.base.revision if is_local else name

    def weights_of(self, block: Block) -> PlacedWeights | None:
        """Return the weights of a block; None where its fine-tuning did not end well."""
        if block.training_seed is None:
            return PlacedWeights(*block.weights, "base", None)
        listed = self.plan.weights.get(block.weights)
        if listed is not None:
            return listed
        folder = weights_folder(self.store.folder, block.condition, block.training_seed)
        if not folder.is_dir():
            return None
        full = isinstance(self.plan.card.hyperparameters, FullTraining)
        form: Form = "full" if full else "adapter"
        place = folder / f"checkpoint-{block.checkpoint}"
        return PlacedWeights(*block.weights, form, place, block.unit)
