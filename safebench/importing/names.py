"""Names of models as programs write them, and as a card can: without a machine's own paths."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

COMMIT = re.compile(r"[0-9a-f]{40}\Z")
_CACHE = re.compile(r"models--([^/\\]+?)--([^/\\]+)[/\\]snapshots[/\\]([0-9a-f]{40})[/\\]?\Z")
_ABSOLUTE = re.compile(r"(/|~|\\\\|[A-Za-z]:[/\\])")
_SEED = re.compile(r"(?:^|[-_.])(?:seed|s)[-_=]?(\d{1,10})\Z", re.IGNORECASE)


@dataclass(frozen=True)
class ModelName:
    """A model's name for a card."""

    id: str
    revision: str | None = None
    """Commit, where the path names it."""
    of_machine: bool = False
    """Whether only the last part of an absolute path was kept."""


def model_name(text: str) -> ModelName:
    """Return what a card can say of a model that a program was given by name or path.

    A path into the cache of huggingface_hub names model and commit.
    """
    cached = _CACHE.search(text)
    if cached:
        return ModelName(f"{cached[1]}/{cached[2]}", cached[3])
    if _ABSOLUTE.match(text):
        last = re.split(r"[/\\]", text.rstrip("/\\"))[-1]
        return ModelName(last or text, of_machine=True)
    return ModelName(text)


def seed_in(folder: Path) -> tuple[int, str] | None:
    """Return the training seed that the name of a folder or of the one around it says.

    Names such as `seed-3`, `seed_3`, `run-seed3` and `s3` say it; the inner folder's counts first.
    """
    for part in reversed(Path.cwd().joinpath(folder).parts[-2:]):
        match = _SEED.search(part)
        if match and int(match[1]) < 2**32:
            return int(match[1]), part
    return None
