"""A board built once for all tests that only read it."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from safebench.site import build
from tests.site import made_by_code
from tests.site.made_by_code import Recipe


@pytest.fixture(scope="session")
def board(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with four submissions and one rerun."""
    return made_by_code.board(tmp_path_factory.mktemp("board") / "board")


@pytest.fixture(scope="session")
def site(board: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The site built from it."""
    out = tmp_path_factory.mktemp("site") / "sub" / "path"
    build(board, out)
    return out


@pytest.fixture(scope="session")
def open_board(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A board that shows responses, and two submissions, of which one has public ones."""
    root = tmp_path_factory.mktemp("open") / "board"
    home = made_by_code.write_submission(root / "submissions", Recipe(prompts=60, repeats=2))
    given = made_by_code.read_yaml(home)["evidence"] | {"response_policy": "public"}
    made_by_code.edit_card(home, evidence=given)
    made_by_code.write_submission(root / "submissions", Recipe("withheld", seeds=(1, 2, 3)))
    (root / "board.yaml").write_text("show_responses: folded\n", encoding="utf-8")
    return root


@pytest.fixture(scope="session")
def open_site(open_board: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The site built from it."""
    out = tmp_path_factory.mktemp("open-site") / "site"
    build(open_board, out)
    return out


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    path = shutil.which("chromium") or shutil.which("chromium-browser")
    if path is None:
        if os.environ.get("CI") == "true":
            pytest.fail("CI=true and there is no chromium: apt-get install chromium")
        pytest.skip("no chromium here: the site is not tried in a browser")
    from playwright import sync_api as api  # of the extra [dev], as pytest is

    with api.sync_playwright() as running:
        started = running.chromium.launch(executable_path=path, args=["--no-sandbox"])
        yield started
        started.close()
