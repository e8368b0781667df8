"""Builds safebench/judges/letters.txt: which letters follow which two letters in English words.

`python -m tools.letters.build` writes the table from `words.txt` and the words in `TECHNICAL`.
`--check` only compares, and exits with 1 where the table in the source tree is another one.

`words.txt` comes from the English frequency list of pyspellchecker 0.9.1 (MIT): of its 20,000
commonest words of at least two letters a to z, those that hold a triple that no commoner word
holds, the commonest first. `--frequencies en.json.gz` chooses them again from that file, which
lies in the wheel as spellchecker/resources/en.json.gz.
"""

from __future__ import annotations

import argparse
import gzip
import hashlib
import json
import re
import sys
import textwrap
from collections import defaultdict
from collections.abc import Iterable
from pathlib import Path
from typing import Final

WORDS: Final = Path(__file__).parent / "words.txt"
TABLE: Final = Path(__file__).parents[2] / "safebench" / "judges" / "letters.txt"
FREQUENCIES_SHA256: Final = "2474a48af86fd81dccea9edd0bba6cd36dd2ecedc0ae217cefcb233bba28613c"
COMMONEST: Final = 20_000
# Words that a model's answer may well hold and that films' subtitles, which the frequencies were
# counted in, seldom do. The table of 2026-11-23 was made with such a list, which was not kept;
# these words give the same table.
TECHNICAL: Final = (
    "acronyms app apps browser calmness cpu etc faintness flashcards gpu html http https json kg "
    "linux mysql pdf sql stagehand stakeholder unbiased www"
)


def triples(word: str) -> set[str]:
    """Return the triples of letters in a word, its boundaries written as `_`."""
    bounded = f"_{word}_"
    return {bounded[i : i + 3] for i in range(len(bounded) - 2)}


def table(words: Iterable[str]) -> bytes:
    """Return the table of words: a line for each pair of letters, with all that may follow it."""
    followers: defaultdict[str, set[str]] = defaultdict(set)
    for word in words:
        for triple in triples(word):
            followers[triple[:2]].add(triple[2])
    lines = (f"{pair} {''.join(sorted(letters))}\n" for pair, letters in sorted(followers.items()))
    return "".join(lines).encode()


def shipped_words() -> list[str]:
    """Return the words that the table is built from."""
    return [*WORDS.read_text(encoding="ascii").split(), *TECHNICAL.split()]


def choose(frequencies: Path) -> str:
    """Return the text of `words.txt`, chosen from a frequency list; raises ValueError."""
    content = frequencies.read_bytes()
    if hashlib.sha256(content).hexdigest() != FREQUENCIES_SHA256:
        raise ValueError(f"{frequencies} is not the list of pyspellchecker 0.9.1")
    counts: dict[str, int] = json.loads(gzip.decompress(content))
    # The sort is stable, so that words that are equally common stay in the order of the list.
    ordered = [w for w in sorted(counts, key=lambda w: -counts[w]) if re.fullmatch("[a-z]{2,}", w)]
    known: set[str] = set()
    chosen = []
    for word in ordered[:COMMONEST]:
        if not triples(word) <= known:
            known |= triples(word)
            chosen.append(word)
    return textwrap.fill(" ".join(chosen), 100) + "\n"


def main() -> None:
    """Run the command."""
    parser = argparse.ArgumentParser(description="Build the table of letter triples.")
    parser.add_argument("--check", action="store_true", help="Compare, and write nothing.")
    parser.add_argument("--frequencies", type=Path, help="Choose the words from this list first.")
    options = parser.parse_args()
    if options.frequencies:
        WORDS.write_text(choose(options.frequencies), encoding="ascii")
    built = table(shipped_words())
    if not options.check:
        TABLE.write_bytes(built)
    elif built != TABLE.read_bytes():
        sys.exit(f"{TABLE} is not what the words give: build it again")


if __name__ == "__main__":
    main()
