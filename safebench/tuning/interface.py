"""What fine-tunes: read this first.

A `Trainer` turns a `Job`, one fine-tuning with one training seed, into the weights of every
checkpoint. Another backend (for several devices, or another library) is one file with a `Trainer`
and one line in registry.py.

The data path is the same for all of them: examples.py reads examples, render.py makes training text
of them, sets.py finds the sets that a card names, training_data.py mixes them by condition.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Protocol

from safebench.card.training import FullTraining, LoraTraining, QloraTraining
from safebench.models.loading import Located
from safebench.tuning.states import States

Recipe = LoraTraining | QloraTraining | FullTraining
"""The hyperparameters of a card whose method can be trained."""
Rows = list[dict[str, Any]]
"""Examples in a trainer's form: `prompt` and `completion`, both texts or both lists of messages."""
Progress = Callable[[float, float | None], None]
"""Called with the epoch reached, and the loss where one was measured."""

SEEDED: Final = ("adapter_init", "data_order", "dropout")
"""What seeds control: the adapter's initial weights; the order of examples; whatever else a trainer
draws (dropout, and noise that a setting asks for)."""
FIXED_SEED: Final = 0
"""Seed of whatever the training seed does not control and the card fixes no seed for."""


@dataclass(frozen=True)
class Job:
    """One fine-tuning."""

    base: Located
    recipe: Recipe
    rows: Sequence[dict[str, Any]]
    """Training examples, as `Rows`."""
    tokenizer: Any
    seed: int
    """The training seed."""
    controls: Sequence[str]
    """What the training seed controls, of `SEEDED`."""
    fixed: Mapping[str, int]
    """Seeds of the rest, by the same names."""
    base_name: str
    """What adapters call their base model."""
    out: Path
    """Folder for the weights; it does not exist yet, or is empty."""
    device: str = "cpu"
    progress: Progress = lambda epoch, loss: None
    states: States | None = None
    """Where the trainer leaves what it would go on from, and finds it; None where it need not."""

    @property
    def seeds(self) -> dict[str, int]:
        """The seed of everything in `SEEDED`."""
        return {
            name: self.seed if name in self.controls else self.fixed.get(name, FIXED_SEED)
            for name in SEEDED
        }


class Trainer(Protocol):
    """A training backend. Creating one imports no model library; `train` may."""

    name: str
    methods: tuple[str, ...]
    """The values of `hyperparameters.method` that it trains."""
    executed: Mapping[str, tuple[Any, ...]]
    """Hyperparameters that are executed with some values only, and these."""

    def check(self, recipe: Recipe) -> None:
        """Refuse settings that the backend does not have, before anything is loaded.

        Raises:
            CardError: names the setting.
        """

    def train(self, job: Job) -> dict[int, Path]:
        """Fine-tune; return the folder of every checkpoint (safetensors) by its number.

        Everything in `job.out` is durable on return. Global random states are as before. A trainer
        that can go on inside a fine-tuning saves to `job.states`, and begins at the newest state
        there; the weights are those of a training that was never interrupted.

        Raises:
            DivergedError: loss or weights are not finite any more: the result of this seed.
            ModelError, MissingDependencyError: the base model cannot be loaded.
            TuningError: training failed, or memory ran out.
            RunError: the newest state is of another protocol or environment.
        """
