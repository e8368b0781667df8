"""Every command of docs/sharing.md is run, in order, on a small submission."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import pytest

from tests.checks.forged import make_true
from tests.command import safebench

PAGE = Path(__file__).resolve().parent.parent / "docs" / "sharing.md"


def test_every_command_works(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    make_true(tmp_path / "my-study", limit=1)
    monkeypatch.chdir(tmp_path)
    blocks = re.findall(r"^```sh\n(.*?)^```", PAGE.read_text(), re.M | re.S)
    shown = [shlex.split(line) for block in blocks for line in block.splitlines()]
    assert {command[1] for command in shown} == {"pack", "unpack", "redact", "verify"}
    for _, *arguments in shown:
        ran = safebench(capsys, *arguments)
        assert ran.code == 0, (arguments, ran.out, ran.err)
    assert "3 rows opened; 0 problems" in ran.out
    assert safebench(capsys, "pack", "my-study-public", "--out", "p.tar").code == 0
