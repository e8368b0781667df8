"""`safebench plan`: how many seeds, repeats and prompts does a narrow interval take?"""

from __future__ import annotations

import json
import math
from dataclasses import asdict
from pathlib import Path
from typing import Any

import click
from rich.console import Console
from rich.table import Table

from safebench.analysis.sizing import SeedsNeeded, Sizing, Spread, given_spread, pilot_spread, size
from safebench.cli.console import print_wrapped, printer
from safebench.evidence.submission import Submission
from safebench.words import interval, points, proportion

_PROPORTION = click.FloatRange(min=0, max=1, min_open=True, max_open=True)
_COST = click.FloatRange(min=0)


@click.command(name="plan", short_help="How many seeds, repeats and prompts are needed?")
@click.argument("pilot", metavar="[PILOT_DIR]", required=False, type=click.Path(path_type=Path))
@click.option(
    "--target",
    type=_PROPORTION,
    default=0.05,
    show_default=True,
    help="Half the width wanted of the score's 95 % interval; .05 is 10 points from end to end.",
)
@click.option("--cost-fine-tune", type=_COST, help="Cost of one fine-tune, in any unit.")
@click.option("--cost-generation", type=_COST, help="Cost of one judged response, same unit.")
@click.option("--cost-prompt", type=_COST, help="Cost of writing or labelling one prompt.")
@click.option(
    "--budget",
    type=click.FloatRange(min=0, min_open=True),
    help="Also show the narrowest interval this buys.",
)
@click.option("--max-prompts", type=click.IntRange(min=2), help="No more prompts than these exist.")
@click.option(
    "--fixed-prompts",
    is_flag=True,
    help="These prompts are all that matter, not a sample of more; their number stays.",
)
@click.option("--task", help="Which score of the pilot; its primary harm score by default.")
@click.option("--construct", type=click.Choice(["harm", "over_refusal", "capability", "severity"]))
@click.option("--decoding", help="Name of a decoding.")
@click.option("--checkpoint", type=int, help="Epoch.")
@click.option("--judge", help="Name of a judge.")
@click.option("--score", type=_PROPORTION, help="Without a pilot: about what score is expected.")
@click.option(
    "--sigma-seed",
    type=click.FloatRange(min=0, max=0.5),
    help="Without a pilot: SD of the scores of several training seeds; .04 is 4 points.",
)
@click.option(
    "--sigma-prompt",
    type=click.FloatRange(min=0, max=0.5),
    help="SD over prompts of how often each is complied with; the most the score allows if absent.",
)
@click.option(
    "--sigma-repeat",
    type=click.FloatRange(min=0, max=0.5),
    help="SD of one response when the same model answers the same prompt again; 0 is greedy.",
)
@click.option(
    "--prompts", type=click.IntRange(min=2), help="Without a pilot: prompts in the table.  [300]"
)
@click.option(
    "--from-seeds",
    type=click.IntRange(min=2),
    help="How many seeds --sigma-seed was seen in: shows how uncertain that makes the answer.",
)
@click.option(
    "--format", "style", type=click.Choice(["text", "json"]), default="text", show_default=True
)
def command(pilot: Path | None, style: str, target: float, **options: Any) -> None:
    """Say how many training seeds, repeats and prompts a score needs for a narrow interval.

    From a pilot, a submission of two or more seeds (three tell something, five tell more):

    \b
      safebench plan PILOT_DIR --target .05 --cost-fine-tune 100 --cost-generation .01

    or from what you know already, all as proportions:

    \b
      safebench plan --score .4 --sigma-seed .04 --sigma-prompt .3 --sigma-repeat .2 --target .05

    Only the ratio of the costs matters for the split. Nothing is written.
    """
    costs = _costs(options)
    spread = _spread(pilot, options)
    if options["budget"] is not None and costs is None:
        raise click.UsageError("--budget needs --cost-generation (and --cost-fine-tune)")
    if options["fixed_prompts"] and options["max_prompts"] is not None:
        raise click.UsageError("--fixed-prompts keeps their number: leave out --max-prompts")
    found = size(
        spread,
        target,
        costs,
        budget=options["budget"],
        max_prompts=options["max_prompts"],
        prompts_fixed=options["fixed_prompts"],
    )
    if style == "json":
        click.echo(json.dumps(_plain(asdict(found)), indent=2, ensure_ascii=False))
        return
    print_sizing(printer(), found)


_CHOICE = ("task", "construct", "decoding", "checkpoint", "judge")
_GIVEN = ("score", "sigma_seed", "sigma_prompt", "sigma_repeat", "prompts", "from_seeds")


