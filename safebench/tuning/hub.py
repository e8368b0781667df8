"""Data sets of the Hub, at a pinned commit, as JSON Lines that a submission can carry."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any

from safebench.errors import TuningError
from safebench.models.quiet import quiet

_COMMIT = re.compile(r"[0-9a-f]{40}")


def check_pinned(name: str, revision: Any, split: str | None, pointer: str) -> None:
    """See that a commit and a split of a published set are named; raises TuningError."""
    if not isinstance(revision, str) or not _COMMIT.fullmatch(revision):
        raise TuningError(
            f"{pointer}.revision is not a 40-digit commit, so {name!r} could change unseen",
            fix="pin the commit of the set, or give a local `path`",
        )
    if split is None:
        raise TuningError(f"{pointer}.split is missing", fix="name the split, e.g. train")


def read_hub(name: str, revision: Any, split: str | None, pointer: str) -> Iterator[dict[str, Any]]:
    """Yield the rows of a published set, as far as JSON can hold their columns.

    Raises:
        TuningError: no commit or split is named, or the set cannot be loaded.
    """
    check_pinned(name, revision, split, pointer)
    found = _loaded(name, revision, split, pointer)
    for row in found:
        yield {column: value for column, value in row.items() if _is_plain(value)}


def _loaded(name: str, revision: str, split: str | None, pointer: str) -> Any:
    import datasets

    try:
        with quiet():
            return datasets.load_dataset(name, split=split, revision=revision)
    # The library, the network and the file formats below it raise whatever they like.
    except Exception as problem:
        lines = str(problem).strip().splitlines()
        raise TuningError(
            f"{pointer}: {name!r} at {revision}, split {split!r}, cannot be loaded: "
            f"{lines[0] if lines else type(problem).__name__}",
            fix="check id, revision and split; offline, fetch the set before or give a `path`",
        ) from problem


def _is_plain(value: Any) -> bool:
    if isinstance(value, list):
        return all(_is_plain(item) for item in value)
    if isinstance(value, dict):
        return all(isinstance(key, str) and _is_plain(item) for key, item in value.items())
    return value is None or isinstance(value, str | int | float | bool)


def as_lines(rows: list[dict[str, Any]]) -> bytes:
    """Return rows as JSON Lines: columns in their order, characters as they are."""
    try:
        return "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows).encode()
    except UnicodeEncodeError as problem:
        raise TuningError(
            "a text of the set holds half of a character (a lone surrogate)",
            fix="use a set whose texts are valid Unicode",
        ) from problem
