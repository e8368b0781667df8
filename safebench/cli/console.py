"""What a person watches: progress on stderr, silent when it is not a terminal."""

from __future__ import annotations

import sys
import time
from types import TracebackType

import click
from rich.console import Console
from rich.progress import (
    BarColumn,
    Progress,
    ProgressColumn,
    Task,
    TaskID,
    TextColumn,
    TimeRemainingColumn,
)
from rich.text import Text

_WIDTH = 110


class RateColumn(ProgressColumn):
    """Responses or epochs per second, once it is known."""

    def render(self, task: Task) -> Text:
        """Return the rate of a step."""
        speed = task.finished_speed or task.speed
        if not speed:
            return Text("")
        return Text(f"{speed:,.1f}/s" if speed >= 1 else f"{1 / speed:,.1f} s each", style="dim")


class TerminalProgress:
    """Draws steps as bars on stderr; each finished step leaves one line with its time."""

    def __init__(self) -> None:
        self._console = Console(stderr=True)
        self._bars = Progress(
            TextColumn("{task.description:<12}"),
            BarColumn(bar_width=28),
            TextColumn("{task.percentage:>3.0f} %"),
            RateColumn(),
            TextColumn("{task.fields[note]:<44}"),
            TimeRemainingColumn(compact=True),
            console=self._console,
            transient=True,
            disable=not self._console.is_terminal,
        )
        self._task: TaskID | None = None
        self._name = ""
        self._note = ""
        self._since = 0.0
        self._done = 0.0

    def __enter__(self) -> TerminalProgress:
        self._bars.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        value: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._bars.stop()

    def say(self, text: str) -> None:
        """Print a line on stdout, above the bars."""
        if self._console.is_terminal and sys.stdout.isatty():
            self._bars.console.print(text, highlight=False, markup=False)
        else:
            click.echo(text)

    def start(self, name: str, total: float) -> None:
        """Begin a step of known size."""
        self._name, self._note, self._since = name, "", time.monotonic()
        self._done = 0.0
        self._task = self._bars.add_task(name, total=total, note="")

    def advance(self, amount: float, note: str = "") -> None:
        """Report work done in the step begun last."""
        self._note = note or self._note
        self._done += amount
        if self._task is not None:
            self._bars.update(self._task, advance=amount, note=self._note[:44])

    def stop(self) -> None:
        """End the step."""
        if self._task is None:
            return
        self._bars.remove_task(self._task)
        self._task = None
        if self._console.is_terminal:
            seconds = time.monotonic() - self._since
            note = self._note if self._name.startswith("tune") else _rate(self._done, seconds)
            self._console.print(
                f"{self._name:<12} {seconds:5.1f} s  {note}", highlight=False, markup=False
            )


def _rate(done: float, seconds: float) -> str:
    return f"{done:,.0f}, {done / seconds:,.1f} a second" if seconds > 0 else ""


def printer() -> Console:
    """Return a console for tables on stdout, wide enough for them when piped."""
    console = Console(highlight=False)
    return console if console.is_terminal else Console(highlight=False, width=_WIDTH)
