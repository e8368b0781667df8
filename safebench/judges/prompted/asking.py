"""What answers a judge's questions: weights on this machine, or a server."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Protocol

from safebench.judges.interface import Exchange
from safebench.judges.prompted.parsers import Output

Tell = Callable[[int, Sequence[Output]], None]
"""Called with the place of a question and the outputs to it, as soon as there are all of them; from
several threads, perhaps."""


class Asker(Protocol):
    """Asks one judge."""

    def ask(self, questions: Sequence[Exchange], tell: Tell) -> None:
        """Ask about each exchange as often as the card says, in any order.

        Raises:
            JudgeError, ModelError: the judge cannot answer; what was told is kept.
        """

    def close(self) -> str:
        """Give back what it holds; return what was spent since it was last closed, in words."""
