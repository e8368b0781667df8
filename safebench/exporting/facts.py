"""What several formats say about a submission."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import pyarrow as pa

from safebench.card.base import NotReported
from safebench.card.card import Card
from safebench.card.model import Weights, WeightsModel
from safebench.card.results import Condition
from safebench.checks.registry import items
from safebench.errors import InteropError, visible
from safebench.evidence.arrays import OutcomeArray
from safebench.evidence.columns import encoded
from safebench.evidence.submission import Submission
from safebench.exporting.interface import Options
from safebench.stats import score_interval
from safebench.words import kept

Json = dict[str, Any]
UNKNOWN = "unknown"
WITHHELD = "[withheld: the submission does not publish prompts and responses]"
"""What is written in place of a text that is not published."""
RESPONSE = ("task", "prompt_id", "condition", "training_seed", "checkpoint", "decoding", "repeat")
"""Columns that tell one response from every other."""
_CONDITIONS = ("base", "control", "tuned")


@dataclass(frozen=True)
class Measured:
    """One model that was measured: the base, or one training seed at one checkpoint."""

    condition: Condition
    training_seed: int | None
    checkpoint: int | None

    @property
    def name(self) -> str:
        """A name among those of its submission."""
        parts: list[str] = [self.condition]
        if self.training_seed is not None:
            parts.append(f"seed-{self.training_seed}")
        if self.checkpoint is not None:
            parts.append(f"checkpoint-{self.checkpoint}")
        return "-".join(parts)


def models_of(submission: Submission) -> Iterator[Measured]:
    """Yield every model that was measured, base first."""
    found = {
        Measured(b.condition, seed, b.checkpoint) for b in submission.blocks for seed in b.seeds
    }
    yield from sorted(
        found,
        key=lambda m: (_CONDITIONS.index(m.condition), m.checkpoint or 0, m.training_seed or 0),
    )


@dataclass(frozen=True)
class Estimate:
    """A score with its interval."""

    estimate: float
    lower: float
    upper: float
    method: str
    n: int
    """Number of responses."""


def estimate_of(block: OutcomeArray, seed: int | None) -> Estimate:
    """Return the score of one training seed: its mean over repeats and prompts."""
    position = block.seeds.index(seed)
    scores = block.scores[position : position + 1]
    found = score_interval(scores)
    ends = kept(found.estimate), kept(found.lower), kept(found.upper)
    return Estimate(*ends, found.method, scores.size)


class Writer:
    """What makes records of single responses: a submission by its parts, and what may be shown."""

    def __init__(self, submission: Submission, options: Options) -> None:
        """Raises InteropError where `--timestamp` is not a number of seconds."""
        self.submission, self.card = submission, submission.card
        self.created = _created(self.card, options.timestamp)
        self.shows = options.with_responses or publishes_texts(self.card)
        self.tasks = {task.name: task for task in self.card.task_list()}
        self.decodings = {decoding.name: decoding for decoding in items(self.card.decoding)}
        self.judges = {judge.name: judge for judge in items(self.card.judge)}

    def lost(self) -> Iterator[str]:
        """Yield what the submission itself does not give: texts that it withholds, a time."""
        if self.submission.responses is None:
            yield "prompts and responses: the submission withholds them"
        elif not self.shows:
            yield "prompts and responses: the card publishes none (--with-responses writes them)"
        if self.created.timestamp() == 0:
            yield "the time of the evaluation: the card has no date; --timestamp gives one"


def _created(card: Card, timestamp: str | None) -> datetime:
    """Return when a record was made: as given, else on the card's date, else at 0 (1970)."""
    if timestamp is None:
        return datetime.fromisoformat(text(card.submission.date) or "1970-01-01").replace(
            tzinfo=UTC
        )
    try:
        if not (timestamp.isdecimal() and timestamp.isascii()):
            raise ValueError
        return datetime.fromtimestamp(int(timestamp), UTC)
    except (ValueError, OverflowError, OSError):
        raise InteropError(
            f"--timestamp {visible(repr(timestamp))} is not a number of seconds",
            fix="give seconds since 1970, e.g. --timestamp 1767225600",
        ) from None


def rows_of(table: pa.Table, names: Iterable[str]) -> Iterator[tuple[Any, ...]]:
    """Yield the rows of some columns; `to_pylist` would load pandas."""
    columns = []
    for name in names:
        codes, values = encoded(table, name)
        columns.append([values[code] for code in codes])
    return zip(*columns, strict=True)


def texts_of(submission: Submission) -> dict[tuple[Any, ...], tuple[str, str | None]]:
    """Return prompt and response of every response that the submission carries, by `RESPONSE`."""
    if submission.responses is None:
        return {}
    rows = rows_of(submission.responses, (*RESPONSE, "prompt", "response"))
    return {row[:-2]: row[-2:] for row in rows}


def publishes_texts(card: Card) -> bool:
    """Return whether a card says that responses may be published."""
    evidence = card.given_evidence
    return evidence is not None and evidence.response_policy == "public"


def base_id(card: Card) -> str:
    """Return the name of the base model; `unknown` where it is not reported."""
    return card.model.base.name or UNKNOWN


def revision_of(card: Card) -> str | None:
    """Return the base model's revision; None where it has none or cannot be pinned."""
    revision = card.model.base.revision
    return revision if isinstance(revision, str) else None


def base_is_on_hub(card: Card) -> bool:
    """Return whether the base model's revision is a commit, not the digest of a local folder."""
    revision = revision_of(card)
    return revision is not None and not revision.startswith("sha256:")


def weights_of(card: Card, model: Measured) -> Weights | None:
    """Return the card's entry of a tuned model's weights; None where it has none."""
    if not isinstance(card.model, WeightsModel) or not isinstance(card.model.weights, tuple):
        return None
    key = (model.condition, model.training_seed, model.checkpoint)
    entries = (e for e in card.model.weights if (e.condition, e.training_seed, e.checkpoint) == key)
    return next(entries, None)


def text(value: object) -> str | None:
    """Return a field as text; None where it is absent or not reported."""
    return None if value is None or isinstance(value, NotReported) else str(value)


def known(details: Json) -> Json:
    """Return details without those that nobody knows."""
    return {name: value for name, value in details.items() if value is not None}


def organisation(card: Card) -> str | None:
    """Return who is responsible for the card; None where that is not reported."""
    submitter = card.submission.submitter
    if isinstance(submitter, NotReported):
        return None
    return text(submitter.organisation) or text(submitter.name)


def slug(name: str) -> str:
    """Return a name that is safe as one part of a path."""
    return re.sub(r"[^A-Za-z0-9_.-]+", "-", name).strip("-.") or UNKNOWN
