"""`safebench sign SUBMISSION`: say who answers for it, in a way that others can check."""

from __future__ import annotations

from pathlib import Path

import click

from safebench.cli import options
from safebench.errors import InputError, RunError


@click.command(name="sign")
@click.argument("submission", required=False, type=click.Path(path_type=Path))
@options.key
@click.option(
    "--new-key",
    metavar="FILE",
    type=click.Path(path_type=Path, dir_okay=False),
    help="Write a new Ed25519 key into FILE, readable by you alone, and do nothing else. It is "
    "encrypted where SAFEBENCH_KEY_PASSPHRASE is set. A file that exists is never overwritten.",
)
@click.option(
    "--sigstore",
    "by_sigstore",
    is_flag=True,
    help="Sign with sigstore instead of a key: an identity that you sign in with. Needs a network.",
)
@options.signer
@click.pass_context
def command(
    context: click.Context,
    /,
    submission: Path | None,
    key: Path | None,
    new_key: Path | None,
    by_sigstore: bool,
    **by: str | None,
) -> None:
    """Sign the folder SUBMISSION: its card, its manifest and, of a rerun, its verdict.

    Its files are checked first. The signature is written into signature.json beside the card, and
    names the digests of these files; the manifest names those of all others. A change of any of
    them makes `safebench verify` fail.

    \b
    Exit codes: 0 signed, or a key was made; 2 nothing was written.
    """
    if new_key is not None:
        if submission is not None or key is not None or by_sigstore:
            raise RunError("--new-key signs nothing", fix="sign with the key in a second command")
        from safebench.evidence.keys import new_key as make

        found = make(new_key)
        click.echo(f"Wrote {new_key}. Keep it, and give it to nobody.\nIts public half: {found}")
        click.echo(f"Next: safebench sign SUBMISSION --key {new_key}")
        return
    if submission is None:
        raise click.UsageError("Missing argument 'SUBMISSION'.", context)
    if (key is None) == (not by_sigstore):
        raise RunError(
            "nothing to sign with" if key is None else "--key and --sigstore are both given",
            fix="give --key FILE (make one: safebench sign --new-key FILE), or --sigstore",
        )
    _sign(submission, key, **by)


def _sign(
    folder: Path, key: Path | None, *, name: str | None, organisation: str | None, date: str | None
) -> None:
    from safebench.card.base import NotReported
    from safebench.checks.verify import verify
    from safebench.evidence import signature as signing
    from safebench.evidence.keys import read_key
    from safebench.evidence.submission import CARD_FILE, Submission

    errors = [f for f in verify(folder / CARD_FILE).findings if f.rule != "SB-EVI-028"]
    if errors:
        first = errors[0]
        raise InputError(
            f"{folder / CARD_FILE}:{first.line}: {first.rule}: {first.message}",
            fix=f"safebench verify {folder} lists every error; nothing was signed",
        )
    info = Submission.read(folder).card.submission
    stated = None if isinstance(info.submitter, NotReported) else info.submitter.name
    if name is None and not isinstance(stated, str):
        raise RunError("the card does not report who submits it", fix="give --name")
    signer = signing.Signer(
        name=name or str(stated), organisation=organisation or info.organisation
    )
    made = (
        signing.sign_with_sigstore(folder, signer, date)
        if key is None
        else signing.sign_with_key(folder, read_key(key), signer, date)
    )
    click.echo(f"Signed by {signer.name}, {signer.organisation}; key {made.fingerprint}.")
    click.echo(f"Wrote {folder / signing.SIGNATURE_FILE}.\nNext: safebench verify {folder}")
