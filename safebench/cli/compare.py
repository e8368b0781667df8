"""`safebench compare`: submissions, or runs without a card, on the prompts they share."""

from __future__ import annotations

from collections.abc import Sequence
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
from safebench.cli.uncarded import has_card, meaning_of, meaning_options

CONDITIONS = click.Choice(("base", "tuned", "control"))


@click.command(name="compare")
@click.argument(
    "paths", metavar="A [B ...]", nargs=-1, required=True, type=click.Path(path_type=Path)
)
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
@meaning_options
@options.output_format
def command(
    paths: tuple[Path, ...],
    condition_a: Condition | None,
    condition_b: Condition | None,
    flips: int,
    protocol_only: bool,
    style: str,
    **choice: Any,
) -> None:
    """Compare B with A: submissions, or runs without a card. Differences are B minus A.

    \b
    A, B  a submission (a folder with card.yaml), an output folder of lm-eval, logs of Inspect,
          completions of HarmBench, or a table with one response a row (JSON Lines, CSV, Parquet)

    Without cards, A is the base model; each further run is a fine-tuned model with a training seed
    of its own, and together they are B. The rule judge decides responses to tasks of harm and
    over-refusal; for other tasks, the scores in the files count. Prompts of one task are paired by
    id; prompts and training seeds are both treated as samples. If the two sides were measured
    differently, a warning names every variable. If A and B are card files, only their protocols are
    compared.
    To compare two conditions of one submission, leave out B and give --condition-a and
    --condition-b.

    A difference is "equivalent" if its whole 95 % interval lies within the standard's margin,
    "differs" if the interval excludes 0, and "undecided" otherwise. Prompts are listed by id; no
    text of a prompt or response is printed.

    \b
    safebench compare out/base out/seed-1 out/seed-2 out/seed-3

    \b
    Exit codes: 0 compared, whatever the result; 2 the comparison failed.
    """
    from safebench.analysis.matching import Choice

    meaning = meaning_of(choice)
    choice["conditions"] = (condition_a, condition_b)
    if any(not has_card(path) for path in paths):
        from safebench.cli.compare_runs import compare_runs

        compare_runs(paths, meaning, Choice(**choice), flips, style)
        return
    if len(paths) > 2:
        raise click.UsageError("Two submissions are compared at a time; a submission holds seeds.")
    pair = _pair(paths, condition_a, condition_b)
    cards = load_card(_card(pair[0])), load_card(_card(pair[1]))
    if protocol_only or not all(path.is_dir() for path in pair):
        _compare_protocols(cards, style)
        return
    from safebench.analysis.comparison import compare_submissions
    from safebench.cli.comparison import show
    from safebench.evidence.submission import Submission

    a, b = (Submission(card, path) for card, path in zip(cards, pair, strict=True))
    show(compare_submissions(a, b, Choice(**choice), flips), style)


def _pair(paths: Sequence[Path], a: str | None, b: str | None) -> tuple[Path, Path]:
    """Return both sides; B is A if two of its conditions are compared."""
    if len(paths) == 2:
        return paths[0], paths[1]
    if a is None or b is None or a == b:
        raise click.UsageError(
            "Nothing to compare A with: give B, or two conditions of A with --condition-a and "
            "--condition-b."
        )
    return paths[0], paths[0]


def _card(path: Path) -> Path:
    return path / "card.yaml" if path.is_dir() else path


def _compare_protocols(cards: tuple[Card, Card], style: str) -> None:
    from safebench.cli.comparison import SCHEMA, print_protocols

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
