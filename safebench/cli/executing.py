"""What every command that executes a card does first: check the card, import the libraries."""

from __future__ import annotations

import gc
import os
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path

from safebench.card.card import Card
from safebench.card.io import load_card
from safebench.card.problems import NEWER
from safebench.checks import check
from safebench.checks.obstacles import obstacles
from safebench.errors import CardError, MissingDependencyError


@contextmanager
def needs_models(command: str) -> Iterator[None]:
    """Name the extra to install where an import in the block finds a library missing."""
    # The libraries print advice and notes on parallelism; what the user has set is kept.
    os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
    os.environ.setdefault("TRANSFORMERS_NO_ADVISORY_WARNINGS", "1")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # libraries warn about each other when imported
            yield
        _set_aside()
    except ModuleNotFoundError as problem:
        raise MissingDependencyError(
            f"`safebench {command}` needs {problem.name}, which is not installed",
            fix="pip install 'safebench[run]'",
        ) from problem


@cache
def _set_aside() -> None:
    """Exclude the half million objects of libraries, which stay, from garbage collection."""
    gc.freeze()


def load_sound_card(path: Path) -> Card:
    """Return a card that breaks no rule of severity error, its evidence included.

    A contradictory plan would spend hours on numbers that nobody can use, and a submission whose
    numbers contradict its evidence cannot be compared with. A card of a newer minor version is
    executed only if everything in it is known.

    Raises:
        CardError: it cannot be read, breaks a rule, or has fields or words of a newer version; each
            is named with its place.
    """
    findings = check(path).findings  # first, since it opens nothing that lies elsewhere
    card = load_card(path)
    new = [f for f in findings if f.rule == NEWER and f.pointer != "/spec"]
    if new:
        lines = [f"{path}:{f.line}:{f.column}: {f.message}" for f in new]
        raise CardError(
            "\n".join([f"{path} has parts that this version of safebench does not know", *lines]),
            fix="update safebench: a protocol without these parts is another protocol",
        )
    errors = [f for f in findings if f.severity == "error"]
    if errors:
        lines = [f"{path}:{f.line}:{f.column}: {f.rule}: {f.message}" for f in errors]
        raise CardError("\n".join(lines), fix=f"safebench validate {path} explains each")
    return card


def refuse_obstacles(path: Path, card: Card) -> None:
    """Check that a plan can be run here.

    Raises:
        CardError: it cannot; names every obstacle at once.
    """
    found = obstacles(card, path.parent)
    if found:
        lines = "\n".join(f"{path}: {one}" for one in found)
        raise CardError(lines, fix=f"safebench validate {path} lists the same")
