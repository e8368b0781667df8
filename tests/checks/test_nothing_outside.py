"""`validate` opens nothing outside a submission, whatever a card names, wherever links lead."""

from __future__ import annotations

import shutil
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from safebench.card.document import ReadError
from safebench.checks import check
from safebench.checks.discover import find_cards
from tests.checks.forged import make_true

OPENED: list[str] = []
"""Every file that was opened, while somebody looks."""
LOOKING: list[bool] = []
sys.addaudithook(
    lambda event, args: OPENED.append(str(args[0])) if event == "open" and LOOKING else None
)


@pytest.fixture(scope="module")
def true_one(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_true(tmp_path_factory.mktemp("true") / "submission").folder


@pytest.fixture
def home(true_one: Path, tmp_path: Path) -> Path:
    """A submission, and beside it a whole copy of it, so that what is named is really there."""
    shutil.copytree(true_one, tmp_path / "outside")
    shutil.copytree(true_one, tmp_path / "submission")
    return tmp_path / "submission"


@pytest.fixture
def opened() -> Iterator[list[str]]:
    OPENED.clear()
    LOOKING.append(True)
    yield OPENED
    LOOKING.clear()


def place(*at: str | int) -> Callable[[Any, str], None]:
    def put(card: Any, path: str) -> None:
        for part in at[:-1]:
            card = card[part]
        card[at[-1]] = path

    return put


FIELDS: dict[str, tuple[Callable[[Any, str], None], str]] = {
    "evidence file": (place("evidence", "files", 0, "path"), "outcomes.parquet"),
    "manifest": (place("evidence", "manifest"), "manifest.json"),
    "training data": (place("data", 0, "path"), "data/household.jsonl"),
    "weights": (place("model", "weights", 0, "path"), "adapters"),
    "prompts of a task": (place("tasks", 0, "path"), "data/household.jsonl"),
    "base model": (place("model", "base", "id"), "adapters"),
}  # fmt: skip
"""What a card names: where, and a file of the copy outside that fits."""
WAYS: dict[str, Callable[[Path, str], str]] = {
    "absolute": lambda home, name: str(home.parent / "outside" / name),
    "parent": lambda home, name: f"../outside/{name}",
    "down and up": lambda home, name: f"data/../../outside/{name}",
    "link": lambda home, name: f"way/{name}",
}


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("field", FIELDS)
def test_a_path_of_a_card(field: str, way: str, home: Path, opened: list[str]) -> None:
    put, name = FIELDS[field]
    (home / "way").symlink_to("../outside")
    card = yaml.safe_load((home / "card.yaml").read_text())
    put(card, WAYS[way](home, name))
    (home / "card.yaml").write_text(yaml.safe_dump(card))
    check(home / "card.yaml")
    assert not [name for name in opened if "outside" in name or "/way/" in name]
    assert str(home / "card.yaml") in opened


LINKS = (
    "outcomes.parquet", "responses.parquet", "manifest.json", "journal.jsonl",
    "data/household.jsonl", "data", "adapters", "adapters/*", "adapters/*/*.safetensors",
)  # fmt: skip


@pytest.mark.parametrize("pattern", LINKS)
def test_a_file_of_a_submission_that_is_a_link(pattern: str, home: Path, opened: list[str]) -> None:
    for path in home.glob(pattern):
        name = path.relative_to(home)
        shutil.rmtree(path) if path.is_dir() else path.unlink()
        path.symlink_to(home.parent / "outside" / name)
    opened.clear()
    report = check(home / "card.yaml")
    through = [
        name for name in opened if any(p.is_symlink() for p in (Path(name), *Path(name).parents))
    ]
    assert not [name for name in opened if "outside" in name]
    assert not [name for name in through if name.startswith(str(home))]
    found = {finding.rule for finding in report.findings} - {"SB-TASK-004"}
    assert bool(found) == (pattern != "journal.jsonl")  # which may be absent


@pytest.mark.parametrize("name", ["card.yaml", "plan.yaml"])
def test_a_card_that_is_a_link(name: str, home: Path, opened: list[str]) -> None:
    (home / "card.yaml").unlink()
    (home / name).symlink_to("../outside/card.yaml")
    assert [path.name for path in find_cards(home)] == [name] * (name == "card.yaml")
    with pytest.raises(ReadError, match="leads out of its folder"):
        check(home / name)
    assert not [one for one in opened if one.endswith(name)]
