"""What `safebench rerun` prints: the verdict, the numbers behind it, and what may explain them."""

from __future__ import annotations

from collections.abc import Sequence

from rich.console import Console

from safebench.analysis.rerun_facts import SHOWS, facts
from safebench.cli.console import print_wrapped
from safebench.cli.tables import columns, print_cells
from safebench.evidence.verdicts import ChangeVerdictRow, RerunReport, ScoreVerdict
from safebench.words import (
    checkpoint,
    construct_name,
    count,
    percent,
    plain,
    proportion,
    signed,
    signed_interval,
)


def print_report(console: Console, report: RerunReport) -> None:
    """Print verdicts with the numbers behind them."""
    console.print(f"\n[bold]{plain(report.overall).capitalize()}[/bold] ({report.kind})")
    print_wrapped(console, "", SHOWS[report.kind], 0)
    for line in report.contradictions:
        print_wrapped(console, "  !", line, 4)
    if report.verdicts:
        _print_scores(console, report)
    if report.changes:
        console.print("\n[bold]Change from base[/bold]")
    for change in report.changes:
        text = (
            f"{signed(change.original_estimate)} reported, {signed(change.rerun_estimate)} here: "
            f"{plain(change.verdict)}; {change.reason}"
        )
        print_wrapped(console, f"  {_short(change, report.changes)}", text, 16)
    console.print()
    for line in facts(report):
        print_wrapped(console, "", line, 0)


def _print_scores(console: Console, report: RerunReport) -> None:
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
    interval = f"difference [{percent(report.verdicts[0].confidence)} interval]"
    console.print()
    heads = columns("", "reported", "here", interval, "margin", "verdict")
    print_cells(console, heads, rows)
    for row in report.verdicts:
        print_wrapped(console, f"  {_short(row, report.verdicts)}", row.reason, 16)


def _short(
    row: ScoreVerdict | ChangeVerdictRow, rows: Sequence[ScoreVerdict | ChangeVerdictRow]
) -> str:
    """Return what a row is about, with its decoding where several have its construct."""
    name = construct_name(row.construct)
    several = sum(other.construct == row.construct for other in rows) > 1
    return f"{name}, {row.decoding} " if several else name


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
