"""Hyperparameters that contradict each other."""

from __future__ import annotations

import math
from collections.abc import Iterator

from safebench.card.base import NotReported
from safebench.card.training import BatchSize
from safebench.checks.registry import Hit, Subject, items, known, rule

_SECTION = "card.md#hyperparameters"


@rule(
    "SB-HYP-001",
    "error",
    section=_SECTION,
    title="Every checkpoint lies within the epochs.",
    rationale="Weights of an epoch that was never trained do not exist.",
)
def checkpoints_trained(subject: Subject) -> Iterator[Hit]:
    """Find checkpoints after the last epoch."""
    training = subject.card.hyperparameters
    epochs = known(getattr(training, "epochs", None))
    for number, checkpoint in enumerate(items(getattr(training, "checkpoints", None))):
        if epochs is not None and checkpoint > epochs:
            yield Hit(
                ("hyperparameters", "checkpoints", number),
                f"checkpoint {checkpoint} was never trained: epochs is {epochs}",
                "remove it, or correct epochs",
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
    for number in range(1, len(checkpoints)):
        before, checkpoint = checkpoints[number - 1], checkpoints[number]
        if checkpoint <= before:
            yield Hit(
                ("hyperparameters", "checkpoints", number),
                f"{checkpoint} comes after {before}: checkpoints increase",
                f"write {sorted(set(checkpoints))}",
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
