"""One file of a submission: an uncompressed tar archive, the same bytes on every machine.

Nothing is compressed: what compresses gives other bytes in another version of its library, and
what unpacks can be a bomb. Tables and weights, nearly all of a submission, are packed already.
"""

from __future__ import annotations

import shutil
import tarfile
import unicodedata
from collections.abc import Iterator
from pathlib import Path, PurePath, PurePosixPath
from typing import Any, BinaryIO, Final, Self

from safebench.card.card import Card
from safebench.card.write import plain
from safebench.errors import EvidenceError, RunError
from safebench.evidence.journal import JOURNAL_FILE
from safebench.evidence.manifest import check_files
from safebench.evidence.submission import CARD_FILE, Submission
from safebench.evidence.verdicts import VERDICT_FILE
from safebench.files import file_at_once, folder_at_once, inside

BESIDE: Final = (
    *(JOURNAL_FILE, VERDICT_FILE),
    *("registration.json", "signature.json", "signature.sigstore.json"),
)
"""What a submission may have that neither its card nor its manifest lists."""
MOST_FILES, MOST_BYTES = 100_000, 256 * 2**30
"""Bounds of an archive that is unpacked: its files, and its bytes."""
_BLOCK, _MOST_PADDING = 512, 2**20
_IN_USTAR: Final = 8 * 2**30
"""Sizes from here on have no room in the header's octal digits."""
_FORMAT: Final[dict[str, Any]] = {
    "format": tarfile.USTAR_FORMAT,
    "encoding": "utf-8",
    "errors": "strict",
}
_DEVICES: Final = frozenset(
    ["con", "prn", "aux", "nul", *(f"{port}{n}" for port in ("com", "lpt") for n in range(1, 10))]
)
"""Names that mean a device on Windows, whatever follows their first point."""


def pack(submission: Submission, out: Path) -> list[str]:
    """Write the archive of a submission; returns the names in it.

    Raises:
        EvidenceError: it has no evidence, a listed file is missing or another, or a name would not
            unpack on every system.
        RunError: `out` exists already.
    """
    if out.exists():
        raise RunError(f"{out}: exists already", fix="give --out a new file")
    names = sorted(names_of(submission))
    known = _Names()
    for name in names:
        known.add(name)
    with file_at_once(out) as file, tarfile.open(fileobj=file, mode="w", **_FORMAT) as archive:
        for name in names:
            _add(archive, name, submission.path(name))
    return names


def _add(archive: tarfile.TarFile, name: str, path: Path) -> None:
    member = tarfile.TarInfo(name)  # mode 0644; time and owner are 0
    member.size = path.stat().st_size
    archive.format = tarfile.USTAR_FORMAT if member.size < _IN_USTAR else tarfile.GNU_FORMAT
    try:
        with path.open("rb") as source:
            archive.addfile(member, source)
    except ValueError as problem:
        raise EvidenceError(f"{path}: {problem}", fix="give it a shorter path") from problem


def names_of(submission: Submission) -> set[str]:
    """Return the files that belong to a submission, its reruns included; nothing hidden.

    Raises:
        EvidenceError: it has no evidence, or a listed file is missing or another.
    """
    folder, evidence = submission.folder, submission.card.given_evidence
    if evidence is None:
        raise EvidenceError(f"{folder}: has no evidence", fix="give the folder of a submission")
    for problem in check_files(folder, evidence):
        raise EvidenceError(
            f"{folder / problem.path}: {problem.problem}",
            fix=f"safebench verify {folder} explains each problem",
        )
    found = {CARD_FILE, evidence.manifest, *(file.path for file in evidence.files)}
    for path in (*BESIDE, *named_paths(submission.card)):
        target, root = inside(folder, path), folder.resolve()
        if target is not None and target.exists():
            below = [target] if target.is_file() else target.rglob("*")
            relative = (p.relative_to(root) for p in below if p.is_file())
            found |= {p.as_posix() for p in relative if not _is_hidden(p)}
    for card in folder.glob(f"reruns/*/{CARD_FILE}"):
        rerun = card.parent.relative_to(folder)
        if inside(folder, rerun.as_posix()) is not None and not _is_hidden(rerun):
            found |= {f"{rerun.as_posix()}/{one}" for one in names_of(Submission.read(card.parent))}
    return {str(PurePosixPath(name)) for name in found}


def _is_hidden(path: PurePath) -> bool:
    return any(part.startswith(".") for part in path.parts)


