"""Training examples: reading them from a file, with the digest that pins them."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from safebench.errors import TuningError
from safebench.files import sha256_of
from safebench.rows import read_rows
from safebench.tuning.render import as_rows, rendered_sha256
from safebench.tuning.shapes import Example, to_example


@dataclass(frozen=True)
class Examples:
    """Examples in the order of their file, with its digest."""

    examples: tuple[Example, ...]
    sha256: str
    """Digest of the whole file, whichever of its examples are here."""

    @cached_property
    def pairs(self) -> tuple[tuple[str, str], ...]:
        """Prompt and completion of every example as text."""
        return tuple(example.pair for example in self.examples)

    def __len__(self) -> int:
        return len(self.examples)


def read_examples(path: Path, *, allow_empty: bool = False) -> Examples:
    """Read JSON, JSON Lines, Parquet or CSV; shapes.py has the columns that are known.

    `allow_empty` accepts completions without text, as a model may write them.

    Raises:
        TuningError: no such file, not readable, or a row that is no example, with its place.
    """
    rows = ((str(at), row) for at, row in read_rows(path, TuningError))
    found = to_examples(rows, str(path), allow_empty=allow_empty)
    return Examples(found, sha256_of(path))


def to_examples(
    rows: Iterable[tuple[str, dict[str, Any]]], source: str, *, allow_empty: bool = False
) -> tuple[Example, ...]:
    """Return the examples of rows, both sides of all of them in one form.

    Raises:
        TuningError: a row that is no example, none at all, or texts and messages mixed.
    """
    found = tuple(to_example(row, where, allow_empty=allow_empty) for where, row in rows)
    if not found:
        raise TuningError(f"{source}: no examples", fix="give at least one")
    first = isinstance(found[0].prompt, str)
    for example in found:
        if isinstance(example.prompt, str) != first:
            raise TuningError(
                f"{example.where}: messages, where the first example has texts, or the reverse",
                fix="give all examples of a set in one form",
            )
    return found


__all__ = ["Examples", "as_rows", "read_examples", "rendered_sha256", "to_examples"]
