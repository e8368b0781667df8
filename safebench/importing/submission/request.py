"""What is imported, and what a person declares about it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from safebench.card.results import Condition
from safebench.card.task import Construct
from safebench.importing.draft.start import CardBasics
from safebench.importing.interface import Collected
from safebench.importing.training.weights import DeclaredWeights


@dataclass(frozen=True)
class Lost:
    """A training seed that was run and has no responses."""

    condition: Condition
    seed: int
    reason: str


@dataclass(frozen=True)
class TrainingFile:
    """A file of training examples."""

    name: str
    file: Path
    role: str = "tuned"


@dataclass(frozen=True)
class Request:
    """An import: what was read, and what a person adds to it."""

    collected: Collected
    out: Path
    basics: CardBasics = field(default_factory=CardBasics)
    card: Path | None = None
    """A card, or part of one, with what the files do not record."""
    weights: tuple[DeclaredWeights, ...] = ()
    paths: tuple[Path, ...] = ()
    """Further files to read: a trainer's folder."""
    data: tuple[TrainingFile, ...] = ()
    model: Path | None = None
    """Folder of the base model."""
    settings: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    """Settings of decodings, by name."""
    constructs: Mapping[str, Construct] = field(default_factory=dict)
    """What tasks measure that are not safebench's."""
    task_files: Mapping[str, Path] = field(default_factory=dict)
    """Local copies of published tasks."""
    labels: Mapping[str, str] = field(default_factory=dict)
    """Verdicts of the standard by the words of judges: `WORD`, or `JUDGE:WORD`."""
    checkpoint: int | None = None
    """Checkpoint of tuned models for which nothing else gives it."""
    limit: int | None = None
    """Only the first prompts of every task."""
    lost: tuple[Lost, ...] = ()
    artefact: bool = False
    """Whether the claim is about these weights, not about the recipe."""
