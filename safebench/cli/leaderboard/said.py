"""What commands that check a board share; the length of what they print is bounded."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence

import click

from safebench.errors import visible
from safebench.words import number

MOST_LINES = 20
"""Problems of one folder that are printed."""
MOST_LETTERS = 400
checkers = click.option(
    "--workers",
    metavar="N",
    type=click.IntRange(min=1),
    default=lambda: os.cpu_count() or 1,
    show_default="one per core",
    help="How many processes check submissions; few submissions are checked by one.",
)


def lines_of(name: str, problems: Sequence[str]) -> Iterator[str]:
    """Yield a line for each problem of a folder, and how many more there are."""
    name = short(name, 100)
    for problem in problems[:MOST_LINES]:
        yield f"{name}: {short(problem)}"
    rest = len(problems) - MOST_LINES
    if rest > 0:
        yield f"{name}: {number(rest)} more problems; safebench validate lists every one"


def short(text: str, most: int = MOST_LETTERS) -> str:
    """Return a stranger's text as a terminal may show it, cut where it is long."""
    shown = visible(text)
    return shown if len(shown) <= most else f"{shown[: most - 3]}..."
