"""One fine-tuning: a training seed in, weights at every checkpoint out."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import datasets
import torch

from safebench.errors import TuningError
from safebench.files import sync_tree
from safebench.models.loading import input_device
from safebench.models.quiet import quiet
from safebench.models.rng import preserved_random_state
from safebench.models.weights import weights_file
from safebench.tuning.arguments import optimizer_with, trainer_arguments
from safebench.tuning.libraries import PrinterCallback, SFTTrainer
from safebench.tuning.prepare import load_for_training, prepare
from safebench.tuning.recipe import Recipe
from safebench.tuning.saver import Progress, Saver

_OUT_OF_MEMORY = ("out of memory", "not enough memory", "can't allocate memory")

FIXED_SEED = 0
"""Seed of whatever the card's training seed does not control."""

SEEDED = ("adapter_init", "data_order", "dropout")
"""What seeds set: the adapter's initial weights; the order of examples; everything else that the
trainer draws (dropout, and noise that a setting asks for)."""


def fine_tune(
    model: Any,
    tokenizer: Any,
    rows: Sequence[dict[str, Any]],
    recipe: Recipe,
    *,
    seed: int,
    controls: Sequence[str],
    fixed: Mapping[str, int],
    base_name: str,
    out: Path,
    progress: Progress,
    on_dropped: Callable[[int], None] | None = None,
) -> dict[int, Path]:
    """Fine-tune freshly loaded weights; return the folder of every checkpoint by its number.

    `controls` says what the seed sets (`adapter_init`, `data_order`, `dropout`); the rest uses
    the seeds in `fixed`, by the same names, or one fixed seed. `model` is changed in place;
    `load_for_training` loads it. `on_dropped` is told how many examples the trainer leaves out,
    because nothing of their completion is left within max_length, if there are any. Everything in
    `out` is durable on return.

    Raises:
        DivergedError: loss or weights are no finite numbers any more.
        TuningError: the trainer failed, or memory ran out.
    """
    seeds = {name: seed if name in controls else fixed.get(name, FIXED_SEED) for name in SEEDED}
    saver = Saver(out, recipe, seed, base_name, progress)
    out.mkdir(parents=True, exist_ok=True)
    with preserved_random_state(), tempfile.TemporaryDirectory() as scratch, quiet():
        try:
            trainer = _trainer(model, tokenizer, rows, recipe, seeds, saver, scratch)
            _check_dropped(len(trainer.train_dataset), len(rows), recipe, on_dropped)
            trainer.train()
        except (torch.OutOfMemoryError, MemoryError) as problem:
            raise _no_memory(seed) from problem
        except (RuntimeError, ValueError, TypeError, KeyError, ImportError) as problem:
            if any(words in str(problem).lower() for words in _OUT_OF_MEMORY):
                raise _no_memory(seed) from problem
            raise TuningError(
                f"fine-tuning with seed {seed} failed: {problem}",
                fix="change what the trainer complains of in hyperparameters or data",
            ) from problem
    if saver.missing:
        raise TuningError(
            f"training seed {seed} ended without {saver.unit} {saver.missing[0]}",
            fix="name checkpoints that the epochs, or steps, reach",
        )
    sync_tree(out)
    return saver.saved


def _trainer(
    model: Any,
    tokenizer: Any,
    rows: Sequence[dict[str, Any]],
    recipe: Recipe,
    seeds: Mapping[str, int],
    saver: Saver,
    scratch: str,
) -> SFTTrainer:
    saver.use_cache = getattr(model.config, "use_cache", None)
    on_cpu = input_device(model).type == "cpu"
    arguments = trainer_arguments(recipe, seeds, scratch, on_cpu=on_cpu)
    prepared = prepare(model, recipe, seeds["adapter_init"])
    trainer = SFTTrainer(
        model=prepared,
        args=arguments,
        train_dataset=datasets.Dataset.from_list(list(rows)),
        processing_class=tokenizer,
        callbacks=[saver],
        optimizer_cls_and_kwargs=optimizer_with(recipe, arguments, prepared),
    )
    trainer.remove_callback(PrinterCallback)
    return trainer


def _check_dropped(
    kept: int, given: int, recipe: Recipe, on_dropped: Callable[[int], None] | None
) -> None:
    if kept == 0:
        raise TuningError(
            f"of no training example anything is left to learn within {recipe.max_length} tokens",
            fix="raise hyperparameters.max_length above the length of the prompts",
        )
    if kept < given and not recipe.packing and on_dropped is not None:
        on_dropped(given - kept)


def _no_memory(seed: int) -> TuningError:
    return TuningError(
        f"out of memory in fine-tuning with seed {seed}",
        fix="lower hyperparameters.batch_size.per_device and raise gradient_accumulation as much: "
        "their product, the effective batch size, stays the same",
    )


__all__ = ["FIXED_SEED", "Progress", "fine_tune", "load_for_training", "weights_file"]
