"""What reporters are given, and what each of them does."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from safebench.card.document import ReadError
from safebench.checks import CheckedCard, Finding
from safebench.checks.rules.structure import UNREADABLE

STDIN = "<stdin>"
"""What a card from standard input is called."""


@dataclass(frozen=True)
class Unreadable:
    """A path of which no report could be made."""

    path: str
    finding: Finding
    lines: tuple[str, ...] = ()

    @property
    def findings(self) -> tuple[Finding, ...]:
        """The reason, as the only finding."""
        return (self.finding,)


Checked = CheckedCard | Unreadable


def unreadable(path: str, problem: ReadError | OSError) -> Unreadable:
    """Return a failure to read as something that reporters show."""
    if isinstance(problem, ReadError):
        line, column = problem.at or (0, 0)
        message, fix, lines = problem.found, problem.fix or "", problem.lines
    else:
        line, column, lines = 0, 0, ()
        message, fix = f"cannot be read: {problem.strerror}", "check path and permissions"
    return Unreadable(path, Finding(UNREADABLE, "error", "", line, column, message, fix), lines)


class Reporter(Protocol):
    """Turns checked cards into what is printed."""

    def render(self, checked: Sequence[Checked]) -> str:
        """Return the whole output."""
        ...
