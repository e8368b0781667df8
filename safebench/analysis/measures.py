"""A number with all that belongs to it, or the reason why there is none."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from safebench.evidence.scoring import CONFIDENCE
from safebench.stats import Estimate
from safebench.words import kept


@dataclass(frozen=True)
class Number:
    """An estimate with its interval, how many of what it rests on, and how it was found.

    `lower` or `upper` is None where a bound is one-sided. `n` maps what was counted to the count.
    """

    estimate: float
    lower: float | None
    upper: float | None
    n: Mapping[str, int]
    method: str
    confidence: float = CONFIDENCE


@dataclass(frozen=True)
class NotMeasured:
    """Something that these outcomes say nothing about, which is not the same as 0."""

    reason: str


Measure = Number | NotMeasured


def measured(found: Estimate, n: Mapping[str, int]) -> Number:
    """Return a statistic as a number, to the decimals that are the same on every platform."""
    ends = kept(found.estimate), kept(found.lower), kept(found.upper)
    return Number(*ends, n, found.method)
