"""A card's hyperparameters as trl's trainer takes them."""

from __future__ import annotations

import dataclasses
import difflib
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Final

from safebench.card.base import require
from safebench.errors import CardError
from safebench.tuning.interface import Recipe

if TYPE_CHECKING:
    from trl import SFTConfig

# Schedules that ignore whatever else they are given.
_WITHOUT_ARGUMENTS: Final = ("constant", "constant_with_warmup")
# Hyperparameters that have the same name and meaning in the trainer.
_SAME_NAME: Final = (
    "learning_rate weight_decay max_grad_norm adam_beta1 adam_beta2 adam_epsilon max_length packing"
)
# Settings of the trainer that decide what is learnt, or memory and time alone, and have no field in
# the card. Left out are names of files, reports, the Hub, evaluation and several devices; whatever
# a field of the card sets; and what draws from the seed of something else.
_EXTRA: Final = (
    "activation_checkpointing activation_offloading assistant_only_loss dataloader_drop_last "
    "full_determinism gradient_checkpointing label_smoothing_factor loss_type neftune_noise_alpha "
    "optim_target_modules packing_strategy pad_to_multiple_of padding_free router_aux_loss_coef "
    "tf32 torch_compile torch_compile_backend torch_compile_mode torch_empty_cache_steps "
    "truncation_mode"
)


def extra_settings(recipe: Recipe) -> dict[str, Any]:
    """Return the settings in `hyperparameters.extra`.

    Raises:
        CardError: the trainer has no such setting, or it is not one to set here.
    """
    reported = require(recipe.extra, "hyperparameters.extra")
    extra: dict[str, Any] = dict(reported or {})
    known = _EXTRA.split()
    for name in extra:
        if name not in known:
            near = difflib.get_close_matches(name, known, n=3)
            raise CardError(
                f"hyperparameters.extra.{name} is not a trainer setting that can be given here: "
                "it changes nothing that is learnt, or the card has a field for it",
                fix=f"leave it out, or use one of {', '.join(near or known)}",
            )
    if "gradient_checkpointing" in extra:  # the older name
        extra["activation_checkpointing"] = extra.pop("gradient_checkpointing")
    return extra


def trainer_arguments(
    recipe: Recipe, seeds: Mapping[str, int], scratch: str, *, on_cpu: bool
) -> SFTConfig:
    """Return the trainer's arguments; files that it writes on its own go to `scratch`.

    Raises:
        CardError: a setting that cannot be passed on.
    """
    from safebench.tuning.libraries import SFTConfig

    def value(name: str) -> Any:
        return require(getattr(recipe, name), f"hyperparameters.{name}")

    batch = value("batch_size")
    warmup = value("warmup_steps")
    if warmup is None:
        # The trainer reads a warm-up below 1 as a share of all steps, and 1 as one step.
        warmup = min(value("warmup_ratio") or 0.0, 1 - 1e-9)
    if value("lr_scheduler_args") and value("lr_scheduler") in _WITHOUT_ARGUMENTS:
        raise CardError(
            f"hyperparameters.lr_scheduler `{recipe.lr_scheduler}` takes no lr_scheduler_args",
            fix="leave them out, or name another schedule",
        )
    settings: dict[str, Any] = {"activation_checkpointing": False, **extra_settings(recipe)}
    arguments = SFTConfig(
        output_dir=scratch,
        num_train_epochs=value("epochs") or 1,
        max_steps=value("steps") or -1,
        per_device_train_batch_size=batch.per_device,
        gradient_accumulation_steps=batch.gradient_accumulation,
        lr_scheduler_type=value("lr_scheduler"),
        lr_scheduler_kwargs=value("lr_scheduler_args") or None,
        warmup_steps=warmup,
        optim=value("optimizer"),
        completion_only_loss=value("loss_on") == "completion",
        seed=seeds["dropout"],
        data_seed=seeds["data_order"],
        save_strategy="no",  # `Saver` saves weights at the card's checkpoints
        logging_steps=1,  # and looks at every loss
        logging_nan_inf_filter=False,  # a loss that is not finite must be reported
        report_to="none",
        disable_tqdm=True,
        bf16=value("precision") == "bfloat16",
        fp16=value("precision") == "float16",
        use_cpu=on_cpu,
        dataloader_pin_memory=False,  # it warns on a machine without a GPU
        **{name: value(name) for name in _SAME_NAME.split()},
        **settings,
    )
    if arguments.n_gpu > 1:  # the card says one device, however many the machine has
        arguments._n_gpu = 1
    return arguments


def optimizer_with(
    recipe: Recipe, arguments: SFTConfig, model: Any
) -> tuple[type[Any], dict[str, Any]] | None:
    """Return the optimizer with the constants in `optimizer_args`; None where there are none.

    The trainer passes `optim_args` to some optimizers and drops them for others (AdamW among them).
    Those get the constants directly, so that none is dropped silently.

    Raises:
        CardError: a constant that cannot be written in the trainer's notation.
    """
    from safebench.tuning.libraries import Trainer

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
        with_it = dataclasses.replace(arguments, optim_args=f"{name}={constant}")
        _, changed = Trainer.get_optimizer_cls_and_kwargs(with_it, model)
        honoured = {k: v for k, v in changed.items() if k not in keywords or keywords[k] != v}
        keywords.update(honoured or {name: constant})
    return cls, keywords
