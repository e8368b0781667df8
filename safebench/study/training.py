"""Where the weights of a grid come from: fine-tuned here, by another shard, or listed by the card.

First the base model's own answers, which may be training data.
"""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Callable, Container
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from safebench.card.base import require
from safebench.card.training import FullTraining
from safebench.errors import CardError, DivergedError, RunError
from safebench.evidence.lock import LockedError, VanishedError, locked
from safebench.evidence.store import Store
from safebench.files import (
    folder_at_once,
    link_missing,
    replace_file,
    sha256_of_folder,
    sync_folder,
    sync_tree,
)
from safebench.harness.evaluate import Prompt, generate
from safebench.models.interface import BASE, Engine, Form, PlacedWeights
from safebench.models.loading import ADAPTER_CONFIG, ADAPTER_WEIGHTS
from safebench.models.sampling import Stream
from safebench.study.cells import Block, weights_folder
from safebench.study.estimate import length_in_epochs
from safebench.study.plan import Plan, SelfAnswered
from safebench.tuning.interface import Job
from safebench.tuning.registry import trained, trainer_of
from safebench.tuning.states import States, alone


def answers_of(
    answered: SelfAnswered, plan: Plan, engine: Engine, report: Callable[[float, str], None]
) -> bytes:
    """Return a self-answered set as a file's bytes; the base model is in place.

    A question is treated as any prompt: the same model, chat template, decoding and sampling.
    The noise of an answer has the key of condition `base`, task `data/NAME`, the
    question's number and repeat 1 (spec/v1/sampling.md).

    Raises:
        ModelError: the base model failed on a question.
        CardError: the card has the digest of other answers.
    """
    name = answered.dataset.name
    prompts = [
        Prompt(f"data/{name}", {"prompt_id": str(number)}, _context(question, plan, engine))
        for number, question in enumerate(answered.questions, start=1)
    ]
    decoding = answered.decoding.model_copy(update={"repeats": 1, "repeat_control": False})
    responses = generate(
        engine,
        prompts,
        decoding,
        Stream(plan.generation_seed, "base", None, None, decoding.name),
        batch_size=engine.batch_size,
        on_batch=lambda count: report(count, name),
    )
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
    return content


def _context(question: Any, plan: Plan, engine: Engine) -> Any:
    """Return a question as the model gets it; a question that is text is rendered already."""
    if isinstance(question, str):
        return question
    if not plan.chat:
        return question[-1]["content"]
    return engine.apply_chat_template(list(question), add_generation_prompt=True)


def fine_tune(
    plan: Plan,
    folder: Path,
    condition: str,
    seed: int,
    out: Path,
    device: str,
    report: Callable[[float, str], None],
    states: States | None = None,
) -> None:
    """Fine-tune one training seed of a condition, and write its checkpoints into `out`.

    `folder` holds the sets that the base model has answered; from `states` an interrupted
    fine-tuning is resumed.

    Raises:
        DivergedError: loss or weights have become infinite or NaN.
        TuningError, CardError, ModelError: it could not start, or did not end well.
    """
    training = trained(plan.card)
    if training is None:
        raise RunError("there is nothing to fine-tune")
    seeds = require(plan.card.seeds, "seeds")
    fixed = require(seeds.fixed, "seeds.fixed") or ()
    rows = training_rows(plan, folder, condition)
    with alone(states) as ours:
        trainer_of(training).train(
            Job(
                base=plan.base,
                recipe=training,
                rows=rows,
                tokenizer=plan.training_tokenizer,
                seed=seed,
                controls=require(seeds.controls, "seeds.controls"),
                fixed={name: value for name, value in fixed if isinstance(value, int)},
                base_name=_base_name(plan),
                out=out,
                device=device,
                progress=_reporter(length_in_epochs(training, rows), report),
                states=ours,
            )
        )


def training_rows(plan: Plan, folder: Path, condition: str) -> list[dict[str, Any]]:
    """Return the training examples of a condition, with the answers that the base model gave."""
    rows = list(plan.rows.get(condition, ()))
    for answered in plan.self_answered:
        if answered.dataset.role == condition:
            rows += plan.rows_of(answered, folder)
    return rows


