"""The command line as a stranger meets it: help, exit codes, light imports."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from runpy import run_module

import click
import pytest

from safebench.cli.main import COMMANDS, cli
from tests.checks.forged import make_true
from tests.command import safebench

HEAVY = ("torch", "transformers", "peft", "trl", "datasets", "accelerate", "lm_eval", "pandas")


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_has_help(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    ran = safebench(capsys, name, "--help")
    assert ran.code == 0
    assert "Usage: safebench" in ran.out
    assert len(ran.out.splitlines()) > 5


def test_every_command_says_how_it_ends_and_uses_names_alike() -> None:
    leaves = dict(commands(cli))
    assert len(leaves) > len(COMMANDS)
    for name, command in leaves.items():
        assert "Exit codes:" in (command.help or "") + (command.epilog or ""), name
        options = {text: one.type for one in command.params for text in one.opts}
        has_json = "json" in getattr(options.get("--format"), "choices", ())
        assert ("--json" in options) == has_json, name
        assert "--seed" not in options or name == "audit", name
        assert ("--executor" in options) == ("--save-state-every" in options), name


def commands(group: click.Group) -> Iterator[tuple[str, click.Command]]:
    """Yield every command with its name, those of groups included."""
    context = click.Context(group)
    for name in group.list_commands(context):
        command = group.get_command(context, name)
        assert command is not None
        if isinstance(command, click.Group):
            yield from commands(command)
        else:
            yield name, command


def test_the_version_in_short_and_as_a_module(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "argv", ["safebench", "-V"])
    assert safebench(capsys, "-V").out == safebench(capsys, "--version").out
    with pytest.raises(SystemExit, match=r"^0$"):
        run_module("safebench", run_name="__main__", alter_sys=True)


def test_the_list_of_commands(capsys: pytest.CaptureFixture[str]) -> None:
    ran = safebench(capsys, "--help")
    assert ran.code == 0
    assert all(name in ran.out for name in COMMANDS)
    assert "Exit codes: 0 done" in ran.out


def test_no_such_command(capsys: pytest.CaptureFixture[str]) -> None:
    ran = safebench(capsys, "reproduce")
    assert ran.code == 2
    assert "No such command" in ran.err


@pytest.mark.parametrize(
    "arguments",
    [
        ("init", "--from", "absent"),
        ("run", "absent.yaml", "--out", "x"),
        ("score", "absent"),
        ("rerun", "absent", "--out", "x"),
        ("compare", "absent", "absent"),
        ("validate", "absent.yaml"),
        ("leaderboard", "build", "absent", "--out", "x"),
    ],
)
def test_what_is_not_there_is_said_once(
    arguments: tuple[str, ...],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    ran = safebench(capsys, *arguments)
    assert ran.code == 2
    assert "absent" in ran.err + ran.out
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("{", "line"),
        ("just words", "mapping"),
        ("spec: safebench/1.0\n", "submission"),
        ("spec: safebench/9.0\n", "9"),
        ("", "empty"),
    ],
)
def test_a_plan_that_is_no_card(
    content: str, message: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    plan = tmp_path / "plan.yaml"
    plan.write_text(content)
    ran = safebench(capsys, "run", plan, "--out", tmp_path / "out")
    assert ran.code == 2
    assert "plan.yaml" in ran.err
    assert message in ran.err
    assert not (tmp_path / "out").exists()


def imported(program: str) -> set[str]:
    """Return the top-level modules a program has loaded when it ends."""
    done = subprocess.run(
        [sys.executable, "-c", f"{program}\nimport sys; print(' '.join(sys.modules))"],
        capture_output=True,
        text=True,
        check=True,
    )
    return {name.partition(".")[0] for name in done.stdout.splitlines()[-1].split()}


@pytest.mark.parametrize(
    "name",
    [
        "init",
        "new",
        "validate",
        "rules",
        "score",
        "compare",
        "leaderboard",
        "schema",
        "export",
        "tasks",
    ],
)
def test_light_commands_need_no_model_libraries(name: str) -> None:
    assert not imported(f"from safebench.cli.main import cli; cli.load({name!r})") & set(HEAVY)


def test_help_is_light() -> None:
    program = (
        "from safebench.cli.main import main\ntry: main(['--help'])\nexcept SystemExit: print()"
    )
    assert not imported(program) & {*HEAVY, "numpy", "pyarrow", "pydantic"}


def test_an_export_needs_no_model_libraries(demo_submission: Path, tmp_path: Path) -> None:
    out = str(tmp_path / "out")
    program = (
        "from safebench.cli.main import main\n"
        f"try: main(['export', 'every-eval-ever', {str(demo_submission)!r}, '--out', {out!r}])\n"
        "except SystemExit as end: assert not end.code"
    )
    assert not imported(program) & set(HEAVY)


def test_score_of_a_submission_needs_no_model_libraries(demo_submission: Path) -> None:
    program = (
        "from safebench.cli.main import main\n"
        f"try: main(['score', {str(demo_submission)!r}])\n"
        "except SystemExit as end: assert not end.code"
    )
    assert not imported(program) & set(HEAVY)


def test_without_the_model_libraries_the_remedy_is_named(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    from safebench.resources import demo_dir

    monkeypatch.setitem(sys.modules, "safebench.study.execute", None)
    ran = safebench(capsys, "run", demo_dir() / "plan.yaml", "--out", tmp_path / "out")
    assert ran.code == 2
    assert "pip install 'safebench[run]'" in ran.err


def test_a_rerun_says_its_costs_and_its_verdict_to_a_program(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    make_true(tmp_path / "study", limit=1)
    ran = safebench(capsys, "rerun", tmp_path / "study", "--kind", "rejudge", "--dry-run", "--json")
    found = json.loads(ran.out)
    assert ran.code == 0 and list(found) == ["rejudge"]
    assert found["rejudge"]["judgements"] > 0 and found["rejudge"]["time"] == "seconds"
    again = safebench(capsys, "rerun", tmp_path / "study", "--kind", "recompute", "--json")
    assert json.loads(again.out)["kind"] == "recompute"
    assert not list(tmp_path.glob("study/**/verdict.json"))
