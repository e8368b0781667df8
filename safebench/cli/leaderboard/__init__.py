"""`safebench leaderboard`: a board of submissions, from its folder to its pages."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence

import click

from safebench.cli.lazy import LazyGroup, from_modules
from safebench.errors import visible
from safebench.words import number

COMMANDS = {
    "new": "Write the folder of a new board, ready for submissions.",
    "check": "Check what a board would publish, and that nothing published was lost.",
    "build": "Build the static site of a board.",
    "serve": "Show a built site in a browser on this machine.",
}
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


@click.group(
    cls=LazyGroup,
    name="leaderboard",
    summaries=COMMANDS,
    load=from_modules(__name__),
)
def command() -> None:
    """Keep a board of submissions: a folder under version control, and the site made from it.

    \b
    safebench leaderboard new DIR                  a folder ready for submissions
    safebench leaderboard check DIR                what its CI runs on every change
    safebench leaderboard build DIR --out SITE     plain files for any web host
    safebench leaderboard serve SITE               the site at http://127.0.0.1:8000
    """


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
