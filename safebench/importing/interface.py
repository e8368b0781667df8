"""What a reader of a neighbour's files is asked for, and what it returns.

A new neighbour is one module with a `READER`, and one line in `readers.py`: its options, its help
text and its place under `safebench import` follow from that.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Literal

from safebench.card.results import Condition
from safebench.errors import InteropError, visible
from safebench.evidence.tables import Status
from safebench.importing.facts import INDIRECT, Fact
from safebench.importing.loaded import LoadedWeights
from safebench.importing.prompts import SentPrompt
from safebench.resources import tasks_dir
from safebench.rows import At


@dataclass(frozen=True, slots=True)
class ModelKey:
    """Which model answered."""

    condition: Condition
    training_seed: int | None = None
    """None for the base model alone."""
    checkpoint: int | None = None
    """None for the base model, and as long as nothing says which checkpoint it is."""

    def __str__(self) -> str:
        """Return the words of messages: `tuned, seed 1, checkpoint 2`."""
        parts: list[str] = [self.condition]
        if self.training_seed is not None:
            parts.append(f"seed {self.training_seed}")
        if self.checkpoint is not None:
            parts.append(f"checkpoint {self.checkpoint}")
        return ", ".join(parts)


@dataclass(frozen=True, slots=True)
class ReportedVerdict:
    """What another program's judge decided about one response."""

    word: str | None = None
    """Its own word: a verdict of the standard, or one that --label has to translate; None where
    only a score was reported."""
    score: float | None = None
    """In [0, 1]; None where only a word was reported."""

    @property
    def grade(self) -> str:
        """Word, or score as a word."""
        return f"{self.score:g}" if self.word is None else self.word


@dataclass(frozen=True, slots=True)
class Response:
    """One response, as the reader found it."""

    model: ModelKey
    decoding: str
    """Key of the decoding's facts: `("decoding", KEY, ...)`."""
    repeat: int
    """From 1."""
    task: str
    prompt: str
    """The task's prompt: without chat template or examples, where they can be told apart."""
    response: str | None
    """None where there was none."""
    at: At
    prompt_id: str | None = None
    """The task's own id; None where the file has none, and the prompt's text identifies it."""
    category: str | None = None
    construct: str | None = None
    target: str | None = None
    status: Status = "unrecorded"
    """`unrecorded` where the sampler did not keep how a response ended."""
    new_tokens: int | None = None
    generation_seed: int | None = None
    """None where decoding is greedy or the seed is unknown."""
    judged: Mapping[str, ReportedVerdict] = field(default_factory=dict)
    """Reported verdicts by the judge's name, whose facts are at `("judge", NAME, ...)`."""
    extra: Mapping[str, Any] = field(default_factory=dict)
    """Fields of the file that the standard has no place for; plain data."""


@dataclass(frozen=True)
class Collected:
    """Everything that the files of one sampler hold."""

    samples: tuple[Response, ...]
    facts: tuple[Fact, ...] = ()
    """What the files say about the card's fields."""
    files: tuple[Path, ...] = ()
    """Files that were read."""
    remarks: tuple[str, ...] = ()
    """What a person should know and no field holds."""
    extra: Mapping[str, Any] = field(default_factory=dict)
    """By file name: what no response and no field of the card holds."""
    loaded: Mapping[ModelKey, tuple[LoadedWeights, ...]] = field(default_factory=dict)
    """The weights that the sampler recorded for each model."""
    sent: tuple[SentPrompt, ...] = ()
    """The prompts as they were sent, where the files hold them."""


@dataclass(frozen=True)
class Source:
    """A folder or file of responses, and which model gave them."""

    path: Path
    model: ModelKey | None = None
    """None where the rows themselves name the model."""
    decoding: str | None = None
    """Name of the decoding, where it was given."""
    repeat: int | None = None
    """Number of the first repeat, where repeats were run one by one."""


@dataclass(frozen=True)
class Option:
    """An option that only one reader has."""

    name: str
    """As it is typed: `--column`."""
    help: str
    kind: Literal["texts", "pairs", "text", "file", "flag"]
    """`texts` and `pairs` may be repeated; a pair is `NAME=VALUE` and arrives in a mapping."""
    metavar: str | None = None


@dataclass(frozen=True)
class Reader:
    """How one neighbour's files are read."""

    read: Callable[[Sequence[Source], Mapping[str, Any]], Collected]
    """Given the sources and the reader's options by name (`limit` among them, the number of
    prompts or None), returns what they hold. Raises InteropError with file and line."""
    help: str
    """Help text of its command, in paragraphs as click takes them."""
    options: tuple[Option, ...] = ()
    by_model: bool = True
    """Whether a source holds one model's responses (--base, --tuned, --control); otherwise sources
    are plain arguments, and each row names its model."""


def each_source(
    sources: Iterable[Source], read: Callable[[Source, ModelKey], Collected]
) -> Collected:
    """Read sources one after another, each of one model, and join them."""
    parts = []
    for source in sources:
        model = source.model or ModelKey("base")
        parts.append(without_own_name(read(source, model), model))
    return joined(parts)


def without_own_name(part: Collected, model: ModelKey) -> Collected:
    """Leave out a tuned model's own name: measured in one piece, it is not the base's."""
    if model.condition == "base":
        return part
    kept = (
        fact
        for fact in part.facts
        if fact.place[:2] != ("model", "base") or (fact.rank < INDIRECT and fact.about is None)
    )
    return replace(part, facts=tuple(kept))


def joined(parts: Sequence[Collected]) -> Collected:
    """Return several files' content as one."""
    extra: dict[str, Any] = {}
    for part in parts:
        for name, content in part.extra.items():
            key, number = name, 2
            while key in extra and extra[key] != content:
                key, number = f"{name} ({number})", number + 1
            extra[key] = content
    loaded: dict[ModelKey, tuple[LoadedWeights, ...]] = {}
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


def own_task(name: str) -> bool:
    """Whether a task is one of safebench's: its prompts are the standard's own."""
    return name in {file.stem for file in tasks_dir().glob("*/*.yaml")}


def row_error(at: At, what: str, fix: str) -> InteropError:
    """Return the error for a row or response that cannot be used."""
    return InteropError(f"{at}: {visible(what)}", fix=fix)


__all__ = [
    "At",
    "Collected",
    "ModelKey",
    "Option",
    "Reader",
    "ReportedVerdict",
    "Response",
    "Source",
    "each_source",
    "joined",
    "own_task",
    "row_error",
    "without_own_name",
]
