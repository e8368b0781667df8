"""One fine-tuning: a training seed in, weights at every checkpoint out."""

from __future__ import annotations

import json
import logging
import math
import tempfile
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import datasets
import torch
from peft import LoraConfig, get_peft_model
from transformers import PrinterCallback, TrainerCallback, set_seed
from trl import SFTConfig, SFTTrainer

from safebench.card.base import known
from safebench.card.training import FullTraining, LoraTraining
from safebench.errors import TuningError
from safebench.files import replace_file
from safebench.models.loading import ADAPTER_WEIGHTS, PEFT_NOTE
from safebench.models.rng import preserved_random_state

# Nothing a user can act on: a name that changes in a next version, a setting peft corrects.
_THIRD_PARTY_NOTES = (PEFT_NOTE, "fan_in_fan_out is set to False but the target module is")

FIXED_SEED = 0
"""Seed of whatever the card's training seed does not control."""

Progress = Callable[[float, float | None], None]
"""Called with the epoch reached and the loss, if one was measured."""


def fine_tune(
    model: Any,
    tokenizer: Any,
    rows: Sequence[dict[str, Any]],
    recipe: LoraTraining | FullTraining,
    *,
    seed: int,
    controls: Sequence[str],
    fixed: Mapping[str, int],
    base_name: str,
    out: Path,
    progress: Progress,
) -> dict[int, Path]:
    """Fine-tune freshly loaded weights; return the folder of every checkpoint by its epoch.

    `controls` says what the seed sets (`adapter_init`, `data_order`, `dropout`); the rest uses
    the seeds in `fixed`, by the same names, or one fixed seed. `model` is changed in place.

    Raises:
        TuningError: the loss is not a number, or the trainer failed.
    """
    seeds = {
        name: seed if name in controls else fixed.get(name, FIXED_SEED)
        for name in ("adapter_init", "data_order", "dropout")
    }
    saver = _Saver(out, recipe, base_name, progress)
    with preserved_random_state(), tempfile.TemporaryDirectory() as scratch, _quiet():
        try:
            trainer = SFTTrainer(
                model=_prepare(model, recipe, seeds["adapter_init"]),
                args=_arguments(recipe, seeds, scratch),
                train_dataset=datasets.Dataset.from_list(list(rows)),
                processing_class=tokenizer,
                callbacks=[saver],
            )
            trainer.remove_callback(PrinterCallback)
            trainer.train()
        except (RuntimeError, ValueError) as problem:
            raise TuningError(f"fine-tuning with seed {seed} failed: {problem}") from problem
    missing = set(known(recipe.checkpoints, "hyperparameters.checkpoints")) - set(saver.saved)
    if missing:
        raise TuningError(f"seed {seed}: no weights after epoch {min(missing)}")
    return saver.saved


def _prepare(model: Any, recipe: LoraTraining | FullTraining, seed: int) -> Any:
    if isinstance(recipe, FullTraining):
        return model
    lora = known(recipe.lora, "hyperparameters.lora")
    targets = known(lora.target_modules, "hyperparameters.lora.target_modules")
    set_seed(seed)  # global state is restored by the caller
    return get_peft_model(
        model,
        LoraConfig(
            task_type="CAUSAL_LM",
            r=known(lora.r, "hyperparameters.lora.r"),
            lora_alpha=known(lora.alpha, "hyperparameters.lora.alpha"),
            lora_dropout=known(lora.dropout, "hyperparameters.lora.dropout"),
            bias=known(lora.bias, "hyperparameters.lora.bias"),
            use_rslora=known(lora.rslora, "hyperparameters.lora.rslora"),
            use_dora=recipe.method == "dora",
            target_modules=targets if isinstance(targets, str) else list(targets),
        ),
    )


