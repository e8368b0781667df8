"""The model that is trained: loaded, given its trainable parameters, and saved at checkpoints."""

from __future__ import annotations

import difflib
import json
import math
from pathlib import Path
from typing import Any

import torch

from safebench.card.base import require
from safebench.card.training import FullTraining, LoraTraining, QloraTraining
from safebench.errors import DivergedError, TuningError
from safebench.files import replace_file
from safebench.models.loading import ADAPTER_CONFIG, Located, load_base
from safebench.models.quantized import without_bitsandbytes
from safebench.tuning.arguments import extra_settings
from safebench.tuning.interface import Job, Recipe
from safebench.tuning.libraries import (
    LoraConfig,
    TrainerCallback,
    get_peft_model,
    prepare_model_for_kbit_training,
    set_seed,
)

_FIX = "lower hyperparameters.learning_rate, or lengthen the warm-up"


def load_for_training(located: Located, recipe: Recipe, device: str) -> Any:
    """Load a base model as a recipe trains it: in its precision, quantized for qlora.

    Raises:
        ModelError: it cannot be loaded.
        MissingDependencyError: qlora without bitsandbytes.
    """
    precision = str(require(recipe.precision, "hyperparameters.precision"))
    if not isinstance(recipe, QloraTraining):
        return load_base(located, precision, device)
    pointer = "hyperparameters.quantization"
    fields = require(recipe.quantization, pointer)
    return load_base(
        located,
        precision,
        device,
        quantization=str(require(fields.type, f"{pointer}.type")),
        double=bool(require(fields.double, f"{pointer}.double")),
        compute_dtype=str(require(fields.compute_dtype, f"{pointer}.compute_dtype")),
    )


def prepare(model: Any, recipe: Recipe, seed: int) -> Any:
    """Return a model that `load_for_training` loaded, with the recipe's trainable parameters.

    Sets the global random state to `seed`; the caller restores it.

    Raises:
        TuningError: the model lacks a module that is to be trained.
    """
    if isinstance(recipe, FullTraining):
        return _unfrozen(model, recipe)
    if isinstance(recipe, QloraTraining):
        recompute = bool(extra_settings(recipe).get("activation_checkpointing", False))
        model = prepare_model_for_kbit_training(model, use_gradient_checkpointing=recompute)
    set_seed(seed)
    with without_bitsandbytes():
        return get_peft_model(model, _lora(recipe))


def _lora(recipe: LoraTraining | QloraTraining) -> LoraConfig:
    lora = require(recipe.lora, "hyperparameters.lora")

    def value(name: str) -> Any:
        return require(getattr(lora, name), f"hyperparameters.lora.{name}")

    targets = value("target_modules")
    return LoraConfig(
        task_type="CAUSAL_LM",
        r=value("r"),
        lora_alpha=value("alpha"),
        lora_dropout=value("dropout"),
        bias=value("bias"),
        use_rslora=value("rslora"),
        use_dora=recipe.method == "dora",
        target_modules=targets if isinstance(targets, str) else list(targets),
    )


def _unfrozen(model: Any, recipe: FullTraining) -> Any:
    trainable = require(recipe.trainable, "hyperparameters.trainable")
    if trainable == "all":
        return model
    modules = dict(model.named_modules())
    model.requires_grad_(False)
    for name in trainable:
        chosen = [m for full, m in modules.items() if full == name or full.endswith(f".{name}")]
        if not any(True for module in chosen for _ in module.parameters()):
            known = {*modules, *(full.rsplit(".", 1)[-1] for full in modules)} - {""}
            near = difflib.get_close_matches(name, sorted(known), n=3, cutoff=0.4)
            raise TuningError(
                f"hyperparameters.trainable: the model has no module {name!r} with weights",
                fix=f"near it: {', '.join(near)}" if near else "name modules of the model",
            )
        for module in chosen:
            module.requires_grad_(True)
    return model


class Saver(TrainerCallback):  # type: ignore[misc]  # transformers is untyped
    """Saves weights at the card's checkpoints, watches the loss, and reports progress."""

    def __init__(self, job: Job) -> None:
        """Watch a fine-tuning; `use_cache` is set to the base model's own value later."""
        self.job, self.seed, recipe = job, job.seed, job.recipe
        self.checkpoints = set(require(recipe.checkpoints, "hyperparameters.checkpoints"))
        self.unit = str(require(recipe.checkpoint_unit, "hyperparameters.checkpoint_unit"))
        self.use_cache: bool | None = None
        self.saved: dict[int, Path] = {}

    def find_saved(self) -> None:
        """Take as saved what an earlier attempt has left."""
        places = {number: self.job.out / f"checkpoint-{number}" for number in self.checkpoints}
        self.saved = {number: place for number, place in places.items() if place.is_dir()}

    @property
    def missing(self) -> list[int]:
        """Checkpoints of the card that were never reached."""
        return sorted(self.checkpoints - set(self.saved))

    def on_log(self, args: Any, state: Any, control: Any, logs: Any = None, **_: Any) -> None:
        """Check that the loss is finite."""
        loss = (logs or {}).get("loss")
        if loss is not None and not math.isfinite(loss):
            raise DivergedError(
                f"training seed {self.seed}: the loss became {loss} at step {state.global_step}",
                fix=_FIX,
            )
        self.job.progress(float(state.epoch or 0.0), loss)

    def on_step_end(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        """Save the weights if the card keeps this step."""
        if self.unit == "step":
            self._keep(state.global_step, kwargs["model"])

    def on_epoch_end(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        """Save the weights if the card keeps this epoch, and it is complete."""
        epoch = round(state.epoch)
        if self.unit == "epoch" and abs(state.epoch - epoch) < 1e-6:
            self._keep(epoch, kwargs["model"])

    def _keep(self, number: int, model: Any) -> None:
        if number not in self.checkpoints:
            return
        for name, value in model.named_parameters():
            if value.requires_grad and not bool(torch.isfinite(value).all()):
                raise DivergedError(
                    f"training seed {self.seed}: {name} is not finite after {self.unit} {number}",
                    fix=_FIX,
                )
        folder = self.job.out / f"checkpoint-{number}"
        save_weights(model, folder, self.job.base_name, use_cache=self.use_cache)
        self.saved[number] = folder


def save_weights(model: Any, folder: Path, base_name: str, *, use_cache: bool | None) -> None:
    """Save an adapter, or a whole model, as safetensors with the same bytes on every machine."""
    during = model.config.use_cache
    if use_cache is not None:  # the trainer turned it off; saved so, the model would be slow
        model.config.use_cache = use_cache
    # peft would ask the Hub whether the embeddings were resized; they never are here.
    more = {"save_embedding_layers": False} if hasattr(model, "peft_config") else {}
    model.save_pretrained(folder, **more)
    model.config.use_cache = during
    (folder / "README.md").unlink(missing_ok=True)
    path = folder / ADAPTER_CONFIG
    if not path.is_file():
        return
    config = json.loads(path.read_bytes())
    config["base_model_name_or_path"] = base_name  # peft wrote its path on this machine
    if isinstance(config.get("target_modules"), list):
        config["target_modules"].sort()  # peft keeps a set, whose order is random
    replace_file(path, (json.dumps(config, indent=2, sort_keys=True) + "\n").encode())
