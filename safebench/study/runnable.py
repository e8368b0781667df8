"""What a card may say but this version cannot execute: refused before anything is spent."""

from __future__ import annotations

from collections.abc import Container, Iterator, Mapping
from typing import Any

from safebench.card.base import Section, require
from safebench.card.card import Card
from safebench.card.data import Dataset
from safebench.card.decoding import Prompting
from safebench.card.model import ApiModel, WeightsModel
from safebench.card.seeds import Seeds
from safebench.card.training import (
    BatchSize,
    FullTraining,
    QloraTraining,
)
from safebench.errors import CardError
from safebench.judges.registry import check_entry, kind_of
from safebench.study.api_models import check_served
from safebench.tuning.interface import Recipe
from safebench.tuning.registry import trained, trainer_of

# Field, and the values that are executed; None stands for leaving it out.
_MODEL: dict[str, tuple[Any, ...]] = {"quantization": ("none", "nf4", "fp4", "int8")}
_PROMPTING: dict[str, tuple[Any, ...]] = {
    "few_shot": (0,), "prefill": (None,), "turns": (1,), "attack": ("none",),
}  # fmt: skip
_DECODING: dict[str, tuple[Any, ...]] = {
    "frequency_penalty": (None, 0.0), "presence_penalty": (None, 0.0),
    "reasoning_budget": (None, 0), "extra": (None, {}),
}  # fmt: skip
_DECODING_ELSEWHERE: dict[str, tuple[Any, ...]] = {"reasoning_budget": (None, 0)}
_DATASET: dict[str, tuple[Any, ...]] = {}
_BATCH: dict[str, tuple[Any, ...]] = {"devices": (1,)}

# Fields that decide nothing in a run, or that it fills in: they may be unknown.
_TOLD: dict[type[Section], set[str]] = {
    WeightsModel: {"access", "weights", "checkpoint_rule"},
    ApiModel: {"access", "provider", "moderation", "checkpoint_rule"},
    Prompting: {"language"},
    Dataset: {
        "id", "revision", "split", "sha256", "rendered_sha256", "filtered_out", "controls_for",
        "purpose",
    },
    BatchSize: {"effective"},
    Seeds: {"generation", "nonce_source", "origin"},
}  # fmt: skip


def check_runnable(card: Card, *, elsewhere: bool = False) -> None:
    """Refuse a card that this version cannot execute as it stands.

    `elsewhere`: another backend generates, which takes settings that ours does not have.

    Raises:
        CardError: names the field, its value, and what would be executed.
    """
    if isinstance(card.model, ApiModel):
        check_served(card, card.model, elsewhere=elsewhere)
    else:
        _only("model", card.model, _MODEL)
        _check_quantizable("model.dtype", card.model.dtype, card.model.quantization)
    _check_judges(card)
    _only("prompting", require(card.prompting, "prompting"), _PROMPTING)
    for number, decoding in enumerate(require(card.decoding, "decoding")):
        _only(f"decoding[{number}]", decoding, _DECODING_ELSEWHERE if elsewhere else _DECODING)
        if decoding.do_sample and decoding.temperature is None:
            raise CardError(
                f"decoding[{number}] samples without a temperature",
                fix="give temperature, or set do_sample: false",
            )
    require(card.tasks, "tasks")
    if card.is_trained_elsewhere:
        require(card.hyperparameters, "hyperparameters")
    else:
        for number, dataset in enumerate(require(card.data, "data")):
            _check_set(f"data[{number}]", dataset)
        recipe = trained(card)
        if recipe is not None:
            _check_training(recipe)
        _check_seeds(card)
    seeds = require(card.seeds, "seeds")
    require(seeds.training, "seeds.training")


def _check_seeds(card: Card) -> None:
    """See that what the training seeds set is known; of ready weights it may not be."""
    seeds = require(card.seeds, "seeds")
    _only("seeds", seeds, {})
    fixed = require(seeds.fixed, "seeds.fixed")
    if fixed is not None:
        _only("seeds.fixed", fixed, {})


