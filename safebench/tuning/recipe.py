"""The fine-tuning methods that are trained here, and what they may set beyond the card's fields."""

from __future__ import annotations

import difflib
from typing import Any, cast

from safebench.card.base import require
from safebench.card.card import Card
from safebench.card.training import (
    FullTraining,
    Hyperparameters,
    LoraTraining,
    NoTraining,
    QloraTraining,
)
from safebench.errors import CardError

Recipe = LoraTraining | QloraTraining | FullTraining

# The trainer's own settings that decide what is learnt, or only memory and time, and that have no
# field in the card. Left out are names of files, reports, the Hub, evaluation and several devices;
# those a field of the card sets; and those that draw from the seed of something else.
_EXTRA = (
    "activation_checkpointing", "activation_offloading", "assistant_only_loss",
    "dataloader_drop_last", "full_determinism", "gradient_checkpointing", "label_smoothing_factor",
    "loss_type", "neftune_noise_alpha", "optim_target_modules", "packing_strategy",
    "pad_to_multiple_of", "padding_free", "router_aux_loss_coef", "tf32", "torch_compile",
    "torch_compile_backend", "torch_compile_mode", "torch_empty_cache_steps", "truncation_mode",
)  # fmt: skip


def trained(card: Card) -> Recipe | None:
    """Return how a card's model is fine-tuned; None when nothing is.

    Raises:
        CardError: it is not reported, or by a method that this version does not have.
    """
    recipe = cast("Hyperparameters", require(card.hyperparameters, "hyperparameters"))
    if isinstance(recipe, NoTraining):
        return None
    if isinstance(recipe, Recipe):
        return recipe
    raise CardError(
        f"hyperparameters.method is `{recipe.method}`; this version trains lora, dora, qlora and "
        "full",
        fix="train with one of them, or describe the run that was made elsewhere",
    )


def extra_settings(recipe: Recipe) -> dict[str, Any]:
    """Return the settings in `hyperparameters.extra`.

    Raises:
        CardError: the trainer has no such setting, or it is not one to set here.
    """
    extra = require(recipe.extra, "hyperparameters.extra") or {}
    for name in extra:
        if name not in _EXTRA:
            near = difflib.get_close_matches(name, _EXTRA, n=3)
            raise CardError(
                f"hyperparameters.extra.{name} is no setting of the trainer's that decides what is "
                "learnt and has no field of the card",
                fix=f"leave it out; near it: {', '.join(near)}"
                if near
                else f"leave it out, or use one of {', '.join(_EXTRA)}",
            )
    found = dict(extra)
    if "gradient_checkpointing" in found:  # the older name
        found["activation_checkpointing"] = found.pop("gradient_checkpointing")
    return found
