"""Executing a plan: fine-tune, generate, commit; an interrupted run goes on."""

from __future__ import annotations

import platform
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

import pyarrow as pa
import torch

from safebench.card.base import known
from safebench.card.card import Card
from safebench.card.digest import protocol_digest
from safebench.card.environment import Environment
from safebench.card.seeds import Seeds
from safebench.card.training import FullTraining, LoraTraining
from safebench.errors import SafebenchError
from safebench.evidence.store import Store
from safebench.evidence.tables import (
    RESPONSES,
    make_table,
)
from safebench.harness.evaluate import Response, generate
from safebench.models.lm import SafebenchLM
from safebench.models.loading import (
    Located,
    default_device,
    load_base,
    see_device,
    with_adapter,
)
from safebench.models.sampling import SCHEME, Stream
from safebench.study.cells import Block, weights_folder
from safebench.study.open_judges import see_judges_usable
from safebench.study.plan import Plan
from safebench.study.progress import Progress
from safebench.study.runnable import loadable, trained
from safebench.study.submission import write_submission
from safebench.tuning.train import fine_tune

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
class Settings:
    """How to execute, as far as it is not the card's to say."""

    batch_size: int = 256
    device: str | None = None
    threads: int | None = None
    """Threads of one CPU operation; the library's choice if None."""


def execute(plan: Plan, out: Path, settings: Settings, progress: Progress) -> Card:
    """Execute a plan into a folder and return the filled card, which is written last.

    An interrupted run is continued by the same call.

    Raises:
        SafebenchError: something a person can put right; finished work is kept.
    """
    see_device(settings.device or default_device())
    see_judges_usable(plan.card)
    store = Store(out)
    protocol = protocol_digest(plan.card) + _seed_line(plan.card)
    with store.opened(protocol), _threads(settings.threads):
        store.note("started", protocol=protocol_digest(plan.card))
        try:
            runner = _Runner(plan, store, settings, progress)
            runner.run()
            card = write_submission(plan, store, runner.environment(), progress)
        except (SafebenchError, KeyboardInterrupt) as problem:
            store.note("stopped", reason=str(problem) or type(problem).__name__)
            raise
        store.note("finished")
        store.finish()
    return card


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


def _seed_line(card: Card) -> str:
    seeds = known(card.seeds, "seeds")
    return f"\n{seeds.training} {seeds.generation}\n"


class _Runner:
    """Puts weights in place and commits one block after another."""

    def __init__(self, plan: Plan, store: Store, settings: Settings, progress: Progress) -> None:
        self.plan = plan
        self.store = store
        self.progress = progress
        self.device = settings.device or default_device()
        self.dtype = str(known(loadable(plan.card).dtype, "model.dtype"))
        self.base = load_base(plan.base, self.dtype, self.device)
        self.lm = SafebenchLM(self.base, plan.tokenizer, settings.batch_size)
        self.seeds = known(plan.card.seeds, "seeds")

    def run(self) -> None:
        self._tune_all()
        blocks = self.plan.blocks
        total = sum(b.repeats for b in blocks) * self.plan.prompts
        self.progress.start("generate", total)
        for condition, seed, checkpoint in dict.fromkeys(
            (b.condition, b.training_seed, b.checkpoint) for b in blocks
        ):
            chosen = [
                b
                for b in blocks
                if (b.condition, b.training_seed, b.checkpoint) == (condition, seed, checkpoint)
            ]
            with self._weights(condition, seed, checkpoint) as model:
                self.lm.use(model)
                for block in chosen:
                    self._generate(block)
        self.progress.stop()

    def environment(self) -> Environment:
        """Return what the responses are made with, as used."""
        return Environment(
            harness=f"lm-eval {version('lm-eval')}",
            python=platform.python_version(),
            libraries={name: version(name) for name in _LIBRARIES},
            backend="hf",
            device=(
                torch.cuda.get_device_name(self.device)
                if self.device.startswith("cuda")
                else self.device
            ),
            threads=torch.get_num_threads(),
            batch_size=int(self.lm.batch_size),
            attention=str(self.base.config._attn_implementation),
            sampling_scheme=SCHEME,
        )

    def _tune_all(self) -> None:
        training = trained(self.plan.card)
        if training is None:
            return
        wanted = dict.fromkeys(
            (b.condition, b.training_seed) for b in self.plan.blocks if b.training_seed is not None
        )
        epochs = float(known(training.epochs, "hyperparameters.epochs") or 0)
        for number, (condition, seed) in enumerate(wanted, start=1):
            label = f"tune {number}/{len(wanted)}"
            folder = weights_folder(self.store.folder, condition, int(seed or 0))
            self.progress.start(label, epochs)
            if not folder.is_dir():
                self.store.note("tuning", condition=condition, training_seed=seed)
                self._tune(training, condition, int(seed or 0), folder, epochs)
            else:
                self.progress.advance(epochs, "finished earlier")
            self.progress.stop()

    def _tune(
        self,
        training: LoraTraining | FullTraining,
        condition: str,
        seed: int,
        folder: Path,
        epochs: float,
    ) -> None:
        reached = 0.0
        last: float | None = None

        def report(epoch: float, loss: float | None) -> None:
            nonlocal reached, last
            last = loss if loss is not None else last
            note = f"epoch {min(epoch, epochs):.1f}" + (
                "" if last is None else f"  loss {last:.2f}"
            )
            self.progress.advance(epoch - reached, note)
            reached = epoch

        scratch = self.store.work / "tuning"
        shutil.rmtree(scratch, ignore_errors=True)
        precision = str(known(training.precision, "hyperparameters.precision"))
        fine_tune(
            load_base(self.plan.base, precision, self.device),
            self.plan.tokenizer,
            self.plan.rows[condition],
            training,
            seed=seed,
            controls=known(self.seeds.controls, "seeds.controls"),
            fixed=_fixed(self.seeds),
            base_name=known(self.plan.card.model.base.id, "model.base.id"),
            out=scratch,
            progress=report,
        )
        folder.parent.mkdir(parents=True, exist_ok=True)
        scratch.rename(folder)

    @contextmanager
    def _weights(self, condition: str, seed: int | None, checkpoint: int | None) -> Iterator[Any]:
        """Put the weights of a block in place."""
        if seed is None:
            yield self.base
            return
        folder = weights_folder(self.store.folder, condition, seed) / f"checkpoint-{checkpoint}"
        if isinstance(self.plan.card.hyperparameters, FullTraining):
            yield load_base(Located(str(folder), None, ""), self.dtype, self.device)
            return
        with with_adapter(self.base, folder) as model:
            yield model

    def _generate(self, block: Block) -> None:
        if self.store.has(block.name):
            self.progress.advance(block.repeats * self.plan.prompts, block.name)
            return
        decodings = known(self.plan.card.decoding, "decoding")
        decoding = next(d for d in decodings if d.name == block.decoding)
        root = int(known(self.seeds.generation, "seeds.generation") or 0)
        responses = generate(
            self.lm,
            self.plan.tasks,
            decoding,
            Stream(root, block.condition, block.training_seed, block.checkpoint, block.decoding),
            chat=self.plan.chat,
            system_prompt=self.plan.system_prompt,
            on_batch=lambda count: self.progress.advance(count, block.name),
        )
        seed = root if decoding.do_sample else None
        self.store.commit(block.name, _rows(block, seed, responses))


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