def _check_judges(card: Card) -> None:
    judges = require(card.judge, "judge")
    for number, judge in enumerate(judges):
        place = f"judge[{number}]"
        kind = kind_of(judge, place)
        _only(place, judge, kind.executed, kind.unused)
        check_entry(judge, place, judges)
    grades = any("severity" in (judge.constructs or ()) for judge in judges)
    for number, task in enumerate(card.task_list()):
        if task.measures_severity and not grades:
            raise CardError(
                f"tasks[{number}].construct lists severity, but no judge decides severity",
                fix="add a judge with `constructs: [severity]`, or take severity out",
            )


def _check_set(place: str, dataset: Dataset) -> None:
    _only(place, dataset, _DATASET)
    subset = require(dataset.subset, f"{place}.subset")
    if dataset.answers is None:
        if subset is not None:
            _only(f"{place}.subset", subset, {})
        return
    for field, value in (("subset", subset), ("weight", dataset.weight)):
        if value not in (None, 1.0):
            raise CardError(
                f"{place} has answers that the model writes, and a {field}, which is not executed",
                fix=f"give {field} to the set whose questions are answered, or leave it out",
            )


def _check_training(recipe: Recipe) -> None:
    _only("hyperparameters", recipe, trainer_of(recipe).executed)
    batch = require(recipe.batch_size, "hyperparameters.batch_size")
    _only("hyperparameters.batch_size", batch, _BATCH)
    if not isinstance(recipe, FullTraining):
        _only("hyperparameters.lora", require(recipe.lora, "hyperparameters.lora"), {})
    if isinstance(recipe, QloraTraining):
        _check_compute_dtype(recipe)
    if (recipe.epochs is None) == (recipe.steps is None):
        raise CardError(
            "hyperparameters needs epochs or steps, one of them",
            fix="give the number of epochs, or that of optimizer steps",
        )
    if recipe.epochs is None and recipe.checkpoint_unit == "epoch":
        raise CardError(
            "hyperparameters counts steps, but checkpoints are counted in epochs",
            fix="set checkpoint_unit: step",
        )


def _check_compute_dtype(recipe: QloraTraining) -> None:
    """See that quantized weights are computed in the type that a card says."""
    pointer = "hyperparameters.quantization"
    how, precision = require(recipe.quantization, pointer), recipe.precision
    _only(pointer, how, {})
    _check_quantizable("hyperparameters.precision", precision, how.type)
    # Mixed precision (autocast) has its own type for every product; int8 has that of its input.
    if (how.type == "int8" or precision in ("bfloat16", "float16")) and (
        how.compute_dtype != precision
    ):
        raise CardError(
            f"{pointer}.compute_dtype is `{how.compute_dtype}`, but {how.type} weights are "
            f"computed in {precision} where hyperparameters.precision is `{precision}`",
            fix=f"set compute_dtype: {precision}",
        )


def _check_quantizable(place: str, dtype: object, kind: object) -> None:
    if dtype == "float64" and kind in ("nf4", "fp4"):
        raise CardError(
            f"{place} is `float64`, and weights of that type cannot be quantized to {kind}",
            fix="set float32, bfloat16 or float16",
        )


def _only(
    place: str,
    section: Section,
    executed: Mapping[str, tuple[Any, ...]],
    unused: Container[str] | None = None,
) -> None:
    """Check that what decides something is known, and is executed as it stands.

    Fields in `unused` may be unknown; by default those of the section in `_TOLD`.
    """
    if unused is None:
        unused = _TOLD.get(type(section), ())
    for field in type(section).model_fields:
        if field not in unused:
            require(getattr(section, field), f"{place}.{field}")
    for field, values in executed.items():
        value = getattr(section, field)
        if not any(value == one and type(value) is type(one) for one in values):
            raise CardError(
                f"{place}.{field} is {_shown(value)}; this version executes {_words(values)}",
                fix="change it, or describe the run that was made elsewhere without executing it",
            )


def _words(values: tuple[Any, ...]) -> str:
    return " or ".join(dict.fromkeys(_words_of(values)))


def _words_of(values: tuple[Any, ...]) -> Iterator[str]:
    for value in values:
        if value is None or value in ({}, ()):
            yield "leaving it out"
        else:
            yield _shown(value)


def _shown(value: Any) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, str | int | float):
        return f"`{value}`"
    return "given" if value is not None else "missing"
