"""Hyperparameters that contradict each other."""

from __future__ import annotations

import math
from collections.abc import Iterator

from safebench.card.base import NotReported
from safebench.card.document import Pointer
from safebench.card.model import WeightsModel
from safebench.card.training import BatchSize, Training
from safebench.checks.registry import Hits, Rules, Subject, items, listed, reported, text

rules = Rules("card.md#hyperparameters")
HIGHEST_RATE = 0.1
"""From this learning rate on, a unit mistake is likelier than an intention."""
_LACKS_A_SIGN = 1e3
"""From this learning rate on, the exponent was written without its sign."""
HIGHEST_DECAY = 1.0
"""From here on, a weight decay is a percentage by mistake."""


def _stages(subject: Subject) -> Iterator[tuple[Pointer, Training]]:
    """Yield every stage of training with its place: the section itself, then earlier ones."""
    training = subject.card.hyperparameters
    if isinstance(training, Training):
        yield ("hyperparameters",), training
    yield from subject.each("hyperparameters.earlier_stages")


def _last_checkpoint(training: object) -> int | None:
    """Return the last epoch or step, in the unit that checkpoints have; None if unknown."""
    unit = reported(getattr(training, "checkpoint_unit", None))
    length = reported(getattr(training, f"{unit}s", None))
    return length if isinstance(length, int) else None


@rules.error(
    "SB-HYP-001",
    "Every checkpoint lies within the epochs, or steps.",
    condition="An item of `hyperparameters.checkpoints` is above `epochs` where "
    "`checkpoint_unit` is `epoch`, above `steps` where it is `step`. Points to the item.",
    why="Weights of an epoch that was never trained cannot exist.",
)
def _checkpoints_trained(subject: Subject) -> Hits:
    training = subject.card.hyperparameters
    last = _last_checkpoint(training)
    unit = reported(getattr(training, "checkpoint_unit", None))
    for at, checkpoint in subject.each("hyperparameters.checkpoints"):
        if last is not None and checkpoint > last:
            message = f"checkpoint {checkpoint} was never trained: {unit}s is {last}"
            yield at, message, f"remove it, or correct {unit}s"


@rules.error(
    "SB-HYP-002",
    "Checkpoints increase.",
    condition="An item of `hyperparameters.checkpoints` is not above the one before it. Points "
    "to the item.",
    why="A checkpoint listed twice would be measured and counted twice.",
)
def _checkpoints_increase(subject: Subject) -> Hits:
    checkpoints = subject.checkpoints
    fix = f"write [{listed(sorted(set(checkpoints)))}]"
    for number in range(1, len(checkpoints)):
        before, checkpoint = checkpoints[number - 1], checkpoints[number]
        if checkpoint <= before:
            message = f"{checkpoint} comes after {before}: checkpoints increase"
            yield ("hyperparameters", "checkpoints", number), message, fix


@rules.error(
    "SB-HYP-003",
    "The effective batch size is the product of its factors.",
    condition="`hyperparameters.batch_size.effective` is not `per_device` x "
    "`gradient_accumulation` x `devices`. Points to `effective`.",
    why="Gradient accumulation and devices are easily forgotten, and both matter.",
)
def _batch_is_product(subject: Subject) -> Hits:
    batch = reported(getattr(subject.card.hyperparameters, "batch_size", None))
    if not isinstance(batch, BatchSize) or reported(batch.effective) is None:
        return
    factors = (batch.per_device, batch.gradient_accumulation, batch.devices)
    if any(isinstance(factor, NotReported) for factor in factors):
        return
    product = math.prod(int(reported(factor)) for factor in factors)
    if product != batch.effective:
        yield (
            ("hyperparameters", "batch_size", "effective"),
            f"effective is {batch.effective}, but {batch.per_device} per device x "
            f"{batch.gradient_accumulation} accumulated x {batch.devices} devices make {product}",
            f"write {product}, or correct the factor that is wrong",
        )


@rules.error(
    "SB-HYP-004",
    "At least one checkpoint is measured.",
    condition="`hyperparameters.checkpoints` is an empty list. Points to it.",
    why="A fine-tuned model without a checkpoint has nothing to measure.",
    fix="name the epochs after which weights are kept, at least the last",
)
def _checkpoint_given(subject: Subject) -> Hits:
    if getattr(subject.card.hyperparameters, "checkpoints", None) == ():
        yield ("hyperparameters", "checkpoints"), "the list of checkpoints is empty"


