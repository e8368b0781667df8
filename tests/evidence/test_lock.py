"""The lock of a folder: one holder, named, gone with its process; and no need of it to read."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

from safebench.evidence.lock import LockedError, VanishedError, holder, locked
from tests.site.made_by_code import Recipe, write_submission

HOLD = """
import sys, time
from pathlib import Path
from safebench.evidence.lock import locked
with locked(Path(sys.argv[1])):
    print("held", flush=True)
    time.sleep(600)
"""
# `fcntl` is POSIX alone: with it absent, as on Windows, what reads submissions still works.
WITHOUT_FCNTL = """
import sys
sys.modules["fcntl"] = None
from safebench.cli.main import main
main(sys.argv[1:])
"""


def test_a_second_holder_is_told_who_is_first(tmp_path: Path) -> None:
    path = tmp_path / "lock"
    with locked(path):
        assert holder(path) == path.read_text()
        with pytest.raises(LockedError, match=f"process {os.getpid()} on "), locked(path):
            pass
    assert holder(path) is None
    with locked(path):
        pass


def test_what_a_killed_process_held_is_free(tmp_path: Path) -> None:
    path = tmp_path / "lock"
    command = [sys.executable, "-c", textwrap.dedent(HOLD), str(path)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "held\n"
        assert f"process {process.pid} on " in str(holder(path))
        process.send_signal(signal.SIGKILL)
    assert f"process {process.pid} on " in path.read_text()
    assert holder(path) is None
    with locked(path):
        assert f"process {os.getpid()} on " in path.read_text()


def test_the_lock_of_a_file_that_is_gone_keeps_nobody_out(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "lock"
    monkeypatch.setattr("safebench.evidence.lock._lock", lambda file, *, shared: path.unlink())
    with pytest.raises(VanishedError), locked(path):
        pass


@pytest.mark.parametrize(
    "command",
    [
        ["validate", "S"],
        ["export", "csv", "S", "--out", "OUT"],
        ["export", "every-eval-ever", "S", "--out", "OUT"],
        ["score", "S"],
        ["plan", "S"],
        ["compare", "S", "--condition-a", "base", "--condition-b", "tuned"],
        ["status", "S"],
    ],
    ids=" ".join,
)
def test_the_light_commands_need_no_fcntl(command: list[str], tmp_path: Path) -> None:
    folder = write_submission(tmp_path, Recipe(prompts=6))
    names = {"S": str(folder), "OUT": str(tmp_path / "out")}
    arguments = [names.get(word, word) for word in command]
    done = subprocess.run(
        [sys.executable, "-c", WITHOUT_FCNTL, *arguments],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
