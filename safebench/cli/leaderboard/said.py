"""How problems of a board are said: bounded, whatever a stranger's folder made of them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from safebench.errors import visible
from safebench.words import number

MOST_LINES = 20
"""Problems of one folder that are printed."""
MOST_LETTERS = 400


def lines_of(name: str, problems: Sequence[str]) -> Iterator[str]:
    """Yield a line for each problem of a folder, and how many more there are."""
    name = short(name, 100)
    for problem in problems[:MOST_LINES]:
        yield f"{name}: {short(problem)}"
    rest = len(problems) - MOST_LINES
    if rest > 0:
        yield f"{name}: {number(rest)} more problems; safebench validate lists every one"


def short(text: str, most: int = MOST_LETTERS) -> str:
    """Return a text that a terminal may be given, cut where it is long."""
    shown = visible(text)
    return shown if len(shown) <= most else f"{shown[: most - 3]}..."
