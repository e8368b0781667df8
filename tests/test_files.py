"""What lies inside a folder, however it is written."""

from __future__ import annotations

from pathlib import Path

import pytest

from safebench.files import inside

LEAVES = {
    "parent": "../x",
    "up and down": "a/../../x",
    "absolute": "/etc/passwd",
    "a drive": "c:x",
    "backslash": "a\\b",
    "nul": "a\0b",
    "no encoding": "a\ud800",
    "a link out": "link",
    "below a link out": "link/x",
    "a link in a ring": "ring",
    "a folder with a link out": "folder",
    "a folder with a link out far below": ".",
}


@pytest.fixture
def home(tmp_path: Path) -> Path:
    folder = tmp_path / "s"
    (folder / "folder/deep").mkdir(parents=True)
    (folder / "fine").mkdir()
    (tmp_path / "secret").write_text("x")
    (folder / "link").symlink_to(tmp_path)
    (folder / "ring").symlink_to(folder / "ring")
    (folder / "folder/deep/model.safetensors").symlink_to(tmp_path / "secret")
    (folder / "fine/model.safetensors").symlink_to("../file")
    return folder


@pytest.mark.parametrize("path", LEAVES.values(), ids=LEAVES)
def test_no_path_leaves_the_folder(path: str, home: Path) -> None:
    assert inside(home, path) is None


@pytest.mark.parametrize("path", ["file", "fine", "fine/model.safetensors", "a/b/c", "./file"])
def test_what_lies_inside_is_inside_though_it_is_not_there(path: str, home: Path) -> None:
    found = inside(home, path)
    assert found is not None
    assert found.is_relative_to(home.resolve())


def test_a_folder_that_is_itself_a_link_is_where_it_leads(home: Path, tmp_path: Path) -> None:
    (tmp_path / "again").symlink_to(home)
    assert inside(tmp_path / "again", "file") == (home / "file").resolve()
