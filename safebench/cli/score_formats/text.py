"""Text for people: the primary numbers first, then what varies, then what is not measured."""

from __future__ import annotations

from collections.abc import Sequence

from rich.console import Console
from rich.table import Table

from safebench.analysis.measures import Measure, Number
from safebench.analysis.primaries import Primary
from safebench.analysis.report import Gap, ScoreReport
from safebench.analysis.variation import Effect, Variation
from safebench.cli.console import print_wrapped, printer
from safebench.cli.score_formats import phrases
from safebench.cli.summary import print_primary, print_scores
from safebench.words import construct_name, count, percent

_INDENT = 20
_COLUMNS = 3
"""Estimands beside each other that a terminal has room for."""
_SMALL = 0.01
"""Share below which an interaction is left out of the table."""


def render(report: ScoreReport) -> str:
    """Return the report as tables and sentences."""
    console = printer()
    with console.capture() as captured:
        print_scores(console, report.card, report.results)
        for one in report.primaries:
            print_primary(console, report.card, report.results, one.estimand)
            _line(console, "  seeds needed", phrases.seeds_needed(one))
            _line(console, "  with more", phrases.projections(one))
            if isinstance(one.seed_share, Number):
                text = (
                    f"training seed explains {phrases.share(one.seed_share)}; the rest is repeats"
                )
                _line(console, "  between runs", text)
        if report.primaries:
            _diagnostics(console, report.primaries)
        for variation in report.variations:
            _variation(console, variation)
        _gaps(console, report.not_measured)
    return captured.get().rstrip("\n")


def _line(console: Console, label: str, text: str) -> None:
    print_wrapped(console, label, text, _INDENT)


def _diagnostics(console: Console, primaries: Sequence[Primary]) -> None:
    for start in range(0, len(primaries), _COLUMNS):
        shown = primaries[start : start + _COLUMNS]
        table = Table(box=None, pad_edge=False, header_style="bold")
        table.add_column("diagnostics")
        several = len({p.estimand.construct for p in shown}) < len(shown)
        for one in shown:
            name = construct_name(one.estimand.construct)
            table.add_column(f"{one.estimand.task}:\n{name}" if several else name)
        for key, text in phrases.DIAGNOSTICS.items():
            values = [one.diagnostics[key] for one in shown]
            if any(isinstance(value, Number) for value in values):
                table.add_row(text, *(phrases.measure(value) for value in values))
        if table.row_count:
            console.print()
            console.print(table)


def _variation(console: Console, one: Variation) -> None:
    name = construct_name(one.construct)
    console.print(f"\n[bold]what varies: {name}[/bold], {one.task}, judge {one.judge}")
    console.print(f"  {phrases.design(one)}", markup=False)
    print_wrapped(console, "  ", phrases.what_varies(one), 2)
    table = Table(box=None, pad_edge=False, padding=(0, 3, 0, 0), header_style="dim")
    table.add_column("  share of the variance")
    table.add_column("levels", justify="right")
    table.add_column("between runs")
    table.add_column("of single answers")
    known = [e for e in one.effects if _measured(e)]
    shown = [e for e in known if ":" not in e.name or max(_measured(e)) >= _SMALL]
    for effect in shown:
        cells = (_share(effect.of_runs), _share(effect.of_answers))
        table.add_row(f"  {phrases.source(effect, one)}", f"{effect.levels:,}", *cells)
    if shown:
        console.print(table)
    if shown and phrases.has_fixed(one):
        console.print(f"  {phrases.STAR}", style="dim")
    if len(shown) < len(known):
        left = count(len(known) - len(shown), "interaction")
        console.print(f"  and {left} below {percent(_SMALL)}: --format json", style="dim")


def _measured(effect: Effect) -> list[float]:
    """Return the shares of an effect that are measured."""
    return [m.estimate for m in (effect.of_runs, effect.of_answers) if isinstance(m, Number)]


def _share(value: Measure) -> str:
    return phrases.share(value) if isinstance(value, Number) else "-"


def _gaps(console: Console, gaps: Sequence[Gap]) -> None:
    if not gaps:
        return
    console.print("\n[bold]not measured[/bold]")
    for gap in gaps:
        _line(console, f"  {gap.what}", gap.reason)
