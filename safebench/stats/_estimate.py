"""What every estimate with an interval has in common."""

from __future__ import annotations

from dataclasses import dataclass

CONFIDENCE = 0.95
"""Of every interval whose function takes no confidence of its own."""
TAIL = (1 - CONFIDENCE) / 2


@dataclass(frozen=True, kw_only=True)
class Estimate:
    """An estimate with its two-sided interval, and the method in words."""

    estimate: float
    lower: float
    upper: float
    method: str
    confidence: float = CONFIDENCE
