"""A card's hyperparameters as the trainer takes them."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any

from safebench.card.base import require
from safebench.errors import CardError
from safebench.tuning.libraries import SFTConfig, Trainer
from safebench.tuning.recipe import Recipe, extra_settings

# These pass over whatever else they are given.
_WITHOUT_ARGUMENTS = ("constant", "constant_with_warmup")


def trainer_arguments(
    recipe: Recipe, seeds: Mapping[str, int], scratch: str, *, on_cpu: bool
) -> SFTConfig:
    """Return the trainer's arguments; what it writes by itself goes to `scratch`.

    Raises:
        CardError: a setting that cannot be passed on.
    """

    def value(name: str) -> Any:
        return require(getattr(recipe, name), f"hyperparameters.{name}")

    batch = value("batch_size")
    epochs, total = value("epochs"), value("steps")
    steps, ratio = value("warmup_steps"), value("warmup_ratio")
    if value("lr_scheduler_args") and value("lr_scheduler") in _WITHOUT_ARGUMENTS:
        raise CardError(
            f"hyperparameters.lr_scheduler `{recipe.lr_scheduler}` takes no lr_scheduler_args",
            fix="leave them out, or name another schedule",
        )
    settings: dict[str, Any] = {"activation_checkpointing": False, **extra_settings(recipe)}
    arguments = SFTConfig(
        output_dir=scratch,
        num_train_epochs=epochs or 1,
        max_steps=total or -1,
        per_device_train_batch_size=batch.per_device,
        gradient_accumulation_steps=batch.gradient_accumulation,
        learning_rate=value("learning_rate"),
        lr_scheduler_type=value("lr_scheduler"),
        lr_scheduler_kwargs=value("lr_scheduler_args") or None,
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
        use_cpu=on_cpu,
        dataloader_pin_memory=False,
        **settings,
    )
    if arguments.n_gpu > 1:  # the card says one device, whatever else the machine has
        arguments._n_gpu = 1
    return arguments


def _share(ratio: float) -> float:
    """Return a share of all steps as the trainer takes it: only below 1 it is one, and no count."""
    return min(ratio, 1 - 1e-9)


def optimizer_with(
    recipe: Recipe, arguments: SFTConfig, model: Any
) -> tuple[type[Any], dict[str, Any]] | None:
    """Return the optimizer with the card's further constants; None where there are none.

    The trainer hands `optim_args` to some optimizers and drops them for the others (its own AdamW
    among them): those are given the constants directly, so that none is passed over in silence.
    """
    constants = require(recipe.optimizer_args, "hyperparameters.optimizer_args")
    if not constants:
        return None
    cls, keywords = Trainer.get_optimizer_cls_and_kwargs(arguments, model)
    for name, constant in constants.items():
        if any(mark in f"{name}{constant}" for mark in ",= "):
            raise CardError(
                f"hyperparameters.optimizer_args.{name}: {constant!r} cannot be passed on",
                fix="give names and values without commas, spaces and equal signs",
            )
        given = dataclasses.replace(arguments, optim_args=f"{name}={constant}")
        _, changed = Trainer.get_optimizer_cls_and_kwargs(given, model)
        honoured = {k: v for k, v in changed.items() if k not in keywords or keywords[k] != v}
        keywords.update(honoured or {name: constant})
    return cls, keywords
