"""`safebench unpack`: the folder of a submission out of one file."""

from __future__ import annotations

from pathlib import Path

import click

from safebench.cli import options, verify
from safebench.errors import visible
from safebench.words import count


@click.command(name="unpack")
@click.argument("archive", metavar="FILE", type=click.Path(path_type=Path, dir_okay=False))
@click.option("--out", required=True, type=options.FOLDER, help="New folder to unpack into.")
@click.pass_context
def command(context: click.Context, archive: Path, out: Path) -> None:
    """Unpack the archive FILE, written by `safebench pack`, and verify what was in it.

    An archive is unpacked as a whole or not at all. It is refused if it holds a link, a device, or
    a name that leads out of the folder or that two files would share on some system.

    \b
    Exit codes: 0 unpacked, no errors; 1 unpacked, and `verify` found errors;
                2 not unpacked, or the card cannot be read.
    """
    from safebench.evidence.archive import unpack

    names = unpack(archive, out)
    click.echo(visible(f"{out}: {count(len(names), 'file')} unpacked."))
    context.invoke(verify.command, folder=out, style="text")  # its other options at their defaults
