"""`safebench plan`: how many seeds, repeats and prompts does a narrow interval need?"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import asdict, fields
from pathlib import Path
from typing import Any

import click
from rich.console import Console

from safebench.analysis.selection import Selection
from safebench.analysis.sizing import (
    SeedAnswers,
    Sizing,
    Spread,
    assumed_spread,
    pilot_spread,
    size,
)
from safebench.cli import options as shared
from safebench.cli.console import print_json, print_wrapped, printer
from safebench.cli.tables import columns, print_cells
from safebench.evidence.submission import Submission
from safebench.words import (
    count,
    interval,
    number,
    option,
    percent,
    points,
    proportion,
    quantity,
    rounded,
    setting,
)

_PROPORTION = click.FloatRange(min=0, max=1, min_open=True, max_open=True)
_SD = click.FloatRange(min=0, max=0.5)
_COST = click.FloatRange(min=0)


@click.command(name="plan")
@click.argument("pilot", metavar="[SUBMISSION]", required=False, type=click.Path(path_type=Path))
@click.option(
    "--target",
    type=_PROPORTION,
    default=0.05,
    show_default=True,
    help="Half-width of the 95 % interval to aim for; .05 makes it 10 points wide.",
)
@click.option("--cost-fine-tune", type=_COST, help="Cost of one fine-tune, in any unit.")
@click.option(
    "--cost-generation", type=_COST, help="Cost of one judged response, in the same unit."
)
@click.option(
    "--cost-prompt", type=_COST, help="Cost of writing or labelling one prompt, in the same unit."
)
@click.option(
    "--budget",
    type=click.FloatRange(min=0, min_open=True),
    help="Also show the narrowest interval that this total buys.",
)
@click.option("--max-prompts", type=click.IntRange(min=2), help="Number of prompts available.")
@click.option(
    "--fixed-prompts",
    is_flag=True,
    help="Treat the prompts as the whole population, not as a sample, and keep their number.",
)
@shared.selection
@click.option("--score", type=_PROPORTION, help="Without a pilot: the score you expect, roughly.")
@click.option(
    "--sigma-seed",
    type=_SD,
    help="Without a pilot: SD of the score over training seeds; .04 is 4 points.",
)
@click.option(
    "--sigma-prompt",
    type=_SD,
    help="Without a pilot: SD over prompts of the rate of compliance. Default: the largest that "
    "the score allows.",
)
@click.option(
    "--sigma-repeat",
    type=_SD,
    help="Without a pilot: SD over repeated responses of one model to one prompt; 0 for greedy "
    "decoding.",
)
@click.option(
    "--prompts",
    type=click.IntRange(min=2),
    help="Without a pilot: number of prompts in the table of intervals. Default: 300.",
)
@click.option(
    "--from-seeds",
    type=click.IntRange(min=2),
    help="Number of seeds from which --sigma-seed was estimated; shows how uncertain it is.",
)
@shared.output_format
def command(pilot: Path | None, style: str, target: float, **options: Any) -> None:
    """Compute how many training seeds, repeats and prompts a narrow interval needs.

    Either from a pilot, a submission with at least two seeds (three are better, five are best):

    \b
      safebench plan SUBMISSION --target .05 --cost-fine-tune 100 --cost-generation .01

    or from what you already know, all as proportions:

    \b
      safebench plan --score .4 --sigma-seed .04 --sigma-prompt .3 --sigma-repeat .2 --target .05

    Only the ratio of the costs matters for the cheapest design. Nothing is written.
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
        print_json(_plain(asdict(found)))
    else:
        print_sizing(printer(), found)


_GIVEN = ("score", "sigma_seed", "sigma_prompt", "sigma_repeat", "prompts", "from_seeds")


def _flags(names: Iterable[str]) -> str:
    return ", ".join(map(option, names))


def _spread(pilot: Path | None, options: dict[str, Any]) -> Spread:
    given = [name for name in _GIVEN if options[name] is not None]
    selection = Selection(**{field.name: options[field.name] for field in fields(Selection)})
    if pilot is not None:
        if given:
            raise click.UsageError(
                f"{_flags(given)}: the pilot measures this; leave out either it or SUBMISSION"
            )
        return pilot_spread(Submission.read(pilot), selection)
    chosen = dict.fromkeys(name for name, _ in selection.given())
    if chosen:
        raise click.UsageError(f"{_flags(chosen)} chooses a score of a pilot: give SUBMISSION")
    missing = [name for name in ("score", "sigma_seed") if options[name] is None]
    if missing:
        raise click.UsageError(
            f"give SUBMISSION, the folder of a submission with some seeds, or {_flags(missing)}"
        )
    options["prompts"] = options["prompts"] or 300
    return assumed_spread(*(options[name] for name in _GIVEN))


def _costs(options: dict[str, Any]) -> dict[str, float] | None:
    names = ("fine_tune", "generation", "prompt")
    costs = {name: options[f"cost_{name}"] for name in names}
    costs = {name: value for name, value in costs.items() if value is not None}
    if not costs:
        return None
    for name in ("fine_tune", "generation"):
        if name not in costs:
            raise click.UsageError(
                f"the cheapest design needs {_flags(['cost_' + name])} too; only the ratio matters"
            )
    if costs["generation"] == 0:
        raise click.UsageError("--cost-generation 0: give a small figure, such as 1e-6")
    return costs


def _plain(value: Any) -> Any:
    """Return a value that JSON can hold: keys are strings, infinity is null."""
    if isinstance(value, dict):
        return {str(key): _plain(part) for key, part in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(part) for part in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value


_QUESTIONS = (
    ("rerun settles equality, power .8: seeds in each arm", "equality", 0.8),
    ("rerun settles equality, power .9: seeds in each arm", "equality", 0.9),
    ("the same against the pilot's {n} seeds, power .8: new seeds", "beside_pilot", 0.8),
    ("the same against the pilot's {n} seeds, power .9: new seeds", "beside_pilot", 0.9),
    ("stability of at least .5 shown: seeds", "stability", 0.5),
    ("stability of at least .8 shown: seeds", "stability", 0.8),
)
"""Purposes of a number of seeds: a label, a field of `SeedAnswers`, and a key in it."""


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
    fewest = (f"{proportion(b, 1)} takes {n}" for b, n in found.stability_at_best.items())
    _note(console, f"However little seeds spread, a stability of {' and '.join(fewest)} of them.")
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
    console.print("\n[bold]How certain[/bold]")
    if found.at_upper is None:
        text = (
            "As certain as the SDs you gave. With --from-seeds, the number of seeds behind "
            "--sigma-seed, the answers at its upper bound are shown too."
        )
    else:
        seeds = count(found.spread.sigma_seeds or 0, "seed")
        limit = "larger than the spread seen, which was none"
        if found.here.sigma > 0:
            factor = rounded(found.at_upper.sigma / found.here.sigma, 1)
            limit = f"at most {factor} times as large as seen"
        text = (
            f"{seeds} determine the spread over seeds poorly: with {percent(0.95)} confidence it "
            f"is {limit}. Where the two columns differ much, add seeds to the pilot before "
            "settling on a design."
        )
    _note(console, text)
    text = "Negative variance estimates count as 0; checkpoint, judge and decoding stay the same."
    _note(console, text)