def named_paths(card: Card) -> Iterator[str]:
    """Yield every `path` of a card outside its list of files: of data, weights, templates."""
    waiting: list[Any] = [plain(card.model_copy(update={"evidence": None}))]
    while waiting:
        one = waiting.pop()
        if isinstance(one, dict):
            path = one.get("path")
            if isinstance(path, str) and PurePosixPath(path).parts:  # never the whole folder
                yield path
            waiting += one.values()
        elif isinstance(one, list):
            waiting += one


def unpack(archive: Path, out: Path) -> list[str]:
    """Unpack an archive into a new folder, all of it or nothing; returns the names in it.

    Raises:
        EvidenceError: it is no such archive, is damaged, or has a name, a kind of entry or a size
            that none has.
        RunError: `out` exists already.
    """
    if out.exists() or out.is_symlink():
        raise RunError(f"{out}: exists already", fix="give --out a new folder")
    try:
        with archive.open("rb") as file, folder_at_once(out) as folder:
            return _unpack(file, folder)
    except (tarfile.TarError, ValueError, EvidenceError) as problem:
        raise EvidenceError(
            f"{archive}: not an archive of a submission ({problem})",
            fix="ask for one that `safebench pack` wrote",
        ) from problem


class _Entry(tarfile.TarInfo):
    """A header of a plain file; any other is refused before the library acts on it.

    So no link or device is ever made, and none of the extensions is read that make headers of any
    length, files with holes, or offsets that go backwards.
    """

    @classmethod
    def frombuf(cls, buf: Any, encoding: str, errors: str) -> Self:
        """Read a header of 512 bytes."""
        one = super().frombuf(buf, encoding, errors)
        if one.type != tarfile.REGTYPE or one.size < 0:
            raise EvidenceError(f"{one.name!r} is no plain file")
        return one


class _Names:
    """The names in an archive, none of which is in another's way on any file system."""

    def __init__(self) -> None:
        self._folders: dict[str, str] = {}
        self._files: set[str] = set()

    def add(self, name: str) -> None:
        """Take one more file; raises EvidenceError."""
        parts = name.split("/")
        if not all(map(_is_portable, parts)):
            raise EvidenceError(f"{name!r} is no name that a file can have on every system")
        *folders, file = ("/".join(parts[: n + 1]) for n in range(len(parts)))
        clash = _folded(file) in self._files or _folded(file) in self._folders
        for folder in folders:
            spelt = self._folders.setdefault(_folded(folder), folder)
            clash = clash or spelt != folder or _folded(folder) in self._files
        if clash:
            raise EvidenceError(f"{name!r} has the name of another file or folder")
        self._files.add(_folded(file))
        if len(self._files) > MOST_FILES:
            raise EvidenceError(f"more than {MOST_FILES:,} files")


def _folded(name: str) -> str:
    """Return a name as file systems see it that ignore case, or store accents in one form."""
    return unicodedata.normalize("NFC", unicodedata.normalize("NFC", name).casefold())


def _is_portable(part: str) -> bool:
    return (
        part.isprintable()
        and not part.startswith(".")  # also `.` and `..`
        and not part.endswith((".", " "))
        and part.partition(".")[0].casefold() not in _DEVICES
        and not set(part) & set('\\:*?"<>|')
        and 0 < len(part.encode()) <= 255
    )


def _unpack(file: BinaryIO, folder: Path) -> list[str]:
    size = file.seek(0, 2)
    if size > MOST_BYTES:
        raise EvidenceError(f"{size:,} bytes; at most {MOST_BYTES:,} are unpacked")
    file.seek(0)
    names, known, end = [], _Names(), 0
    with tarfile.open(fileobj=file, mode="r:", tarinfo=_Entry, **_FORMAT) as archive:
        for member in archive:
            known.add(member.name)
            names.append(member.name)
            target = folder / member.name
            target.parent.mkdir(parents=True, exist_ok=True)
            source = archive.extractfile(member)
            if source is not None:  # None for what is no file, which `_Entry` refused
                with target.open("xb") as written:
                    shutil.copyfileobj(source, written, 2**20)
            end = member.offset_data + -(-member.size // _BLOCK) * _BLOCK
    # The library takes a damaged header for the end.
    file.seek(end)
    rest = file.read(_MOST_PADDING + 1)
    if not 2 * _BLOCK <= len(rest) <= _MOST_PADDING or rest.strip(b"\0"):
        raise EvidenceError("something stands after its last file, or it is cut short")
    if CARD_FILE not in names:
        raise EvidenceError(f"holds no {CARD_FILE}")
    return names
