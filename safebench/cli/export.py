"""`safebench export`: a submission in a neighbour's format."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from safebench.errors import InteropError, visible

_OF_FORMATS = {
    "card_url": ("hub", "croissant"),
    "seed": ("hub",),
    "checkpoint": ("hub",),
    "timestamp": ("every-eval-ever",),
    "with_responses": ("every-eval-ever",),
}
"""Options, and the formats that they have a meaning for."""
FORMATS = ("every-eval-ever", "hub", "croissant", "csv", "parquet")


@click.command(name="export", short_help="Write a submission in another format.")
@click.argument("format_", metavar="FORMAT", type=click.Choice(FORMATS))
@click.argument("folder", type=click.Path(path_type=Path, exists=True, file_okay=False))
@click.option(
    "--out", required=True, type=click.Path(path_type=Path, file_okay=False),
    help="Folder that is written; a new one.",
)  # fmt: skip
@click.option("--card-url", metavar="URL", help="Where the card can be read (hub, croissant).")
@click.option("--seed", type=int, help="The training seed whose numbers are written (hub).")
@click.option("--checkpoint", type=click.IntRange(min=1), help="Its checkpoint (hub).")
@click.option(
    "--timestamp", metavar="SECONDS",
    help="When the record was made, in seconds since 1970; the card's date otherwise "
    "(every-eval-ever).",
)  # fmt: skip
@click.option(
    "--with-responses", is_flag=True,
    help="Write prompts and responses that the card does not publish (every-eval-ever).",
)  # fmt: skip
def command(format_: str, folder: Path, out: Path, **wanted: Any) -> None:
    """Write the numbers of the submission in FOLDER as FORMAT; say what it cannot hold.

    \b
    every-eval-ever  records of every_eval_ever 0.3: a file per model, and one per recipe
    hub              .eval_results and model-index for a model card on the Hub
    croissant        a description of the evidence tables as a data set
    csv, parquet     every table of safebench.load

    The numbers are computed from the evidence. The same submission gives the same bytes.
    """
    from safebench.exporting.write import Wanted, write_export

    for option, formats in _OF_FORMATS.items():
        if wanted[option] and format_ not in formats:
            name = f"--{option.replace('_', '-')}"
            raise InteropError(
                f"{name} has no meaning for {format_}",
                fix=f"leave it out, or export {' or '.join(formats)}",
            )
    export = write_export(folder, format_, out, Wanted(**wanted))
    for what in export.lost:
        click.echo(f"not held: {visible(what)}", err=True)
    shown = sorted(export.files)[:8]
    for name in shown:
        click.echo(str(out / name))
    if len(export.files) > len(shown):
        click.echo(f"and {len(export.files) - len(shown)} more files")
