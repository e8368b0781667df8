"""`safebench export`: a submission in a neighbour's format."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from safebench.cli import options
from safebench.errors import InteropError, visible
from safebench.words import count
from safebench.words import option as option_name

_FORMATS_OF = {
    "card_url": ("hub", "croissant"),
    "seed": ("hub",),
    "checkpoint": ("hub",),
    "timestamp": ("every-eval-ever",),
    "with_responses": ("every-eval-ever",),
}
"""Options, and the formats that each of them is for."""
FORMATS = ("every-eval-ever", "hub", "croissant", "csv", "parquet")


@click.command(name="export", short_help="Write a submission in another format.")
@click.argument("format_", metavar="FORMAT", type=click.Choice(FORMATS))
@click.argument("folder", type=options.EXISTING_FOLDER)
@click.option("--out", required=True, type=options.FOLDER, help="New folder to write to.")
@click.option(
    "--card-url", metavar="URL", help="Public address of the card. For hub and croissant."
)
@click.option("--seed", type=int, help="Training seed to write the numbers of. For hub.")
@click.option(
    "--checkpoint", type=click.IntRange(min=1), help="Checkpoint to write the numbers of. For hub."
)
@click.option(
    "--timestamp",
    metavar="SECONDS",
    help="When the record was made, in seconds since 1970. Default: the card's date. For "
    "every-eval-ever.",
)
@click.option(
    "--with-responses",
    is_flag=True,
    help="Also write prompts and responses that the card does not publish. For every-eval-ever.",
)
def command(format_: str, folder: Path, out: Path, **wanted: Any) -> None:
    """Write the submission in FOLDER as FORMAT, and list what that format cannot hold.

    \b
    every-eval-ever  records of every_eval_ever 0.3: a file per model, and one per recipe
    hub              .eval_results and model-index, for a model card on the Hub
    croissant        a description of the evidence tables as a data set
    csv, parquet     every table of safebench.load

    The numbers are computed from the evidence. The same submission always gives the same bytes.
    """
    from safebench.exporting.write import Wanted, write_export

    for option, formats in _FORMATS_OF.items():
        if wanted[option] and format_ not in formats:
            raise InteropError(
                f"{option_name(option)} has no meaning for {format_}",
                fix=f"leave it out, or export {' or '.join(formats)}",
            )
    export = write_export(folder, format_, out, Wanted(**wanted))
    for what in export.lost:
        click.echo(f"left out: {visible(what)}", err=True)
    shown = sorted(export.files)[:8]
    for name in shown:
        click.echo(str(out / name))
    if len(export.files) > len(shown):
        click.echo(f"and {count(len(export.files) - len(shown), 'more file')}")
