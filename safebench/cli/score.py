"""`safebench score`: recompute a submission's numbers, and say what they are worth."""

from __future__ import annotations

import shlex
from pathlib import Path

import click

from safebench.analysis.report import ScoreReport, make_report, only
from safebench.card.io import load_card
from safebench.card.measured import complete_results
from safebench.cli.score_formats.interface import FORMATS, render
from safebench.errors import visible
from safebench.evidence.tables import read_outcomes


@click.command(name="score", short_help="Recompute a submission's numbers from its evidence.")
@click.argument("directory", metavar="DIR", type=click.Path(path_type=Path))
@click.option(
    "--format",
    "style",
    type=click.Choice(tuple(FORMATS)),
    default="text",
    show_default=True,
    help="Tables for people, JSON for machines, or tables and a methods section for a paper.",
)
@click.option(
    "--task", "tasks", metavar="NAME", multiple=True, help="Only this task; may be repeated."
)
@click.option(
    "--plots",
    metavar="FOLDER",
    type=click.Path(path_type=Path, file_okay=False),
    help="Draw what varies, the run scores, and the seeds needed, as SVG files.",
)
def command(directory: Path, style: str, tasks: tuple[str, ...], plots: Path | None) -> None:
    """Recompute every number of the submission in DIR from its outcomes.parquet.

    Beside the card's own numbers: what varies most, what is not measured, how many seeds would be
    needed, and diagnostics. Nothing is read from the card's own results, and nothing is written
    but the plots.
    """
    card = load_card(directory / "card.yaml")
    report = make_report(card, read_outcomes(directory), tasks)
    click.echo(render(report, style))
    if plots is not None:
        _draw(report, plots)
    if _differs(report, tasks):
        click.echo(
            "\nThe card says otherwise: safebench validate names every number that differs.",
            err=True,
        )
    if style == "text":
        click.echo(f"\nNext: safebench plan {visible(shlex.quote(str(directory)))} --target .05")


def _draw(report: ScoreReport, folder: Path) -> None:
    from safebench.site.plots import write_plots

    for path in write_plots(report, folder):
        click.echo(f"drew {visible(str(path))}", err=True)


def _differs(report: ScoreReport, tasks: tuple[str, ...]) -> bool:
    """Tell whether the card states other numbers than its outcomes give."""
    stated = complete_results(report.card)
    return stated is not None and report.results != only(stated, tasks)
