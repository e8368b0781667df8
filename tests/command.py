"""Running the command line inside the test process."""

from __future__ import annotations

import io
import os
import shlex
import subprocess
import sys
from contextlib import redirect_stderr, redirect_stdout
from dataclasses import dataclass
from itertools import takewhile
from pathlib import Path

import pytest

from safebench.cli.main import main


@dataclass(frozen=True)
class Ran:
    """What a command printed and how it ended."""

    code: int
    out: str
    err: str


def safebench(capsys: pytest.CaptureFixture[str], *arguments: object) -> Ran:
    """Run a command; a traceback is a failure of the test."""
    capsys.readouterr()
    with pytest.raises(SystemExit) as ended:
        main([str(argument) for argument in arguments])
    printed = capsys.readouterr()
    assert "Traceback" not in printed.err
    return Ran(int(ended.value.code or 0), printed.out, printed.err)


def run_shown(command: str, folder: Path) -> Ran:
    """Run a command that a page shows, in a folder.

    A plain one of ours runs in this process, since starting Python and torch takes most of the time
    of a small command; whatever takes a shell gets one.
    """
    words = shlex.split(command)
    settings = dict(word.split("=", 1) for word in takewhile(lambda word: "=" in word, words))
    words = words[len(settings) :]
    if words[0] != "safebench" or "$(" in command:
        path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
        done = subprocess.run(
            ["/bin/sh", "-c", command],
            cwd=folder,
            capture_output=True,
            text=True,
            check=False,
            env={**os.environ, "PATH": path},
        )
        return Ran(done.returncode, done.stdout, done.stderr)
    out, err = io.StringIO(), io.StringIO()
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        for name, value in settings.items():
            patch.setenv(name, value)
        with redirect_stdout(out), redirect_stderr(err), pytest.raises(SystemExit) as ended:
            main(words[1:])
    return Ran(int(ended.value.code or 0), out.getvalue(), err.getvalue())