def _flags(names: list[str]) -> str:
    return ", ".join("--" + name.replace("_", "-") for name in names)


def _spread(pilot: Path | None, options: dict[str, Any]) -> Spread:
    given = [name for name in _GIVEN if options[name] is not None]
    if pilot is not None:
        if given:
            raise click.UsageError(
                f"{_flags(given)}: the pilot measures this; leave it out, or leave out PILOT_DIR"
            )
        return pilot_spread(Submission.read(pilot), {name: options[name] for name in _CHOICE})
    chosen = [name for name in _CHOICE if options[name] is not None]
    if chosen:
        raise click.UsageError(f"{_flags(chosen)} chooses a score of a pilot: give PILOT_DIR")
    missing = [name for name in ("score", "sigma_seed") if options[name] is None]
    if missing:
        raise click.UsageError(
            f"give PILOT_DIR, the folder of a submission with some seeds, or {_flags(missing)}"
        )
    return given_spread(
        options["score"],
        options["sigma_seed"],
        options["sigma_prompt"],
        options["sigma_repeat"],
        options["prompts"] or 300,
        options["from_seeds"],
    )


def _costs(options: dict[str, Any]) -> dict[str, float] | None:
    costs = {
        "fine_tune": options["cost_fine_tune"],
        "generation": options["cost_generation"],
        "prompt": options["cost_prompt"],
    }
    known = {name: value for name, value in costs.items() if value is not None}
    if not known:
        return None
    for name in ("fine_tune", "generation"):
        if name not in known:
            raise click.UsageError(
                f"the cheapest split needs {_flags(['cost_' + name])} too; only the ratio matters"
            )
    if known["generation"] == 0:
        raise click.UsageError("--cost-generation 0: give a small figure, such as 1e-6")
    return known


