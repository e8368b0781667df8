"""`safebench redact`: a submission without its texts."""

from __future__ import annotations

from pathlib import Path

import click

from safebench.cli import options
from safebench.errors import visible
from safebench.words import count


@click.command(name="redact")
@click.argument("folder", metavar="SUBMISSION", type=options.EXISTING_FOLDER)
@click.option("--out", required=True, type=options.FOLDER, help="New folder to write to.")
@click.option(
    "--secret",
    "secret_file",
    required=True,
    type=click.Path(path_type=Path, dir_okay=False),
    help="File of the secret that opens the commitments. It is made if it is not there.",
)
def command(folder: Path, out: Path, secret_file: Path) -> None:
    """Write SUBMISSION without the texts of its prompts and responses.

    Each text is replaced by a commitment: only with the secret can a text be compared with it.
    Labels and numbers stay, and can still be recomputed. The same submission and secret give the
    same bytes. Keep the secret: no commitment can be opened without it.

    \b
    Exit codes: 0 written; 2 the submission has errors, carries no responses, or cannot be written.
    """
    from safebench.study.redaction import redact

    done = redact(folder, out, secret_file)
    for name in done.left_out:
        click.echo(f"left out: {visible(name)}", err=True)
    if done.has_weights:
        click.echo("note: it has weights, and whoever runs them can get texts again", err=True)
    if done.made_secret:
        click.echo(visible(f"{secret_file}: a new secret. Keep it, and publish it nowhere."))
    click.echo(visible(f"{out}: {count(done.texts, 'response')} redacted."))
    click.echo(visible(f"Next: safebench verify {out} --secret {secret_file} --texts {folder}"))
