"""docs/signing.md is followed to the letter; the study and its rerun are made up."""

from __future__ import annotations

import re
import shlex
import shutil
from pathlib import Path

import pytest
import yaml

from safebench.card.io import load_card
from safebench.evidence.registration import request_of
from tests.command import safebench
from tests.site import made_by_code
from tests.site.made_by_code import Recipe

PAGE = Path(__file__).resolve().parent.parent / "docs" / "signing.md"
TASKS = (("safebench_harm", "harm"),)


def commands() -> list[str]:
    blocks = re.findall(r"^```sh\n(.*?)^```", PAGE.read_text(encoding="utf-8"), re.M | re.S)
    return [line for block in blocks for line in block.splitlines()]


def test_every_command_works(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    recipe = Recipe("study", prompts=12, repeats=1, seeds=(1, 2, 3), tasks=TASKS)
    study = made_by_code.write_submission(tmp_path, recipe)
    again = Recipe("again", prompts=12, repeats=1, seeds=(4, 5, 6), tasks=TASKS, draw=1)
    made_by_code.write_rerun(study, "again", again).rename(tmp_path / "again")
    shutil.rmtree(study / "reruns")
    card = load_card(study / "card.yaml")
    derived = card.seeds.model_copy(update={"scheme": "derived", "origin": None})
    request = request_of(card.model_copy(update={"seeds": derived}))
    monkeypatch.setattr("safebench.cli.register._request", lambda _: request)  # it loads a model
    prints = {}
    for command in commands():
        _, *arguments = shlex.split(command)
        if arguments[0] == "leaderboard":
            _fill(tmp_path / "board", prints)
        if "--board" in arguments:
            (tmp_path / "board").mkdir()
        ran = safebench(capsys, *arguments)
        assert ran.code == 0, (command, ran.err)
        if "--new-key" in arguments:
            prints[arguments[-1]] = ran.out.split("half: ")[1].split()[0]
    page = (tmp_path / "site" / "submissions" / "study.html").read_text(encoding="utf-8")
    assert "B. Person, Lab B (signed)" in page
    lines = (tmp_path / "board" / "log.jsonl").read_text().splitlines()
    assert [line.split('"')[3] for line in lines] == ["registration", "submission", "rerun"]


def _fill(board: Path, prints: dict[str, str]) -> None:
    """Do what the page says in words: put both folders there, and list both keys."""
    home = board / "submissions" / "study"
    shutil.copytree(board.parent / "study", home)
    shutil.copytree(board.parent / "again", home / "reruns" / "again")
    text = re.findall(r"^```yaml\n(.*?)^```", PAGE.read_text(encoding="utf-8"), re.M | re.S)[0]
    (signer,) = yaml.safe_load(text)["signers"].values()
    signers = {prints["lab-a.pem"]: signer}
    signers[prints["lab-b.pem"]] = {"name": "B. Person", "organisation": "Lab B"}
    (board / "board.yaml").write_text(yaml.safe_dump({"signers": signers}), encoding="utf-8")
