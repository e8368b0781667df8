"""Every command of docs/exporting.md is run on a small submission."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import pytest

from tests.command import safebench
from tests.exporting.test_export import submission

PAGE = Path(__file__).resolve().parent.parent / "docs" / "exporting.md"


def test_every_command_works(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    submission(tmp_path / "my-study")
    monkeypatch.chdir(tmp_path)
    blocks = re.findall(r"^```sh\n(.*?)^```", PAGE.read_text(), re.M | re.S)
    shown = [shlex.split(line) for block in blocks for line in block.splitlines()]
    drawn = [command for command in shown if command[1] == "score"]
    for _, *arguments in drawn:
        ran = safebench(capsys, *arguments)
        assert (ran.code, "drew " in ran.err) == (0, True), ran.err
        assert all(Path(line.removeprefix("drew ")).is_file() for line in ran.err.splitlines())
    exported = [command for command in shown if command not in drawn]
    assert {command[2] for command in exported} == {
        "every-eval-ever", "inspect", "hub", "croissant", "csv", "parquet",
    }  # fmt: skip
    for _, *arguments in exported:
        place = ["101" if before == "--training-seed" else a
                 for before, a in zip(["", *arguments], arguments, strict=False)]  # fmt: skip
        ran = safebench(capsys, *place)
        assert ran.code == 0, (place, ran.err)
        assert "left out: " in ran.err
        out = Path(place[place.index("--out") + 1])
        for line in ran.out.splitlines():
            assert (tmp_path / line).is_file(), line
        assert any(out.rglob("*"))
    again = safebench(capsys, "export", "csv", "my-study", "--out", "my-csv")
    assert again.code == 2 and "is not empty" in again.err
    (tmp_path / "plan").mkdir()
    nothing = safebench(capsys, "export", "csv", "plan", "--out", "no")
    assert nothing.code == 2 and not Path("no").exists()
