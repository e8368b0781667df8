"""Building again: what has not changed is not checked again, and what others wrote is not read."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from safebench.errors import InputError
from safebench.site import build
from safebench.site.cache import KEY_VARIABLE
from tests.site import made_by_code
from tests.site.made_by_code import Recipe
from tests.site.test_build import tree

RECIPES = [Recipe(name, prompts=8, repeats=1, seeds=(1, 2, 3)) for name in ("a", "b")]


@pytest.fixture(autouse=True)
def key(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(KEY_VARIABLE, "a key of this test")


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A board of two, a cache of it, and the site that was built with it."""
    root = tmp_path_factory.mktemp("made")
    for recipe in RECIPES:
        made_by_code.write_submission(root / "board" / "submissions", recipe)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv(KEY_VARIABLE, "a key of this test")
        assert build(root / "board", root / "site", cache=root / "cache").recalled == 0
    return root


@pytest.fixture
def again(made: Path, tmp_path: Path) -> Path:
    shutil.copytree(made, tmp_path / "again")
    return tmp_path / "again"


def rebuilt(root: Path) -> int:
    return build(root / "board", root / "site", cache=root / "cache").recalled


def records(root: Path) -> list[Path]:
    return sorted((root / "cache").glob("??/*"))


def test_one_changed_card_gives_the_bytes_of_a_whole_build(again: Path) -> None:
    before = tree(again / "site")
    assert rebuilt(again) == 2
    assert tree(again / "site") == before
    card = again / "board" / "submissions" / "b" / "card.yaml"
    card.write_text(card.read_text().replace("tiny-chat safe?", "tiny-chat kind?"))
    assert rebuilt(again) == 1
    changed = {n for n, content in tree(again / "site").items() if before.get(n) != content}
    assert "submissions/b.html" in changed and "submissions/a.html" not in changed
    assert not {n for n in changed if n.startswith("files/a/")}
    build(again / "board", again / "whole")
    assert tree(again / "whole") == tree(again / "site")
    assert len(records(again)) == 2  # the one of before is gone


def test_records_that_others_wrote_are_not_read(
    again: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first, second = records(again)
    content = bytearray(first.read_bytes())
    content[-1] ^= 1
    first.write_bytes(content)  # spoilt
    assert rebuilt(again) == 1
    first.write_bytes(second.read_bytes())  # of another submission
    assert rebuilt(again) == 1
    first.write_bytes(b"")
    assert rebuilt(again) == 1
    monkeypatch.setenv(KEY_VARIABLE, "somebody else's")
    assert rebuilt(again) == 0


def test_settings_of_the_board_and_its_log_decide_too(again: Path) -> None:
    (again / "board" / "board.yaml").write_text("title: Another\n")
    assert rebuilt(again) == 0
    (again / "site" / "submissions" / "a.html").write_text("edited by a reader")
    assert rebuilt(again) == 2
    assert "edited" not in (again / "site" / "submissions" / "a.html").read_text()


def test_a_cache_that_cannot_be_kept_is_an_error(again: Path) -> None:
    (again / "file").write_text("")
    with pytest.raises(InputError, match="no cache can be kept here"):
        build(again / "board", again / "new", cache=again / "file" / "cache")
    assert not (again / "new").exists()
