"""What a reporter is given and returns; `REPORTERS` in the package lists them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from safebench.card.document import ReadError
from safebench.checks import CheckedCard, Finding
from safebench.checks.rules.structure import UNREADABLE

STDIN = "<stdin>"
"""What a card from standard input is called."""


@dataclass(frozen=True)
class Unreadable:
    """A path that could not be read, with the members of a checked card that reporters use."""

    path: str
    finding: Finding
    """Why it could not be read."""
    lines: tuple[str, ...] = ()
    """Lines of the file, where there are any."""
    spec: None = None
    level: None = None
    completeness: None = None
    missing_for_next: tuple[()] = ()
    obstacles: tuple[()] = ()

    @property
    def findings(self) -> tuple[Finding, ...]:
        """The reason as the only finding."""
        return (self.finding,)


Checked = CheckedCard | Unreadable


def unreadable(path: str, problem: ReadError | OSError) -> Unreadable:
    """Return a failure to read, in the form that reporters show."""
    if isinstance(problem, ReadError):
        line, column = problem.at or (0, 0)
        message, fix, lines = problem.found, problem.fix or "", problem.lines
    else:
        line, column, lines = 0, 0, ()
        message, fix = f"cannot be read: {problem.strerror}", "check path and permissions"
    return Unreadable(path, Finding(UNREADABLE, "error", "", line, column, message, fix), lines)


Reporter = Callable[[Sequence[Checked]], str]
"""Turns checked cards into the whole output."""
