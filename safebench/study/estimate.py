"""What a plan will cost, before anything is spent."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from safebench.card.base import known
from safebench.card.training import Training
from safebench.study.cells import runs_of
from safebench.study.plan import Plan


@dataclass(frozen=True)
class Estimate:
    """What is to be fine-tuned and generated."""

    fine_tunings: int
    updates: int
    """Optimizer steps of one fine-tuning; fewer where examples are packed."""
    examples: int
    """Examples that one fine-tuning sees, passes counted."""
    responses: int
    """Responses that are judged."""
    answers: int
    """Answers that the base model gives for training sets of its own."""
    new_tokens: int
    """Most tokens that can be generated."""
    given_weights: int
    """Sets of weights that the card gives, so that nothing is fine-tuned for them."""


def estimate(plan: Plan) -> Estimate:
    """Return what executing a plan takes, as far as it follows from the card."""
    decodings = {d.name: d for d in known(plan.card.decoding, "decoding")}
    longest = {
        name: int(known(d.max_new_tokens, "decoding.max_new_tokens"))
        for name, d in decodings.items()
    }
    responses = sum(b.repeats for b in plan.blocks) * plan.prompts
    conditions = {block.condition for block in plan.blocks}
    asked = [a for a in plan.self_answered if a.dataset.role in conditions]
    answered = sum(len(a.questions) for a in asked)
    tokens = sum(b.repeats * plan.prompts * longest[b.decoding] for b in plan.blocks)
    tokens += sum(len(a.questions) * longest[a.decoding.name] for a in asked)
    updates, examples = _training(plan)
    trained = [] if plan.weights else [run for run in runs_of(plan.blocks) if run[1] is not None]
    return Estimate(
        fine_tunings=len(trained),
        updates=updates if trained else 0,
        examples=examples if trained else 0,
        responses=responses,
        answers=answered,
        new_tokens=tokens,
        given_weights=len({b.weights for b in plan.blocks if b.weights in plan.weights}),
    )


def length_in_epochs(recipe: Training, rows: Sequence[Any]) -> float:
    """Return how many passes over its examples a fine-tuning makes, where steps are given too."""
    epochs, steps = known(recipe.epochs, "epochs"), known(recipe.steps, "steps")
    if epochs is not None:
        return float(epochs)
    return int(steps or 0) / max(1, math.ceil(len(rows) / _batch(recipe)))


def _batch(recipe: Training) -> int:
    batch = known(recipe.batch_size, "hyperparameters.batch_size")
    factors = (batch.per_device, batch.gradient_accumulation)
    return math.prod(int(known(factor, "hyperparameters.batch_size")) for factor in factors)


def _training(plan: Plan) -> tuple[int, int]:
    recipe = known(plan.card.hyperparameters, "hyperparameters")
    if not isinstance(recipe, Training) or plan.weights:
        return 0, 0
    rows = max((len(rows) for rows in plan.rows.values()), default=0)
    size = _batch(recipe)
    steps, epochs = known(recipe.steps, "steps"), known(recipe.epochs, "epochs")
    if steps is not None:
        return int(steps), int(steps) * size
    return math.ceil(rows / size) * int(epochs or 0), rows * int(epochs or 0)
