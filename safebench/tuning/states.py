"""States inside a fine-tuning, from which an interrupted one goes on.

A state is a folder that a trainer fills, named after the step. It takes its place whole, the older
ones then go, and it is found again by whoever begins the same fine-tuning anew, after a kill, a
Ctrl-C or the loss of a worker alike. Nothing in it can run code: tensors are safetensors, the rest
is JSON.
"""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Collection, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from safebench.errors import RunError
from safebench.evidence.lock import LockedError, VanishedError, locked
from safebench.files import folder_at_once, sha256_of_folder

KEPT: Final = "kept"
"""Folder in a state for the weights of checkpoints that were reached before it."""
_ABOUT: Final = ".about.json"
"""What a state belongs to, and its digest; hidden, so that it is not part of what is digested."""
_NAME: Final = re.compile(r"step-([0-9]{1,15})")


@dataclass
class States:
    """The states of one fine-tuning."""

    folder: Path
    of: Mapping[str, Any]
    """What the fine-tuning follows from (protocol, condition, seed) and is done with; JSON."""
    seconds: float
    """Least time between two states."""
    began_at: int = 0
    """The step that training went on from; 0 where it began at the start."""

    def latest(self, files: Collection[str]) -> Path | None:
        """Return the newest state; None where there is none.

        Remove what is damaged, or has files other than `files` and `KEPT`: a library must not find
        a pickle there.

        Raises:
            RunError: it is of another protocol, or was made in another environment.
        """
        for begun in self.folder.glob(".*.*"):  # by a process that was killed
            shutil.rmtree(begun, ignore_errors=True)
        there = [p for p in self.folder.glob("step-*") if p.is_dir() and not p.is_symlink()]
        found = {int(m[1]): p for p in there if (m := _NAME.fullmatch(p.name))}
        for step in sorted(found, reverse=True):
            path = found[step]
            about = _read(path / _ABOUT)
            names = {one.name for one in path.iterdir()} - {_ABOUT, KEPT}
            if names == set(files) and about.get("sha256") == sha256_of_folder(path):
                self._check_same(path, about.get("of"))
                self.began_at = step
                return path
            shutil.rmtree(path)
        return None

    def _check_same(self, path: Path, of: Any) -> None:
        before = of if isinstance(of, dict) else {}
        changed = [
            f"{name} {before.get(name)} -> {value}"
            for name, value in self.of.items()
            if before.get(name) != value
        ]
        if changed:
            raise RunError(
                f"{path}: is the state of another fine-tuning ({'; '.join(changed)})",
                fix=f"go on as it was begun, or remove {self.folder} to train from the start",
            )

    @contextmanager
    def new(self, step: int) -> Iterator[Path]:
        """Give a folder to fill; it becomes the state of a step, and the others go."""
        path = self.folder / f"step-{step}"
        with folder_at_once(path) as scratch:
            yield scratch
            about = {"of": self.of, "sha256": sha256_of_folder(scratch)}
            (scratch / _ABOUT).write_text(json.dumps(about), encoding="utf-8")
        for other in self.folder.glob("step-*"):
            if other != path:
                shutil.rmtree(other)


@contextmanager
def alone(states: States | None) -> Iterator[States | None]:
    """Give states to one process at a time; None to others, which train without them.

    A worker that was given up because its node was not heard of may be at work yet.
    """
    if states is None:
        yield None
        return
    states.folder.mkdir(parents=True, exist_ok=True)
    with ExitStack() as stack:
        try:
            stack.enter_context(locked(states.folder / "lock"))
        except (LockedError, VanishedError):
            states = None
        yield states


def _read(path: Path) -> dict[str, Any]:
    try:
        found = json.loads(path.read_bytes())
    except (OSError, ValueError, RecursionError):
        return {}
    return found if isinstance(found, dict) else {}
