"""What a run would refuse is said of a plan beforehand, all at once, and of nothing else."""

from __future__ import annotations

from pathlib import Path

import pytest

from safebench.card.io import load_card
from safebench.checks import check
from safebench.checks.obstacles import obstacles
from tests.conformance.runner import VALID

PLAN = (VALID / "short-plan.yaml").read_text()


def found(folder: Path, **changes: str) -> tuple[str, ...]:
    text = PLAN
    for old, new in changes.items():
        assert old in text
        text = text.replace(old, new)
    (folder / "plan.yaml").write_text(text)
    return check(folder / "plan.yaml").obstacles


def test_a_plan_with_its_data_has_none(tmp_path: Path) -> None:
    (tmp_path / "household.jsonl").touch()
    assert found(tmp_path) == ()


def test_all_are_named_at_once(tmp_path: Path) -> None:
    lines = found(tmp_path, safebench_harm="safebench_harn")
    assert [line.split(":")[0] for line in lines] == ["tasks[0]", "data[0].path"]
    assert "safebench_harm?" in lines[0]


@pytest.mark.parametrize(
    ("old", "new", "place"),
    [
        ("builtin:tiny-chat", "./my-model", "model.base.id"),
        ("chat_template: tokenizer", "chat_template: {source: file, path: t.jinja}",
         "model.chat_template.path"),
        ("relationship: first_party", "relationship: third_party", "submission.relationship is"),
    ],
)  # fmt: skip
def test_what_is_not_there(tmp_path: Path, old: str, new: str, place: str) -> None:
    (tmp_path / "household.jsonl").touch()
    assert old in PLAN
    (tmp_path / "plan.yaml").write_text(PLAN.replace(old, new))
    (line,) = obstacles(load_card(tmp_path / "plan.yaml"), tmp_path)
    assert line.startswith(place)


def test_nothing_outside_the_folder_is_looked_at(tmp_path: Path) -> None:
    (tmp_path / "plan.yaml").write_text(PLAN.replace("household.jsonl", "../household.jsonl"))
    assert obstacles(load_card(tmp_path / "plan.yaml"), tmp_path) == ()


@pytest.mark.parametrize("name", ["two-numbers.yaml", "submission/card.yaml"])
def test_a_report_is_run_by_nobody(name: str) -> None:
    assert check(VALID / name).obstacles == ()
