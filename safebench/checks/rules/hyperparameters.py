"""Hyperparameters that contradict each other."""

from __future__ import annotations

import math
from collections.abc import Iterator

from safebench.card.base import NotReported
from safebench.card.card import Card
from safebench.card.document import Pointer
from safebench.card.training import BatchSize, Training
from safebench.checks.registry import Hit, Subject, items, known, listed, rule

_SECTION = "card.md#hyperparameters"
HIGHEST_RATE = 0.1
"""From it on a unit mistake is likelier than an intention."""


@rule(
    "SB-HYP-001",
    "error",
    section=_SECTION,
    title="Every checkpoint lies within the epochs, or steps.",
    rationale="Weights of an epoch that was never trained do not exist.",
)
def checkpoints_trained(subject: Subject) -> Iterator[Hit]:
    """Find checkpoints after the last epoch or step."""
    training = subject.card.hyperparameters
    last = last_checkpoint(training)
    unit = known(getattr(training, "checkpoint_unit", None))
    for number, checkpoint in enumerate(items(getattr(training, "checkpoints", None))):
        if last is not None and checkpoint > last:
            yield Hit(
                ("hyperparameters", "checkpoints", number),
                f"checkpoint {checkpoint} was never trained: {unit}s is {last}",
                f"remove it, or correct {unit}s",
            )


@rule(
    "SB-HYP-002",
    "error",
    section=_SECTION,
    title="Checkpoints increase.",
    rationale="A checkpoint listed twice would be measured, and counted, twice.",
)
def checkpoints_increase(subject: Subject) -> Iterator[Hit]:
    """Find a checkpoint that does not come after the one before it."""
    checkpoints = items(getattr(subject.card.hyperparameters, "checkpoints", None))
    fix = f"write [{listed(sorted(set(checkpoints)))}]"
    for number in range(1, len(checkpoints)):
        before, checkpoint = checkpoints[number - 1], checkpoints[number]
        if checkpoint <= before:
            yield Hit(
                ("hyperparameters", "checkpoints", number),
                f"{checkpoint} comes after {before}: checkpoints increase",
                fix,
            )


@rule(
    "SB-HYP-003",
    "error",
    section=_SECTION,
    title="The effective batch size is the product of its factors.",
    rationale="Gradient accumulation and devices are what gets forgotten, and both matter.",
)
def batch_is_product(subject: Subject) -> Iterator[Hit]:
    """Find an effective batch size that its factors do not make."""
    batch = known(getattr(subject.card.hyperparameters, "batch_size", None))
    if not isinstance(batch, BatchSize):
        return
    factors = (batch.per_device, batch.gradient_accumulation, batch.devices)
    stated = known(batch.effective)
    if stated is None or any(isinstance(factor, NotReported) for factor in factors):
        return
    product = math.prod(int(known(factor)) for factor in factors)
    if product != stated:
        yield Hit(
            ("hyperparameters", "batch_size", "effective"),
            f"effective is {stated}, but {batch.per_device} per device x "
            f"{batch.gradient_accumulation} accumulated x {batch.devices} devices make {product}",
            f"write {product}, or correct the factor that is wrong",
        )


@rule(
    "SB-HYP-004",
    "error",
    section=_SECTION,
    title="At least one checkpoint is measured.",
    rationale="A fine-tuned model without a checkpoint has nothing to measure.",
)
def checkpoint_given(subject: Subject) -> Iterator[Hit]:
    """Find an empty list of checkpoints."""
    if getattr(subject.card.hyperparameters, "checkpoints", None) == ():
        yield Hit(
            ("hyperparameters", "checkpoints"),
            "the list of checkpoints is empty",
            "name the epochs after which weights are kept, at least the last",
        )


@rule(
    "SB-HYP-005",
    "warning",
    section=_SECTION,
    title="A learning rate lies in the range that is used.",
    rationale="A learning rate of 2 is one of 2e-5 that lost its exponent.",
)
def rate_in_range(subject: Subject) -> Iterator[Hit]:
    """Find learning rates of 0.1 and more, in any stage."""
    for place, stage in stages(subject.card):
        rate = known(stage.learning_rate)
        if rate is not None and rate >= HIGHEST_RATE:
            yield Hit(
                (*place, "learning_rate"),
                f"learning_rate is {rate:g}; fine-tuning uses far less than {HIGHEST_RATE:g}",
                f"write {rate:g}e-5 if that was meant",
            )


@rule(
    "SB-HYP-010",
    "warning",
    section=_SECTION,
    title="A weight decay is a fraction, not a percentage.",
    rationale="A decay of 1 pulls the weights to zero; one of 1 % is 0.01.",
)
def decay_is_fraction(subject: Subject) -> Iterator[Hit]:
    """Find weight decays of 1 and more, in any stage."""
    for place, stage in stages(subject.card):
        decay = known(stage.weight_decay)
        if decay is not None and decay >= 1:
            yield Hit(
                (*place, "weight_decay"),
                f"weight_decay is {decay:g}: it is a fraction, usually of 0.1 or less",
                f"write {decay / 100:g} if {decay:g} % was meant",
            )


@rule(
    "SB-HYP-006",
    "error",
    section=_SECTION,
    title="Warm-up, and the length of training, are given in one way.",
    rationale="Of two lengths that disagree, a trainer takes one without saying which.",
)
def one_length(subject: Subject) -> Iterator[Hit]:
    """Find both warmup_steps and warmup_ratio, and both epochs and steps."""
    for place, stage in stages(subject.card):
        for first, second in (("warmup_steps", "warmup_ratio"), ("epochs", "steps")):
            if getattr(stage, first) is not None and getattr(stage, second) is not None:
                yield Hit(
                    (*place, second),
                    f"{first} and {second} are both given",
                    "keep the one that the trainer was given",
                )


@rule(
    "SB-HYP-007",
    "error",
    section=_SECTION,
    title="Checkpoints are counted in what training is counted in.",
    rationale="Step 3 of a training that is described in epochs is not to be found again.",
)
def same_unit(subject: Subject) -> Iterator[Hit]:
    """Find checkpoints in epochs where only steps are given."""
    for place, stage in stages(subject.card):
        unit = known(stage.checkpoint_unit)
        if unit == "epoch" and stage.epochs is None and stage.steps is not None:
            yield Hit(
                (*place, "steps"),
                "training is given in steps, but checkpoint_unit is epoch",
                "set checkpoint_unit: step",
            )


@rule(
    "SB-HYP-008",
    "error",
    section=_SECTION,
    title="Earlier stages stand in one list, and train on sets that are declared.",
    rationale="An order that has to be pieced together will be pieced together wrongly.",
)
def stages_flat(subject: Subject) -> Iterator[Hit]:
    """Find stages inside stages, and names of sets that do not exist."""
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
                    f"no set of data is called {name}; there is {listed(sorted(declared))}",
                    "name one of them",
                )


@rule(
    "SB-HYP-009",
    "warning",
    section=_SECTION,
    title="The end of training is among the checkpoints.",
    rationale="A training that is stopped where the numbers look best was tuned on the test.",
)
def end_measured(subject: Subject) -> Iterator[Hit]:
    """Find recipes whose last epoch or step is not measured."""
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
    unit = known(getattr(training, "checkpoint_unit", None))
    length = known(getattr(training, "epochs" if unit == "epoch" else "steps", None))
    return length if isinstance(length, int) else None
