"""Files that are either old or new, never half-written; which lie in a folder; their digests."""

from __future__ import annotations

import hashlib
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path, PurePosixPath
from typing import BinaryIO

_IS_WINDOWS = os.name == "nt"
"""Windows opens no folder as a file, and syncs only files that are open for writing."""


def replace_file(path: Path, content: bytes) -> None:
    """Write a file so that a reader, or a crash, sees all of it or none."""
    with file_at_once(path) as file:
        file.write(content)


def write_private(path: Path, content: bytes) -> None:
    """Write a new file that its owner alone can read; raises FileExistsError where there is one."""
    path.parent.mkdir(parents=True, exist_ok=True)
    handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(handle, "wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
    sync_folder(path.parent)


@contextmanager
def file_at_once(path: Path) -> Iterator[BinaryIO]:
    """Give a file to write that becomes `path` when the block ends, and goes away if it fails."""
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        with os.fdopen(handle, "wb") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        Path(temporary).chmod(0o644)
        Path(temporary).replace(path)
    except BaseException:
        Path(temporary).unlink(missing_ok=True)
        raise
    sync_folder(path.parent)


@contextmanager
def folder_at_once(path: Path) -> Iterator[Path]:
    """Give a folder to fill that becomes `path` when the block ends, and goes away if it fails.

    `path` is not there, or is an empty folder.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    folder = Path(tempfile.mkdtemp(dir=path.parent, prefix=f".{path.name}."))
    try:
        yield folder
        folder.chmod(0o755)
        sync_tree(folder)
        if path.is_dir():
            path.rmdir()
        folder.rename(path)
        sync_folder(path.parent)
    except BaseException:
        shutil.rmtree(folder, ignore_errors=True)
        raise


def sync_folder(folder: Path) -> None:
    """Make renames in a folder durable, where the system can."""
    if _IS_WINDOWS:
        return
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def sync_tree(folder: Path) -> None:
    """Make everything in a folder durable, where the system can: its files, its folders, itself."""
    if _IS_WINDOWS:
        return
    for path in [*folder.rglob("*"), folder]:
        if path.is_dir():
            sync_folder(path)
        elif path.is_file():
            with path.open("rb") as file:
                os.fsync(file.fileno())


def link_missing(source: Path, target: Path) -> None:
    """Copy a folder's files that another has not, by hard links where the disk has them.

    Hidden files are left out. Nothing happens where there is no such folder.
    """
    if not source.is_dir():
        return
    for path in sorted(p for p in source.rglob("*") if p.is_file() and not p.name.startswith(".")):
        place = target / path.relative_to(source)
        if place.is_file():
            continue
        place.parent.mkdir(parents=True, exist_ok=True)
        try:
            os.link(path, place)
        except OSError:
            scratch = place.with_name(f".{place.name}.copy")
            shutil.copyfile(path, scratch)
            scratch.rename(place)
    if target.is_dir():
        sync_tree(target)


def inside(folder: Path, path: str) -> Path | None:
    """Return a path of a submission, or None if it leaves the folder, by name or by link.

    A folder leaves it where a link anywhere below does. Whatever opens a file that a card names
    asks here first: a card comes from a stranger, and its reader's machine holds other files.
    """
    pure = PurePosixPath(path)
    if pure.is_absolute() or ".." in pure.parts or "\\" in path or ":" in path or "\0" in path:
        return None
    try:
        root = folder.resolve()
        target = (root / pure).resolve()
        below = target.rglob("*") if target.is_dir() else ()
        links = [one.resolve() for one in below if one.is_symlink()]
    except (OSError, RuntimeError, ValueError):
        return None  # a name too long, or in no encoding; links in a ring
    return target if all(one.is_relative_to(root) for one in (target, *links)) else None


def leads_out(path: Path) -> bool:
    """Whether a file is a link to something that lies outside its folder."""
    return path.is_symlink() and path.exists() and inside(path.parent, path.name) is None


def sha256_of(path: Path) -> str:
    """Return the SHA-256 of a file's bytes, 64 hexadecimal digits."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def sha256_of_folder(folder: Path, names: tuple[str, ...] | None = None) -> str:
    """Return one digest of a folder's files: SHA-256 over `sha256  name` lines sorted by name.

    Hidden files and symbolic links are left out; `names` restricts it to files that are there.
    """
    files = sorted(
        p
        for p in folder.rglob("*")
        if p.is_file()
        and not p.is_symlink()
        and not p.name.startswith(".")
        and (names is None or p.relative_to(folder).as_posix() in names)
    )
    lines = "".join(f"{sha256_of(p)}  {p.relative_to(folder).as_posix()}\n" for p in files)
    return hashlib.sha256(lines.encode()).hexdigest()
