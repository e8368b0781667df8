"""`safebench plan`: how many seeds, repeats and prompts does a narrow interval take?"""

from __future__ import annotations

import json
import math
from collections.abc import Iterable
from dataclasses import asdict
from pathlib import Path
from typing import Any

import click

from safebench.analysis.sizing import Spread, given_spread, pilot_spread, size
from safebench.cli import options as shared
from safebench.cli.console import printer
from safebench.cli.plan_report import print_sizing
from safebench.evidence.submission import Submission
from safebench.words import option

_PROPORTION = click.FloatRange(min=0, max=1, min_open=True, max_open=True)
_SD = click.FloatRange(min=0, max=0.5)
_COST = click.FloatRange(min=0)


@click.command(name="plan")
@click.argument("pilot", metavar="[PILOT_DIR]", required=False, type=click.Path(path_type=Path))
@click.option(
    "--target",
    type=_PROPORTION,
    default=0.05,
    show_default=True,
    help="Half-width of the 95 % interval to aim for; .05 is 10 points from end to end.",
)
@click.option("--cost-fine-tune", type=_COST, help="Cost of one fine-tune, in any unit.")
@click.option("--cost-generation", type=_COST, help="Cost of one judged response, same unit.")
@click.option("--cost-prompt", type=_COST, help="Cost of writing or labelling one prompt.")
@click.option(
    "--budget",
    type=click.FloatRange(min=0, min_open=True),
    help="Also show the narrowest interval that this total buys.",
)
@click.option("--max-prompts", type=click.IntRange(min=2), help="Number of prompts available.")
@click.option(
    "--fixed-prompts",
    is_flag=True,
    help="Treat the prompts as all that matter, not as a sample of more; keep their number.",
)
@click.option("--task", help="Task in the pilot. Default: that of its primary harm score.")
@click.option("--construct", type=shared.CONSTRUCT, help="Construct in the pilot.")
@click.option("--decoding", help="Name of a decoding in the pilot.")
@click.option("--checkpoint", type=int, help="Epoch or step in the pilot.")
@click.option("--judge", help="Name of a judge in the pilot.")
@click.option("--score", type=_PROPORTION, help="Without a pilot: the score to expect, roughly.")
@click.option(
    "--sigma-seed",
    type=_SD,
    help="Without a pilot: SD of the score over training seeds; .04 is 4 points.",
)
@click.option(
    "--sigma-prompt",
    type=_SD,
    help="Without a pilot: SD over prompts of how often each is complied with. Default: the "
    "largest that the score allows.",
)
@click.option(
    "--sigma-repeat",
    type=_SD,
    help="Without a pilot: SD of one response when the same model answers the same prompt again; "
    "0 for greedy decoding.",
)
@click.option(
    "--prompts",
    type=click.IntRange(min=2),
    help="Without a pilot: number of prompts in the table of intervals. Default: 300.",
)
@click.option(
    "--from-seeds",
    type=click.IntRange(min=2),
    help="Number of seeds that --sigma-seed was estimated from: shows how uncertain it is.",
)
@shared.output_format
def command(pilot: Path | None, style: str, target: float, **options: Any) -> None:
    """Compute how many training seeds, repeats and prompts a narrow interval takes.

    From a pilot, a submission with two or more seeds (better three, best five):

    \b
      safebench plan PILOT_DIR --target .05 --cost-fine-tune 100 --cost-generation .01

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
        click.echo(json.dumps(_plain(asdict(found)), indent=2, ensure_ascii=False))
    else:
        print_sizing(printer(), found)


_CHOICE = ("task", "construct", "decoding", "checkpoint", "judge")
_GIVEN = ("score", "sigma_seed", "sigma_prompt", "sigma_repeat", "prompts", "from_seeds")


def _flags(names: Iterable[str]) -> str:
    return ", ".join(map(option, names))


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
    """Return a value as JSON holds it: keys as texts, null for infinity."""
    if isinstance(value, dict):
        return {str(key): _plain(part) for key, part in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(part) for part in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value