def _reporter(
    total: float, report: Callable[[float, str], None]
) -> Callable[[float, float | None], None]:
    """Return what a trainer calls with the epochs done and the loss, where it has a new one."""
    reached: float = 0.0
    last = ""

    def tell(at: float, loss: float | None) -> None:
        nonlocal reached, last
        last = last if loss is None else f"  loss {loss:.2f}"
        report(at - reached, f"epoch {min(at, total):.1f}{last}")
        reached = at

    return tell


def _base_name(plan: Plan) -> str:
    """Return the name of the base that adapters record: of a local folder, its digest."""
    name = require(plan.card.model.base.id, "model.base.id")
    is_local = plan.base.commit is None and not name.startswith("builtin:")
    return plan.base.revision if is_local else name


class Tuned:
    """The weights of one training seed, shared by the shards of a grid."""

    def __init__(self, folder: Path) -> None:
        """Take the folder of the weights; each card has its own."""
        self._folder = folder
        self.states = self._beside("states")
        """Where a fine-tuning saves its states, for any shard to resume from."""

    def get(self, out: Path, train: Callable[[], None], wait: Callable[[], None]) -> None:
        """Put the weights into `out`: by `train`, unless another run has trained them already.

        While another run trains them, `wait` is called repeatedly; if that run dies, this one
        trains.

        Raises:
            DivergedError: `train` raised it, here or in another run.
        """
        failed, digest = self._beside("failed"), self._beside("sha256")
        with ExitStack() as stack:
            while True:
                self._folder.parent.mkdir(parents=True, exist_ok=True)
                try:
                    stack.enter_context(locked(self._beside("lock")))
                    break
                except (LockedError, VanishedError):
                    wait()
            if failed.is_file():
                raise DivergedError(failed.read_text(encoding="utf-8"))
            if self._folder.is_dir() and digest.is_file():
                if sha256_of_folder(self._folder) == digest.read_text(encoding="utf-8"):
                    link_missing(self._folder, out)
                    return
                shutil.rmtree(self._folder)  # damaged since its digest was written
            try:
                train()
            except DivergedError as problem:
                replace_file(failed, str(problem).encode())
                shutil.rmtree(self.states, ignore_errors=True)
                raise
            shutil.rmtree(self._folder, ignore_errors=True)
            with folder_at_once(self._folder) as scratch:
                link_missing(out, scratch)
            replace_file(digest, sha256_of_folder(self._folder).encode())
            shutil.rmtree(self.states, ignore_errors=True)

    def _beside(self, ending: str) -> Path:
        return self._folder.with_name(f"{self._folder.name}.{ending}")


class Checkpoints:
    """Where the weights of each block of a grid are, and which are missing."""

    def __init__(self, plan: Plan, store: Store) -> None:
        """Take a plan and the folder of its run."""
        self.plan, self.store = plan, store

    def _listed(self) -> dict[Path, Path]:
        """Return the listed adapters that the submission lacks: where each belongs, where it is."""
        found = {}
        for (condition, seed, checkpoint), listed in self.plan.weights.items():
            if listed.form == "adapter" and listed.folder is not None and seed is not None:
                folder = weights_folder(self.store.folder, condition, seed)
                found[folder / f"checkpoint-{checkpoint}"] = listed.folder
        return {place: origin for place, origin in found.items() if not place.is_dir()}

    def is_incomplete(self) -> bool:
        """Tell whether files are missing that finished work was made with."""
        return bool(self._listed() or self.unanswered(()))

    def unanswered(self, tuning: Container[str]) -> list[SelfAnswered]:
        """Return the self-answered sets that are missing, and are or were trained on.

        `tuning` holds the conditions that are about to be fine-tuned.
        """
        folder = self.store.folder
        return [
            one
            for one in self.plan.self_answered
            if not (folder / one.path).is_file()
            and (
                one.dataset.role in tuning
                or any((folder / "adapters").glob(f"{one.dataset.role}-seed-*"))
            )
        ]

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

    def is_missing(self, block: Block) -> bool:
        """Tell whether a block waits for a fine-tuning."""
        if block.training_seed is None or block.weights in self.plan.weights:
            return False
        return not weights_folder(self.store.folder, block.condition, block.training_seed).is_dir()

    def weights_of(self, block: Block) -> PlacedWeights | None:
        """Return the weights of a block; None if its fine-tuning has not succeeded."""
        if block.training_seed is None:
            return BASE
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
