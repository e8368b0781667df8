"""`safebench leaderboard build DIR --out SITE`: publish submissions as a static site."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from safebench.cli.leaderboard import checkers, lines_of
from safebench.words import count, kilobytes, number, plain, signed, with_interval

if TYPE_CHECKING:
    from safebench.site.board_rows import BoardRow
    from safebench.site.sources import LeftOut


@click.command(name="build")
@click.argument("folder", metavar="DIR", type=click.Path(path_type=Path))
@click.option(
    "--out",
    metavar="SITE",
    required=True,
    type=click.Path(path_type=Path),
    help="Folder to write the site to: new, empty, or a site built earlier, which is replaced.",
)
@click.option(
    "--strict",
    is_flag=True,
    help="Publish nothing, and exit with 1, if a submission or rerun would be left out.",
)
@click.option(
    "--space",
    is_flag=True,
    help="Also write what makes SITE a static Space of the Hugging Face Hub: README.md with its "
    "front matter, and .gitattributes for large files.",
)
@checkers
@click.option(
    "--cache",
    metavar="CACHE",
    type=click.Path(path_type=Path),
    help="Folder to keep what was made of each submission in. The next build with it checks only "
    "what has changed since. What others wrote into it is not read.",
)
@click.pass_context
def command(
    context: click.Context, /, folder: Path, out: Path, *, space: bool, **options: Any
) -> None:
    """Build a site from DIR/submissions.

    DIR may also hold board.yaml (title, description, url, signers, show_responses). Every
    submission is checked and every number is recomputed from its evidence first. A submission that
    cannot be read, or fails its check, is left out and named on the first page. What is published
    is added to DIR/log.jsonl; what was published before and is gone is named. The old site stays as
    it is until the new one is complete. The site consists of plain files, for any web host.

    A cache is safe to share: its records are sealed with a key of your own, which is in your
    configuration folder (~/.config/safebench/cache.key) or in SAFEBENCH_CACHE_KEY. With another key
    a cache is of no use, and does no harm.

    \b
    Exit codes: 0 built; 1 nothing was published, because of --strict; 2 the build failed.
    """
    from safebench.cli.console import TerminalProgress
    from safebench.site import LeftOutError
    from safebench.site import build as build_site

    try:
        with TerminalProgress() as progress:
            built = build_site(folder, out, space=space, progress=progress, **options)
    except LeftOutError as problem:
        _say(problem.left_out)
        click.echo(f"error: {problem}\n  Fix: {problem.fix}", err=True)
        context.exit(1)
    _say(built.left_out)
    for family in built.entries.families:
        click.echo(family.name)
        for section in family.sections:
            _rows(f"  {section.heading}", section.rows)
    _rows("Listed only", built.entries.below)
    left = f", {number(len(built.left_out))} left out" if built.left_out else ""
    left += f", {number(built.recalled)} unchanged" if built.recalled else ""
    listed = len(built.entries.rows)
    click.echo(
        f"{count(listed, 'submission')}, {count(built.reruns, 'rerun')}{left}; "
        f"{count(built.files, 'file')}, {kilobytes(built.size)}."
    )
    if space:
        click.echo(f"{out / 'README.md'}: pushed to a Space of the Hub, SITE is shown there.")
    click.echo(
        f"Next: open {built.index} in a browser, look at it as a web host would give it with "
        f"`safebench leaderboard serve {out}`, or copy the folder to any web host."
    )


def _say(left_out: Iterable[LeftOut]) -> None:
    """Print on stderr what is left out, one line for each problem."""
    for one in left_out:
        for line in lines_of(one.name, one.problems):
            click.echo(f"left out: {line}", err=True)


def _rows(heading: str, rows: Sequence[BoardRow]) -> None:
    if not rows:
        return
    click.echo(f"{heading} ({len(rows)})")
    width = max(len(row.id) for row in rows)
    for row in rows:
        click.echo(f"    {row.id:<{width}}  {_line(row)}")


def _line(row: BoardRow) -> str:
    parts = [f"class {row.placed.class_}"] if row.placed else []
    if row.harm:
        harm = row.harm
        parts.append(f"harm {with_interval(harm.estimate, harm.lower, harm.upper)}")
    else:
        parts.append(f"harm {row.instead('harm')}")
    if row.change:
        parts.append(f"change {signed(row.change.estimate)}")
    parts.append(f"level {row.level}")
    if row.rerun:
        parts.append(f"rerun {plain(row.rerun.word)}")
    parts += [f"({'; '.join(row.missing)})"] if row.missing else []
    return "  ".join(parts)
