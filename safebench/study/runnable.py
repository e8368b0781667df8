"""Refuses, before anything is spent, what a card asks for and this version cannot execute."""

from __future__ import annotations

from collections.abc import Container, Mapping
from typing import Any

from safebench.card.base import Section, require
from safebench.card.card import Card
from safebench.card.data import Dataset
from safebench.card.decoding import Decoding, Prompting
from safebench.card.model import ApiModel, WeightsModel
from safebench.card.seeds import Seeds
from safebench.card.training import BatchSize, FullTraining, QloraTraining
from safebench.errors import CardError
from safebench.judges.registry import check_entry, kind_of
from safebench.study.api_models import check_served
from safebench.study.cells import training_seeds
from safebench.tuning.interface import Recipe
from safebench.tuning.registry import trained, trainer_of

Values = Mapping[str, tuple[Any, ...]]
"""The values of a field that are executed; None stands for leaving it out."""
# A field of a section that is not listed here takes every value the standard has for it. What
# judges and trainers execute stands in their registries.
_EXECUTED: dict[type[Section], Values] = {
    WeightsModel: {"quantization": ("none", "nf4", "fp4", "int8")},
    Prompting: {"few_shot": (0,), "prefill": (None,), "turns": (1,), "attack": ("none",)},
    Decoding: {
        "frequency_penalty": (None, 0.0),
        "presence_penalty": (None, 0.0),
        "reasoning_budget": (None, 0),
        "extra": (None, {}),
    },
    BatchSize: {"devices": (1,)},
}
_DECODING_ELSEWHERE: Values = {"reasoning_budget": (None, 0)}
"""The same for a decoding with which another backend generates."""

# Fields that decide nothing in a run, or that it fills in: they may be unknown.
_MAY_BE_UNKNOWN: dict[type[Section], set[str]] = {
    WeightsModel: {"access", "weights", "checkpoint_rule"},
    ApiModel: {"access", "provider", "moderation", "checkpoint_rule"},
    Prompting: {"language"},
    Dataset: {
        "id",
        "revision",
        "split",
        "sha256",
        "rendered_sha256",
        "filtered_out",
        "controls_for",
        "purpose",
    },
    BatchSize: {"effective"},
    Seeds: {"generation", "nonce_source", "registration", "origin"},
}


def check_runnable(card: Card, *, elsewhere: bool = False, dry: bool = False) -> None:
    """Refuse a card that this version cannot execute as it stands.

    With `elsewhere`, another backend generates, which takes settings that ours does not. With
    `dry`, nothing is executed: judges may lack files, and pins that a run looks up.

    Raises:
        CardError: names the field, its value, and what would be executed.
    """
    if isinstance(card.model, ApiModel):
        check_served(card, card.model, elsewhere=elsewhere)
    else:
        _check_section("model", card.model)
        _check_quantizable("model.dtype", card.model.dtype, card.model.quantization)
    _check_judges(card, dry=dry)
    _check_section("prompting", require(card.prompting, "prompting"))
    for number, decoding in enumerate(require(card.decoding, "decoding")):
        executed = _DECODING_ELSEWHERE if elsewhere else None
        _check_section(f"decoding[{number}]", decoding, executed)
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
        # What the seeds of weights that were made elsewhere set may be unknown.
        seeds = require(card.seeds, "seeds")
        _check_section("seeds", seeds)
        fixed = require(seeds.fixed, "seeds.fixed")
        if fixed is not None:
            _check_section("seeds.fixed", fixed)
    training_seeds(card)  # they are known


def _check_judges(card: Card, *, dry: bool) -> None:
    judges = require(card.judge, "judge")
    for number, judge in enumerate(judges):
        place = f"judge[{number}]"
        kind = kind_of(judge, place)
        if kind.asks_people:
            raise CardError(
                f"{place}.kind is `{kind.name}`, and people label responses that are there",
                fix="take this judge out and run; then `safebench judge audit DIR` draws responses "
                "to label, and `safebench judge DIR --card CARD` adds this judge",
            )
        may_be_unknown = kind.unused | kind.looked_up if dry else kind.unused
        _check_section(place, judge, kind.executed, may_be_unknown)
        check_entry(judge, place, judges)
    grades = any("severity" in (judge.constructs or ()) for judge in judges)
    for number, task in enumerate(card.task_list()):
        if task.measures_severity and not grades:
            raise CardError(
                f"tasks[{number}].construct lists severity, but no judge decides severity",
                fix="add a judge with `constructs: [severity]`, or take severity out",
            )


def _check_set(place: str, dataset: Dataset) -> None:
    _check_section(place, dataset)
    subset = require(dataset.subset, f"{place}.subset")
    if dataset.answers is None:
        if subset is not None:
            _check_section(f"{place}.subset", subset)
        return
    for field, value in (("subset", subset), ("weight", dataset.weight)):
        if value not in (None, 1.0):
            raise CardError(
                f"{place} has answers that the model writes, and a {field}, which is not executed",
                fix=f"give {field} to the set whose questions are answered, or leave it out",
            )


def _check_training(recipe: Recipe) -> None:
    trainer = trainer_of(recipe)
    _check_section("hyperparameters", recipe, trainer.executed)
    batch = require(recipe.batch_size, "hyperparameters.batch_size")
    _check_section("hyperparameters.batch_size", batch)
    if not isinstance(recipe, FullTraining):
        _check_section("hyperparameters.lora", require(recipe.lora, "hyperparameters.lora"))
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
    trainer.check(recipe)


def _check_compute_dtype(recipe: QloraTraining) -> None:
    """Check that quantized weights are computed in the type that the card names."""
    pointer = "hyperparameters.quantization"
    how, precision = require(recipe.quantization, pointer), recipe.precision
    _check_section(pointer, how)
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


def _check_section(
    place: str,
    section: Section,
    executed: Values | None = None,
    may_be_unknown: Container[str] | None = None,
) -> None:
    """Check that every field that decides something is known, and has a value that is executed.

    `executed` and `may_be_unknown`: the section's entries in the tables above by default.
    """
    kind = type(section)
    if may_be_unknown is None:
        may_be_unknown = _MAY_BE_UNKNOWN.get(kind, ())
    for field in kind.model_fields:
        if field not in may_be_unknown:
            require(getattr(section, field), f"{place}.{field}")
    for field, values in (_EXECUTED.get(kind, {}) if executed is None else executed).items():
        value = getattr(section, field)
        # 0 == False and 1 == 1.0: a value counts only with its type.
        if not any(value == one and type(value) is type(one) for one in values):
            words = ["leaving it out" if one in (None, {}, ()) else _shown(one) for one in values]
            raise CardError(
                f"{place}.{field} is {_shown(value)}; this version executes "
                f"{' or '.join(dict.fromkeys(words))}",
                fix="change it, or describe the run that was made elsewhere without executing it",
            )


def _shown(value: Any) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, str | int | float):
        return f"`{value}`"
    return "given" if value is not None else "missing"
