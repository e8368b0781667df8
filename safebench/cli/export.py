"""`safebench export`: a submission in another program's format."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from safebench.cli import options as shared
from safebench.errors import visible
from safebench.exporting.interface import FORMATS, Options, formats_with, write_export

_HELP = """Write SUBMISSION as FORMAT, and list what that format cannot hold.

\b
{formats}

The numbers are computed from the evidence. The same submission always gives the same bytes.
""".format(formats="\n".join(f"{name:<16} {one.summary}" for name, one in FORMATS.items()))


def _for(option: str) -> str:
    return f"For {' and '.join(formats_with(option))}."


@click.command(name="export", help=_HELP)
@click.argument("format_", metavar="FORMAT", type=click.Choice(list(FORMATS)))
@click.argument("folder", metavar="SUBMISSION", type=click.Path(path_type=Path))
@click.option("--out", required=True, type=shared.FOLDER, help="New folder to write to.")
@click.option("--card-url", metavar="URL", help=f"Public address of the card. {_for('card_url')}")
@click.option(
    "--training-seed",
    type=int,
    help=f"Training seed whose numbers are written. {_for('training_seed')}",
)
@shared.selection
@click.option(
    "--timestamp",
    metavar="SECONDS",
    help="Time of the record, in seconds since 1970. Default: the card's date. "
    + _for("timestamp"),
)
@click.option(
    "--with-responses",
    is_flag=True,
    help="Also write prompts and responses that the card does not publish. "
    + _for("with_responses"),
)
def command(format_: str, folder: Path, out: Path, **options: Any) -> None:
    """See `_HELP`, which lists the formats."""
    export = write_export(folder, out, Options(format_, **options))
    for what in export.lost:
        click.echo(f"left out: {visible(what)}", err=True)
    for name in sorted(export.files):
        click.echo(visible(str(out / name)))
