"""`safebench rerun`: repeat a submission and print a verdict."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click
from rich.console import Console

from safebench.card.base import NotReported
from safebench.card.card import Card
from safebench.card.submission import Submitter
from safebench.cli import options
from safebench.cli.console import TerminalProgress, print_wrapped, printer
from safebench.cli.executing import load_sound_card, needs_models
from safebench.cli.tables import columns, print_cells
from safebench.errors import CardError, RunError
from safebench.evidence.submission import CARD_FILE, Submission
from safebench.evidence.verdicts import RerunReport, ScoreVerdict, write_report
from safebench.words import (
    checkpoint,
    construct_name,
    count,
    plain,
    proportion,
    signed,
    signed_interval,
)

EXIT = {"reproduced": 0, "not_reproduced": 1, "inconclusive": 3, "no_verdict": 3}


@click.command(name="rerun")
@click.argument("submission", type=click.Path(path_type=Path))
@click.option(
    "--out",
    required=True,
    type=options.FOLDER,
    help="Folder to write the rerun to, itself a submission: a new one, or that of an interrupted "
    "rerun.",
)
@click.option(
    "--seeds",
    type=click.IntRange(min=1),
    help="Number of new training seeds, fixed before the rerun begins. Default: as many as in the "
    "original.",
)
@click.option(
    "--everything",
    is_flag=True,
    help="Measure every cell, not only those of the primary estimands.",
)
@click.option(
    "--model",
    "base",
    type=options.EXISTING_FOLDER,
    help="Folder of the base model, if it is local and not in the submission.",
)
@click.option("--name", default="not given", help="Name of the person who makes the rerun.")
@click.option(
    "--organisation",
    help="Organisation of that person. A rerun counts towards the level `reproduced` only if it "
    "differs from the original's.",
)
@click.option("--contact", help="Address for questions about the rerun.")
@options.batch_size
@options.device
@options.threads
@click.pass_context
def command(
    ctx: click.Context,
    /,
    submission: Path,
    out: Path,
    seeds: int | None,
    everything: bool,
    base: Path | None,
    name: str,
    organisation: str | None,
    contact: str | None,
    **settings: Any,
) -> None:
    """Fine-tune SUBMISSION's recipe with new training seeds, measure it, and compare.

    The verdict is an equivalence test on each primary estimand, with the standard's margin. A trial
    (made with `run --limit`) and a study with fewer than 50 prompts get no verdict.

    \b
    Exit codes: 0 reproduced; 1 not reproduced; 3 inconclusive or no verdict;
                2 the rerun could not be done.
    """
    original = Submission(load_sound_card(submission / CARD_FILE), submission)
    submitter = Submitter(
        name=name,
        organisation=organisation or NotReported(not_reported="rerun without --organisation"),
        contact=contact or NotReported(not_reported="rerun without --contact"),
    )
    with TerminalProgress() as progress:
        report = repeat(
            original,
            out,
            submitter,
            progress,
            seeds=seeds,
            everything=everything,
            base=base,
            **settings,
        )
    print_report(printer(), report)
    click.echo(f"\nWrote {out / 'verdict.json'}.")
    ctx.exit(EXIT[report.overall])


def _seed_count(card: Card) -> int:
    """Return the number of training seeds of a card."""
    seeds = card.seeds
    if isinstance(seeds, NotReported) or isinstance(seeds.training, NotReported):
        raise CardError("the card reports no training seeds", fix="give their number by --seeds")
    return seeds.training if isinstance(seeds.training, int) else len(seeds.training)


def repeat(
    original: Submission,
    out: Path,
    submitter: Submitter,
    progress: TerminalProgress,
    *,
    seeds: int | None = None,
    everything: bool = False,
    base: Path | None = None,
    **settings: Any,
) -> RerunReport:
    """Execute a rerun into a folder and write its verdict.

    `seeds`: how many new ones, by default as many as in the original; `base`: folder of the base
    model, where it is not in the submission; `settings`: of `Settings`.
    """
    with needs_models("rerun"):
        from safebench.analysis.verdict import compare
        from safebench.cli.run import describe
        from safebench.study.engines import Settings
        from safebench.study.execute import execute, finished_earlier
        from safebench.study.plan import make_plan
        from safebench.study.rerun import primary_blocks, rerun_card
    protocol = original.with_card(
        rerun_card(original, seeds or _seed_count(original.card), submitter, base)
    )
    is_needed = primary_blocks(original.card)
    plan = make_plan(protocol, out, *(() if everything else (is_needed,)))
    progress.say("rerun " + describe(plan))
    before = finished_earlier(plan, out)
    outcome = before or execute(plan, out, Settings(**settings), progress)
    if outcome.card is None:
        raise RunError(f"{out}: the rerun is not finished", fix="run the same command again")
    report = compare(original, Submission(outcome.card, out))
    write_report(report, out)
    return report


def print_report(console: Console, report: RerunReport) -> None:
    """Print verdicts with the numbers behind them."""
    rows = [
        (
            _label(row, report.checkpoint_unit),
            f"{proportion(row.original_estimate)} ({count(row.original_seeds, 'seed')})",
            f"{proportion(row.rerun_estimate)} ({count(row.rerun_seeds, 'seed')})",
            _difference(row),
            proportion(row.margin_points, 3),
            plain(row.verdict),
        )
        for row in report.verdicts
    ]
    heads = columns("", "reported", "here", "difference [90 % interval]", "margin", "verdict")
    print_cells(console, heads, rows)
    for row in report.verdicts:
        print_wrapped(console, f"  {construct_name(row.construct)}", row.reason, 16)
    console.print("\n[bold]Change from base[/bold]")
    for change in report.changes:
        text = (
            f"{signed(change.original_estimate)} reported, {signed(change.rerun_estimate)} here: "
            f"{plain(change.verdict)}; {change.reason}"
        )
        print_wrapped(console, f"  {construct_name(change.construct)}", text, 16)
    differences = "; ".join(report.environment_differences) or "none"
    console.print(f"\nEnvironment differences: {differences}", markup=False)
    console.print(f"Overall: [bold]{plain(report.overall)}[/bold]")


def _difference(row: ScoreVerdict) -> str:
    if row.lower_points is None or row.upper_points is None:
        return f"{signed(row.difference_points)} [not measured]"
    bounds = signed_interval(row.lower_points, row.upper_points)
    return f"{signed(row.difference_points)} {bounds}"


def _label(row: ScoreVerdict, unit: str) -> str:
    parts = (
        construct_name(row.construct),
        checkpoint(row.checkpoint, unit),
        row.decoding,
    )
    trial = f" ({row.trial})" if row.trial else ""
    return ", ".join(part for part in parts if part) + trial