def _arguments(
    recipe: LoraTraining | FullTraining, seeds: dict[str, int], scratch: str
) -> SFTConfig:
    def value(name: str) -> Any:
        return known(getattr(recipe, name), f"hyperparameters.{name}")

    batch = value("batch_size")
    steps, ratio = value("warmup_steps"), value("warmup_ratio")
    return SFTConfig(
        output_dir=scratch,
        num_train_epochs=value("epochs"),
        per_device_train_batch_size=batch.per_device,
        gradient_accumulation_steps=batch.gradient_accumulation,
        learning_rate=value("learning_rate"),
        lr_scheduler_type=value("lr_scheduler"),
        warmup_steps=_share(ratio or 0.0) if steps is None else steps,
        weight_decay=value("weight_decay"),
        max_grad_norm=value("max_grad_norm"),
        optim=value("optimizer"),
        adam_beta1=value("adam_beta1"),
        adam_beta2=value("adam_beta2"),
        adam_epsilon=value("adam_epsilon"),
        max_length=value("max_length"),
        packing=value("packing"),
        completion_only_loss=value("loss_on") == "completion",
        seed=seeds["dropout"],
        data_seed=seeds["data_order"],
        save_strategy="no",
        logging_steps=1,
        logging_nan_inf_filter=False,  # a loss that is no number must be seen
        report_to="none",
        disable_tqdm=True,
        bf16=value("precision") == "bfloat16",
        fp16=value("precision") == "float16",
        use_cpu=not torch.cuda.is_available(),
        activation_checkpointing=False,
        dataloader_pin_memory=False,
    )


def _share(ratio: float) -> float:
    """Return a share of all steps as the trainer takes it: only below 1 it is one, and no count."""
    return min(ratio, 1 - 1e-9)


class _Saver(TrainerCallback):  # type: ignore[misc]  # transformers is untyped
    """Keeps weights at the card's epochs, watches the loss, reports progress."""

    def __init__(
        self, out: Path, recipe: LoraTraining | FullTraining, base_name: str, progress: Progress
    ) -> None:
        self.out = out
        self.wanted = set(known(recipe.checkpoints, "hyperparameters.checkpoints"))
        self.base_name = base_name
        self.progress = progress
        self.saved: dict[int, Path] = {}

    def on_log(self, args: Any, state: Any, control: Any, logs: Any = None, **_: Any) -> None:
        """See that the loss is a number."""
        loss = (logs or {}).get("loss")
        if loss is not None and not math.isfinite(loss):
            raise TuningError(
                f"the loss became {loss} at step {state.global_step}",
                fix="lower hyperparameters.learning_rate",
            )
        self.progress(float(state.epoch or 0.0), loss)

    def on_epoch_end(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        """Save the weights if the card keeps this epoch."""
        epoch = round(state.epoch)
        if epoch not in self.wanted:
            return
        folder = self.out / f"checkpoint-{epoch}"
        kwargs["model"].save_pretrained(folder, safe_serialization=True)
        (folder / "README.md").unlink(missing_ok=True)
        _name_base(folder, self.base_name)
        self.saved[epoch] = folder


def _name_base(folder: Path, base_name: str) -> None:
    """Write the card's name of the base model where peft wrote this machine's path."""
    path = folder / "adapter_config.json"
    if not path.is_file():
        return
    config = json.loads(path.read_bytes())
    config["base_model_name_or_path"] = base_name
    if isinstance(config.get("target_modules"), list):
        config["target_modules"].sort()  # peft keeps a set, whose order changes by process
    replace_file(path, (json.dumps(config, indent=2, sort_keys=True) + "\n").encode())


def weights_file(folder: Path) -> Path:
    """Return the safetensors file of a checkpoint: an adapter's, or a whole model's."""
    adapter = folder / ADAPTER_WEIGHTS
    return adapter if adapter.is_file() else folder / "model.safetensors"


@contextmanager
def _quiet() -> Iterator[None]:
    """Silence the trainer's progress and its notes; ours are shown instead."""
    names = ("transformers", "trl", "datasets", "peft", "accelerate")
    levels = {name: logging.getLogger(name).level for name in names}
    bars = datasets.is_progress_bar_enabled()
    datasets.disable_progress_bar()
    for name in names:
        logging.getLogger(name).setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings():
            for message in _THIRD_PARTY_NOTES:
                warnings.filterwarnings("ignore", message=message)
            yield
    finally:
        for name, level in levels.items():
            logging.getLogger(name).setLevel(level)
        if bars:
            datasets.enable_progress_bar()