def _plain(value: Any) -> Any:
    """The same for JSON: keys as texts, no infinity."""
    if isinstance(value, dict):
        return {str(key): _plain(part) for key, part in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(part) for part in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value


def print_sizing(console: Console, found: Sizing) -> None:
    """Print every answer."""
    spread = found.spread
    at = f"score {proportion(spread.score)}"
    if spread.n_seeds:
        at += f" from {spread.n_seeds} seeds x {spread.n_repeats} "
        at += f"repeat{'s' * (spread.n_repeats > 1)} x "
        at += f"{spread.n_prompts} prompts"
    print_wrapped(console, "", f"{spread.source}: {at}", 0)
    _print_parts(console, spread)
    _print_seeds(console, found)
    _print_table(console, found)
    _print_split(console, found)
    _print_uncertainty(console, found)


def _print_parts(console: Console, spread: Spread) -> None:
    measured = spread.n_seeds > 0
    console.print(f"\n[bold]What varies[/bold] (SD in points{', 95 % interval' * measured})")
    table = Table(box=None, pad_edge=False, show_header=False)
    for part in spread.parts:
        if part.sd is None:
            table.add_row(f"  {part.words}", part.note)
            continue
        text = points(part.sd)
        if part.lower is not None and part.upper is not None:
            text += f" [{points(part.lower)}, {points(part.upper)}]"
        count = "" if part.n is None else f"n = {part.n}"
        table.add_row(f"  {part.words}", text, count, part.note)
    console.print(table)


def _print_seeds(console: Console, found: Sizing) -> None:
    margin = f"{points(found.margin_points)} points here"
    console.print(
        f"\n[bold]Training seeds[/bold] for the standard's margin, h = {found.margin:g} ({margin})"
    )
    table = Table(box=None, pad_edge=False, header_style="bold")
    table.add_column("")
    table.add_column("at this spread", justify="right")
    if found.at_upper is not None:
        table.add_column("at its upper bound", justify="right")
    for label, name, key in _QUESTIONS:
        if name == "beside_pilot" and not found.spread.n_seeds:
            continue
        cells = [_needed(found.here, name, key)]
        if found.at_upper is not None:
            cells.append(_needed(found.at_upper, name, key))
        table.add_row("  " + label.format(n=found.spread.n_seeds), *cells)
    console.print(table)
    here, n = found.here, found.spread.n_seeds
    if None in here.stability.values():
        print_wrapped(
            console,
            "  ",
            f"At this spread the stability itself is about {proportion(here.stability_point)}: no "
            "number of seeds can show more.",
            2,
        )
    if n and None in here.beside_pilot.values():
        print_wrapped(
            console,
            "  ",
            f"The pilot's {n} seeds spread too much for any number of new ones to settle equality: "
            "add seeds on both sides.",
            2,
        )


_QUESTIONS = (
    ("rerun settles equality, power .8: seeds in each arm", "equality", 0.8),
    ("rerun settles equality, power .9: seeds in each arm", "equality", 0.9),
    ("the same beside the pilot's {n} seeds, power .8: new seeds", "beside_pilot", 0.8),
    ("the same beside the pilot's {n} seeds, power .9: new seeds", "beside_pilot", 0.9),
    ("stability of at least .5 shown: seeds", "stability", 0.5),
    ("stability of at least .8 shown: seeds", "stability", 0.8),
)


def _needed(seeds: SeedsNeeded, name: str, key: float) -> str:
    value: int | None = getattr(seeds, name)[key]
    return "no number" if value is None else f"{value:,}"


def _print_table(console: Console, found: Sizing) -> None:
    spread = found.spread
    prompts = f"{spread.n_prompts} prompts" + (", fixed" if found.prompts_fixed else "")
    console.print(
        f"\n[bold]95 % interval[/bold] of a score of {proportion(spread.score)}, {prompts}"
    )
    repeats = list(next(iter(found.intervals.values())))
    table = Table(box=None, pad_edge=False, header_style="bold")
    table.add_column("  seeds", justify="right")
    for r in repeats:
        table.add_column(f"{r} repeat{'s' * (r > 1)}", justify="right")
    for seeds, row in found.intervals.items():
        table.add_row(str(seeds), *(interval(*row[r]) for r in repeats))
    console.print(table)
    if not spread.repeats_known:
        why = "the pilot has one" if spread.n_seeds else "--sigma-repeat is not given"
        print_wrapped(console, "  ", f"Whether more repeats would help is not known: {why}.", 2)


def _print_split(console: Console, found: Sizing) -> None:
    width = f"{200 * found.target:g} points"
    console.print(f"\n[bold]Cheapest split for an interval of at most {width} in all[/bold]")
    plan = found.cheapest
    if plan is None and not found.problems:
        print_wrapped(
            console,
            "  ",
            "Give --cost-fine-tune and --cost-generation (only their ratio matters).",
            2,
        )
    if plan is not None:
        table = Table(box=None, pad_edge=False, header_style="bold")
        for heading in ("", "seeds", "repeats", "prompts", "responses", "interval", "cost"):
            table.add_column(heading, justify="left" if not heading else "right")
        _row(table, "  cheapest", plan)
        for other in plan.alternatives:
            _row(table, "  other numbers of seeds", other)
        if found.cheapest_at_upper is not None:
            _row(table, "  if seeds spread as at the upper bound", found.cheapest_at_upper)
        if found.best_for_budget is not None:
            _row(table, "  best for the budget", found.best_for_budget)
        spread = found.spread
        if found.pilot_cost is not None and found.pilot_interval is not None:
            responses = spread.n_seeds * spread.n_repeats * spread.n_prompts
            table.add_row(
                "  the pilot's own design", str(spread.n_seeds), str(spread.n_repeats),
                f"{spread.n_prompts:,}", f"{responses:,}", interval(*found.pilot_interval),
                _money(found.pilot_cost),
            )  # fmt: skip
        console.print(table)
    for problem in found.problems:
        print_wrapped(console, "  ", problem, 2)


def _row(table: Table, label: str, plan: Any) -> None:
    n = plan.n_levels
    table.add_row(
        label, f"{n['training_seed']:,}", f"{n['repeat']:,}", f"{n['prompt']:,}",
        f"{plan.responses:,}", interval(plan.lower, plan.upper), _money(plan.cost),
    )  # fmt: skip


def _money(value: float) -> str:
    return f"{value:,.0f}" if value >= 100 else f"{value:,.4g}"


def _print_uncertainty(console: Console, found: Sizing) -> None:
    spread = found.spread
    console.print("\n[bold]How sure[/bold]")
    if found.at_upper is None:
        text = (
            "As sure as the SDs that were given: --from-seeds says how many seeds stand behind "
            "--sigma-seed, and shows the answers at its upper bound."
        )
    else:
        factor = found.at_upper.sigma / found.here.sigma if found.here.sigma > 0 else math.inf
        many = f"{spread.sigma_seeds} seeds"
        times = f"{factor:.1f} times as large" if math.isfinite(factor) else "larger"
        text = (
            f"{many} leave the spread over seeds open: with 95 % confidence it is at most {times} "
            "as seen. Where the two columns differ much, add seeds to the pilot before settling "
            "on a design."
        ).replace("larger as seen", "larger than seen, which was none")
    print_wrapped(console, "  ", text, 2)
    print_wrapped(
        console,
        "  ",
        "Negative variance estimates count as 0; checkpoint, judge and decoding stay as they are.",
        2,
    )
