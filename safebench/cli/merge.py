"""`safebench merge`: join the shards of one grid."""

from __future__ import annotations

from pathlib import Path

import click

from safebench.cli import options
from safebench.cli.console import TerminalProgress
from safebench.cli.executing import needs_models


@click.command(name="merge")
@click.argument(
    "shards",
    metavar="DIR...",
    nargs=-1,
    required=True,
    type=options.EXISTING_FOLDER,
)
@click.option(
    "--out", required=True, type=options.FOLDER, help="Folder to write the submission to."
)
@options.quiet
def command(shards: tuple[Path, ...], out: Path) -> None:
    """Join the folders of `safebench run --shard 1/n` to `n/n` into one submission.

    Every file except the journal is, byte for byte, what a single run of the whole grid would have
    written. Nothing is generated, and the shards are left as they are.
    """
    with needs_models("merge"):
        from safebench.cli.run import report
        from safebench.study.merge import merge
    with TerminalProgress() as progress:
        outcome = merge(shards, out, progress)
    report(outcome, out, "1/1")
