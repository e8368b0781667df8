"""What `safebench verify` does with commitments: opening all, some to others, others' openings."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from safebench.cli import options as shared
from safebench.errors import visible
from safebench.words import count

if TYPE_CHECKING:
    from safebench.checks.opening import Opened

_FILE = click.Path(path_type=Path, dir_okay=False)
_MOST_SHOWN = 20


def _rows(_: click.Context, __: click.Parameter, value: str | None) -> tuple[int, ...]:
    try:
        return tuple(sorted({int(part) for part in value.split(",")})) if value else ()
    except ValueError:
        raise click.BadParameter(f"{value!r} is no list such as 3,17,20") from None


def options(command: shared.Command) -> shared.Command:
    """Add the options that `check_commitments` takes."""
    for option in (
        click.option(
            "--opening",
            type=_FILE,
            help="Check the texts in this opening against the commitments, and repeat the verdicts "
            "of judges that are published rules.",
        ),
        click.option("--out", type=_FILE, help="For --open: new file to write the opening to."),
        click.option(
            "--open",
            "rows",
            metavar="ROWS",
            callback=_rows,
            help="Write the texts and salts of these rows of commitments.parquet, counted from 1 "
            "and separated by commas, for somebody else to check. Needs --secret.",
        ),
        click.option(
            "--texts",
            type=shared.EXISTING_FOLDER,
            help="For --secret: the submission as it was before it was redacted.",
        ),
        click.option(
            "--secret",
            type=_FILE,
            help="Check every commitment with this secret. Needs --texts.",
        ),
    ):
        command = option(command)
    return command


def check_commitments(
    folder: Path,
    secret: Path | None,
    texts: Path | None,
    rows: tuple[int, ...],
    out: Path | None,
    opening: Path | None,
) -> Opened | None:
    """Open commitments as the options ask; None where they do not.

    Raises:
        click.UsageError: options that do not go together.
        SafebenchError: something cannot be read, or is not of this submission.
    """
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


def as_json(opened: Opened) -> dict[str, Any]:
    """Return what came of it as a member of the command's JSON."""
    return {
        "rows": opened.rows,
        "problems": list(opened.problems),
        "not_repeated": list(opened.not_repeated),
    }


def print_text(opened: Opened) -> None:
    """Print what came of it."""
    for problem in opened.problems[:_MOST_SHOWN]:
        click.echo(visible(problem))
    if len(opened.problems) > _MOST_SHOWN:
        click.echo(f"and {count(len(opened.problems) - _MOST_SHOWN, 'more problem')}")
    if opened.not_repeated:
        names = ", ".join(opened.not_repeated)
        click.echo(visible(f"Not repeated, as they are no published rules: {names}"))
    found = count(len(opened.problems), "problem")
    click.echo(f"{count(opened.rows, 'row')} opened; {found}.")
