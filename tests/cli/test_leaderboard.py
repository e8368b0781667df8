"""`safebench leaderboard build`: what it prints and how it ends."""

from __future__ import annotations

from pathlib import Path

import pytest

from safebench.cli.main import main
from tests.site import made_by_code

ROOT = Path(__file__).resolve().parent.parent.parent


def run(*arguments: object) -> int:
    with pytest.raises(SystemExit) as caught:
        main([str(a) for a in arguments])
    assert isinstance(caught.value.code, int)
    return caught.value.code


def test_build_prints_the_board_and_where_it_is(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    recipe = made_by_code.Recipe("one", prompts=12, repeats=1, seeds=(1, 2, 3))
    made_by_code.write_submission(tmp_path / "board" / "submissions", recipe)
    out = tmp_path / "site"
    assert run("leaderboard", "build", tmp_path / "board", "--out", out) == 0
    text = capsys.readouterr().out
    assert str(out / "index.html") in text
    assert "  one  class 1  harm ." in text
    assert "level " in text
    assert (out / "index.html").is_file()


def test_the_board_of_this_repository_builds(tmp_path: Path) -> None:
    assert run("leaderboard", "build", ROOT / "leaderboard", "--out", tmp_path / "site") == 0


def test_what_is_left_out_is_said_and_strict_ends_with_1(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    board, out = tmp_path / "board", tmp_path / "site"
    recipe = made_by_code.Recipe("one", prompts=12, repeats=1, seeds=(1, 2, 3))
    made_by_code.write_submission(board / "submissions", recipe)
    (board / "submissions" / "two").mkdir()
    assert run("leaderboard", "build", board, "--out", out, "--strict") == 1
    assert not out.exists()
    said = capsys.readouterr()
    assert "left out: two: " in said.err
    assert "nothing was published: 1 folder would be left out" in said.err
    assert said.out == ""
    assert run("leaderboard", "build", board, "--out", out) == 0
    said = capsys.readouterr()
    assert said.err.startswith("left out: two: ")
    assert len(said.err.splitlines()) == 1
    assert "1 submission, 0 reruns, 1 left out; " in said.out


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["leaderboard", "build", "nowhere", "--out", "site"], "no such folder"),
        (["leaderboard", "build"], "Missing"),
        (["leaderboard", "burn"], "No such command"),
    ],
)
def test_wrong_input_gives_one_message(
    arguments: list[str],
    message: str,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(tmp_path)
    assert run(*arguments) == 2
    error = capsys.readouterr().err
    assert message in error
    assert "Traceback" not in error


def test_every_command_has_help(capsys: pytest.CaptureFixture[str]) -> None:
    assert run("leaderboard", "build", "--help") == 0
    assert "--out SITE" in capsys.readouterr().out
