"""What several formats say about a submission."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from safebench.card.base import NotReported
from safebench.card.card import Card
from safebench.card.model import Weights, WeightsModel
from safebench.card.results import Condition
from safebench.evidence.arrays import OutcomeArray
from safebench.evidence.columns import encoded
from safebench.evidence.submission import Submission
from safebench.stats import score_interval
from safebench.words import kept

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


def texts_of(submission: Submission) -> dict[tuple[Any, ...], tuple[str, str | None]]:
    """Return prompt and response of every response that the submission carries, by `RESPONSE`."""
    if submission.responses is None:
        return {}
    columns = []
    for name in (*RESPONSE, "prompt", "response"):
        codes, values = encoded(submission.responses, name)
        columns.append([values[code] for code in codes])
    return {row[:-2]: row[-2:] for row in zip(*columns, strict=True)}


def publishes_texts(card: Card) -> bool:
    """Return whether a card says that responses may be published."""
    evidence = card.given_evidence
    return evidence is not None and evidence.response_policy == "public"


def base_id(card: Card) -> str:
    """Return the name of the base model; `unknown` where it is not reported."""
    return card.model.base.name or UNKNOWN


def revision_of(card: Card) -> str | None:
    """Return the base model's revision; None where it has none, or none that can be pinned."""
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


def organisation(card: Card) -> str | None:
    """Return who is responsible for the card; None where that is not reported."""
    submitter = card.submission.submitter
    if isinstance(submitter, NotReported):
        return None
    return text(submitter.organisation) or text(submitter.name)


def slug(name: str) -> str:
    """Return a name that is safe as one part of a path."""
    return re.sub(r"[^A-Za-z0-9_.-]+", "-", name).strip("-.") or UNKNOWN
