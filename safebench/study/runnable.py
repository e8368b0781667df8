"""What a card may ask for and this version cannot execute: refused before anything is spent."""

from __future__ import annotations

from typing import Any

from safebench.card.base import Section, require
from safebench.card.card import Card
from safebench.card.data import Dataset
from safebench.card.decoding import Decoding, Prompting
from safebench.card.judge import EnsembleJudge, Judge, ModelJudge, ModerationJudge, RuleJudge
from safebench.card.model import ApiModel, WeightsModel
from safebench.card.seeds import Seeds
from safebench.card.training import BatchSize, FullTraining, LoraTraining, QloraTraining
from safebench.errors import CardError
from safebench.judges import get_judge
from safebench.judges.moderation import check_supported
from safebench.study.api_models import check_served
from safebench.tuning.recipe import Recipe, trained

Values = dict[str, tuple[Any, ...]]
"""The values of a field that are executed; None stands for leaving it out."""
_TRAINING: Values = {
    "objective": ("sft",),
    "sharding": ("none",),
    "earlier_stages": (None, ()),
}
_JUDGE: Values = {"votes": (1,), "labels": (None,)}
# A field of a section that is not listed here takes every value the standard has for it.
_EXECUTED: dict[type[Section], Values] = {
    WeightsModel: {"quantization": ("none", "nf4", "fp4", "int8")},
    Prompting: {"few_shot": (0,), "prefill": (None,), "turns": (1,), "attack": ("none",)},
    Decoding: {
        "frequency_penalty": (None, 0.0),
        "presence_penalty": (None, 0.0),
        "reasoning_budget": (None, 0),
        "extra": (None, {}),
    },
    LoraTraining: _TRAINING,
    QloraTraining: _TRAINING,
    FullTraining: _TRAINING,
    BatchSize: {"devices": (1,)},
    RuleJudge: _JUDGE,
    ModelJudge: {"votes": (1,)},
    ModerationJudge: _JUDGE,
    EnsembleJudge: _JUDGE,
}
_DECODING_ELSEWHERE: Values = {"reasoning_budget": (None, 0)}
"""The same for a decoding with which another backend generates."""

# Fields that decide nothing in a run, or that it fills in: they may be unknown.
_MAY_BE_UNKNOWN: dict[type[Section], set[str]] = {
    WeightsModel: {"access", "weights", "checkpoint_rule"},
    ApiModel: {"access", "provider", "moderation", "checkpoint_rule"},
    RuleJudge: {"primary", "sees", "calibration", "self_test"},
    ModelJudge: {
        "primary",
        "calibration",
        "self_test",
        "lineage",
        # Of a model that is prompted:
        "prompt_template_sha256",
        "parser",
        "on_parse_failure",
        "decoding",
    },
    ModerationJudge: {"primary", "calibration", "self_test"},
    EnsembleJudge: {"primary", "id", "revision", "sees", "calibration", "self_test"},
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
    Seeds: {"generation", "nonce_source", "origin"},
}


def check_runnable(card: Card, *, elsewhere: bool = False) -> None:
    """Refuse a card that this version cannot execute as it stands.

    `elsewhere`: another backend generates, which takes settings that ours does not have.

    Raises:
        CardError: names the field, its value, and what would be executed.
    """
    if isinstance(card.model, ApiModel):
        check_served(card, card.model, elsewhere=elsewhere)
    else:
        _check_section("model", card.model)
        _check_quantizable("model.dtype", card.model.dtype, card.model.quantization)
    _check_judges(card)
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
        _check_seeds(card)
    seeds = require(card.seeds, "seeds")
    require(seeds.training, "seeds.training")


def _check_seeds(card: Card) -> None:
    """Check that what the training seeds set is known; of ready weights it may not be."""
    seeds = require(card.seeds, "seeds")
    _check_section("seeds", seeds)
    fixed = require(seeds.fixed, "seeds.fixed")
    if fixed is not None:
        _check_section("seeds.fixed", fixed)


def _check_judges(card: Card) -> None:
    judges = require(card.judge, "judge")
    for number, judge in enumerate(judges):
        place = f"judge[{number}]"
        if isinstance(judge, RuleJudge):
            _check_section(place, judge)
            id, revision = (
                require(judge.id, f"{place}.id"),
                require(judge.revision, f"{place}.revision"),
            )
            get_judge(id, str(revision))
            if "severity" in (judge.constructs or ()):
                raise CardError(
                    f"{place} decides severity by rules, which tell verdicts and no degree of harm",
                    fix="decide severity with `kind: classifier` or `moderation_api`",
                )
        elif isinstance(judge, ModelJudge) and judge.kind == "classifier":
            _check_section(place, judge)
            _check_constructs(place, judge)
        elif isinstance(judge, ModerationJudge):
            _check_section(place, judge)
            check_supported(judge, place)
            _check_constructs(place, judge)
        elif isinstance(judge, EnsembleJudge):
            _check_section(place, judge)
            _check_members(place, judge, judges)
        else:
            raise CardError(
                f"{place}.kind is `{judge.kind}`; this version runs rule, classifier, "
                "moderation_api and ensemble",
                fix="judge with one of them, or judge the responses elsewhere",
            )
    graded = any("severity" in (judge.constructs or ()) for judge in judges)
    for number, task in enumerate(card.task_list()):
        if not graded and task.measures_severity:
            raise CardError(
                f"tasks[{number}].construct lists severity, but no judge says that it decides it",
                fix="add a judge with `constructs: [severity]`, or take severity out",
            )


def _check_constructs(place: str, judge: ModelJudge | ModerationJudge) -> None:
    if judge.constructs is None or "capability" in judge.constructs:
        said = "is missing" if judge.constructs is None else "lists capability"
        raise CardError(
            f"{place}.constructs {said}; a judge that grades decides harm, over_refusal, severity",
            fix="list those of them that it decides",
        )


def _check_members(place: str, judge: EnsembleJudge, judges: tuple[Judge, ...]) -> None:
    """See that every member decides what the ensemble does."""
    named = {one.name: one for one in judges if not isinstance(one, EnsembleJudge)}
    decided = judge.constructs
    if decided is None:
        raise CardError(
            f"{place}.constructs is missing; an ensemble decides what all of its members decide",
            fix="list what it decides",
        )
    for name in require(judge.members, f"{place}.members"):
        stated = named[name].constructs if name in named else ()
        lacks = [c for c in decided if (c == "severity" if stated is None else c not in stated)]
        if lacks:
            raise CardError(
                f"{place}: its member {name} does not decide {lacks[0]}",
                fix="let every member decide what the ensemble does",
            )
    verdicts = [c for c in decided if c in ("harm", "over_refusal")]
    if require(judge.combine, f"{place}.combine") == "mean" and verdicts:
        raise CardError(
            f"{place}.combine is `mean`, and {verdicts[0]} has verdicts, which have no mean",
            fix="combine by majority, any or all",
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
    _check_section("hyperparameters", recipe)
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


def _check_section(place: str, section: Section, executed: Values | None = None) -> None:
    """Check that what decides something is known, and is executed as it stands.

    `executed`: the section's entry in _EXECUTED by default.
    """
    kind = type(section)
    for field in kind.model_fields:
        if field not in _MAY_BE_UNKNOWN.get(kind, ()):
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
