"""Training data."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from safebench.card.base import (
    Name,
    Positive,
    Reported,
    Revision,
    Section,
    Seed,
    Sha256,
    Text,
)


class Subset(Section):
    """Which examples of a larger set were taken."""

    rule: Reported[Text]
    """How they were chosen. A run executes `the first ones`, `the first N` and `a random sample`
    (or `a random sample of ...`): drawn by PCG64 from `seed`, the order of the file kept."""
    seed: Reported[Seed] | None = None
    """Seed of the choice, where it was random."""


class SelfGenerated(Section):
    """Completions that the base model wrote itself, through the same generation path."""

    questions_of: Name
    """Name of the set whose prompts are answered."""
    decoding: Name
    """Name of the decoding that the answers are generated with."""


class RenderingTemplate(Section):
    """A Jinja text that turns the prompt of an example into training text.

    It may name `prompt`, `completion` and the columns of the file. The completion follows as it is.
    """

    path: Reported[Text]
    """File, relative to the card."""
    sha256: Reported[Sha256]
    """Digest of the file."""


class Dataset(Section):
    """One set of training examples."""

    name: Name
    """A short name."""
    role: Literal["tuned", "control"] = "tuned"
    """Condition that trains on it."""
    id: Reported[Text] | None = None
    """Hub id, `builtin:NAME`, or absent for a local file."""
    revision: Revision | None = None
    """40-digit commit on the Hub."""
    path: Reported[Text] | None = None
    """Local file, relative to the card."""
    answers: Reported[SelfGenerated] | None = None
    """For a set that the base model answers itself: whose questions, and how."""
    split: Reported[Text] | None = None
    """Split of the published set, e.g. `train`."""
    subset: Reported[Subset] | None = None
    """Which part of the split was used; absent is all of it."""
    weight: Reported[Annotated[float, Field(gt=0.0, le=1.0)]] | None = None
    """Share of the training examples drawn from this set, where sets are mixed by weight: the
    largest total at which every set has round(weight x total) examples."""
    sha256: Reported[Sha256] | None = None
    """Digest of the file; filled by a run."""
    examples: Reported[Positive] | None = None
    """Number of training examples; filled by a run."""
    template: Reported[Literal["chat", "plain"] | RenderingTemplate] = "chat"
    """How an example becomes text: the chat template, prompt and completion joined, or a file."""
    rendered_sha256: Reported[Sha256] | None = None
    """Digest of the rendered examples, one JSON string a line; filled by a run."""
    filtered_out: Reported[Text] | None = None
    """What was removed, and by which rule."""
    controls_for: Reported[Text] | None = None
    """For a control: what it holds constant."""
    purpose: Reported[Text] | None = None
    """What tuning on it is meant to improve; a capability task then measures that."""
