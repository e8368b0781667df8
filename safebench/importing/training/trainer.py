"""What a trainer's output folder says: `trainer_state.json` and the tokenizer beside it."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from safebench.card.read import MAX_BYTES, read_bytes
from safebench.importing.facts import INDIRECT, Fact, Place
from safebench.importing.record import Record

_CLOSE = 0.01  # epochs; a trainer's epoch is a quotient of steps
_HYPER: Place = ("hyperparameters",)


@dataclass(frozen=True)
class Progress:
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


def progress(record: Record) -> Progress:
    """Return how far training had come. Raises InteropError for a value that makes no sense."""
    return Progress(record.number("epoch"), record.whole("global_step"))


def facts(record: Record, *, alone: bool) -> Iterator[Fact]:
    """Yield what a trainer's state says; `alone`: there are no arguments, which would be exact.

    Raises:
        InteropError: a value makes no sense.
    """
    yield from _length(record)
    if not alone:
        return
    batch = record.whole("train_batch_size")
    if batch is not None:
        place = (*_HYPER, "batch_size", "per_device")
        yield record.fact(place, "train_batch_size", batch, note="per process", rank=INDIRECT)
    rates = [_rate(record, entry) for entry in record.items("log_history") or ()]
    logged = [rate for rate in rates if rate is not None]
    if logged:
        note = "the highest that was logged, the peak may lie between two entries"
        peak = (*_HYPER, "learning_rate")
        yield record.fact(peak, "log_history", max(logged), note=note, rank=INDIRECT)


def _length(record: Record) -> Iterator[Fact]:
    """Yield epochs if the planned steps are whole epochs, and steps otherwise."""
    epochs, steps = record.whole("num_train_epochs"), record.whole("max_steps")
    now = progress(record)
    if not steps or steps < 0 or not epochs:
        return
    in_epochs = steps * now.epoch / now.step if now.epoch and now.step else None
    if in_epochs is not None and abs(in_epochs - epochs) < _CLOSE * epochs:
        yield record.fact((*_HYPER, "epochs"), "num_train_epochs", epochs, rank=INDIRECT)
    else:
        yield record.fact((*_HYPER, "steps"), "max_steps", steps, rank=INDIRECT)


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
    text: bytes | None
    if record is None:
        raw, key = read_bytes(file), ""
        text = raw if len(raw) <= MAX_BYTES else None
    else:
        template, key = record.data.get("chat_template"), "chat_template"
        text = template.encode() if isinstance(template, str) else None
    if text:
        digest = hashlib.sha256(text).hexdigest()
        note = "the tokenizer has it; whether it was used is not said"
        place = ("model", "chat_template")
        yield Fact((*place, "source"), "tokenizer", file, key, note=note, rank=INDIRECT)
        yield Fact((*place, "sha256"), digest, file, key, rank=INDIRECT)
