"""`safebench validate PATH...`: check cards and the evidence beside them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import click

from safebench.card.document import ReadError
from safebench.checks import LEVELS, Level, check, require
from safebench.checks.discover import find_cards, is_card
from safebench.cli.reporters import REPORTERS, Checked, Unreadable, unreadable

NOTHING, PROBLEMS, COULD_NOT = 0, 1, 2


@dataclass(frozen=True)
class Arguments:
    """What the command line asks for."""

    paths: tuple[str, ...]
    level: Level | None
    format: str
    cards_only: bool = False


@click.command(name="validate", short_help="Check cards and their evidence.")
@click.argument("paths", nargs=-1, required=True, metavar="PATH...")
@click.option(
    "--level",
    type=click.Choice(LEVELS),
    help="Also fail if a card is below this conformance level.",
)
@click.option(
    "--format",
    "format_",
    type=click.Choice(tuple(REPORTERS)),
    default="text",
    show_default=True,
    help="Output format: text for people, json for programs, github for annotations in GitHub "
    "Actions, sarif for code scanning.",
)
@click.option(
    "--cards-only",
    is_flag=True,
    help="Skip files and folders that hold no card; for commit hooks.",
)
@click.pass_context
def command(
    context: click.Context,
    paths: tuple[str, ...],
    level: Level | None,
    format_: str,
    cards_only: bool,
) -> None:
    """Check cards: structure, rules, evidence and conformance level.

    \b
    PATH  a card (.yaml, .yml, .json), a submission, a folder of submissions,
          or - for standard input

    Every problem is listed with its place and how to fix it. Nothing is changed.

    \b
    Exit codes: 0 no errors; 1 errors were found, or a card is below --level;
                2 something could not be read (the rest is still checked).
    """
    context.exit(execute(Arguments(paths, level, format_, cards_only)))


def execute(arguments: Arguments) -> int:
    """Check, print, and return the exit code."""
    paths = [path for path in arguments.paths if not (arguments.cards_only and _is_other(path))]
    checked = [one for path in paths for one in _check(path, arguments.level)]
    click.echo(REPORTERS[arguments.format]().render(checked))
    if any(isinstance(one, Unreadable) for one in checked):
        return COULD_NOT
    return PROBLEMS if any(_has_errors(one) for one in checked) else NOTHING


def _is_other(path: str) -> bool:
    """Whether a path is there and holds no card; what is not there is still complained about."""
    file = Path(path)
    try:
        if path == "-" or not file.exists():
            return False
        return not find_cards(file) if file.is_dir() else not is_card(file)
    except OSError:
        return False


def _has_errors(one: Checked) -> bool:
    return not isinstance(one, Unreadable) and one.errors > 0


def _check(path: str, level: Level | None) -> Iterator[Checked]:
    if path == "-" or not _is_folder(path):
        yield check_file(path, level)
        return
    unlisted: list[OSError] = []
    cards = find_cards(Path(path), unlisted.append)
    for problem in unlisted:
        yield unreadable(str(problem.filename or path), problem)
    if not cards and not unlisted:
        fix = "give a folder with a card.yaml, or with files that declare spec: safebench/1.0"
        yield unreadable(path, ReadError(path, "there is no card in this folder", fix))
    for card in cards:
        yield check_file(str(card), level)


def _is_folder(path: str) -> bool:
    try:
        return Path(path).is_dir()
    except OSError:  # e.g. a name too long to exist; reading the file says so
        return False


def check_file(path: str, level: Level | None) -> Checked:
    """Check one card; what cannot be read is part of what was checked."""
    try:
        report = check("-" if path == "-" else Path(path))
    except ReadError as problem:
        return unreadable(problem.path, problem)
    except OSError as problem:
        return unreadable(str(problem.filename or path), problem)
    return report if level is None else require(report, level)
