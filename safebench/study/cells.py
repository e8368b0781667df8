"""The grid of a study.

A cell is condition x training seed x checkpoint x decoding x repeat x task. The cells of one
model under one decoding are generated together, so that its weights are put in place once and
repeats share a batch: that is a block, the unit that is committed.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from safebench.card.base import known
from safebench.card.card import Card
from safebench.card.results import Condition
from safebench.study.runnable import trained


@dataclass(frozen=True)
class Block:
    """One model (condition, training seed, checkpoint) under one decoding."""

    condition: Condition
    training_seed: int | None
    checkpoint: int | None
    decoding: str
    repeats: int

    @property
    def name(self) -> str:
        """A file name that says which block this is."""
        if self.training_seed is None:
            return f"{self.condition}--{self.decoding}"
        return (
            f"{self.condition}-seed-{self.training_seed}-epoch-{self.checkpoint}--{self.decoding}"
        )


def list_blocks(card: Card) -> Iterator[Block]:
    """Yield the blocks of a card whose seeds are filled in, base first."""
    decodings = known(card.decoding, "decoding")
    repeats = {d.name: int(known(d.repeats, "decoding.repeats")) for d in decodings}
    for name, count in repeats.items():
        yield Block("base", None, None, name, count)
    recipe = trained(card)
    seeds = known(known(card.seeds, "seeds").training, "seeds.training")
    if not isinstance(seeds, tuple) or recipe is None:
        return
    roles = {dataset.role for dataset in known(card.data, "data")}
    conditions: tuple[Condition, ...] = ("tuned", "control")
    for condition in conditions:
        if condition not in roles:
            continue
        for seed in seeds:
            for checkpoint in known(recipe.checkpoints, "hyperparameters.checkpoints"):
                for name, count in repeats.items():
                    yield Block(condition, seed, checkpoint, name, count)


def weights_folder(out: Path, condition: str, seed: int) -> Path:
    """Return where the checkpoints of one training seed lie in a submission."""
    return out / "adapters" / f"{condition}-seed-{seed}"
