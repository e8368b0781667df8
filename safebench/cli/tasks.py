"""`safebench tasks [NAME]`: list what can be measured, or show where one task comes from."""

from __future__ import annotations

import shutil
from collections.abc import Iterator, Sequence
from typing import Any

import click
from rich.console import Console
from rich.markdown import Markdown

from safebench.cli import options
from safebench.cli.console import print_json
from safebench.errors import TaskError, visible
from safebench.harness.catalogue import Entry, entries, entry
from safebench.resources import tasks_dir
from safebench.words import count, number

_READABLE = 100  # columns of running text
_PIPED = 120  # columns, where there is no terminal to ask
_GAP = "  "
_TITLES = ("task", "construct", "prompts ", "source", "licence", "access")
_KEYS = (
    *("name", "version", "constructs", "prompts", "prompts_from"),
    *("dataset_id", "licence", "gated", "local_variable", "problem"),
)
_HEADINGS = {True: "Tasks with prompts of their own", False: "Published benchmarks"}


@click.command(name="tasks")
@click.argument("name", required=False)
@options.output_format
@click.option(
    "--folder", is_flag=True, help="Print the folder of the tasks, for lm_eval --include_path."
)
def command(name: str | None, style: str, folder: bool) -> None:
    """List every task: what it measures, its size, source, licence and access.

    \b
    NAME  a task, as a card names it: safebench_xstest

    With NAME, show its page: columns, how to get access, the benchmark's own judge, limits. Nothing
    is downloaded. Prompts are counted in the files on this machine; where there are none, the
    published number is given and marked.
    """
    if folder:
        click.echo(tasks_dir() if name is None else entry(name).readme.parent)
    elif name is not None:
        _show(entry(name), style)
    elif style == "json":
        shown = {"tasks": [_plain(e) for e in entries()]}
        print_json(shown)
    else:
        width = shutil.get_terminal_size((_PIPED, 24)).columns
        click.echo("\n".join(_list(entries(), width)))


def _show(found: Entry, style: str) -> None:
    """Print the README of a task in full."""
    try:
        text = found.readme.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as problem:
        raise TaskError(
            f"{found.readme}: {problem}", fix="write where the task comes from, see CONTRIBUTING.md"
        ) from problem
    if style == "json":
        print_json(_plain(found) | {"readme": text})
        return
    console = Console()
    if console.is_terminal:
        console.print(Markdown(text), width=min(console.width, _READABLE))
    else:
        click.echo(text, nl=False)


def _plain(found: Entry) -> dict[str, Any]:
    shown = {name: getattr(found, name) for name in _KEYS}
    return shown | {"constructs": list(found.constructs)}


def _list(found: Sequence[Entry], width: int) -> Iterator[str]:
    """Yield the list: a line for each task where the terminal is wide enough, else two."""
    cells = {e.name: _cells(e) for e in found}
    rows = [_TITLES, *cells.values()]
    widths = [max(len(row[n]) for row in rows) for n in range(len(_TITLES))]
    in_one_line = 2 + sum(widths) + len(_GAP) * (len(widths) - 1) <= width
    yield from (click.style(line, dim=True) for line in _lines(_TITLES, widths, in_one_line))
    yield ""
    for is_own, heading in _HEADINGS.items():
        group = [e for e in found if (e.dataset_id is None) == is_own]
        if not group:
            continue
        yield click.style(heading, bold=True)
        for one in group:
            yield from _lines(cells[one.name], widths, in_one_line)
        yield ""
    yield from _notes(found)


def _cells(found: Entry) -> tuple[str, ...]:
    """Return name, constructs, prompts, source, licence, access."""
    mark = "*" if found.prompts_from == "as_published" else " "
    prompts = "?" if found.prompts is None else number(found.prompts)
    if found.prompts_from == "local_copy":
        access = "local copy"
    else:
        access = "gated" if found.gated else "open" if found.dataset_id else ""
    return (
        visible(found.name),
        ", ".join(found.constructs),
        prompts + mark,
        visible(found.dataset_id or "in this package"),
        visible(found.licence),
        access,
    )


def _lines(cells: tuple[str, ...], widths: Sequence[int], in_one_line: bool) -> Iterator[str]:
    name, constructs, prompts = (
        cells[0].ljust(widths[0]),
        cells[1].ljust(widths[1]),
        cells[2].rjust(widths[2]),
    )
    name = name if cells is _TITLES else click.style(name, fg="cyan")
    first = f"  {name}{_GAP}{constructs}{_GAP}{prompts}"
    if in_one_line:
        rest = _GAP.join(c.ljust(w) for c, w in zip(cells[3:], widths[3:], strict=True))
        yield f"{first}{_GAP}{rest}".rstrip()
    else:
        yield first.rstrip()
        yield "    " + ", ".join(c for c in cells[3:] if c)


def _notes(found: Sequence[Entry]) -> Iterator[str]:
    if any(e.prompts_from == "as_published" for e in found):
        yield "* as published; not counted on this machine"
    if any(e.gated and e.prompts_from != "local_copy" for e in found):
        yield "gated: accept the terms on the Hub first; a local copy needs no access"
    for one in found:
        if one.problem:
            yield click.style("not counted: ", fg="yellow") + visible(one.problem)
    yield f"{count(len(found), 'task')}. To read about one, run safebench tasks NAME"
