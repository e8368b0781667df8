"""What several formats say of a submission."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

from safebench.card.base import NotReported
from safebench.card.card import Card
from safebench.card.model import Weights, WeightsModel
from safebench.card.results import Condition
from safebench.evidence.submission import Submission

UNKNOWN = "unknown"
_CONDITIONS = ("base", "control", "tuned")


@dataclass(frozen=True)
class Measured:
    """One model that was measured: base, or what one training seed made by a checkpoint."""

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
        Measured(block.condition, seed, block.checkpoint): None
        for block in submission.blocks
        for seed in block.seeds
    }
    yield from sorted(
        found,
        key=lambda m: (_CONDITIONS.index(m.condition), m.checkpoint or 0, m.training_seed or 0),
    )


def publishes_texts(card: Card) -> bool:
    """Tell whether a card says that responses may be published."""
    evidence = card.given_evidence
    return evidence is not None and evidence.response_policy == "public"


def base_id(card: Card) -> str:
    """Return the name of the base model; `unknown` where it is not reported."""
    return text(card.model.base.id) or UNKNOWN


def revision_of(card: Card) -> str | None:
    """Return the base model's revision; None where there is none that could be named."""
    revision = card.model.base.revision
    return revision if isinstance(revision, str) else None


def base_is_on_hub(card: Card) -> bool:
    """Tell whether the base model's revision is a commit, not the digest of a local folder."""
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
    """Return who answers for the card; None where that is not reported."""
    submitter = card.submission.submitter
    if isinstance(submitter, NotReported):
        return None
    return text(submitter.organisation) or text(submitter.name)


def slug(name: str) -> str:
    """Return a name that is safe as one part of a path."""
    return re.sub(r"[^A-Za-z0-9_.-]+", "-", name).strip("-.") or UNKNOWN
