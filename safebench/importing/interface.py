"""What a reader of another program's files provides, and what it returns.

A new format is one module with a `READER`, and one line in `readers.py`: its command under
`safebench import`, with options and help text, follows from that.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Literal, get_args

from safebench.card.results import Condition
from safebench.errors import InteropError, visible
from safebench.evidence.tables import Status
from safebench.importing.facts import INDIRECT, Fact
from safebench.importing.facts import row_error as row_error
from safebench.importing.loaded import LoadedWeights
from safebench.importing.prompts import SentPrompt
from safebench.rows import At as At  # readers need it with the classes below


@dataclass(frozen=True, slots=True)
class ModelKey:
    """Which model answered."""

    condition: Condition
    training_seed: int | None = None
    """None for the base model alone."""
    checkpoint: int | None = None
    """None for the base model, and until something says which checkpoint it is."""

    def __str__(self) -> str:
        """Return the model as messages name it: `tuned, seed 1, checkpoint 2`."""
        parts: list[str] = [self.condition]
        if self.training_seed is not None:
            parts.append(f"seed {self.training_seed}")
        if self.checkpoint is not None:
            parts.append(f"checkpoint {self.checkpoint}")
        return ", ".join(parts)


@dataclass(frozen=True, slots=True)
class ReportedVerdict:
    """What another program's judge decided about one response; without both, it decided nothing."""

    word: str | None = None
    """Its own word: a verdict of the standard, or one that --label translates; None where only a
    score was reported."""
    score: float | None = None
    """In [0, 1]; None where only a word was reported."""
    lower_is_better: bool = False
    """Whether the format says so of the score."""

    @property
    def grade(self) -> str | None:
        """Word, or score as a word; None where the judge was asked and gave no verdict."""
        return f"{self.score:g}" if self.word is None and self.score is not None else self.word


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
    """The task's prompt, without chat template and examples where they can be told apart."""
    response: str | None
    """None where there was none."""
    at: At
    prompt_id: str | None = None
    """The task's own id; None where the file has none, so that the text identifies the prompt."""
    category: str | None = None
    construct: str | None = None
    target: str | None = None
    status: Status = "unrecorded"
    """`unrecorded` where the sampler did not record how a response ended."""
    new_tokens: int | None = None
    generation_seed: int | None = None
    """None where decoding is greedy or the seed is unknown."""
    judged: Mapping[str, ReportedVerdict] = field(default_factory=dict)
    """Reported verdicts by the judge's name; its facts are at `("judge", NAME, ...)`."""
    extra: Mapping[str, Any] = field(default_factory=dict)
    """Fields of the file that the standard has no place for; plain data."""


@dataclass(frozen=True)
class Collected:
    """Everything that was read from the files of one sampler."""

    samples: tuple[Response, ...]
    facts: tuple[Fact, ...] = ()
    """What the files say about the card's fields."""
    files: tuple[Path, ...] = ()
    """Files that were read."""
    remarks: tuple[str, ...] = ()
    """What a person should know, where the card has no field for it."""
    extra: Mapping[str, Any] = field(default_factory=dict)
    """By file name: what neither a response nor the card has a field for."""
    loaded: Mapping[ModelKey, tuple[LoadedWeights, ...]] = field(default_factory=dict)
    """The weights that the sampler recorded for each model."""
    sent: tuple[SentPrompt, ...] = ()
    """The prompts as they were sent, where the files have them."""


@dataclass(frozen=True)
class Source:
    """A folder or file of responses, and the model that gave them."""

    path: Path
    model: ModelKey | None = None
    """None where the rows themselves name the model."""
    decoding: str | None = None
    """Name of the decoding, where a person gives one."""
    repeat: int | None = None
    """Number of the first repeat, where repeats were separate runs."""


