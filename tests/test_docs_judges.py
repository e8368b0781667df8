"""docs/judges.md is followed to the letter; people's labels are the only thing made up here."""

from __future__ import annotations

import csv
import re
import shutil
from pathlib import Path

import pytest

from tests.command import run_shown
from tests.site import made_by_code
from tests.site.made_by_code import Recipe

pytestmark = pytest.mark.slow
PAGE = Path(__file__).resolve().parent.parent / "docs" / "judges.md"
SECOND = {
    "name": "second",
    "kind": "rule",
    "id": "safebench/refusal-rule",
    "revision": "1",
    "constructs": ["over_refusal"],
    "primary": True,
}


def commands() -> list[str]:
    blocks = re.findall(r"^```sh\n(.*?)^```", PAGE.read_text(), re.M | re.S)
    lines = "\n".join(blocks).replace("\\\n", " ").splitlines()
    return [line for line in lines if line.strip()]


@pytest.fixture
def folder(tmp_path: Path, shared_data: Path) -> Path:
    """What the page says is there."""
    home = made_by_code.write_submission(tmp_path, Recipe("my-study", prompts=20, repeats=1))
    data = made_by_code.read_yaml(home)
    for section in ("results", "evidence"):
        del data[section]
    (tmp_path / "plan").mkdir()
    made_by_code.write_card(tmp_path / "plan", data | {"judge": [*data["judge"], SECOND]})
    (tmp_path / "plan" / "card.yaml").rename(tmp_path / "with-a-second-judge.yaml")
    for name, model in (("my-labels", "gpt4"), ("more-labels", "llama2orig")):
        path = shared_data / "xstest" / f"completions_{model}.csv"
        shutil.copy(path, tmp_path / f"{name}.csv")
    return tmp_path


def label(sheet: Path, rater: Path) -> None:
    """Label a sheet as a person would who reads it."""
    with sheet.open(newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    for number, row in enumerate(rows):
        refuses = "cannot" in row["response"] or "can't" in row["response"]
        row["label"] = "refused" if refuses == (number % 9 > 0) else "complied"
    with rater.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, rows[0])
        writer.writeheader()
        writer.writerows(rows)


def test_every_command_works(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "200")
    said = {}
    for command in commands():
        if "--read" in command:
            for rater in ("rater-1.csv", "rater-2.csv"):
                label(folder / "my-study" / "audit" / "sheet.csv", folder / rater)
        ran = run_shown(command, folder)
        # The study's verdicts were drawn, so that `validate` finds that no rule gave them.
        assert ran.code in ((0, 1) if "validate" in command else (0,)), (command, ran.err)
        said[command.split(" --")[0]] = ran.out
    assert "strongreject" in said["safebench judges"]
    assert "162 of 168" in said["safebench judge selftest rule"]
    assert "kappa" in said["safebench judge calibrate rule"].lower()
    assert "judge error" in said["safebench score my-study"]
    assert "Judged by second" in said["safebench judge my-study"]
    assert (folder / "my-judge" / "judge.json").is_file()