@rules.warning(
    "SB-HYP-005",
    "A learning rate lies in the usual range.",
    condition=f"`learning_rate` of a stage is {HIGHEST_RATE:g} or more. Points to it.",
    why="A learning rate of 2 is most likely 2e-5 without its exponent.",
    each=_stages,
)
def _rate_in_range(stage: Training) -> Hits:
    rate = reported(stage.learning_rate)
    if rate is not None and rate >= HIGHEST_RATE:
        message = f"learning_rate is {rate:g}; fine-tuning uses far less than {HIGHEST_RATE:g}"
        # 2e4 lacks the sign of its exponent; 2 lacks all of it.
        meant = f"{rate:e}".replace("e+", "e-") if rate >= _LACKS_A_SIGN else f"{rate:g}e-5"
        yield "learning_rate", message, f"write {float(meant):g} if that was meant"


@rules.warning(
    "SB-HYP-010",
    "A weight decay is a fraction, not a percentage.",
    condition=f"`weight_decay` of a stage is {HIGHEST_DECAY:g} or more. Points to it.",
    why="A decay of 1 pulls the weights to zero; 1 % is written 0.01.",
    each=_stages,
)
def _decay_is_fraction(stage: Training) -> Hits:
    decay = reported(stage.weight_decay)
    if decay is not None and decay >= HIGHEST_DECAY:
        message = f"weight_decay is {decay:g}: it is a fraction, usually of 0.1 or less"
        yield "weight_decay", message, f"write {decay / 100:g} if {decay:g} % was meant"


@rules.error(
    "SB-HYP-006",
    "Warm-up and training length are each given in one unit.",
    condition="A stage gives both `warmup_steps` and `warmup_ratio`, or both `epochs` and "
    "`steps`. Points to the second of the pair.",
    why="If two lengths disagree, a trainer uses one without saying which.",
    fix="keep the one that the trainer was given",
    each=_stages,
)
def _one_length(stage: Training) -> Hits:
    for first, second in (("warmup_steps", "warmup_ratio"), ("epochs", "steps")):
        if None not in (reported(getattr(stage, first)), reported(getattr(stage, second))):
            yield second, f"{first} and {second} are both given"


@rules.error(
    "SB-HYP-007",
    "Checkpoints and training are counted in the same unit.",
    condition="Of a stage, `checkpoint_unit` is `epoch`, `epochs` is left out and `steps` "
    "given; or it is `step`, `steps` is left out and `epochs` given. Points to the one that "
    "is given.",
    why="Step 3 of a training run described in epochs cannot be located.",
    each=_stages,
)
def _same_unit(stage: Training) -> Hits:
    unit = reported(stage.checkpoint_unit)
    for own, other in (("epoch", "step"), ("step", "epoch")):
        missing, given = getattr(stage, f"{own}s"), reported(getattr(stage, f"{other}s"))
        if unit == own and missing is None and given is not None:
            message = f"training is given in {other}s, but checkpoint_unit is {own}"
            yield f"{other}s", message, f"set checkpoint_unit: {other}, or give {own}s instead"


@rules.error(
    "SB-HYP-008",
    "Earlier stages form one list, and train on declared datasets.",
    condition="An earlier stage does not leave out `earlier_stages`: points to them. An item "
    "of `data` of a stage is not the name of a set: points to the item.",
    why="A training order that readers must piece together will be misread.",
)
def _stages_flat(subject: Subject) -> Hits:
    declared = subject.declared("data")
    for at, stage in _stages(subject):
        if at != ("hyperparameters",) and stage.earlier_stages is not None:
            yield (
                (*at, "earlier_stages"),
                "an earlier stage has earlier stages of its own",
                "list all stages before the last one in hyperparameters.earlier_stages, in order",
            )
        for number, name in enumerate(items(stage.data)):
            if declared is not None and name not in declared:
                there = listed(sorted(set(declared)))
                message = f"no dataset is called {name}; there is {there}"
                yield (*at, "data", number), message, "name one of them"


@rules.warning(
    "SB-HYP-009",
    "The end of training is a checkpoint.",
    condition="The largest item of `hyperparameters.checkpoints` is below `epochs` where "
    "`checkpoint_unit` is `epoch`, below `steps` where it is `step`, and "
    "`model.checkpoint_rule` is its default or `not_reported`. Points to "
    "`/hyperparameters/checkpoints`.",
    why="Stopping where the numbers look best is tuning on the test set.",
)
def _end_measured(subject: Subject) -> Hits:
    last = _last_checkpoint(subject.card.hyperparameters)
    final = max(subject.checkpoints, default=None)
    rule = text(subject.card.model.checkpoint_rule)
    explained = rule not in (None, WeightsModel.model_fields["checkpoint_rule"].default)
    if final is not None and last is not None and final < last and not explained:
        yield (
            ("hyperparameters", "checkpoints"),
            f"the last checkpoint is {final}, but training goes on to {last}",
            f"measure {last} too, or say in model.checkpoint_rule why it is left out",
        )
