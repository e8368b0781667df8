"""`safebench validate PATH...`: check cards and the evidence beside them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import suppress
from pathlib import Path

import click

from safebench.card.document import Document, Edit, ReadError, dotted
from safebench.card.patch import patched_text
from safebench.card.read import parse_document, read_bytes
from safebench.card.shape import get
from safebench.card.write import flow
from safebench.checks import LEVELS, Level, check, check_document, require
from safebench.checks.discover import find_cards, is_card
from safebench.cli import options
from safebench.cli.reporters import REPORTERS, Checked, Reporter, Unreadable, text, unreadable
from safebench.errors import visible
from safebench.files import leads_out, replace_file

_MOST_CHANGES = 1_000
"""Most changes that --fix makes in one card: each of them may reveal another problem."""


@click.command(name="validate")
@click.argument("paths", nargs=-1, required=True, metavar="PATH...")
@click.option(
    "--level",
    type=click.Choice(LEVELS),
    help="Also fail if a card is below this conformance level.",
)
@options.format_option(
    *REPORTERS,
    help_="Output format: text for people, json for programs, github for annotations in GitHub "
    "Actions, sarif for code scanning.",
)
@click.option(
    "--fix",
    is_flag=True,
    help="First mend what has one possible remedy only: a number in quotes, a misspelt field, a "
    "field under the wrong heading. Comments and layout are kept; each change is printed.",
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
    style: str,
    fix: bool,
    cards_only: bool,
) -> None:
    """Check cards: structure, rules, evidence and conformance level.

    \b
    PATH  a card (.yaml, .yml, .json), a submission, a folder of submissions,
          or - for standard input

    Every problem is listed with its place and a remedy. Nothing is changed without --fix. Of a
    plan without errors, the output says what would keep it from being run here.

    \b
    Exit codes: 0 no errors; 1 errors were found, or a card is below --level;
                2 something could not be read (the rest is still checked).
    """
    if cards_only:
        paths = tuple(path for path in paths if not _is_other(path))
    if fix:
        _fix(paths)
    context.exit(validate(paths, level, REPORTERS[style]))


def _fix(paths: Sequence[str]) -> None:
    """Mend the cards at some paths; `validate` then reports what cannot be read."""
    if "-" in paths:
        raise click.UsageError("--fix needs a file: standard input cannot be written")
    for path in paths:
        for card in find_cards(Path(path)) if _is_folder(path) else [Path(path)]:
            with suppress(ReadError):
                for change in _fix_file(card):
                    click.echo(f"fixed {visible(change)}", err=True)


def _fix_file(path: Path) -> Iterator[str]:
    """Mend a card where only one remedy is possible, and yield each change in words."""
    if leads_out(path):
        return
    raw = before = read_bytes(path)
    for _ in range(_MOST_CHANGES):
        document = parse_document(raw, str(path))
        mended = _mended(document, raw, path)
        if mended is None:
            break
        raw, words = mended
        yield from words
    if raw != before:
        replace_file(path, raw)


def _mended(document: Document, raw: bytes, path: Path) -> tuple[bytes, list[str]] | None:
    # Nothing that lies beside the card is looked at: structure and plain rules have the remedies.
    for finding in check_document(document, None).findings:
        better = patched_text(raw, str(path), finding.patch) if finding.patch else None
        if better is not None and better != raw:
            where = f"{path}:{finding.line}"
            return better, [f"{where}: {_words(edit, document)}" for edit in finding.patch]
    return None


def _words(edit: Edit, document: Document) -> str:
    name = dotted(edit.path)
    if edit.op == "move":
        return f"{dotted(edit.source)} -> {name}"
    if edit.op == "add":
        return f"{name}: {flow(edit.value)} (added)"
    old = flow(get(document.data, edit.path))
    return f"{name}: {old} -> {flow(edit.value) if edit.op == 'replace' else '(removed)'}"


def validate(paths: Sequence[str], level: Level | None = None, show: Reporter = text.render) -> int:
    """Check cards, print what `show` makes of them, and return the exit code."""
    checked = [one for path in paths for one in _check(path, level)]
    click.echo(show(checked))
    codes = (2 if isinstance(one, Unreadable) else int(one.errors > 0) for one in checked)
    return max(codes, default=0)


def _is_other(path: str) -> bool:
    """Whether a path exists and holds no card; a missing path is still reported."""
    file = Path(path)
    try:
        if path == "-" or not file.exists():
            return False
        return not find_cards(file) if file.is_dir() else not is_card(file)
    except OSError:
        return False


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
