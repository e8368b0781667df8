"""`safebench leaderboard new DIR`: the folder of a new board."""

from __future__ import annotations

from pathlib import Path

import click

from safebench.errors import visible


@click.command(name="new")
@click.argument("folder", metavar="DIR", type=click.Path(path_type=Path))
@click.option(
    "--title",
    metavar="TEXT",
    help="Title of the board, one line. It can be changed in board.yaml.",
)
def command(folder: Path, title: str | None) -> None:
    """Write a new board to DIR, to be kept in version control.

    DIR gets board.yaml (title, description, whose keys the board knows, whether pages show
    responses), README.md (how to submit and what is checked), a workflow of GitHub Actions that
    checks every pull request and publishes the main branch, an issue form, .gitattributes, and an
    empty folder for submissions.

    \b
    Exit codes: 0 written; 2 nothing was written.
    """
    from safebench.site.start import default_title, start_board

    for name in start_board(folder, default_title() if title is None else title):
        click.echo(visible(str(folder / name)))
    click.echo(
        "Next: change title and description in board.yaml, put submissions into "
        f"{visible(str(folder / 'submissions'))}/ID/, then safebench leaderboard check "
        f"{visible(str(folder))}; git init and a first commit keep it."
    )
