"""Paths as a repository knows them, which is where annotations are shown."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path


def repository_path(path: str) -> str | None:
    """Return a path from the repository's root, with `/`; None for a file outside of it.

    The root is GITHUB_WORKSPACE where that is set and holds the file, else the current folder.
    """
    file = whole_path(path)
    for root in (os.environ.get("GITHUB_WORKSPACE"), "."):
        for name, folder in _spellings(file, Path(root).absolute()) if root else ():
            if name.is_relative_to(folder):
                return name.relative_to(folder).as_posix()
    return None


def whole_path(path: str) -> Path:
    """Return a path from the top, without `..`; a link keeps its own name."""
    return Path(os.path.abspath(path))  # noqa: PTH100 - resolve() would follow the link


def _spellings(file: Path, root: Path) -> Iterator[tuple[Path, Path]]:
    """Yield both as they are, then without links: a working folder is often reached by one."""
    yield file, root
    yield file.parent.resolve() / file.name, root.resolve()
