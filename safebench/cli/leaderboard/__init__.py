"""`safebench leaderboard`: a board of submissions, from its folder to its pages."""

from __future__ import annotations

import click

from safebench.cli.lazy import LazyGroup, from_modules

COMMANDS = {
    "new": "Write the folder of a new board, ready for submissions.",
    "check": "Check what a board would publish, and that nothing published was lost.",
    "build": "Build the static site of a board.",
    "serve": "Show a built site in a browser on this machine.",
}


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
