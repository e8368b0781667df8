"""The methods of a card in sentences: what a reviewer asks, with its value or its absence."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

from pydantic import BaseModel

from safebench.card.base import NotReported
from safebench.card.card import Card
from safebench.card.document import Pointer, dotted
from safebench.checks.completeness import states
from safebench.site.fields import table
from safebench.words import count

_DIGEST = re.compile(r"\b([0-9a-f]{12})[0-9a-f]{28,52}\b")


def card_paragraphs(card: Card) -> Iterator[tuple[str, str]]:
    """Yield heading and text of the model and the card's five sections, then tasks and machine."""
    yield "Model", _items(card.model, skip=("weights",))
    yield "Data", _items(card.data)
    yield "Hyperparameters", _items(card.hyperparameters)
    yield "Seeds", _seeds(card)
    yield "Decoding", f"{_items(card.decoding)} Prompting: {_items(card.prompting)}"
    yield "Judge", _items(card.judge)
    yield "Tasks", _items(card.task_list())
    yield "Environment", _items(card.environment)
    lost = [_lost(state.lost_at, state.reason) for state in states(card) if state.lost_at]
    if lost:
        yield "Not reported", f"{'; '.join(lost)}."


def _lost(pointer: Pointer, reason: str | None) -> str:
    """Return a mandatory field that the card does not report, with the reason it gives."""
    return f"{dotted(pointer)} ({reason or 'no reason given'})"


def _seeds(card: Card) -> str:
    seeds = card.seeds
    if isinstance(seeds, NotReported) or isinstance(seeds.training, NotReported | int):
        return _items(seeds)
    values = seeds.training
    return f"{count(len(values), 'training seed')}. {_items(seeds)}"


def _items(section: Any, skip: tuple[str, ...] = ()) -> str:
    """Return a section as `label value; label value.`, one sentence per item."""
    if isinstance(section, tuple) and section and not isinstance(section[0], BaseModel):
        return f"{', '.join(str(one) for one in section)}."
    found = table(section, skip)
    if found.absent is not None:
        return f"{_short(found.absent)}."
    sentences = []
    for column, name in enumerate(found.columns):
        parts = [
            f"{row.label[:1].lower() + row.label[1:] if _word(row.label) else row.label} "
            f"{row.values[column].text}"
            for row in found.rows
            if row.values[column].text != "not given"
        ]
        lead = "" if len(found.columns) == 1 and name == "Value" else f"{name}: "
        sentences.append(f"{lead}{_short('; '.join(parts))}.")
    return " ".join(sentences)


def _word(label: str) -> bool:
    """Tell whether a label begins like any word, and not like `LoRA` or `SHA-256`."""
    return label.split()[0][1:].rstrip(":").islower()


def _short(text: str) -> str:
    """Return text with digests cut to what tells them apart."""
    return _DIGEST.sub(r"\1...", text)
