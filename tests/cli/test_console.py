"""Progress where there is no terminal: plain lines, and none when asked for none."""

from __future__ import annotations

import click
import pytest

from safebench.cli import console
from safebench.cli.console import TerminalProgress
from safebench.cli.options import quiet

Capture = pytest.CaptureFixture[str]


def work(monkeypatch: pytest.MonkeyPatch, *arguments: str) -> None:
    """Say a word, and do a step of four parts that takes eighty seconds, ended by two more."""
    now = [0.0]
    monkeypatch.setattr(console.time, "monotonic", lambda: now[0])

    @click.command()
    @quiet
    def command() -> None:
        with TerminalProgress() as progress:
            progress.say("two seeds")
            progress.start("harm", 4)
            for _ in range(4):
                now[0] += 20
                progress.advance(1, "greedy")
            progress.stop()
        click.echo("done")

    command.main(arguments, standalone_mode=False)


def test_a_line_each_half_minute(monkeypatch: pytest.MonkeyPatch, capsys: Capture) -> None:
    work(monkeypatch)
    printed = capsys.readouterr()
    assert printed.out == "two seeds\ndone\n"
    assert [line.split(",")[0] for line in printed.err.splitlines()] == [
        "harm: 50 %",
        "harm: 100 %",
    ]
    assert "greedy" in printed.err


def test_none_when_asked_for_none(monkeypatch: pytest.MonkeyPatch, capsys: Capture) -> None:
    work(monkeypatch, "--quiet")
    assert capsys.readouterr() == ("done\n", "")
