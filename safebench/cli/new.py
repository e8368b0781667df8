"""`safebench new`: the folder of a new study, with a plan that can be run."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from safebench.cli import options
from safebench.cli.reporters import text
from safebench.errors import SafebenchError, visible
from safebench.evidence.submission import Submission
from safebench.importing.draft.draft import Draft
from safebench.importing.draft.start import TASKS, CardBasics
from safebench.importing.draft.study import PLAN, Answers, write_study
from safebench.judges.pinned import cached_commit
from safebench.words import count, number

if TYPE_CHECKING:
    from safebench.study.estimate import Grid

_ASKED = {
    "model": "Model: a folder, or owner/name@COMMIT of the Hub",
    "data": "Training examples: a file, or owner/name@COMMIT of the Hub",
    "submitter": "Who answers for the study",
    "contact": "Address for questions",
}
"""Questions at a terminal, for what no option gives."""


def _names(_: click.Context, __: click.Parameter, given: tuple[str, ...]) -> tuple[str, ...]:
    parts = (name.strip() for text in given for name in text.split(","))
    return tuple(dict.fromkeys(filter(None, parts)))


@click.command(name="new")
@click.argument("folder", metavar="DIR", type=options.FOLDER)
@click.option(
    "--model",
    help="Model to study: a folder of transformers, builtin:tiny-chat, or owner/name@COMMIT of the "
    "Hub. Without a commit, the one of the copy on this machine is taken.",
)
@click.option(
    "--data",
    help="Examples to fine-tune on: a JSON, JSON Lines, Parquet or CSV file, which is copied into "
    "DIR, or owner/name@COMMIT of the Hub.",
)
@click.option(
    "--tasks",
    metavar="NAME[,...]",
    multiple=True,
    default=TASKS,
    show_default=True,
    callback=_names,
    help="Tasks to measure, as `safebench tasks` lists them. May be repeated.",
)
@click.option(
    "--judge",
    "judges",
    metavar="NAME[,...]",
    multiple=True,
    default=("rule",),
    show_default=True,
    callback=_names,
    help="Judges, `rule` or as `safebench judges` lists them. May be repeated. The rule judge "
    "decides what no other does.",
)
@click.option(
    "--seeds",
    type=click.IntRange(min=1),
    default=5,
    show_default=True,
    help="Number of training seeds.",
)
@options.card_basics
@click.option("--no-probe", is_flag=True, help="Do not time a little of the work.")
@options.device
def command(
    folder: Path,
    model: str | None,
    data: str | None,
    tasks: tuple[str, ...],
    judges: tuple[str, ...],
    seeds: int,
    no_probe: bool,
    device: str | None,
    **basics: Any,
) -> None:
    """Write the folder of a new study: DIR/plan.yaml, and its training data.

    A comment on each setting of the plan says where it comes from: an option, the model's own files
    (chat template, type of the weights, context length), the standard, or a common value to start
    from. What no option gives is asked for at a terminal, and is marked `to fill in` elsewhere.
    Then the work is counted and, if the model's files are here, a few steps of it are timed, to say
    how long the study will take on this machine.

    \b
    Exit codes: 0 written; 2 nothing was written.
    """
    given = {"model": model, "data": data, **basics}
    if sys.stdin.isatty():
        for name, question in _ASKED.items():
            if given[name] is None and not (name == "data" and given["method"] == "none"):
                given[name] = click.prompt(question, err=True)
    answers = Answers(
        model=given.pop("model"),
        data=given.pop("data"),
        tasks=tasks,
        judges=judges,
        seeds=seeds,
        basics=CardBasics(**given),
    )
    draft = write_study(folder, answers)
    click.echo(text.render([draft.report]))
    click.echo("")
    for line in (*_costs(folder, draft, device, probe=not no_probe), *_next(folder, draft)):
        click.echo(visible(line))


def _costs(folder: Path, draft: Draft, device: str | None, *, probe: bool) -> Iterator[str]:
    """Yield the work of the study and its time here; nothing for an incomplete plan."""
    from safebench.card.io import load_card
    from safebench.study.estimate import count_grid, estimate
    from safebench.study.executors.local import variables
    from safebench.study.probe import time_here

    if draft.report.level == "incomplete":
        return
    protocol = Submission(load_card(folder / PLAN), folder)
    try:
        grid = count_grid(protocol, shard="1/1", limit=None, elsewhere=False)
        found = estimate(grid)
        yield (
            f"To do: {count(found.fine_tunings, 'fine-tuning')} of "
            f"{count(found.updates, 'update')}, {count(found.responses, 'response')}, at most "
            f"{number(found.new_tokens)} new tokens"
        )
        absent = [*_on_the_hub(grid, protocol), *(one.what for one in grid.missing)]
        if not probe or absent:
            reason = f"not here: {'; '.join(absent)}" if absent else "--no-probe"
            yield f"Time here: not measured ({reason})"
        else:
            click.echo("Timing a little of it ...", err=True)
            with variables({"HF_HUB_OFFLINE": "1"}):  # nobody asked for the network here
                yield f"Time here: {time_here(protocol, found, {'device': device}, is_short=True)}"
    except SafebenchError as problem:
        yield f"Time here: not measured ({problem})"


def _on_the_hub(grid: Grid, protocol: Submission) -> Iterator[str]:
    """Yield what a run would load from the Hub; seeds are only derived."""
    base = protocol.card.model.base
    is_here = isinstance(base.revision, str) and cached_commit(str(base.id), base.revision)
    for what in grid.uncounted:
        is_base = what.startswith("the base model")
        if not what.startswith("the training seeds") and not (is_base and is_here):
            yield what


def _next(folder: Path, draft: Draft) -> Iterator[str]:
    yield f"Wrote {folder / PLAN}."
    if draft.to_name:
        yield f"Still to be named by you: {', '.join(draft.to_name)}."
    fill = "replace each `to fill in`, then " if "to fill in" in draft.text else ""
    run = f"safebench run {folder / PLAN} --out"
    yield (
        f"Next: {fill}safebench validate {folder / PLAN} · {run} {folder / 'trial'} --limit 4 · "
        f"{run} {folder / 'run'}"
    )
