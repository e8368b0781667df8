"""`safebench judge [add] SUBMISSION`: let more judges decide stored responses."""

from __future__ import annotations

from pathlib import Path

import click

from safebench.card.io import load_card
from safebench.cli import options
from safebench.cli.console import TerminalProgress, printer
from safebench.cli.summary import print_summary
from safebench.errors import visible
from safebench.evidence.submission import Submission


@click.command(name="add")
@click.argument("directory", metavar="SUBMISSION", type=options.FOLDER)
@click.option(
    "--card",
    metavar="CARD",
    type=click.Path(path_type=Path),
    help="A card of the same study, whose judges are asked; the submission's own by default.",
)
@click.option(
    "--judge",
    "names",
    metavar="NAME",
    multiple=True,
    help="Ask this judge only. May be repeated.",
)
@options.device
@options.quiet
def command(directory: Path, card: Path | None, names: tuple[str, ...], device: str | None) -> None:
    """Let judges decide the stored responses of SUBMISSION.

    Nothing is generated, and no verdict is overwritten: judges that have not judged yet add their
    rows to outcomes.parquet, and the card's numbers are computed again. A corrected judge gets
    another name.
    """
    from safebench.cli.executing import needs_models

    submission = Submission.read(directory)
    with needs_models("judge"):
        from safebench.models.loading import default_device
        from safebench.study.judging import judge_submission, judges_to_ask
        from safebench.study.pins import relocate_judges
    # Its judges find their files from its own folder.
    given = None if card is None else Submission(load_card(card), card.parent)
    other = None if given is None else relocate_judges(given, directory)
    entries = judges_to_ask(submission, other, names)
    if not entries:
        click.echo(f"Every judge has judged {visible(str(directory))} already; nothing was done.")
        return
    with TerminalProgress() as progress:
        done = judge_submission(
            submission, entries, progress, card=other, device=device or default_device()
        )
    click.echo("")
    print_summary(printer(), done)
    named = ", ".join(entry.name for entry in entries)
    click.echo(f"\nJudged by {named}; wrote {visible(str(directory / 'card.yaml'))}.")
    click.echo(f"Next: safebench score {directory} · safebench validate {directory}")
