"""`safebench score`: recompute a submission's numbers, and report how sure they are."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import Any

import click

from safebench.analysis.report import make_report, only
from safebench.card.measured import complete_results
from safebench.cli import options
from safebench.cli.score_formats.interface import FORMATS, render
from safebench.cli.uncarded import has_card, meaning_options, submission_in
from safebench.errors import visible


@click.command(name="score")
@click.argument("directory", metavar="DIR", type=click.Path(path_type=Path))
@options.format_option(
    *FORMATS,
    help_="Output format: text for people, json for programs, latex or markdown for the tables and "
    "methods section of a paper.",
)
@options.tasks
@click.option(
    "--plots",
    metavar="FOLDER",
    type=options.FOLDER,
    help="Also draw what varies, the run scores and the seeds needed, as SVG files in this folder.",
)
@meaning_options
def command(
    directory: Path, style: str, tasks: tuple[str, ...], plots: Path | None, **choice: Any
) -> None:
    """Recompute every number of the submission in DIR from its outcomes.parquet.

    The report also says what varies most, how many seeds would be needed, and what was not
    measured, and gives diagnostics. The card's own results are not used. Nothing is written except
    the plots.

    DIR may also be runs of one model without a card: an output folder of lm-eval, logs of Inspect,
    completions of HarmBench, or a table with one response a row (see `safebench compare --help`).
    """
    report = make_report(submission_in(directory, {**choice, "tasks": tasks}), tasks)
    click.echo(render(report, style))
    if plots is not None:
        from safebench.site.plots import write_plots

        for path in write_plots(report, plots):
            click.echo(f"drew {visible(str(path))}", err=True)
    reported = complete_results(report.card)
    if reported is not None and report.results != only(reported, tasks):
        click.echo(
            "\nThe card's numbers differ from these: safebench validate lists each one.",
            err=True,
        )
    if style == "text" and has_card(directory):
        click.echo(f"\nNext: safebench plan {visible(shlex.quote(str(directory)))} --target .05")
