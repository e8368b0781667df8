"""A finding: one thing that is wrong, doubtful or worth knowing, at its place in a card."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from safebench.card.document import Patch

Severity = Literal["error", "warning", "note"]


@dataclass(frozen=True)
class Finding:
    """One result of a rule."""

    rule: str
    """Stable id, `SB-DEC-004`."""
    severity: Severity
    """Errors cap the level at `incomplete`; warnings and notes do not."""
    pointer: str
    """JSON pointer (RFC 6901) to what it is about; empty for the whole card."""
    line: int
    """Line, from 1."""
    column: int
    """Column, from 1."""
    message: str
    """What was found and what was expected."""
    fix: str
    """What to do about it."""
    end_column: int = 0
    """Column after the last character to underline; 0 when it ends on another line."""
    patch: Patch = ()
    """The remedy as a program applies it; empty where a person has to decide."""
