"""Walks a folder that a person names, within bounds."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

from safebench.errors import InteropError, visible

MOST_ENTRIES = 100_000
MOST_DEPTH = 12


def walk(root: Path, fix: str, *, deep: bool = True) -> Iterator[Path]:
    """Yield every file below a folder, without hidden folders and links to folders.

    `fix` says what to give instead of a folder that is too large; not `deep`: its own files alone.

    Raises:
        InteropError: a folder cannot be read, or there are too many files.
    """
    entries = 0
    for folder, folders, files in os.walk(root, onerror=_unreadable):
        here = Path(folder)
        if not deep or len(here.relative_to(root).parts) >= MOST_DEPTH:
            folders.clear()
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        entries += len(folders) + len(files)
        if entries > MOST_ENTRIES:
            what = f"holds more than {MOST_ENTRIES:,} files and folders"
            raise InteropError(f"{visible(str(root))} {what}", fix=fix)
        yield from (here / name for name in sorted(files))


def leads_outside(file: Path, root: Path) -> bool:
    """Whether a file is a link to a file outside a folder; such links are not followed."""
    return file.is_symlink() and not file.resolve().is_relative_to(root.resolve())


def _unreadable(problem: OSError) -> None:
    what = f"{visible(str(problem.filename))} cannot be read: {problem.strerror}"
    raise InteropError(what, fix="check who may read the folder")