@dataclass(frozen=True)
class Option:
    """An option that only one reader has."""

    name: str
    """As it is typed: `--column`."""
    help: str
    kind: Literal["texts", "pairs", "statuses", "text", "file", "flag"]
    """`texts`, `pairs` and `statuses` may be repeated; a pair is `NAME=VALUE` and arrives in a
    mapping, of statuses with values of `Status`."""
    metavar: str | None = None


ReadSources = Callable[[Sequence[Source], Mapping[str, Any]], Collected]
"""Given the sources, and by name the reader's options and `limit` (the number of prompts), returns
what they hold; an option that is not given has its default. Raises InteropError with file and line.
"""


STATUSES: dict[str, Status] = {
    **{status: status for status in get_args(Status)},
    **dict.fromkeys(("stop", "eos", "eos_token", "end_turn", "stop_sequence"), "ok"),
    **dict.fromkeys(("length", "max_tokens", "max_output_tokens", "model_length"), "truncated"),
    "content_filter": "blocked",
}
"""Statuses by their own name, and by the words of servers that leave no doubt."""
STATUS_OPTION = Option(
    "--status",
    "The status that a finish reason means: ok, truncated, blocked, error, not_run or unrecorded. "
    "May be repeated.",
    "statuses",
    "REASON=STATUS",
)


_KINDS = ("rule", "classifier", "llm", "human", "moderation_api")


def judge_kind(option: str, text: str) -> tuple[str, str]:
    """Return the kind and id of a judge in `KIND[:ID]`; an id that is not given is empty."""
    kind, _, identifier = text.partition(":")
    if kind not in _KINDS:
        raise InteropError(
            f"{option} {visible(repr(text))}: no such kind of judge",
            fix=f"it is one of {', '.join(_KINDS)}, with its id: llm:MODEL",
        )
    return kind, identifier


@dataclass(frozen=True)
class Reader:
    """How the files of one program are read."""

    read: ReadSources
    help: str
    """Help text of its command, in paragraphs as click takes them."""
    options: tuple[Option, ...] = ()
    by_model: bool = True
    """Whether a source holds one model's responses (--base, --tuned, --control); otherwise sources
    are plain arguments, and each row names its model."""


def each_source(read: Callable[..., Collected]) -> ReadSources:
    """Return a function that reads sources one after another, each of one model.

    `read` gets the path and the model, and by name `decoding`, `repeat` and every option.
    """

    def read_all(sources: Sequence[Source], options: Mapping[str, Any]) -> Collected:
        parts = []
        for source in sources:
            model = source.model or ModelKey("base")
            named = {"decoding": source.decoding, "repeat": source.repeat, **options}
            part = read(source.path, model, **named)
            # a merged or whole tuned model has its own name, which is not that of its base
            kept = (fact for fact in part.facts if model.condition == "base" or _of_base(fact))
            parts.append(replace(part, facts=tuple(kept)))
        return joined(parts)

    return read_all


def _of_base(fact: Fact) -> bool:
    """Whether a fact from a tuned model's files can hold for its base model."""
    return fact.place[:2] != ("model", "base") or (fact.rank < INDIRECT and fact.about is None)


def joined(parts: Sequence[Collected]) -> Collected:
    """Return what several files hold as one."""
    extra: dict[str, Any] = {}
    loaded: dict[ModelKey, tuple[LoadedWeights, ...]] = {}
    for part in parts:
        for name, content in part.extra.items():
            # runs in different folders can have files of the same name
            key, number = name, 2
            while key in extra and extra[key] != content:
                key, number = f"{name} ({number})", number + 1
            extra[key] = content
        for model, weights in part.loaded.items():
            loaded[model] = (*loaded.get(model, ()), *weights)
    return Collected(
        samples=tuple(sample for part in parts for sample in part.samples),
        facts=tuple(fact for part in parts for fact in part.facts),
        files=tuple(file for part in parts for file in part.files),
        remarks=tuple(dict.fromkeys(remark for part in parts for remark in part.remarks)),
        extra=extra,
        loaded=loaded,
        sent=tuple(one for part in parts for one in part.sent),
    )
