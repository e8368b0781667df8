"""Responses that were sampled elsewhere, as every reader of them gives them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from safebench.card.results import Condition
from safebench.errors import InteropError, visible
from safebench.evidence.tables import Status
from safebench.importing.draft.facts import Fact
from safebench.importing.loaded import Loaded
from safebench.importing.sent import Sent
from safebench.resources import tasks_dir
from safebench.rows import At


@dataclass(frozen=True, slots=True)
class ModelKey:
    """Which model answered."""

    condition: Condition
    training_seed: int | None = None
    """None for the base model alone."""
    checkpoint: int | None = None
    """None for the base model, and where nothing has said it yet."""

    def __str__(self) -> str:
        """Return the words of messages: `tuned, seed 1, checkpoint 2`."""
        parts: list[str] = [self.condition]
        if self.training_seed is not None:
            parts.append(f"seed {self.training_seed}")
        if self.checkpoint is not None:
            parts.append(f"checkpoint {self.checkpoint}")
        return ", ".join(parts)


@dataclass(frozen=True, slots=True)
class Judged:
    """What a judge elsewhere said of one response."""

    word: str | None = None
    """Its own word: a verdict of the standard, or one that a person has to say the meaning of;
    None where only a score came along."""
    score: float | None = None
    """In [0, 1]; None where the word alone came along."""

    @property
    def grade(self) -> str:
        """What it said, in one word."""
        return f"{self.score:g}" if self.word is None else self.word


@dataclass(frozen=True, slots=True)
class Sampled:
    """One response."""

    model: ModelKey
    decoding: str
    """Key under which the decoding's facts stand: `("decoding", KEY, ...)`."""
    repeat: int
    """From 1."""
    task: str
    prompt: str
    """The prompt as the task has it: without chat template or examples, where they can be told."""
    response: str | None
    """None where there was none."""
    at: At
    prompt_id: str | None = None
    """The task's own id; None where the file has none, and the prompt's text tells which it is."""
    category: str | None = None
    construct: str | None = None
    target: str | None = None
    status: Status = "unrecorded"
    """`unrecorded` where the sampler did not keep how a response ended."""
    new_tokens: int | None = None
    generation_seed: int | None = None
    """None where decoding is greedy or nothing says it."""
    judged: Mapping[str, Judged] = field(default_factory=dict)
    """Verdicts that came along, by the judge's name: facts at `("judge", NAME, ...)`."""
    extra: Mapping[str, Any] = field(default_factory=dict)
    """Fields of the file that the standard has no place for; plain data."""


@dataclass(frozen=True)
class Collected:
    """What one or several files of a sampler hold."""

    samples: tuple[Sampled, ...]
    facts: tuple[Fact, ...] = ()
    """What the files say of the card's fields."""
    files: tuple[Path, ...] = ()
    """Files that were read."""
    remarks: tuple[str, ...] = ()
    """What a person should know and no field holds."""
    extra: Mapping[str, Any] = field(default_factory=dict)
    """By file name: what it says beside its responses and no field of the card holds."""
    loaded: Mapping[ModelKey, tuple[Loaded, ...]] = field(default_factory=dict)
    """The weights that the sampler was given for a model, as it wrote them down."""
    sent: tuple[Sent, ...] = ()
    """The prompts as they were sent, where the files hold them."""


def own_task(name: str) -> bool:
    """Whether a task is one that this package has: its prompts are the standard's own."""
    return name in {file.stem for file in tasks_dir().glob("*/*.yaml")}


def wrong(at: At, what: str, fix: str) -> InteropError:
    """Return the error for a response that cannot be used."""
    return InteropError(f"{at}: {visible(what)}", fix=fix)


def joined(parts: list[Collected]) -> Collected:
    """Return several files' content as one."""
    extra: dict[str, Any] = {}
    for part in parts:
        for name, said in part.extra.items():
            key, number = name, 2
            while key in extra and extra[key] != said:
                key, number = f"{name} ({number})", number + 1
            extra[key] = said
    loaded: dict[ModelKey, tuple[Loaded, ...]] = {}
    for part in parts:
        for model, weights in part.loaded.items():
            loaded[model] = (*loaded.get(model, ()), *weights)
    return Collected(
        loaded=loaded,
        sent=tuple(one for part in parts for one in part.sent),
        samples=tuple(sample for part in parts for sample in part.samples),
        facts=tuple(fact for part in parts for fact in part.facts),
        files=tuple(file for part in parts for file in part.files),
        remarks=tuple(dict.fromkeys(remark for part in parts for remark in part.remarks)),
        extra=extra,
    )


__all__ = ["At", "Collected", "Judged", "ModelKey", "Sampled", "joined", "own_task", "wrong"]
