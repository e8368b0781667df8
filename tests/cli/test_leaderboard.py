"""`safebench leaderboard`: what its commands print and how they end."""

from __future__ import annotations

import json
import shutil
import subprocess
from pathlib import Path

import pytest
import yaml

from safebench.cli.main import main
from safebench.evidence.board_log import LogEntry, LogLine
from safebench.site.board import read_board
from safebench.site.checking import Seen, of_owner
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


def small(board: Path, **changes: object) -> Path:
    recipe = made_by_code.Recipe("one", prompts=12, repeats=1, seeds=(1, 2, 3), **changes)
    return made_by_code.write_submission(board / "submissions", recipe)


def git(folder: Path, *arguments: str) -> None:
    who = ("-c", "user.name=x", "-c", "user.email=x@example.org")
    subprocess.run(["git", "-C", folder, *who, *arguments], check=True, capture_output=True)


def test_a_new_board_passes_its_own_check(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    board = tmp_path / "board"
    assert run("leaderboard", "new", board, "--title", "Ours: 'all'") == 0
    assert read_board(board).title == "Ours: 'all'"
    workflow = yaml.safe_load((board / ".github" / "workflows" / "board.yml").read_text())
    steps = [step.get("run", "") for step in workflow["jobs"]["check"]["steps"]]
    assert 'safebench leaderboard check . --against "$BASE"' in steps
    form = yaml.safe_load((board / ".github" / "ISSUE_TEMPLATE" / "submission.yml").read_text())
    assert {part["type"] for part in form["body"]} >= {"input", "checkboxes"}
    assert (board / ".gitattributes").is_file()
    assert "{{" not in (board / "README.md").read_text()
    assert run("leaderboard", "check", board) == 0
    assert "0 submissions, 0 reruns, 0 problems." in capsys.readouterr().out
    before = sorted(board.rglob("*"))
    assert run("leaderboard", "new", board) == 2
    assert "is not an empty folder" in capsys.readouterr().err
    assert run("leaderboard", "new", tmp_path / "x", "--title", "two\nlines") == 2
    assert sorted(board.rglob("*")) == before
    assert not (tmp_path / "x").exists()


def test_a_check_finds_what_was_lost_against_a_revision_and_a_site(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    board, site = tmp_path / "board", tmp_path / "site"
    folder = small(board)
    assert run("leaderboard", "build", board, "--out", site) == 0
    git(tmp_path, "init", "-q", "board")
    git(board, "add", "-A")
    git(board, "commit", "-qm", "one")
    for against in ("HEAD", site):
        assert run("leaderboard", "check", board, "--against", against) == 0
    made_by_code.edit_card(folder, evidence={"not_reported": "lost"})
    for against in ("HEAD", site):
        capsys.readouterr()
        assert run("leaderboard", "check", board, "--against", against, "--json") == 1
        found = json.loads(capsys.readouterr().out)
        (one,) = found["submissions"]
        assert (one["level_before"], one["level"]) == ("evidenced", "declared")
        messages = [p["message"] for p in found["problems"] if p["name"] == "one"]
        assert "had level evidenced, and has declared" in messages
    shutil.rmtree(folder)
    assert run("leaderboard", "check", board, "--against", "HEAD") == 1
    said = capsys.readouterr().out
    assert "one: a submission with content" in said
    assert "Fix: put it back" in said
    (board / "log.jsonl").unlink()
    assert run("leaderboard", "check", board, "--against", site) == 1
    assert "log.jsonl: does not begin with the log that was published" in capsys.readouterr().out


def test_a_check_says_what_does_not_hold_and_is_bounded(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = small(tmp_path / "board")
    scores = [{"task": "\u202e" + "x" * 5_000}] * 50
    made_by_code.edit_card(folder, results={"primary": [], "scores": scores, "changes": []})
    assert run("leaderboard", "check", tmp_path / "board") == 1
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) < 30
    assert max(map(len, lines)) < 600
    assert any("one: " in line and "more problems" in line for line in lines)
    assert "0 submissions" in lines[-1]


def test_another_key_is_no_new_version(tmp_path: Path) -> None:
    def seen(key: str | None) -> Seen:
        entry = LogEntry(kind="submission", id="a", content="2" * 64, key=key)
        return Seen("a", "evidenced", log=(entry,))

    line = LogLine(kind="submission", id="a", content="1" * 64, key="3" * 64, previous="0" * 64)
    found = [list(of_owner(seen(key), [line])) for key in ("3" * 64, "4" * 64, None)]
    assert [len(problems) for problems in found] == [0, 1, 1]


@pytest.mark.parametrize("against", ["nowhere", "--output=x", "HEAD"])
def test_nothing_to_compare_with_is_an_error(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], against: str
) -> None:
    (tmp_path / "submissions").mkdir()
    assert run("leaderboard", "check", tmp_path, f"--against={against}") == 2
    assert "--against" in capsys.readouterr().err


def test_every_command_has_help(capsys: pytest.CaptureFixture[str]) -> None:
    for name, words in (
        *(("build", "--out SITE"), ("check", "--against"), ("serve", "--port"), ("new", "--title")),
    ):
        assert run("leaderboard", name, "--help") == 0
        said = capsys.readouterr().out
        assert words in said
        assert "Exit codes:" in said
