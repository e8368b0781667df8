"""`safebench leaderboard build DIR --out SITE`: publish submissions as a static site."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from safebench.words import count, kilobytes, plain, signed, with_interval

if TYPE_CHECKING:
    from safebench.site.board_rows import BoardRow


@click.group(name="leaderboard")
def command() -> None:
    """Build the static board from submissions."""


@command.command()
@click.argument("folder", metavar="DIR", type=click.Path(path_type=Path))
@click.option(
    "--out",
    metavar="SITE",
    required=True,
    type=click.Path(path_type=Path),
    help="Folder to write the site to: new, empty, or a site built earlier, which is replaced.",
)
def build(folder: Path, out: Path) -> None:
    """Build a site from DIR/submissions.

    DIR may also hold board.yaml (title, description, url). Every submission is checked and every
    number is recomputed from its evidence first. If a check fails, the build stops and the old site
    stays as it is. The site consists of plain files, for any web host.
    """
    from safebench.site import build as build_site

    built = build_site(folder, out)
    for group in built.groups:
        click.echo(group.heading + (f" ({group.note})" if group.note else ""))
        width = max(len(row.id) for row in group.rows)
        for row in group.rows:
            click.echo(f"  {row.id:<{width}}  {_line(row)}")
    listed = sum(len(group.rows) for group in built.groups)
    click.echo(
        f"{count(listed, 'submission')}, {count(built.reruns, 'rerun')}; "
        f"{count(built.files, 'file')}, {kilobytes(built.size)}."
    )
    click.echo(f"Next: open {built.index} in a browser, or copy the folder to any web host.")


def _line(row: BoardRow) -> str:
    parts = ["TRIAL, not a result"] if row.trials else []
    if row.harm:
        harm = row.harm
        parts.append(f"harm {with_interval(harm.estimate, harm.lower, harm.upper)}")
    else:
        parts.append("harm not measured")
    if row.change:
        parts.append(f"change {signed(row.change.estimate)}")
    parts.append(f"level {row.level}")
    if row.rerun:
        parts.append(f"rerun {plain(row.rerun.word)}")
    return "  ".join(parts)
