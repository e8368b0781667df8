"""What fine-tuning optimises, apart from what it trains."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from safebench.card.base import AboveZero, NotNegative, Positive, Reported, Section, Settings, Text
from safebench.card.model import WeightsRef


class DpoObjective(Section):
    """Direct preference optimisation (Rafailov et al. 2023)."""

    kind: Literal["dpo"]
    """Which objective."""
    beta: Reported[AboveZero]
    """Strength of the pull towards the reference model."""
    loss: Reported[Text] = "sigmoid"
    """Form of the loss, by its name in trl."""
    reference_model: Reported[Literal["base"] | WeightsRef] = "base"
    """Model that is stayed close to."""


class KtoObjective(Section):
    """Kahneman-Tversky optimisation (Ethayarajh et al. 2024)."""

    kind: Literal["kto"]
    """Which objective."""
    beta: Reported[AboveZero]
    """Strength of the pull towards the reference model."""
    desirable_weight: Reported[NotNegative] = 1.0
    """Weight of the loss on desirable examples."""
    undesirable_weight: Reported[NotNegative] = 1.0
    """Weight of the loss on undesirable examples."""
    reference_model: Reported[Literal["base"] | WeightsRef] = "base"
    """Model that is stayed close to."""


class PpoObjective(Section):
    """Proximal policy optimisation against a reward model (Schulman et al. 2017)."""

    kind: Literal["ppo"]
    """Which objective."""
    reward: Reported[Text | WeightsRef]
    """The reward: a model, or a function in words."""
    kl_coefficient: Reported[NotNegative]
    """Weight of the divergence from the reference model."""
    clip_range: Reported[AboveZero]
    """How far one update may move the ratio of probabilities."""
    reference_model: Reported[Literal["base"] | WeightsRef] = "base"
    """Model that is stayed close to."""


class GrpoObjective(Section):
    """Group relative policy optimisation (Shao et al. 2024)."""

    kind: Literal["grpo"]
    """Which objective."""
    reward: Reported[Text | WeightsRef]
    """The reward: a model, or a function in words."""
    beta: Reported[NotNegative]
    """Weight of the divergence from the reference model."""
    generations: Reported[Positive]
    """Answers per prompt that are compared."""
    reference_model: Reported[Literal["base"] | WeightsRef] = "base"
    """Model that is stayed close to."""


class OtherObjective(Section):
    """An objective that has no entry of its own."""

    kind: Literal["other"]
    """Which objective."""
    name: Reported[Text]
    """What it is called, and where it is defined."""
    settings: Reported[Settings]
    """Its constants, by name."""


Objective = (
    Literal["sft"]
    | Annotated[
        DpoObjective | KtoObjective | PpoObjective | GrpoObjective | OtherObjective,
        Field(discriminator="kind"),
    ]
)
