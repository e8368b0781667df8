"""Seals of finished work: what an unfinished run keeps is whole, and was made for this card.

A seal is a small file with one digest, of the card's study and of the bytes. It is written before
what it seals takes its place, so that a crash between the two leaves a seal of nothing.
"""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from urllib.parse import quote, unquote

from safebench.card.card import Card
from safebench.evidence.claim import same_study
from safebench.files import replace_file, sha256_of, sha256_of_folder

_SUFFIX = ".sha256"


class Seals:
    """The seals of one run's folder."""

    def __init__(self, folder: Path, work: Path) -> None:
        """Take the run's folder, and what is only an unfinished run's; nothing is touched yet."""
        self._folder, self._work, self._place = folder, work, work / "seals"
        self._study = ""

    def begin(self, card: Card) -> None:
        """Seal, and look at seals, for a card."""
        content = json.dumps(same_study(card), sort_keys=True)
        self._study = hashlib.sha256(content.encode()).hexdigest()

    def put(self, path: Path, made: Path | bytes | str) -> None:
        """Seal what is about to become `path`: a file or a folder, its bytes, or its digest."""
        replace_file(self._seal(path), self._digest(made).encode())

    @property
    def study(self) -> str:
        """The digest of the study of the card: work that has it belongs together."""
        return self._study

    def is_whole(self, path: Path) -> bool:
        """Tell whether something has a seal, which is its own, for this card."""
        try:
            return self._seal(path).read_bytes() == self._digest(path).encode()
        except OSError:
            return False

    def broken(self) -> list[Path]:
        """Return what is sealed and not whole, or finished and not sealed."""
        sealed = self._sealed()
        finished = (
            *(self._work / "responses").glob("*.parquet"),
            *(self._folder / "adapters").glob("*"),
        )
        # An adapter that a card lists has a seal of its own, below its training seed's folder.
        alone = [p for p in finished if not any(one.is_relative_to(p) for one in sealed)]
        return [p for p in sealed if p.exists() and not self.is_whole(p)] + sorted(alone)

    def is_anothers(self) -> bool:
        """Tell whether there are seals, and none is of this card's work."""
        there = [path for path in self._sealed() if path.exists()]
        return bool(there) and not any(map(self.is_whole, there))

    def _sealed(self) -> list[Path]:
        names = sorted(seal.stem for seal in self._place.glob(f"[!.]*{_SUFFIX}"))
        return [self._folder / unquote(name).removeprefix("/") for name in names]

    def _seal(self, path: Path) -> Path:
        # The slash, which a quoted name has no other of at its start, keeps it from being hidden.
        name = quote(f"/{path.relative_to(self._folder).as_posix()}", safe="")
        return self._place / f"{name}{_SUFFIX}"

    def _digest(self, made: Path | bytes | str) -> str:
        if isinstance(made, str):
            found = made
        elif isinstance(made, bytes):
            found = hashlib.sha256(made).hexdigest()
        else:
            found = sha256_of_folder(made) if made.is_dir() else sha256_of(made)
        return hashlib.sha256(f"{self._study} {found}".encode()).hexdigest()
