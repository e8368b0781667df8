"""The fine-tuning methods that are trained here."""

from __future__ import annotations

from safebench.card.training import FullTraining, LoraTraining, QloraTraining

Recipe = LoraTraining | QloraTraining | FullTraining
