"""`safebench export`: a submission in another program's format."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from safebench.errors import visible
from safebench.exporting.interface import FORMATS, Options, formats_with, write_export

_MOST_SHOWN = 8
_HELP = """Write the numbers of the submission in FOLDER as FORMAT; say what it cannot hold.

\b
{formats}

The numbers are computed from the evidence. The same submission gives the same bytes.
""".format(formats="\n".join(f"{name:<16} {one.summary}" for name, one in FORMATS.items()))


def _for(option: str) -> str:
    return ", ".join(formats_with(option))


@click.command(name="export", short_help="Write a submission in another format.", help=_HELP)
@click.argument("format_", metavar="FORMAT", type=click.Choice(list(FORMATS)))
@click.argument("folder", type=click.Path(path_type=Path, exists=True, file_okay=False))
@click.option(
    "--out",
    required=True,
    type=click.Path(path_type=Path, file_okay=False),
    help="New folder to write to.",
)
@click.option("--card-url", metavar="URL", help=f"Where the card can be read ({_for('card_url')}).")
@click.option(
    "--seed", type=int, help=f"The training seed whose numbers are written ({_for('seed')})."
)
@click.option(
    "--checkpoint", type=click.IntRange(min=1), help=f"Its checkpoint ({_for('checkpoint')})."
)
@click.option(
    "--timestamp",
    metavar="SECONDS",
    help="When the record was made, in seconds since 1970; the card's date by default "
    f"({_for('timestamp')}).",
)
@click.option(
    "--with-responses",
    is_flag=True,
    help=f"Write prompts and responses that the card does not publish ({_for('with_responses')}).",
)
def command(format_: str, folder: Path, out: Path, **options: Any) -> None:
    """See `_HELP`, which lists the formats."""
    export = write_export(folder, out, Options(format_, **options))
    for what in export.lost:
        click.echo(f"not held: {visible(what)}", err=True)
    names = sorted(export.files)
    for name in names[:_MOST_SHOWN]:
        click.echo(str(out / name))
    if len(names) > _MOST_SHOWN:
        click.echo(f"and {len(names) - _MOST_SHOWN} more files")
