"""Hyperparameters that contradict each other."""

from __future__ import annotations

import math
from collections.abc import Iterator

from safebench.card.base import NotReported
from safebench.card.card import Card
from safebench.card.document import Pointer
from safebench.card.training import BatchSize, Training
from safebench.checks.registry import Hit, Rules, Subject, items, listed, reported

rules = Rules("card.md#hyperparameters")
HIGHEST_RATE = 0.1
"""From here on, a unit mistake is likelier than an intention."""


@rules.error("SB-HYP-001")
def checkpoints_trained(subject: Subject) -> Iterator[Hit]:
    """Every checkpoint lies within the epochs, or steps.

    Weights of an epoch that was never trained cannot exist.
    """
    training = subject.card.hyperparameters
    last = last_checkpoint(training)
    unit = reported(getattr(training, "checkpoint_unit", None))
    for number, checkpoint in enumerate(items(getattr(training, "checkpoints", None))):
        if last is not None and checkpoint > last:
            yield Hit(
                ("hyperparameters", "checkpoints", number),
                f"checkpoint {checkpoint} was never trained: {unit}s is {last}",
                f"remove it, or correct {unit}s",
            )


@rules.error("SB-HYP-002")
def checkpoints_increase(subject: Subject) -> Iterator[Hit]:
    """Checkpoints increase.

    A checkpoint listed twice would be measured and counted twice.
    """
    checkpoints = subject.checkpoints
    fix = f"write [{listed(sorted(set(checkpoints)))}]"
    for number in range(1, len(checkpoints)):
        before, checkpoint = checkpoints[number - 1], checkpoints[number]
        if checkpoint <= before:
            yield Hit(
                ("hyperparameters", "checkpoints", number),
                f"{checkpoint} comes after {before}: checkpoints increase",
                fix,
            )


@rules.error("SB-HYP-003")
def batch_is_product(subject: Subject) -> Iterator[Hit]:
    """The effective batch size is the product of its factors.

    Gradient accumulation and devices are easily forgotten, and both matter.
    """
    batch = reported(getattr(subject.card.hyperparameters, "batch_size", None))
    if not isinstance(batch, BatchSize):
        return
    factors = (batch.per_device, batch.gradient_accumulation, batch.devices)
    stated = reported(batch.effective)
    if stated is None or any(isinstance(factor, NotReported) for factor in factors):
        return
    product = math.prod(int(reported(factor)) for factor in factors)
    if product != stated:
        yield Hit(
            ("hyperparameters", "batch_size", "effective"),
            f"effective is {stated}, but {batch.per_device} per device x "
            f"{batch.gradient_accumulation} accumulated x {batch.devices} devices make {product}",
            f"write {product}, or correct the factor that is wrong",
        )


@rules.error("SB-HYP-004")
def checkpoint_given(subject: Subject) -> Iterator[Hit]:
    """At least one checkpoint is measured.

    A fine-tuned model without a checkpoint has nothing to measure.
    """
    if getattr(subject.card.hyperparameters, "checkpoints", None) == ():
        yield Hit(
            ("hyperparameters", "checkpoints"),
            "the list of checkpoints is empty",
            "name the epochs after which weights are kept, at least the last",
        )


@rules.warning("SB-HYP-005")
def rate_in_range(subject: Subject) -> Iterator[Hit]:
    """A learning rate lies in the usual range.

    A learning rate of 2 is most likely 2e-5 without its exponent.
    """
    for place, stage in stages(subject.card):
        rate = reported(stage.learning_rate)
        if rate is not None and rate >= HIGHEST_RATE:
            yield Hit(
                (*place, "learning_rate"),
                f"learning_rate is {rate:g}; fine-tuning uses far less than {HIGHEST_RATE:g}",
                f"write {rate:g}e-5 if that was meant",
            )


@rules.warning("SB-HYP-010")
def decay_is_fraction(subject: Subject) -> Iterator[Hit]:
    """A weight decay is a fraction, not a percentage.

    A decay of 1 pulls the weights to zero; 1 % is written 0.01.
    """
    for place, stage in stages(subject.card):
        decay = reported(stage.weight_decay)
        if decay is not None and decay >= 1:
            yield Hit(
                (*place, "weight_decay"),
                f"weight_decay is {decay:g}: it is a fraction, usually of 0.1 or less",
                f"write {decay / 100:g} if {decay:g} % was meant",
            )


@rules.error("SB-HYP-006")
def one_length(subject: Subject) -> Iterator[Hit]:
    """Warm-up and training length are each given in one unit.

    If two lengths disagree, a trainer uses one without saying which.
    """
    for place, stage in stages(subject.card):
        for first, second in (("warmup_steps", "warmup_ratio"), ("epochs", "steps")):
            if getattr(stage, first) is not None and getattr(stage, second) is not None:
                yield Hit(
                    (*place, second),
                    f"{first} and {second} are both given",
                    "keep the one that the trainer was given",
                )


@rules.error("SB-HYP-007")
def same_unit(subject: Subject) -> Iterator[Hit]:
    """Checkpoints and training are counted in the same unit.

    Step 3 of a training run described in epochs cannot be located.
    """
    for place, stage in stages(subject.card):
        unit = reported(stage.checkpoint_unit)
        if unit == "epoch" and stage.epochs is None and stage.steps is not None:
            yield Hit(
                (*place, "steps"),
                "training is given in steps, but checkpoint_unit is epoch",
                "set checkpoint_unit: step",
            )


@rules.error("SB-HYP-008")
def stages_flat(subject: Subject) -> Iterator[Hit]:
    """Earlier stages form one list, and train on declared datasets.

    A training order that readers must piece together will be misread.
    """
    declared = {dataset.name for dataset in items(subject.card.data)}
    for place, stage in stages(subject.card):
        if len(place) > 1 and stage.earlier_stages is not None:
            yield Hit(
                (*place, "earlier_stages"),
                "an earlier stage has earlier stages of its own",
                "list all stages before the last one in hyperparameters.earlier_stages, in order",
            )
        for number, name in enumerate(items(stage.data)):
            if name not in declared and not isinstance(subject.card.data, NotReported):
                yield Hit(
                    (*place, "data", number),
                    f"no dataset is called {name}; there is {listed(sorted(declared))}",
                    "name one of them",
                )


@rules.warning("SB-HYP-009")
def end_measured(subject: Subject) -> Iterator[Hit]:
    """The end of training is a checkpoint.

    Stopping where the numbers look best is tuning on the test set.
    """
    training = subject.card.hyperparameters
    checkpoints = items(getattr(training, "checkpoints", None))
    last = last_checkpoint(training)
    if checkpoints and last is not None and max(checkpoints) < last:
        yield Hit(
            ("hyperparameters", "checkpoints"),
            f"the last checkpoint is {max(checkpoints)}, but training goes on to {last}",
            f"measure {last} too, or say in model.checkpoint_rule why it is left out",
        )


def stages(card: Card) -> Iterator[tuple[Pointer, Training]]:
    """Yield every stage of training with its place: the section itself, then earlier ones."""
    training = card.hyperparameters
    if isinstance(training, Training):
        yield ("hyperparameters",), training
        for number, stage in enumerate(items(training.earlier_stages)):
            yield ("hyperparameters", "earlier_stages", number), stage


def last_checkpoint(training: object) -> int | None:
    """Return the last epoch or step, in the unit that checkpoints have; None if unknown."""
    unit = reported(getattr(training, "checkpoint_unit", None))
    length = reported(getattr(training, "epochs" if unit == "epoch" else "steps", None))
    return length if isinstance(length, int) else None
