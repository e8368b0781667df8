"""`safebench pack`: a submission as one file."""

from __future__ import annotations

from pathlib import Path

import click

from safebench.cli import options
from safebench.errors import visible
from safebench.words import count


@click.command(name="pack")
@click.argument("folder", metavar="SUBMISSION", type=options.EXISTING_FOLDER)
@click.option(
    "--out",
    type=click.Path(path_type=Path, dir_okay=False),
    help="New file to write. Default: the card's id with the ending .tar, in this folder.",
)
def command(folder: Path, out: Path | None) -> None:
    """Write the submission in the folder SUBMISSION as one archive.

    It holds the card, the manifest, every file that they list, the journal, the signature, and
    the reruns; nothing hidden, and nothing else that lies in the folder. It is an uncompressed tar
    archive, and the same submission gives the same bytes on every machine.

    \b
    Exit codes: 0 packed; 2 a file is missing or is not the one listed, or FILE exists already.
    """
    from safebench.evidence.archive import pack
    from safebench.evidence.submission import Submission
    from safebench.files import sha256_of

    submission = Submission.read(folder)
    target = out or Path(f"{submission.card.submission.id}.tar")
    names = pack(submission, target)
    click.echo(visible(f"{target}: {count(len(names), 'file')}, sha256 {sha256_of(target)}"))
    click.echo(visible(f"Next: safebench unpack {target} --out DIR, wherever it is read."))
