"""`safebench score`: recompute a submission's numbers."""

from __future__ import annotations

import json
from pathlib import Path

import click

from safebench.card.io import load_card
from safebench.card.measured import complete_results
from safebench.cli.console import printer
from safebench.cli.summary import print_summary
from safebench.evidence.scoring import compute_results
from safebench.evidence.tables import read_outcomes


@click.command(name="score", short_help="Recompute a submission's numbers from its evidence.")
@click.argument("directory", metavar="DIR", type=click.Path(path_type=Path))
@click.option(
    "--format",
    "style",
    type=click.Choice(["text", "json"]),
    default="text",
    show_default=True,
    help="A table for people, or the card's `results` section for machines.",
)
def command(directory: Path, style: str) -> None:
    """Recompute every number of the submission in DIR from its outcomes.parquet.

    Nothing is read from the card's own results, and nothing is written.
    """
    card = load_card(directory / "card.yaml")
    results = compute_results(card, read_outcomes(directory))
    if style == "json":
        click.echo(json.dumps(results.model_dump(mode="json"), indent=2, ensure_ascii=False))
        return
    print_summary(printer(), results)
    stated = complete_results(card)
    if stated is not None and stated != results:
        click.echo(
            "\nThe card says otherwise: safebench validate names every number that differs.",
            err=True,
        )
