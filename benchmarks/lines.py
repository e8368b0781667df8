"""One figure of benchmarks/coverage.py: a share of replicates beside what it should be."""

from __future__ import annotations

import math
import zlib
from dataclasses import dataclass

import numpy as np

SEED = 20260
"""Every cell has a generator of its own, of this and of what it is called."""


@dataclass(frozen=True)
class Line:
    """One figure: a share of replicates beside what it should be."""

    what: str
    share: float
    error: float
    nominal: float | None  # None: no promise
    at_least: bool  # a coverage (else: a rate of errors, at most)
    note: str

    @property
    def missed(self) -> bool:
        """Whether the share is on the wrong side of the nominal value."""
        if self.nominal is None:
            return False
        short = self.nominal - self.share if self.at_least else self.share - self.nominal
        return short > 3 * self.error

    def text(self) -> str:
        """Return the line of the table."""
        sign = ">=" if self.at_least else "<="
        nominal = "" if self.nominal is None else f"{sign} {self.nominal:.3f}"
        mark = "MISSED" if self.missed else ""
        share = f"{self.share:.3f} +-{self.error:.3f}"
        return f"{self.what:<70} {share}  {nominal:<8} {mark:<6}  {self.note}".rstrip()


def line(
    what: str, hits: list[bool], nominal: float | None, note: str, at_least: bool = True
) -> Line:
    """Return the line of one cell; the error is taken at the nominal share where that is larger."""
    share, n = float(np.mean(hits)), len(hits)
    spread = max(share * (1 - share), 0.0 if nominal is None else nominal * (1 - nominal))
    return Line(what, share, math.sqrt(spread / n), nominal, at_least, note)


def generator(what: str) -> np.random.Generator:
    """Return the generator of one cell."""
    return np.random.default_rng([SEED, zlib.crc32(what.encode())])
