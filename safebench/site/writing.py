"""A site on disk: its files with their digests, and the one swap that publishes it.

Every folder has a SHA256SUMS of its own files and of the SHA256SUMS of the folders in it, so the
one at the top answers for everything, and a submission that changes rewrites its own alone.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import tempfile
from collections import defaultdict
from collections.abc import Iterable, Iterator
from pathlib import Path, PurePosixPath

from safebench.errors import InputError
from safebench.files import sha256_of

MARKER, SUMS = ".safebench-site", "SHA256SUMS"
_SMALL = 1_000_000
_MARK = "safebench leaderboard site, format 2\n"


class Writer:
    """Writes files of a site and remembers their digests."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.sums: dict[str, str] = {}
        self.size = 0
        self._made: set[Path] = set()

    def write(self, name: str, content: bytes) -> str:
        """Write a file and return its SHA-256."""
        self._place(name).write_bytes(content)
        self.sums[name] = hashlib.sha256(content).hexdigest()
        self.size += len(content)
        return self.sums[name]

    def write_pieces(self, name: str, pieces: Iterable[bytes]) -> str:
        """Write a file piece by piece, and return its SHA-256."""
        digest = hashlib.sha256()
        with self._place(name).open("wb") as file:
            for piece in pieces:
                file.write(piece)
                digest.update(piece)
            self.size += file.tell()
        self.sums[name] = digest.hexdigest()
        return self.sums[name]

    def copy(self, name: str, source: Path) -> str:
        """Copy a file, of any size, and return the SHA-256 of the copy."""
        if source.stat().st_size <= _SMALL:  # read once instead of twice
            return self.write(name, source.read_bytes())
        path = self._place(name)
        shutil.copyfile(source, path)
        self.sums[name] = sha256_of(path)
        self.size += path.stat().st_size
        return self.sums[name]

    def _place(self, name: str) -> Path:
        path = self.root / name
        if path.parent not in self._made:
            path.parent.mkdir(parents=True, exist_ok=True)
            self._made.add(path.parent)
        return path

    def add(self, sums: dict[str, str], size: int) -> None:
        """Note files that another process wrote into the same folder."""
        self.sums |= sums
        self.size += size

    def finish(self) -> None:
        """Write the lists of digests, from the innermost folder outwards, and the marker."""
        self.write(".nojekyll", b"")
        lines: dict[PurePosixPath, list[str]] = defaultdict(list)
        for name in sorted(self.sums):
            path = PurePosixPath(name)
            lines[path.parent].append(f"{self.sums[name]}  {path.name}\n")
            for folder in path.parents:
                _ = lines[folder]  # a folder of folders has a list too
        for folder in sorted(lines, key=lambda f: (-len(f.parts), f)):
            text = "".join(sorted(lines[folder], key=lambda line: line[66:]))
            (self.root / folder / SUMS).write_text(text, encoding="ascii")
            if folder.parts:
                digest = hashlib.sha256(text.encode("ascii")).hexdigest()
                lines[folder.parent].append(f"{digest}  {folder.name}/{SUMS}\n")
        (self.root / MARKER).write_text(_MARK, encoding="ascii")
        self.root.chmod(0o755)


def require_free(source: Path, out: Path) -> None:
    """Refuse to build over anything but an empty folder or a site of ours; raises InputError."""
    here, there = source.resolve(), out.resolve()
    if here == there or there in here.parents or here in there.parents:
        raise InputError(
            f"{out}: the site and the folder it is built from lie inside each other",
            fix="give --out a folder elsewhere",
        )
    if out.is_symlink() or (out.exists() and not out.is_dir()):
        raise InputError(f"{out}: is not a folder", fix="give --out a folder")
    if not out.exists() or not any(out.iterdir()):
        return
    if not (out / MARKER).is_file():
        raise InputError(
            f"{out}: is not empty and not a site built by safebench; it was left as it is",
            fix="give --out a new folder",
        )
    foreign = _foreign(out)
    if foreign:
        raise InputError(
            f"{out}: holds files that safebench did not write ({', '.join(foreign[:5])})",
            fix="move them elsewhere, or give --out a new folder",
        )


def _foreign(out: Path) -> list[str]:
    """Return files of a site that are in no list of it."""
    ours = {MARKER, SUMS, *listed(out)}
    return sorted(name for name in _files(out) if name not in ours)


def _files(out: Path) -> Iterator[str]:
    for folder, folders, names in os.walk(out):
        links = [name for name in folders if Path(folder, name).is_symlink()]
        for name in (*names, *links):
            yield Path(folder, name).relative_to(out).as_posix()


def listed(site: Path, folder: str = "") -> dict[str, str]:
    """Return every file that a site's lists name, with its SHA-256; a flat list is read too."""
    path = site / folder / SUMS
    text = path.read_text(encoding="utf-8") if path.is_file() else ""
    found: dict[str, str] = {}
    for line in text.splitlines():
        digest, _, name = line.partition("  ")
        found[f"{folder}{name}"] = digest
        inner = name.removesuffix(SUMS)
        if inner not in (name, "") and ".." not in PurePosixPath(inner).parts:
            found |= listed(site, f"{folder}{inner}")
    return found


def swap(work: Path, out: Path) -> Path | None:
    """Put the new site in the place of the old one, and return where the old one lies now.

    A failure puts the old one back.
    """
    if not out.exists():
        work.rename(out)
        return None
    old = Path(tempfile.mkdtemp(dir=out.parent, prefix=f".{out.name}.old."))
    os.replace(out, old)  # noqa: PTH105 - replaces the empty folder
    try:
        work.rename(out)
    except BaseException:
        os.replace(old, out)  # noqa: PTH105
        raise
    return old
