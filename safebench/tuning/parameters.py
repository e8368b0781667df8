"""The base model, with the parameters that a method trains: adapters, named modules, or all."""

from __future__ import annotations

import difflib
from typing import Any

from safebench.card.base import require
from safebench.card.training import FullTraining, LoraTraining, QloraTraining
from safebench.errors import TuningError
from safebench.models.loading import Located, load_base
from safebench.models.quantized import without_bitsandbytes
from safebench.tuning.arguments import extra_settings
from safebench.tuning.interface import Recipe
from safebench.tuning.libraries import (
    LoraConfig,
    get_peft_model,
    prepare_model_for_kbit_training,
    set_seed,
)


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
