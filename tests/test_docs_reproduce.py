"""docs/reproduce.md is followed to the letter."""

from __future__ import annotations

import re
import shutil
from pathlib import Path

import pytest
import yaml

from safebench.resources import demo_dir
from tests.command import run_shown

pytestmark = pytest.mark.slow
PAGE = Path(__file__).resolve().parent.parent / "docs" / "reproduce.md"
MAY_END_WITH = {"retrain": (0, 1, 3)}


SHORTER = (
    ("training: 3", "training: 2"),
    ("epochs: 2\n  checkpoints: [2]", "epochs: 1\n  checkpoints: [1]"),
    ("primary: {checkpoint: 2", "primary: {checkpoint: 1"),
    ("repeats: 3", "repeats: 2"),
    ('id: "builtin:household", examples: 300', "path: few.jsonl, examples: 64"),
    ("role: control\n    examples: 300", "role: control\n    examples: 64"),
)
"""What is replaced in the plan, so that the same steps take less time."""


def blocks(language: str) -> list[str]:
    text = PAGE.read_text()
    for shown, shorter in SHORTER:
        assert shown in text
        text = text.replace(shown, shorter)
    return re.findall(rf"^```{language}\n(.*?)^```", text, re.M | re.S)


def reported_alone(study: Path, out: Path) -> None:
    """A card as a paper could give it: protocol and run scores of the primary estimands."""
    shutil.copytree(study / "data", out / "data")
    data = yaml.safe_load((study / "card.yaml").read_text())
    data["submission"]["id"] = "reported"
    data["model"]["weights"] = None
    del data["evidence"], data["environment"]
    data["results"]["primary"], data["results"]["changes"] = [], []
    data["results"]["scores"] = [
        score
        for score in data["results"]["scores"]
        if score["decoding"] == "t07" and score["condition"] != "control"
    ]
    (out / "card.yaml").write_text(yaml.safe_dump(data, sort_keys=False))


def test_every_command_works(tmp_path: Path) -> None:
    for text in (*blocks("yaml"), *blocks("python")):
        (tmp_path / text.splitlines()[0].removeprefix("# ")).write_text(text)
    rows = (demo_dir() / "household.jsonl").read_text().splitlines(keepends=True)
    (tmp_path / "few.jsonl").write_text("".join(rows[:64]))
    said = {}
    for command in "".join(blocks("sh")).splitlines():
        if " reported " in command:
            reported_alone(tmp_path / "paper", tmp_path / "reported")
        done = run_shown(command, tmp_path)
        allowed = next((c for name, c in MAY_END_WITH.items() if name in command), (0,))
        assert done.code in allowed, f"{command}\n{done.out[-3000:]}\n{done.err}"
        assert "Traceback" not in done.err
        said[command] = done.out
    answers = said["python five.py paper"]
    assert re.findall(r"^E\d", answers, re.M) == ["E1", "E2", "E3", "E4", "E5"]
    shown = re.sub(r"\d", "0", PAGE.read_text())
    for line in answers.splitlines():  # the form of the answers is the page's, numbers aside
        assert re.sub(r"^(.{30}).*", r"\1", re.sub(r"\d", "0", line)) in shown, answers
    last = next(text for command, text in said.items() if " reported " in command)
    assert "carries no outcomes" in last
