"""Progress on stderr, as bars at a terminal and as plain lines elsewhere; consoles for tables."""

from __future__ import annotations

import json
import re
import sys
import textwrap
import time
from typing import Any

import click
from rich.console import Console
from rich.progress import (
    BarColumn,
    Progress,
    ProgressColumn,
    Task,
    TextColumn,
    TimeRemainingColumn,
)
from rich.text import Text

from safebench.cli.options import QUIET
from safebench.words import duration, number, quantity, rounded

LINE_EVERY = 30
"""Seconds between the lines of progress where there is no terminal."""
TEXT_WIDTH = 110
"""Columns that sentences are wrapped to where the output is no terminal."""
SCREEN_WIDTH = 100
"""Columns of what is to be read on one screen, where the output is no terminal."""
_BRACKETS = re.compile(r"\[[^][]{0,40}\]")
_GLUE = "\x00"
"""Stands in for a space where a line must not break."""
_NO_END = 100_000
"""Columns of a file or pipe: a table is as wide as its content, so that nothing is cut."""


class RateColumn(ProgressColumn):
    """Responses or epochs per second, once it is known."""

    def render(self, task: Task) -> Text:
        """Return the rate of a step."""
        speed = task.finished_speed or task.speed
        if not speed:
            return Text("")
        rate = f"{quantity(speed)}/s" if speed >= 1 else f"{quantity(1 / speed)} s each"
        return Text(rate, style="dim")


_UNITS = "units"
"""The step whose note gives the time left: units of different kinds take different times."""


class TimeLeftColumn(TimeRemainingColumn):
    """The time that is left, unless the step's note says it."""

    def render(self, task: Task) -> Text:
        """Return the time that a step still takes."""
        return Text("") if task.description == _UNITS else super().render(task)


class TerminalProgress:
    """Draws steps as bars on stderr; each finished step leaves one line with its time.

    Where stderr is no terminal, a line is printed every half minute.
    With --quiet nothing is shown.
    """

    def __init__(self) -> None:
        context = click.get_current_context(silent=True)
        self._is_quiet = bool(context and context.meta.get(QUIET))
        self._console = Console(stderr=True, quiet=self._is_quiet)
        self._spoke = time.monotonic()
        self._bars = Progress(
            TextColumn("{task.description:<12}"),
            BarColumn(bar_width=28),
            TextColumn("{task.percentage:>3.0f} %"),
            RateColumn(),
            TextColumn("{task.fields[note]:<44.44}"),
            TimeLeftColumn(compact=True),
            console=self._console,
            transient=True,
            disable=self._is_quiet or not self._console.is_terminal,
        )

    def __enter__(self) -> TerminalProgress:
        self._bars.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._bars.stop()

    def say(self, text: str) -> None:
        """Print a line on stdout, above the bars."""
        if self._is_quiet:
            return
        if self._console.is_terminal and sys.stdout.isatty():
            self._bars.console.print(text, highlight=False, markup=False)
        else:
            click.echo(text)

    def start(self, name: str, total: float) -> None:
        """Begin a step of known size."""
        self._bars.add_task(name, total=total, note="")

    def advance(self, amount: float, note: str = "") -> None:
        """Report work done in the step that was begun last."""
        for task in self._bars.tasks:  # at most one
            note = note or task.fields["note"]
            self._bars.update(task.id, advance=amount, note=note)
            self._say_how_far(task, note)

    def _say_how_far(self, task: Task, note: str) -> None:
        """Print a line where there are no bars, unless the last one is younger than half a minute.

        The first comes half a minute after the start, so that short commands print none.
        """
        now = time.monotonic()
        if self._is_quiet or self._console.is_terminal or now - self._spoke < LINE_EVERY:
            return
        self._spoke = now
        left = None if task.description == _UNITS else task.time_remaining
        parts = [f"{rounded(task.percentage, 0)} %", RateColumn().render(task).plain, note]
        parts += [] if left is None else [f"about {duration(left)} left"]
        click.echo(f"{task.description}: {', '.join(part for part in parts if part)}", err=True)

    def stop(self) -> None:
        """End the step; at a terminal, leave a line with its time and its rate or last note."""
        for task in self._bars.tasks:
            self._bars.remove_task(task.id)
            if self._console.is_terminal:
                seconds = task.elapsed or 0.0
                note = task.fields["note"]
                if not task.description.startswith("tune") and seconds > 0:
                    note = f"{number(round(task.completed))}, {quantity(task.completed / seconds)} "
                    note += "a second"
                line = f"{task.description:<12} {rounded(seconds, 1):>5} s  {note}"
                self._console.print(line, highlight=False, markup=False)


def printer(width: int = _NO_END) -> Console:
    """Return a console on stdout as wide as its terminal, of `width` columns where there is none.

    Nothing is cut: long cells are folded.
    """
    console = Console(highlight=False)
    return console if console.is_terminal else Console(highlight=False, width=width)


def text_width(console: Console) -> int:
    """Return the columns that sentences are wrapped to."""
    return console.width if console.is_terminal else min(console.width, TEXT_WIDTH)


def print_wrapped(console: Console, label: str, text: str, indent: int) -> None:
    """Print a labelled sentence whose further lines stand under its first."""
    width = max(text_width(console) - indent, 40)
    whole = _BRACKETS.sub(lambda found: found[0].replace(" ", _GLUE), text)  # [.31, .52]
    lines = textwrap.wrap(whole, width, break_on_hyphens=False) or [""]
    for nth, line in enumerate(lines):
        start = "" if nth else label
        console.print(f"{start:<{indent}}{line.replace(_GLUE, ' ')}", markup=False)


def print_json(content: Any) -> None:
    """Print what programs read: JSON on stdout, models in it as their fields."""
    click.echo(
        json.dumps(
            content,
            indent=2,
            ensure_ascii=False,
            default=lambda part: part.model_dump(mode="json"),
        )
    )
