"""What a trainer's output folder knows: `trainer_state.json` and the tokenizer beside it."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from safebench.card.read import MAX_BYTES, read_bytes
from safebench.importing.draft.facts import INDIRECT, Fact
from safebench.importing.record import Record

_CLOSE = 0.01  # epochs; a trainer's epoch is a quotient of steps


@dataclass(frozen=True)
class Reached:
    """How far a training had come when its state was saved."""

    epoch: float | None
    step: int | None

    @property
    def whole_epoch(self) -> int | None:
        """The epoch, when one had just ended."""
        if self.epoch is None or self.epoch < 1 - _CLOSE:
            return None
        nearest = round(self.epoch)
        return nearest if abs(self.epoch - nearest) < _CLOSE else None


def reached(record: Record) -> Reached:
    """Return how far training had come. Raises InteropError for a value that makes no sense."""
    return Reached(record.number("epoch"), record.whole("global_step"))


def facts(record: Record, *, alone: bool) -> Iterator[Fact]:
    """Yield what a trainer's state says; `alone`: no arguments that say it better are there.

    Raises:
        InteropError: a value makes no sense.
    """
    yield from _length(record)
    if not alone:
        return
    batch = record.whole("train_batch_size")
    if batch is not None:
        yield Fact(
            ("hyperparameters", "batch_size", "per_device"),
            batch,
            record.file,
            record.key("train_batch_size"),
            note="per process",
            rank=INDIRECT,
        )
    rates = [_rate(record, entry) for entry in record.items("log_history") or ()]
    known = [rate for rate in rates if rate is not None]
    if known:
        yield Fact(
            ("hyperparameters", "learning_rate"),
            max(known),
            record.file,
            record.key("log_history"),
            note="the highest that was logged, the peak may lie between two entries",
            rank=INDIRECT,
        )


def _length(record: Record) -> Iterator[Fact]:
    """Yield epochs if the planned steps are whole epochs, and steps otherwise."""
    epochs, steps = record.whole("num_train_epochs"), record.whole("max_steps")
    now = reached(record)
    if not steps or steps < 0 or not epochs:
        return
    in_epochs = steps * now.epoch / now.step if now.epoch and now.step else None
    if in_epochs is not None and abs(in_epochs - epochs) < _CLOSE * epochs:
        place, value, key = "epochs", epochs, "num_train_epochs"
    else:
        place, value, key = "steps", steps, "max_steps"
    yield Fact(("hyperparameters", place), value, record.file, record.key(key), rank=INDIRECT)


def _rate(record: Record, entry: object) -> float | None:
    if not isinstance(entry, dict):
        raise record.wrong("log_history", entry, "a list of mappings")
    rate = entry.get("learning_rate")
    if isinstance(rate, bool) or not isinstance(rate, int | float):
        return None
    return float(rate) if 0 < rate < float("inf") else None


def best_checkpoint(record: Record) -> str | None:
    """Return the name of the checkpoint that the trainer found best."""
    best = record.text("best_model_checkpoint")
    return None if best is None else best.replace("\\", "/").rstrip("/").rpartition("/")[2]


def template_facts(file: Path, record: Record | None) -> Iterator[Fact]:
    """Yield the chat template that a tokenizer carries: in a file, or in its configuration."""
    if record is None:
        raw = read_bytes(file)
        text = raw if len(raw) <= MAX_BYTES else None
        key = ""
    else:
        stated = record.data.get("chat_template")
        text = stated.encode() if isinstance(stated, str) else None
        key = record.key("chat_template")
    if text:
        digest = hashlib.sha256(text).hexdigest()
        note = "the tokenizer has it; whether it was used is not said"
        place = ("model", "chat_template")
        yield Fact((*place, "source"), "tokenizer", file, key, note=note, rank=INDIRECT)
        yield Fact((*place, "sha256"), digest, file, key, rank=INDIRECT)
