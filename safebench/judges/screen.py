"""Which patterns could be found in a text, by its words alone: most need no search.

A pattern that finds something in a text finds one of certain strings there, "cannot" or "unable",
which are read off the pattern itself. A string without spaces lies within one word of the text, and
which patterns a word admits is looked up once for every word that occurs.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import reduce
from itertools import groupby
from operator import or_
from re import _constants, _parser  # type: ignore[attr-defined]
from typing import Any, Final

from safebench.judges.text import ByPiece

_MOST: Final = 200
"""More strings than this are not followed any further."""
Strings = frozenset[str]
_ANY: Final = Strings([""])


class Screen:
    """Patterns, numbered, and what says which of them could be found in a text."""

    def __init__(self, patterns: Sequence[re.Pattern[str]]) -> None:
        """Read off each pattern what it needs."""
        self._needed: dict[str, int] = {}
        for number, pattern in enumerate(patterns):
            for need in needed(pattern):
                self._needed[need] = self._needed.get(need, 0) | 1 << number
        self._always = self._needed.pop("", 0)
        by_letter = groupby(sorted(map(re.escape, self._needed)), lambda need: need[:2])
        self._some = re.compile("|".join(f"(?:{'|'.join(needs)})" for _, needs in by_letter))
        self._admitted = ByPiece(self._admits)

    def bits(self, text: str) -> int:
        """Return the patterns that could be found: bit n stands for the pattern number n."""
        return reduce(or_, filter(None, self._admitted.of(text.split())), self._always)

    def _admits(self, word: str) -> int:
        if not self._some.search(word):
            return 0
        return reduce(or_, (bits for need, bits in self._needed.items() if need in word), 0)


def needed(pattern: re.Pattern[str]) -> Strings:
    """Return strings without spaces, one of which is in whatever the pattern finds.

    What is not understood needs nothing, and says so: `{""}`.
    """
    return _read(_parser.parse(pattern.pattern, pattern.flags & ~re.UNICODE))[1]


def _read(parts: Any) -> tuple[Strings | None, Strings]:
    """Return all strings that a parsed pattern matches, if they are few, and those it needs."""
    run, best, whole = _ANY, _ANY, True
    for operation, value in parts:
        exact, needs = _read_one(operation, value)
        whole = whole and exact is not None and len(run) * len(exact) <= _MOST
        if exact is not None and len(run) * len(exact) <= _MOST:
            run = Strings(first + then for first in run for then in exact)
        else:
            run = exact or _ANY
        best = max(best, needs, _runs(run), key=_use)
    return (run if whole else None), best


def _read_one(operation: Any, value: Any) -> tuple[Strings | None, Strings]:
    match operation:
        case _constants.LITERAL:
            return Strings(chr(value)), _ANY
        case _constants.IN if all(kind is _constants.LITERAL for kind, _ in value):
            return Strings(chr(code) for _, code in value), _ANY
        case _constants.AT | _constants.ASSERT | _constants.ASSERT_NOT:
            return _ANY, _ANY
        case _constants.SUBPATTERN:
            return _read(value[-1])
        case _constants.BRANCH:
            read = [_read(one) for one in value[1]]
            known = [strings for strings, _ in read if strings is not None]
            few = Strings().union(*known) if len(known) == len(read) else None
            return few, _runs(Strings().union(*(each for _, each in read)))
        case _constants.MAX_REPEAT | _constants.MIN_REPEAT:
            least, most, body = value
            exact, needs = _read(body)
            if exact is not None and most == 1:
                return (exact if least else exact | _ANY), _ANY
            return None, (needs if least else _ANY)
    return None, _ANY


def _runs(strings: Strings) -> Strings:
    """Return the longest word of each string, without those that contain another."""
    runs = {max(string.split() or [""], key=len) for string in strings}
    return Strings(run for run in runs if not any(one != run and one in run for one in runs))


def _use(needs: Strings) -> tuple[int, int]:
    """The longer the shortest of them, the fewer words have one."""
    return min(map(len, needs), default=0), -len(needs)
