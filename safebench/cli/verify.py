"""`safebench verify SUBMISSION`: check evidence of any size, file by file and row by row."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from safebench.checks.verify import Verified
from safebench.cli import opening, options
from safebench.errors import visible
from safebench.words import count, number

if TYPE_CHECKING:
    from safebench.checks.opening import Opened


@click.command(name="verify")
@click.argument("folder", metavar="SUBMISSION", type=click.Path(path_type=Path))
@opening.options
@options.output_format
@click.pass_context
def command(context: click.Context, /, folder: Path, style: str, **openings: Any) -> None:
    """Check the evidence of a submission: files, digests, manifest and every single row.

    Tables are read in pieces, so that ten million rows take less than a gibibyte of memory. No
    number is recomputed, and nothing is compared across rows: `safebench validate` does both. Where
    the submission is signed, it is said by which key or identity, and a wrong signature is an
    error.

    Where a submission was redacted, its commitments can be opened: all of them, with --secret and
    --texts; some of them to somebody else, with --open; or by that person, with --opening.

    \b
    Exit codes: 0 no errors; 1 errors were found; 2 the card, or what opens commitments, cannot be
                read.
    """
    from safebench.checks.verify import verify
    from safebench.evidence.submission import CARD_FILE

    card = folder / CARD_FILE
    verified = verify(card)
    opened = opening.check_commitments(folder, **openings)
    if style == "json":
        _print_json(verified, opened)
    else:
        _print_text(verified, card)
        if opened is not None:
            opening.print_text(opened)
    context.exit(1 if verified.findings or (opened is not None and opened.problems) else 0)


def _print_json(verified: Verified, opened: Opened | None) -> None:
    from safebench.cli.console import print_json

    members = ("rule", "pointer", "line", "column", "message", "fix")
    found = [{name: getattr(f, name) for name in members} for f in verified.findings]
    print_json(
        {
            "schema": "safebench/verify/1",
            "files": verified.files,
            "rows": verified.rows,
            "findings": found,
            "signature": None if verified.signature is None else _signed(verified),
            **({} if opened is None else {"opened": opening.as_json(opened)}),
        }
    )


def _signed(verified: Verified) -> dict[str, Any]:
    signature = verified.signature
    assert signature is not None  # noqa: S101 - the caller has asked
    names = ("algorithm", "identity", "issuer", "date")
    return {
        "key": signature.fingerprint,
        **{name: getattr(signature, name) for name in names},
        **signature.signer.model_dump(),
        "is_checked": verified.unchecked is None,
    }


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
        click.echo(visible(_who(verified)))


def _who(verified: Verified) -> str:
    signature = verified.signature
    assert signature is not None  # noqa: S101 - the caller has asked
    signer, key = signature.signer, f"key {signature.fingerprint}"
    if signature.algorithm == "sigstore":
        key = f"identity {signature.identity}, vouched for by {signature.issuer}; {key}"
    day = f" on {signature.date}" if signature.date else ""
    held = "Signed" if verified.unchecked is None else f"Not checked: {verified.unchecked}. Signed"
    return f"{held}{day} by {signer.name}, {signer.organisation}, as they state it; {key}."
