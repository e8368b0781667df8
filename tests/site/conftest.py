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
