"""A number with all that belongs to it, or the reason why there is none."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol

from safebench.evidence.scoring import CONFIDENCE, Interval, kept_interval


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
    """What these outcomes say nothing about; it is never called 0."""

    reason: str


Measure = Number | NotMeasured


class _Estimated(Interval, Protocol):
    """A statistic with an interval that names its method."""

    @property
    def method(self) -> str:
        """How it was found."""


def measured(found: _Estimated, n: Mapping[str, int]) -> Number:
    """Return a statistic as a number, to the decimals that are the same on every platform."""
    return Number(**kept_interval(found), n=n, method=found.method)
