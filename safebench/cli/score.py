"""`safebench score`: recompute a submission's numbers, and report how sure they are."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import Any

import click

from safebench.analysis.figure import SUFFIXES, write_figure
from safebench.analysis.report import ScoreReport, make_report
from safebench.analysis.selection import Selection
from safebench.card.measured import complete_results
from safebench.cli import options
from safebench.cli.score_formats.interface import FORMATS, FULL, render
from safebench.cli.uncarded import has_card, meaning_options, submission_in
from safebench.errors import SafebenchError, visible
from safebench.evidence.submission import Submission

_OTHER_PICTURES = (".eps", ".gif", ".jpeg", ".jpg", ".ps", ".tif", ".tiff", ".webp")
"""Endings of other pictures: a PATH with one of them is refused, and is no new folder."""


@click.command(name="score")
@click.argument("directory", metavar="SUBMISSION", type=click.Path(path_type=Path))
@options.format_option(
    *FORMATS,
    help_="Output format: text for people, json for programs, latex or markdown for the tables and "
    "methods section of a paper.",
)
@click.option(
    "--full",
    is_flag=True,
    help="Everything as text: each seed's score, diagnostics, what varies, what is not measured. "
    "The other formats always have it.",
)
@options.selection
@click.option(
    "--plots",
    metavar="PATH",
    type=click.Path(path_type=Path),
    help="Also draw. A folder gets SVG files of what varies, the run scores and the seeds needed; "
    "a file NAME.pdf, .png or .svg gets one picture for a paper: the changes from base and how "
    "each is read (needs the extra `plots`).",
)
@meaning_options
def command(directory: Path, style: str, full: bool, plots: Path | None, **choice: Any) -> None:
    """Recompute every number of SUBMISSION from its outcomes.parquet.

    One screen says what changed from the base model, how spec/v1/reading.md reads that change,
    whether another training seed would agree, and what could make the reading wrong, the largest
    possible effect first. The card's own results are not used. Nothing is written except the plots.

    SUBMISSION may also be runs of one model without a card: an output folder of lm-eval, logs of
    Inspect, completions of HarmBench, or a table with one response a row (see `safebench compare
    --help`).

    \b
    Exit codes: 0 computed; 2 the submission cannot be read, or has no such number.
    """
    submission = submission_in(directory, choice)
    selection = Selection(**choice)
    report = make_report(submission, selection)
    style = FULL if full and style == "text" else style
    click.echo(render(report, style))
    if plots is not None:
        for path in write_plots(report, plots):
            click.echo(f"drew {visible(str(path))}", err=True)
    if _differs(submission, selection, report.results):
        click.echo(
            "\nThe card's numbers differ from these: safebench validate lists each one.",
            err=True,
        )
    if not has_card(directory):
        return  # `submission_in` has said how to make a card of these runs
    if style == "text":
        from safebench.cli.score_formats.text import next_steps

        click.echo(next_steps(report, directory))
    elif style == FULL:
        click.echo(f"\nNext: safebench plan {visible(shlex.quote(str(directory)))} --target .05")


def write_plots(report: ScoreReport, path: Path) -> list[Path]:
    """Write the pictures of `--plots`: our own into a folder, or one file for a paper.

    Returns every file that was written; raises click.UsageError for a format that is not drawn.
    """
    suffix = path.suffix.lower()
    if path.is_dir() or suffix not in (*SUFFIXES, *_OTHER_PICTURES):
        from safebench.site import plots

        return plots.write_plots(report, path)
    if suffix in _OTHER_PICTURES:
        raise click.UsageError(
            f"--plots {path}: give a folder, or a file that ends in {', '.join(SUFFIXES)}"
        )
    write_figure(report, path)
    return [path]


def _differs(submission: Submission, selection: Selection, results: object) -> bool:
    """Tell whether a card reports numbers, and other ones than these."""
    reported = complete_results(submission.card)
    try:
        return reported is not None and selection.of(reported) != results
    except SafebenchError:  # what was selected is not among them
        return True
