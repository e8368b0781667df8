"""`safebench compare`: two submissions on the prompts they share."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Any

import click

from safebench.card.card import Card
from safebench.card.differences import environment_differences, protocol_differences
from safebench.card.io import load_card
from safebench.card.results import Condition
from safebench.cli import options
from safebench.cli.console import print_json, printer
from safebench.errors import CardError

SCHEMA = "safebench/comparison/1"
CONDITIONS = click.Choice(("base", "tuned", "control"))


@click.command(name="compare")
@click.argument("first", metavar="A", type=click.Path(path_type=Path))
@click.argument("second", metavar="[B]", required=False, type=click.Path(path_type=Path))
@options.selection
@click.option(
    "--condition-a", type=CONDITIONS, help="Condition of A. Default: tuned; base if A is untuned."
)
@click.option("--condition-b", type=CONDITIONS, help="Condition of B, or of A if B is left out.")
@click.option(
    "--flips",
    default=10,
    show_default=True,
    type=click.IntRange(min=0),
    help="Number of prompts to list; those that changed most come first.",
)
@click.option("--protocol-only", is_flag=True, help="Compare the two protocols, not the numbers.")
@options.output_format
def command(
    first: Path,
    second: Path | None,
    condition_a: Condition | None,
    condition_b: Condition | None,
    flips: int,
    protocol_only: bool,
    style: str,
    **choice: Any,
) -> None:
    """Compare submission B with submission A. Differences are B minus A.

    A and B are folders with card.yaml and outcomes.parquet. Prompts are paired by id; prompts and
    training seeds are both treated as samples. If the protocols differ in several variables, a
    warning names them all. Of two card files, only the protocols are compared. To compare two
    conditions of one submission, leave out B and give --condition-a and --condition-b.

    A difference is "equivalent" if its whole 95 % interval lies within the standard's margin,
    "differs" if the interval excludes 0, and "undecided" otherwise. Prompts are listed by id; no
    text of a prompt or response is printed.

    \b
    Exit codes: 0 compared, whatever the result; 2 the comparison failed.
    """
    paths = first, _second(first, second, condition_a, condition_b)
    cards = load_card(_card(paths[0])), load_card(_card(paths[1]))
    if protocol_only or not all(path.is_dir() for path in paths):
        _compare_protocols(cards, style)
        return
    from safebench.analysis.comparison import compare_submissions
    from safebench.analysis.matching import Choice
    from safebench.cli.comparison import print_comparison
    from safebench.evidence.submission import Submission

    choice["conditions"] = (condition_a, condition_b)
    a, b = (Submission(card, path) for card, path in zip(cards, paths, strict=True))
    found = compare_submissions(a, b, Choice(**choice), flips)
    if style == "json":
        print_json({"schema_version": SCHEMA, **asdict(found)})
    else:
        print_comparison(printer(), found)


def _second(first: Path, second: Path | None, a: str | None, b: str | None) -> Path:
    """Return B, which is A if two of its conditions are compared."""
    if second is not None:
        return second
    if a is None or b is None or a == b:
        raise click.UsageError(
            "Nothing to compare A with: give B, or two conditions of A with --condition-a and "
            "--condition-b."
        )
    return first


def _card(path: Path) -> Path:
    if path.is_dir() and not (path / "card.yaml").is_file():
        raise CardError(
            f"{path}: holds no card.yaml",
            fix="give the folder of a submission, or two cards as files",
        )
    return path / "card.yaml" if path.is_dir() else path


def _compare_protocols(cards: tuple[Card, Card], style: str) -> None:
    from safebench.cli.comparison import print_protocols

    protocol = protocol_differences(*cards)
    environment = environment_differences(*cards, names=("A", "B"))
    names = cards[0].submission.id, cards[1].submission.id
    if style == "text":
        print_protocols(printer(), names, protocol, environment)
        return
    print_json(
        {
            "schema_version": SCHEMA,
            "a": {"id": names[0], "protocol": protocol.digests[0]},
            "b": {"id": names[1], "protocol": protocol.digests[1]},
            "protocol": asdict(protocol),
            "environment": environment,
        }
    )
