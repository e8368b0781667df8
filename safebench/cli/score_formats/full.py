"""Text for people, in full: the primary numbers, what varies, what is not measured."""

from __future__ import annotations

from rich.console import Console

from safebench.analysis.measures import Number
from safebench.analysis.report import ScoreReport
from safebench.analysis.variation import Variation
from safebench.card.results import key_of
from safebench.cli.console import print_wrapped, printer
from safebench.cli.score_formats import judge_parts, parts
from safebench.cli.summary import INDENT, print_primary, print_scores
from safebench.cli.tables import print_table
from safebench.errors import visible
from safebench.words import construct_name, count, percent

_COLUMNS = 3
"""Estimands beside each other that a terminal has room for."""


def render(report: ScoreReport) -> str:
    """Return the report as tables and sentences."""
    console = printer()
    with console.capture() as captured:
        differing = judge_parts.turned(report)
        for sentence in differing:
            print_wrapped(console, "JUDGES DIFFER", sentence, 15)
        if differing:
            console.print()
        print_scores(console, report.card, report.results)
        console.print(f"[dim]{judge_parts.included_note(report)}[/dim]")
        several = {key_of(one.estimand): one for one in report.judges}
        for one in report.primaries:
            key = key_of(one.estimand)
            print_primary(console, report.card, report.results, one.estimand)
            if key in report.readings:
                text = parts.reading_text(report.readings[key])
                print_wrapped(console, "  read as", text, INDENT)
            found = judge_parts.judge_error(report.corrections[key])
            print_wrapped(console, "  judge error", found, INDENT)
            if key in several:
                print_wrapped(console, "  judges", judge_parts.judges_text(several[key]), INDENT)
                if several[key].wordings:
                    print_wrapped(
                        console, "  wordings", judge_parts.wordings_text(several[key]), INDENT
                    )
            print_wrapped(console, "  seeds needed", parts.seeds_needed(one), INDENT)
            print_wrapped(console, "  with more", parts.projections(one), INDENT)
            if isinstance(one.seed_share, Number):
                found = parts.share(one.seed_share)
                text = f"the training seed explains {found} of the variance, repeats the rest"
                print_wrapped(console, "  between runs", text, INDENT)
        for start in range(0, len(report.primaries), _COLUMNS):
            table = parts.diagnostics_table(report.primaries[start : start + _COLUMNS])
            if any(row.kind == "main" for row in table.rows):
                console.print()
                print_table(console, table)
        for variation in report.variations:
            _variation(console, variation)
        if report.doubts:
            console.print("\n[bold]doubts[/bold], and how far each could move a primary number")
        for doubt in report.doubts:
            text = visible(doubt.text) + (f" ({doubt.remedy})" if doubt.remedy else "")
            print_wrapped(console, f"  {parts.doubt_size(doubt):>4}", text, 8)
        if report.not_measured:
            console.print("\n[bold]not measured[/bold]")
        for gap in report.not_measured:
            print_wrapped(console, f"  {gap.what}", gap.reason, INDENT)
    return captured.get().rstrip("\n")


def _variation(console: Console, one: Variation) -> None:
    name = construct_name(one.construct)
    console.print(f"\n[bold]what varies: {name}[/bold], {one.task}, judge {one.judge}")
    console.print(f"  {parts.design(one)}", markup=False)
    print_wrapped(console, "  ", parts.what_varies(one), 2)
    table = parts.variation_table(one)
    print_table(console, table, indent=2, style="dim")
    minor = sum(row.kind == "minor" for row in table.rows)
    if len(table.rows) > minor and parts.has_fixed(one):
        console.print(f"  {parts.WHOLE_NOTE}", style="dim")
    if minor:
        left_out = count(minor, "interaction")
        console.print(
            f"  {left_out} below {percent(0.01)} left out; see --format json", style="dim"
        )
