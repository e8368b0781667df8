"""`safebench judge calibrate NAME --labels FILE`: compare a judge with labels that people gave."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import click

from safebench import words
from safebench.card.write import lines_of, plain
from safebench.cli import options
from safebench.cli.console import TerminalProgress, print_json, printer
from safebench.cli.judge.naming import (
    CARD,
    given_judge,
    label_options,
    labels_of,
    open_given,
    shown,
)
from safebench.cli.tables import columns, print_cells
from safebench.errors import visible
from safebench.evidence.tables import COUNTED
from safebench.judges.calibration import (
    FEWEST_IN_GROUP,
    Agreement,
    Drift,
    agreements,
    ask,
    drift,
    judged,
    table,
)
from safebench.study.calibrating import match, store


@click.command(name="calibrate")
@click.argument("name", metavar="NAME")
@label_options
@CARD
@click.option(
    "--construct",
    type=click.Choice(tuple(COUNTED)),
    default="harm",
    show_default=True,
    help="What a label is about, where neither a column nor the prompt's task says so.",
)
@click.option("--data", metavar="TEXT", help="What was labelled; by default the file's name.")
@click.option(
    "--drawn",
    type=click.Choice(("random", "stratified", "chosen")),
    help="How the labelled responses were drawn.",
)
@options.output_format
@options.device
@options.quiet
def command(
    name: str,
    labels: tuple[Path, ...],
    column: tuple[str, ...],
    label_map: tuple[str, ...],
    card: Path | None,
    construct: Any,
    data: str | None,
    drawn: str | None,
    style: str,
    device: str | None,
) -> None:
    """Compare the judge NAME with the labels in FILE, and write the result into its card.

    The result is sensitivity, specificity and Cohen's kappa with 95 % intervals, by condition,
    source model and category. NAME is a judge of the card, `rule`, or the folder of a trained
    judge. A label is a verdict (refused, partial, complied, incoherent), or 1 for a response that
    the construct counts and 0 for any other.
    """
    file, submission, entry = given_judge(name, card)
    read = labels_of(labels, column, label_map)
    matched = match(read.labels, submission, construct)
    judge, marks, cache = open_given(entry, submission, device)
    with TerminalProgress() as progress:
        progress.start("judge", len(matched.labels))
        found = ask(
            judge, matched.labels, matched.constructs, marks=marks, progress=progress, cache=cache
        )
        progress.stop()
    judge.close()
    items = judged(matched.labels, matched.constructs, found, matched.outputs)
    results = agreements(items)
    weighted = any(one.weighted for one in results)
    source = {
        "data": data or read.name,
        "drawn": drawn or ("stratified" if weighted else None),
        "labels_sha256": read.sha256,
        "same_prompts": matched.same_prompts,
    }
    entries = [one.entry(**source) for one in results]
    given = entry.calibration if isinstance(entry.calibration, tuple) else ()
    drifts = [drift(one, given) for one in entries]
    if style == "json":
        print_json(
            {
                "format": "safebench/calibration/1",
                "judge": entry.name,
                "labels": len(items),
                "these": matched.these,
                "without_label": read.empty,
                "without_majority": read.undecided,
                "calibration": [plain(one) for one in entries],
                "confusion": [_confusion(one) for one in results],
                "drift": [[vars(part) for part in one] for one in drifts],
            }
        )
    else:
        click.echo(f"judge {entry.name} against {words.count(len(items), 'label')}")
        for line in read.notes():
            click.echo(f"  {line}")
        print_agreements(results, drifts)
    if file is not None and submission is not None:
        store(file, submission, {entry.name: entries}, *read.inside(submission.folder))
        _say(matched.these, len(items), visible(str(file)), style)
    elif style == "text":
        click.echo("")
        for line in lines_of({"calibration": [plain(one) for one in entries]}):
            click.echo(line)


def _say(these: int, n: int, file: str, style: str) -> None:
    where = {
        0: "none of these texts is a response of the submission, so that it is of other outputs",
        n: "all of them are responses of the submission",
    }.get(these, f"{these} of {n} are responses of the submission, the others are kept apart")
    click.echo(f"\n{words.capitalized(where)}.\nWrote {file}.", err=style == "json")


def print_agreements(results: Sequence[Agreement], drifts: Sequence[Sequence[Drift]] = ()) -> None:
    """Print agreements as tables: numbers, what differs from an earlier one, and confusion."""
    console = printer()
    for key in dict.fromkeys((one.outputs, one.construct) for one in results):
        mine = [one for one in results if (one.outputs, one.construct) == key]
        whose = "of this submission's responses" if key[0] == "these" else "of other responses"
        console.print(f"\n[bold]{words.construct_name(key[1])}[/bold], labels {whose}")
        print_cells(
            console,
            columns("", "kappa", "sensitivity", "specificity", numbers=("n", "unread")),
            [
                (
                    visible(one.name),
                    shown(one.kappa, one.kappa.reason),
                    shown(one.sensitivity, "no such label"),
                    shown(one.specificity, "no such label"),
                    words.number(one.n),
                    words.number(one.unread),
                )
                for one in mine
            ],
            indent=2,
        )
        small = f"models and categories with fewer than {FEWEST_IN_GROUP} labels are left out"
        console.print(f"  {small}", style="dim")
        verdicts, rows = table(mine[0].confusion)
        console.print("\n  labels in rows, what the judge says in columns")
        cells = [(label, *map(words.number, counts)) for label, counts in rows]
        print_cells(console, columns("", numbers=verdicts), cells, indent=2)
    for one, found in zip(results, drifts, strict=False):
        for part in found:
            console.print(_drift(one, part), markup=False)


def _drift(one: Agreement, part: Drift) -> str:
    change = words.signed(part.new - part.old)
    if part.lower is None or part.upper is None:
        around = "(no interval: the card gives none)"
    else:
        around = words.signed_interval(part.lower, part.upper)
    return (
        f"  {words.construct_name(one.construct)}, {visible(one.name)}: {part.name} was "
        f"{words.proportion(part.old)}, is {words.proportion(part.new)}: {change} {around}"
    )


def _confusion(one: Agreement) -> dict[str, Any]:
    verdicts, rows = table(one.confusion)
    counts = {label: dict(zip(verdicts, found, strict=True)) for label, found in rows}
    return {"construct": one.construct, "outputs": one.outputs, "about": one.name, "n": counts}
