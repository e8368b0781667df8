"""What `safebench rerun` prints without --kind: what each rerun costs here, and can show."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from safebench.analysis.rerun_facts import SHOWS
from safebench.card.submission import Submitter
from safebench.cli.console import print_json, print_wrapped, printer
from safebench.cli.tables import columns, print_cells
from safebench.errors import SafebenchError
from safebench.evidence.submission import Submission
from safebench.words import number

if TYPE_CHECKING:
    from safebench.evidence.verdicts import Kind
    from safebench.study.probe import Cost
    from safebench.study.rerun import Repetition

_KINDS: tuple[Repetition, ...] = ("rejudge", "regenerate", "retrain")


def print_costs(
    original: Submission,
    kind: Kind | None,
    *,
    style: str,
    seeds: int | None,
    fraction: float | None,
    base: Path | None,
    **settings: Any,
) -> None:
    """Print a row for the kind, or for each kind, and below it what this machine lacks."""
    from safebench.study.probe import cost_of
    from safebench.study.rerun import Extent

    somebody = Submitter(name="not given", organisation="not given", contact="not given")
    extent = Extent(seeds, fraction, nonce="a draw of this size")
    costs: dict[str, Cost | SafebenchError] = {}
    for one in _KINDS:
        if kind in (None, one):
            try:
                costs[one] = cost_of(original, one, somebody, extent, base, settings)
            except SafebenchError as problem:
                costs[one] = problem
    if style == "json":
        print_json({name: _plain(cost) for name, cost in costs.items()})
        return
    console = printer()
    cells = [("recompute", "0", "0", "0", "seconds")] if kind in (None, "recompute") else []
    for name, cost in costs.items():
        cells.append(
            (name, "-", "-", "-", "cannot be done here")
            if isinstance(cost, SafebenchError)
            else (
                name,
                number(cost.judgements),
                number(cost.responses),
                f"{cost.fine_tunings} x {number(cost.updates)}" if cost.fine_tunings else "0",
                cost.time,
            )
        )
    heads = columns("kind", numbers=("judgements", "responses", "updates", "time here"))
    print_cells(console, heads, cells)
    console.print()
    for name, shows in SHOWS.items():
        if kind not in (None, name):
            continue
        print_wrapped(console, f"  {name}", shows, 14)
        found = costs.get(name)
        if isinstance(found, SafebenchError):
            print_wrapped(console, "", f"{found}: {found.fix}" if found.fix else str(found), 14)
        for line in () if found is None or isinstance(found, SafebenchError) else found.missing:
            print_wrapped(console, "", f"not here: {line}", 14)
    click.echo(f"\nThen: safebench rerun {original.folder} --kind {kind or 'KIND'} --out DIR")


def _plain(cost: Cost | SafebenchError) -> dict[str, Any]:
    if isinstance(cost, SafebenchError):
        return {"cannot": str(cost), "fix": cost.fix}
    return asdict(cost)
