"""`safebench leaderboard`: a board of submissions, from its folder to its pages."""

from __future__ import annotations

import importlib

import click

from safebench.cli.lazy import LazyGroup

COMMANDS = {
    "new": "Write the folder of a new board, ready for submissions.",
    "check": "Check what a board would publish, and that nothing published was lost.",
    "build": "Build the static site of a board.",
    "serve": "Show a built site in a browser on this machine.",
}


def load(name: str) -> click.Command:
    """Import a command from the module of this package that has its name."""
    command: click.Command = importlib.import_module(f"safebench.cli.leaderboard.{name}").command
    return command


@click.group(cls=LazyGroup, name="leaderboard", summaries=COMMANDS, load=load)
def command() -> None:
    """Keep a board of submissions: a folder under version control, and the site made from it.

    \b
    safebench leaderboard new DIR                  a folder ready for submissions
    safebench leaderboard check DIR                what its CI runs on every change
    safebench leaderboard build DIR --out SITE     plain files for any web host
    safebench leaderboard serve SITE               the site at http://127.0.0.1:8000
    """
