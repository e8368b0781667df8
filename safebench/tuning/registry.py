"""The training backends, by name; a new one is one file and one line here."""

from __future__ import annotations

from typing import Final, cast

from safebench.card.base import require
from safebench.card.card import Card
from safebench.card.training import Hyperparameters, NoTraining
from safebench.errors import CardError
from safebench.tuning.interface import Recipe, Trainer
from safebench.tuning.peft_trainer import PeftTrainer

TRAINERS: Final[dict[str, Trainer]] = {trainer.name: trainer for trainer in (PeftTrainer(),)}


def trained(card: Card) -> Recipe | None:
    """Return how a card's model is fine-tuned; None when nothing is.

    Raises:
        CardError: it is not reported, or by a method that no backend trains.
    """
    recipe = cast("Hyperparameters", require(card.hyperparameters, "hyperparameters"))
    if isinstance(recipe, NoTraining):
        return None
    trainer_of(cast("Recipe", recipe))
    return cast("Recipe", recipe)


def trainer_of(recipe: Recipe) -> Trainer:
    """Return the first backend that trains by a recipe's method, and executes what it says.

    Where none does, the first that has the method: what it does not execute is said elsewhere.

    Raises:
        CardError: none has the method.
    """
    found = [trainer for trainer in TRAINERS.values() if recipe.method in trainer.methods]
    fit = [
        trainer
        for trainer in found
        if all(getattr(recipe, name) in values for name, values in trainer.executed.items())
    ]
    for trainer in fit or found:
        return trainer
    *others, last = dict.fromkeys(m for trainer in TRAINERS.values() for m in trainer.methods)
    raise CardError(
        f"hyperparameters.method is `{recipe.method}`; this version trains {', '.join(others)} "
        f"and {last}",
        fix="train with one of these methods, or describe the run that was made elsewhere",
    )
