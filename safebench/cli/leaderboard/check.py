"""`safebench leaderboard check DIR`: whether a board may be published as it stands."""

from __future__ import annotations

from itertools import groupby
from pathlib import Path
from typing import TYPE_CHECKING

import click

from safebench.cli import options
from safebench.cli.leaderboard import checkers, lines_of, short
from safebench.errors import visible
from safebench.words import count

if TYPE_CHECKING:
    from safebench.site.checking import CheckedBoard

SCHEMA = "safebench/board-check/1"


@click.command(name="check")
@click.argument("folder", metavar="DIR", type=click.Path(path_type=Path))
@click.option(
    "--against",
    metavar="REVISION|SITE",
    help="What was published: a git revision of the repository that DIR lies in, or a site built "
    "earlier. None of its submissions may be gone or have a lower level.",
)
@checkers
@options.output_format
@click.pass_context
def command(
    context: click.Context, folder: Path, against: str | None, workers: int, style: str
) -> None:
    """Check every submission and rerun in DIR/submissions, and write nothing.

    Every number is recomputed from its evidence, and every verdict of a rerun from the outcomes of
    both sides, as `safebench leaderboard build` does. It is also checked that each folder has the
    id of its card; that what DIR/log.jsonl lists as published is there, signed with the same key;
    and, with --against, that nothing published is gone or has lost a level. CI of a submissions
    repository runs this.

    \b
    Exit codes: 0 the board can be published; 1 there are problems, each with what to do; 2 the
                check failed.
    """
    from safebench.cli.console import TerminalProgress
    from safebench.site.checking import check_board
    from safebench.site.earlier import published_before

    before = None if against is None else published_before(folder, against)
    found = check_board(folder, before, workers=workers, progress=TerminalProgress())
    if style == "json":
        _print_json(found)
    else:
        _print_text(folder, found)
    context.exit(1 if found.problems else 0)


def _print_json(found: CheckedBoard) -> None:
    from safebench.cli.console import print_json

    print_json(
        {
            "schema_version": SCHEMA,
            "submissions": [
                {
                    "id": one.name,
                    "level": one.level,
                    "level_before": found.before.levels.get(one.name),
                    "reruns": one.reruns,
                }
                for one in found.seen
            ],
            "problems": [vars(problem) for problem in found.problems],
        }
    )


def _print_text(folder: Path, found: CheckedBoard) -> None:
    for name, group in groupby(found.problems, key=lambda problem: problem.name):
        those = list(group)
        for line in lines_of(name, [problem.message for problem in those]):
            click.echo(line)
        for fix in dict.fromkeys(problem.fix for problem in those):
            click.echo(f"  Fix: {short(fix)}")
    levels = [one.level for one in found.seen if one.level is not None]
    parts = [f"{levels.count(level)} {level}" for level in dict.fromkeys(levels)]
    shown = f" ({', '.join(parts)})" if parts else ""
    reruns = count(sum(one.reruns for one in found.seen), "rerun")
    problems = count(len(found.problems), "problem")
    click.echo(f"{count(len(levels), 'submission')}{shown}, {reruns}, {problems}.")
    if not found.problems:
        click.echo(f"Next: safebench leaderboard build {visible(str(folder))} --out SITE")
