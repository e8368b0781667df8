"""The grid of a study.

A cell is condition x training seed x checkpoint x decoding x repeat x task. The cells of one
model under one decoding are generated together, so that its weights are put in place once and
repeats share a batch: that is a block, the unit that is committed.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from itertools import accumulate
from pathlib import Path
from typing import Any, cast

from safebench.card.base import NotReported, require
from safebench.card.card import Card
from safebench.card.model import ApiModel
from safebench.card.results import Condition
from safebench.card.training import Training
from safebench.errors import RunError
from safebench.evidence.journal import Run
from safebench.words import file_name


class Nth(int):
    """A training seed that is not derived yet, by its place among them: `#1` is the first."""

    def __str__(self) -> str:
        """Return it as --only takes it."""
        return f"#{int(self)}"


@dataclass(frozen=True)
class Block:
    """One model (condition, training seed, checkpoint) under one decoding."""

    condition: Condition
    training_seed: int | None
    checkpoint: int | None
    decoding: str
    repeats: int
    unit: str = "epoch"
    """Unit of checkpoints: `epoch` or `step`."""

    @property
    def run(self) -> Run:
        """Condition and training seed: what is registered, fine-tuned, and lost as one."""
        return self.condition, self.training_seed

    @property
    def weights(self) -> tuple[Condition, int | None, int | None]:
        """Condition, training seed and checkpoint: what is put in place."""
        return self.condition, self.training_seed, self.checkpoint

    @property
    def place(self) -> dict[str, Any]:
        """The columns of a table that say which block a row belongs to."""
        names = ("condition", "training_seed", "checkpoint", "decoding")
        return {name: getattr(self, name) for name in names}

    @property
    def name(self) -> str:
        """A file name that says which block this is."""
        return f"{file_name(*self.weights, self.unit)}--{self.decoding}"


def list_blocks(card: Card) -> Iterator[Block]:
    """Yield the blocks of a card, base first; seeds that the card only counts are `Nth`."""
    decodings = require(card.decoding, "decoding")
    repeats = {d.name: int(require(d.repeats, "decoding.repeats")) for d in decodings}
    for name, count in repeats.items():
        yield Block("base", None, None, name, count)
    recipe = require(card.hyperparameters, "hyperparameters")
    seeds = training_seeds(card)
    if not isinstance(recipe, Training):
        return
    if not isinstance(seeds, tuple):
        seeds = tuple(Nth(place) for place in range(1, seeds + 1))
    unit = str(require(recipe.checkpoint_unit, "hyperparameters.checkpoint_unit"))
    for condition in _tuned_conditions(card):
        for seed in seeds:
            for checkpoint in require(recipe.checkpoints, "hyperparameters.checkpoints"):
                for name, count in repeats.items():
                    yield Block(condition, seed, checkpoint, name, count, unit)


def training_seeds(card: Card) -> int | tuple[int, ...]:
    """Return the training seeds of a card, or their number where it gives that alone."""
    given = require(require(card.seeds, "seeds").training, "seeds.training")
    return cast("int | tuple[int, ...]", given)


def _tuned_conditions(card: Card) -> list[Condition]:
    if isinstance(card.model, ApiModel):
        return ["tuned"]  # a provider's jobs make nothing else
    given = card.model.weights
    if isinstance(card.data, NotReported) and isinstance(given, tuple):
        roles = {weights.condition for weights in given}  # trained elsewhere, on unknown data
    else:
        roles = {dataset.role for dataset in require(card.data, "data")}
    both: tuple[Condition, ...] = ("tuned", "control")
    return [condition for condition in both if condition in roles]


def runs_of(blocks: Iterable[Block]) -> list[Run]:
    """Return the runs that blocks belong to, in order."""
    return list(dict.fromkeys(block.run for block in blocks))


def weights_folder(out: Path, condition: str, seed: int) -> Path:
    """Return the folder of a submission for the checkpoints of one training seed."""
    return out / "adapters" / f"{condition}-seed-{seed}"


_SHARD = re.compile(r"([1-9][0-9]*)/([1-9][0-9]*)")
_KEYS = ("condition", "seed", "checkpoint", "decoding")
BlockFilter = Callable[[Block], bool]


def pick_shard(text: str) -> Callable[[list[Block]], list[Block]]:
    """Return a function that keeps part i of n of a grid, given `i/n`.

    Parts are stretches of the grid with about as many responses each, so that the blocks of one
    model mostly stay together; no block is cut.

    Raises:
        RunError: not `i/n` with 1 <= i <= n.
    """
    found = _SHARD.fullmatch(text)
    number, count = (int(found.group(1)), int(found.group(2))) if found else (0, 0)
    if not 1 <= number <= count:
        raise RunError(f"--shard {text!r} is not i/n", fix="give --shard 1/4, 2/4, 3/4, 4/4")

    def part(blocks: list[Block]) -> list[Block]:
        ends = list(accumulate(block.repeats for block in blocks))
        # The middle of a block decides: (2 * end - repeats) / 2 of the way, times n parts.
        return [
            block
            for block, end in zip(blocks, ends, strict=True)
            if (2 * end - block.repeats) * count // (2 * ends[-1]) == number - 1
        ]

    return part


def pick_only(texts: Iterable[str], blocks: Iterable[Block]) -> BlockFilter:
    """Return a function that tells whether a block is among those that `--only` names.

    A text is `key=value`, with condition, seed, checkpoint or decoding as the key, or several of
    them joined by commas. A block is kept if all parts of any one text hold. A seed is its value,
    or its place: `#1` is the first.

    Raises:
        RunError: a text is malformed, or names a value that no block has.
    """
    blocks = list(blocks)
    seeds = list(dict.fromkeys(b.training_seed for b in blocks if b.training_seed is not None))
    choices = [_choice(text, blocks, seeds) for text in texts]

    def is_chosen(block: Block) -> bool:
        values = _values(block)
        return any(choice.items() <= values.items() for choice in choices)

    return is_chosen if choices else lambda block: True


def _values(block: Block) -> dict[str, str]:
    values = zip(_KEYS, block.place.values(), strict=True)
    return {key: "" if value is None else str(value) for key, value in values}


def _choice(text: str, blocks: list[Block], seeds: list[int]) -> dict[str, str]:
    choice = {}
    for part in text.split(","):
        key, equals, value = part.strip().partition("=")
        if not equals or key not in _KEYS:
            raise RunError(
                f"--only {text!r}: {part.strip()!r} is not KEY=VALUE",
                fix=f"keys are {', '.join(_KEYS)}; e.g. --only condition=tuned,seed=#1",
            )
        if key == "seed" and re.fullmatch("#[1-9][0-9]*", value):
            position = int(value[1:]) - 1
            value = str(seeds[position]) if position < len(seeds) else value
        there = list(dict.fromkeys(_values(b)[key] for b in blocks if _values(b)[key]))
        if value not in there:
            raise RunError(
                f"--only {text!r}: no cell has {key} {value!r}",
                fix=f"there are: {', '.join(there)}" if there else "nothing is fine-tuned",
            )
        choice[key] = value
    return choice
