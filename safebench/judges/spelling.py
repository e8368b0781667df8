"""Whether a word could be English, by the triples of letters that common words have."""

from __future__ import annotations

import re
from functools import cache
from pathlib import Path

_LOWER = re.compile(r"[a-z]{2,}")


@cache
def _triples() -> frozenset[str]:
    """Return the triples of letters that common English words have; `_` is a word's boundary.

    letters.txt is built by tools/letters from the 20,000 commonest English words: a line for each
    pair of letters, with all letters that may follow it.
    """
    lines = Path(__file__).with_name("letters.txt").read_text(encoding="ascii").splitlines()
    return frozenset(pair + letter for pair, letters in map(str.split, lines) for letter in letters)


def misspelt(word: str) -> bool:
    """Tell whether a lower-case word has a triple of letters that no common English word has."""
    if not _LOWER.fullmatch(word):
        return False
    bounded, known = f"_{word}_", _triples()
    return any(bounded[i : i + 3] not in known for i in range(len(word)))
