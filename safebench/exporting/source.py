"""What every export starts from, and what every export is."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pyarrow as pa

from safebench.card.base import NotReported
from safebench.card.card import Card
from safebench.card.digest import protocol_digest
from safebench.card.io import load_card
from safebench.card.measured import MeasuredResults
from safebench.card.model import WeightsModel
from safebench.card.results import Condition
from safebench.checks.rules.evidence import differences
from safebench.errors import EvidenceError
from safebench.evidence.arrays import OutcomeArray, outcome_arrays
from safebench.evidence.scoring import results_of
from safebench.evidence.submission import CARD_FILE
from safebench.evidence.tables import OUTCOMES_FILE, RESPONSES_FILE, read_outcomes, read_responses
from safebench.files import sha256_of


@dataclass(frozen=True)
class Source:
    """A submission that is exported, its numbers recomputed from its outcomes."""

    folder: Path
    card: Card
    results: MeasuredResults
    blocks: list[OutcomeArray]
    outcomes: pa.Table
    responses: pa.Table | None
    """The texts; None where they are withheld."""

    @property
    def digest(self) -> str:
        """Digest of the outcomes: what identifies them in every format."""
        return sha256_of(self.folder / OUTCOMES_FILE)

    @property
    def protocol(self) -> str:
        """Digest of the protocol."""
        return protocol_digest(self.card)

    @property
    def publishes_texts(self) -> bool:
        """Whether the card says that responses may be published."""
        evidence = self.card.given_evidence
        return evidence is not None and evidence.response_policy == "public"


@dataclass
class Export:
    """Files of another format, and what it cannot hold."""

    files: dict[str, bytes] = field(default_factory=dict)
    """Content by path, below the folder that is written."""
    lost: list[str] = field(default_factory=list)
    """What the submission says and the format has no place for."""


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


def open_source(folder: Path) -> Source:
    """Read a submission.

    Raises:
        CardError: its card cannot be read.
        EvidenceError: it has no results, its outcomes are absent, damaged or incomplete, or give
            other numbers.
    """
    card = load_card(folder / CARD_FILE)
    if card.given_results is None:
        raise EvidenceError(
            f"{folder}: the card has no results to export",
            fix="execute the plan first: safebench run CARD --out DIR",
        )
    outcomes = read_outcomes(folder)
    found = outcome_arrays(outcomes)
    results = results_of(card, found)
    if next(differences(card.given_results, results), None) is not None:
        raise EvidenceError(
            f"{folder}: the card's numbers are not those of its outcomes",
            fix=f"safebench validate {folder} names each of them",
        )
    there = (folder / RESPONSES_FILE).is_file()
    return Source(
        folder=folder,
        card=card,
        results=results,
        blocks=found,
        outcomes=outcomes,
        responses=read_responses(folder) if there else None,
    )


def models_of(source: Source) -> Iterator[Measured]:
    """Yield every model that was measured, base first."""
    found = {
        Measured(block.condition, seed, block.checkpoint): None
        for block in source.blocks
        for seed in block.seeds
    }
    order = ("base", "control", "tuned")
    yield from sorted(
        found,
        key=lambda m: (order.index(m.condition), m.checkpoint or 0, m.training_seed or 0),
    )


def base_id(card: Card) -> str:
    """Return the name of the base model; `unknown` where it is not reported."""
    name = card.model.base.id
    return name if isinstance(name, str) else "unknown"


def revision_of(card: Card) -> str | None:
    """Return the base model's revision; None where there is none that could be named."""
    revision = card.model.base.revision
    return revision if isinstance(revision, str) else None


def hub_weights(card: Card, model: Measured) -> tuple[str, str | None] | None:
    """Return Hub id and revision of a tuned model's weights; None where they lie elsewhere."""
    if not isinstance(card.model, WeightsModel) or not isinstance(card.model.weights, tuple):
        return None
    key = (model.condition, model.training_seed, model.checkpoint)
    for entry in card.model.weights:
        if (entry.condition, entry.training_seed, entry.checkpoint) == key:
            revision = entry.revision if isinstance(entry.revision, str) else None
            return (entry.id, revision) if isinstance(entry.id, str) else None
    return None


def text(value: object) -> str | None:
    """Return a field as text; None where it is absent or not reported."""
    if value is None or isinstance(value, NotReported):
        return None
    return str(value)


def organisation(card: Card) -> str | None:
    """Return who answers for the card; None where that is not reported."""
    submitter = card.submission.submitter
    if isinstance(submitter, NotReported):
        return None
    return text(submitter.organisation) or text(submitter.name)


def slug(name: str) -> str:
    """Return a name that is safe as one part of a path."""
    return re.sub(r"[^A-Za-z0-9_.-]+", "-", name).strip("-.") or "unknown"


def sha256_weights(card: Card, model: Measured) -> str | None:
    """Return the digest of a tuned model's weights, where the card has it."""
    if not isinstance(card.model, WeightsModel) or not isinstance(card.model.weights, tuple):
        return None
    key = (model.condition, model.training_seed, model.checkpoint)
    for entry in card.model.weights:
        if (entry.condition, entry.training_seed, entry.checkpoint) == key:
            return text(entry.sha256)
    return None
