"""What `safebench plan` prints: spread, seeds needed, intervals, and the cheapest design."""

from __future__ import annotations

import math
from typing import Any

from rich.console import Console

from safebench.analysis.sizing import SeedAnswers, Sizing, Spread
from safebench.cli.console import print_wrapped
from safebench.cli.tables import columns, print_cells
from safebench.words import (
    count,
    interval,
    number,
    percent,
    points,
    proportion,
    quantity,
    rounded,
    setting,
)

_QUESTIONS = (
    ("rerun settles equality, power .8: seeds in each arm", "equality", 0.8),
    ("rerun settles equality, power .9: seeds in each arm", "equality", 0.9),
    ("the same against the pilot's {n} seeds, power .8: new seeds", "beside_pilot", 0.8),
    ("the same against the pilot's {n} seeds, power .9: new seeds", "beside_pilot", 0.9),
    ("stability of at least .5 shown: seeds", "stability", 0.5),
    ("stability of at least .8 shown: seeds", "stability", 0.8),
)
"""What a number of seeds is needed for: its label, a field of `SeedAnswers`, the key in it."""


def print_sizing(console: Console, found: Sizing) -> None:
    """Print every answer."""
    spread = found.spread
    design = ""
    if spread.n_seeds:
        design = (
            f" from {count(spread.n_seeds, 'seed')} x {count(spread.n_repeats, 'repeat')} x "
            f"{count(spread.n_prompts, 'prompt')}"
        )
    text = f"{spread.source}: score {proportion(spread.score)}{design}"
    print_wrapped(console, "", text, 0)
    _print_spread(console, spread)
    _print_seeds(console, found)
    _print_intervals(console, found)
    _print_cheapest(console, found)
    _print_uncertainty(console, found)


def _note(console: Console, text: str) -> None:
    print_wrapped(console, "  ", text, 2)


def _print_spread(console: Console, spread: Spread) -> None:
    measured = ", 95 % interval" if spread.n_seeds else ""
    console.print(f"\n[bold]What varies[/bold] (SD in points{measured})")
    rows = []
    for part in spread.parts:
        if part.sd is None:
            rows.append((part.words, part.note, "", ""))
            continue
        sd = points(part.sd)
        if part.lower is not None and part.upper is not None:
            sd += f" [{points(part.lower)}, {points(part.upper)}]"
        n = "" if part.n is None else f"n = {number(part.n)}"
        rows.append((part.words, sd, n, part.note))
    print_cells(console, columns("", "", "", ""), rows, indent=2)


def _print_seeds(console: Console, found: Sizing) -> None:
    console.print(
        "\n[bold]Training seeds[/bold] for the standard's margin, "
        f"h = {setting(found.margin)} ({points(found.margin_points)} points here)"
    )
    n, spreads, titles = found.spread.n_seeds, [found.here], ["at this spread"]
    if found.at_upper is not None:
        spreads.append(found.at_upper)
        titles.append("at its upper bound")
    rows = [
        (label.format(n=n), *(_needed(seeds, name, key) for seeds in spreads))
        for label, name, key in _QUESTIONS
        if n or name != "beside_pilot"
    ]
    print_cells(console, columns("", numbers=titles), rows, indent=2)
    if None in found.here.stability.values():
        point = proportion(found.here.stability_point)
        text = (
            f"At this spread the stability itself is about {point}: no number of seeds shows more."
        )
        _note(console, text)
    if n and None in found.here.beside_pilot.values():
        text = (
            f"The pilot's {count(n, 'seed')} spread too much for any number of new ones to settle"
        )
        _note(console, f"{text} equality: add seeds on both sides.")


def _needed(seeds: SeedAnswers, name: str, key: float) -> str:
    value: int | None = getattr(seeds, name)[key]
    return "no number" if value is None else number(value)


def _print_intervals(console: Console, found: Sizing) -> None:
    spread = found.spread
    prompts = count(spread.n_prompts, "prompt") + (", fixed" if found.prompts_fixed else "")
    score = proportion(spread.score)
    console.print(f"\n[bold]95 % interval[/bold] of a score of {score}, {prompts}")
    repeats = list(next(iter(found.intervals.values())))
    titles = ["seeds", *(count(r, "repeat") for r in repeats)]
    rows = [
        (str(seeds), *(interval(*row[r]) for r in repeats))
        for seeds, row in found.intervals.items()
    ]
    print_cells(console, columns(numbers=titles), rows, indent=2)
    if not spread.repeats_known:
        why = "the pilot has one" if spread.n_seeds else "--sigma-repeat is not given"
        _note(console, f"Whether more repeats would help is not known: {why}.")


def _print_cheapest(console: Console, found: Sizing) -> None:
    width = setting(200 * found.target)
    console.print(
        f"\n[bold]Cheapest design with an interval of at most {width} points from end to end[/bold]"
    )
    plan, spread = found.cheapest, found.spread
    if plan is None and not found.problems:
        _note(console, "Give --cost-fine-tune and --cost-generation (only their ratio matters).")
    if plan is not None:
        designs = {
            "cheapest": [plan],
            "with other numbers of seeds": plan.alternatives,
            "if seeds spread as at the upper bound": [found.cheapest_at_upper],
            "best for the budget": [found.best_for_budget],
        }
        rows = [_row(label, one) for label, some in designs.items() for one in some if one]
        if found.pilot_cost is not None and found.pilot_interval is not None:
            levels = (spread.n_seeds, spread.n_repeats, spread.n_prompts)
            numbers = (*levels, math.prod(levels))
            ends, cost = interval(*found.pilot_interval), quantity(found.pilot_cost)
            rows.append(("the pilot's own design", *map(number, numbers), ends, cost))
        titles = ["seeds", "repeats", "prompts", "responses", "interval", "cost"]
        print_cells(console, columns("", numbers=titles), rows, indent=2)
    for problem in found.problems:
        _note(console, problem)


def _row(label: str, plan: Any) -> tuple[str, ...]:
    n = plan.n_levels
    numbers = (n["training_seed"], n["repeat"], n["prompt"], plan.responses)
    ends, cost = interval(plan.lower, plan.upper), quantity(plan.cost)
    return (label, *map(number, numbers), ends, cost)


def _print_uncertainty(console: Console, found: Sizing) -> None:
    console.print("\n[bold]How sure[/bold]")
    if found.at_upper is None:
        text = (
            "As sure as the SDs that were given. --from-seeds, the number of seeds behind "
            "--sigma-seed, also shows the answers at its upper bound."
        )
    else:
        seeds = count(found.spread.sigma_seeds or 0, "seed")
        limit = "larger than seen, which was none"
        if found.here.sigma > 0:
            factor = rounded(found.at_upper.sigma / found.here.sigma, 1)
            limit = f"at most {factor} times as large as seen"
        text = (
            f"{seeds} leave the spread over seeds open: with {percent(0.95)} confidence it is "
            f"{limit}. Where the two columns differ much, add seeds to the pilot before settling "
            "on a design."
        )
    _note(console, text)
    text = "Negative variance estimates count as 0; checkpoint, judge and decoding stay the same."
    _note(console, text)
