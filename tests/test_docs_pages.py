"""Every command of docs/questions.md, tutorial.md and command-line.md works as it stands there.

The studies that `run` would write are made beforehand: other tests run it.
"""

from __future__ import annotations

import json
import re
import shutil
from pathlib import Path

import pytest

from safebench.resources import demo_dir
from tests.checks.forged import make_true
from tests.command import run_shown
from tests.conftest import ROOT
from tests.plans import write_plan

MADE = ("make", "safebench run household/plan.yaml --out")
"""How commands begin whose outcome is there already."""


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What the pages say is there."""
    place = tmp_path_factory.mktemp("pages")
    (place / "safebench").symlink_to(ROOT / "safebench")
    for model in ("my-model", "build/smollm2-135m"):
        shutil.copytree(demo_dir() / "tiny-chat", place / model)
    shutil.copy(demo_dir() / "household.jsonl", place / "my-data.jsonl")
    write_plan(place).rename(place / "my-plan.yaml")
    make_true(place / "my-study", limit=2)
    return place


@pytest.mark.parametrize("page", ["command-line", "questions", "tutorial"])
def test_every_command_works(page: str, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("safebench.study.probe.time_here", lambda *_, **__: "not timed")
    text = (ROOT / "docs" / f"{page}.md").read_text()
    blocks = re.findall(r"^```sh\n(.*?)^```", text, re.M | re.S)
    lines = "\n".join(blocks).replace("\\\n", " ").splitlines()
    shown = [line for line in lines if line.strip()]
    assert shown
    for command in shown:
        if command.startswith(MADE):
            if "--out" in command:
                shutil.copytree(folder / "my-study", folder / command.split()[4])
            continue
        ran = run_shown(command, folder)
        assert ran.code == 0, (command, ran.out[-2000:], ran.err[-2000:])


def test_every_variable_of_the_environment_is_listed() -> None:
    text = (ROOT / "docs" / "command-line.md").read_text()
    code = "".join(path.read_text() for path in (ROOT / "safebench").rglob("*.py"))
    used = set(re.findall(r"SAFEBENCH_[A-Z_]+\b", code)) - {"SAFEBENCH_COMPLETE"}
    assert {name for name in used if not name.endswith(("_FILE", "_"))} <= set(
        re.findall(r"\w+", text)
    )


DESCRIBES = {
    *("format", "spec", "submission", "primary", "results", "scores", "reason", "what", "total"),
    *("task", "construct", "condition", "checkpoint", "decoding", "judge", "training_seed"),
    *(
        "repeat",
        "repeats",
        "decodings",
        "answers",
        "levels",
        "effect",
        "fixed",
        "variance",
        "prompt",
    ),
    *("confidence", "power", "se", "seeds_lower", "seeds_upper", "diagnostics", "change"),
}
"""Names in the JSON of `score` that say what a number is about, or are parts of one."""


def names_in(data: object) -> set[str]:
    if isinstance(data, dict):
        return set(data).union(*map(names_in, data.values()))
    return set().union(*map(names_in, data)) if isinstance(data, list) else set()


def test_every_number_is_explained(folder: Path) -> None:
    ran = run_shown("safebench score my-study --json", folder)
    text = (ROOT / "docs" / "numbers.md").read_text()
    explained = set(re.findall(r"`(\w+)`", text))
    shown = {name for name in names_in(json.loads(ran.out)) if not name.startswith("safebench_")}
    assert shown - DESCRIBES <= explained
