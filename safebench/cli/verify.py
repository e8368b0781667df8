"""`safebench verify SUBMISSION`: check evidence of any size, file by file and row by row."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from safebench.checks.verify import Verified
from safebench.cli import options
from safebench.errors import visible
from safebench.words import count, number

if TYPE_CHECKING:
    from safebench.checks.opening import Opened
    from safebench.evidence.signature import Signature

_FILE = click.Path(path_type=Path, dir_okay=False)
_MOST_SHOWN = 20


def _rows(_: click.Context, __: click.Parameter, value: str | None) -> tuple[int, ...]:
    try:
        return tuple(sorted({int(part) for part in value.split(",")})) if value else ()
    except ValueError:
        raise click.BadParameter(f"{value!r} is no list such as 3,17,20") from None


@click.command(name="verify")
@click.argument("folder", metavar="SUBMISSION", type=click.Path(path_type=Path))
@click.option(
    "--secret", type=_FILE, help="Check every commitment with this secret. Needs --texts."
)
@click.option(
    "--texts",
    type=options.EXISTING_FOLDER,
    help="For --secret: the submission as it was before it was redacted.",
)
@click.option(
    "--open",
    "rows",
    metavar="ROWS",
    callback=_rows,
    help="Write the texts and salts of these rows of commitments.parquet, counted from 1 and "
    "separated by commas, for somebody else to check. Needs --secret.",
)
@click.option("--out", type=_FILE, help="For --open: new file to write the opening to.")
@click.option(
    "--opening",
    type=_FILE,
    help="Check the texts in this opening against the commitments, and repeat the verdicts of "
    "judges that are published rules.",
)
@options.output_format
@click.pass_context
def command(context: click.Context, /, folder: Path, style: str, **openings: Any) -> None:
    """Check the evidence of a submission: files, digests, manifest and every single row.

    Tables are read in pieces, so that ten million rows take less than a gibibyte of memory. No
    number is recomputed, and nothing is compared across rows: `safebench validate` does both. Of a
    signed submission, the key or identity is printed; a wrong signature is an error.

    The commitments of a redacted submission can be opened: all of them, with --secret and --texts;
    some of them for somebody else, with --open; or by that person, with --opening.

    \b
    Exit codes: 0 no errors; 1 errors were found; 2 the card, or what opens commitments, cannot be
                read.
    """
    from safebench.checks.verify import verify
    from safebench.evidence.submission import CARD_FILE

    card = folder / CARD_FILE
    verified = verify(card)
    opened = _check_commitments(folder, **openings)
    if style == "json":
        _print_json(verified, opened)
    else:
        _print_text(verified, card)
        if opened is not None:
            _print_opened(opened)
    context.exit(1 if verified.findings or (opened is not None and opened.problems) else 0)


def _check_commitments(
    folder: Path,
    secret: Path | None,
    texts: Path | None,
    rows: tuple[int, ...],
    out: Path | None,
    opening: Path | None,
) -> Opened | None:
    """Open commitments as the options ask; None where they ask for nothing."""
    if (secret is None) != (texts is None):
        raise click.UsageError("--secret and --texts need each other")
    if bool(rows) != (out is not None) or (rows and secret is None):
        raise click.UsageError("--open needs --secret, --texts and --out, and --out needs --open")
    if secret is not None and opening is not None:
        raise click.UsageError("--opening is for whoever has no --secret")
    if opening is not None:
        from safebench.checks.opening import check_opening

        return check_opening(folder, opening)
    if secret is None or texts is None:
        return None
    from safebench.checks.opening import check_texts, open_rows
    from safebench.evidence.commitments import read_secret

    key = read_secret(secret)
    if out is None:
        return check_texts(folder, key, texts)
    return open_rows(folder, key, texts, rows, out)


def _print_json(verified: Verified, opened: Opened | None) -> None:
    from safebench.cli.console import print_json

    members = ("rule", "pointer", "line", "column", "message", "fix")
    found = [{name: getattr(f, name) for name in members} for f in verified.findings]
    signed = None
    if (signature := verified.signature) is not None:
        names = ("algorithm", "identity", "issuer", "date")
        signed = {
            "key": signature.fingerprint,
            **{name: getattr(signature, name) for name in names},
            **signature.signer.model_dump(),
            "is_checked": verified.unchecked is None,
        }
    print_json(
        {
            "schema": "safebench/verify/1",
            "files": verified.files,
            "rows": verified.rows,
            "findings": found,
            "signature": signed,
            **({} if opened is None else {"opened": vars(opened)}),
        }
    )


def _print_text(verified: Verified, card: Path) -> None:
    for f in verified.findings:
        click.echo(visible(f"{card}:{f.line}:{f.column}: {f.rule}: {f.message}"))
        click.echo(visible(f"  Fix: {f.fix}"))
    rows = "; ".join(f"{name}: {number(n)} rows" for name, n in verified.rows.items())
    found = count(len(verified.findings), "error")
    click.echo(
        visible(f"{count(len(verified.files), 'file')} listed; {rows or 'no table'}; {found}.")
    )
    if verified.signature is not None:
        click.echo(visible(_who(verified.signature, verified.unchecked)))


def _who(signature: Signature, unchecked: str | None) -> str:
    signer, key = signature.signer, f"key {signature.fingerprint}"
    if signature.algorithm == "sigstore":
        key = f"identity {signature.identity}, vouched for by {signature.issuer}; {key}"
    day = f" on {signature.date}" if signature.date else ""
    held = "Signed" if unchecked is None else f"Not checked: {unchecked}. Signed"
    return f"{held}{day} by {signer.name}, {signer.organisation}, as they state it; {key}."


def _print_opened(opened: Opened) -> None:
    for problem in opened.problems[:_MOST_SHOWN]:
        click.echo(visible(problem))
    if len(opened.problems) > _MOST_SHOWN:
        click.echo(f"and {count(len(opened.problems) - _MOST_SHOWN, 'more problem')}")
    if opened.not_repeated:
        names = ", ".join(opened.not_repeated)
        click.echo(visible(f"Not repeated, as they are no published rules: {names}"))
    found = count(len(opened.problems), "problem")
    click.echo(f"{count(opened.rows, 'row')} opened; {found}.")
