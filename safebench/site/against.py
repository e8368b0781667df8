"""Harm against capability: a picture of every family on the first page, with the way from base."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass

from markupsafe import Markup

from safebench import words
from safebench.card.measured import MeasuredScore
from safebench.site import svg
from safebench.site.board_rows import BoardRow
from safebench.site.paging import BoardPage

_MOST_PICTURES, MOST_POINTS = 2, 20
"""On a page, which has a budget of bytes and of elements."""
_LEFT, _TOP, _SIDE = 42, 8, 220
_RING = "m-5 0a5 5 0 1 0 10 0a5 5 0 1 0-10 0"
_Pair = tuple[MeasuredScore | None, MeasuredScore | None]


@dataclass(frozen=True)
class Picture:
    """The entries of one family, those that stand first."""

    family: str
    drawn: Markup


def pictures(page: BoardPage) -> list[Picture]:
    """Return the pictures of a page: of families with two entries or more that have both numbers.

    Where a family measured capability in several ways, its entries stand on no common axis.
    """
    families: dict[str, list[BoardRow]] = {}
    for block in page.blocks:
        if block.family:
            families.setdefault(block.family, []).extend(block.rows)
    found: list[Picture] = []
    room = MOST_POINTS
    for family, rows in families.items():
        both = [row for row in rows if row.harm and row.capability]
        if min(len(both), room) < 2 or len(found) == _MOST_PICTURES:
            continue
        if any("capability" in row.unlike for row in both):
            continue
        found.append(Picture(family, _draw(both[:room])))
        room -= len(both[:room])
    return found


@dataclass(frozen=True)
class _Axis:
    """A scale over whole tenths that holds every interval."""

    low: float
    high: float
    at_low: int
    at_high: int

    @classmethod
    def over(cls, scores: Iterable[MeasuredScore | None], at_low: int, at_high: int) -> _Axis:
        there = [score for score in scores if score is not None]
        low = math.floor(10 * min(score.lower for score in there)) / 10
        high = math.ceil(10 * max(score.upper for score in there)) / 10
        return cls(low, max(high, low + 0.1), at_low, at_high)

    def __call__(self, value: float) -> str:
        share = (value - self.low) / (self.high - self.low)
        return svg.num(self.at_low + (self.at_high - self.at_low) * share)

    @property
    def ticks(self) -> list[tuple[str, str]]:
        """Places and labels of the ends, and of the middle."""
        values = (self.low, (self.low + self.high) / 2, self.high)
        return [(self(value), words.proportion(value)) for value in values]


def _draw(rows: list[BoardRow]) -> Markup:
    x = _Axis.over(
        (s for row in rows for s in (row.capability, row.capability_base)), _LEFT, _LEFT + _SIDE
    )
    y = _Axis.over((s for row in rows for s in (row.harm, row.harm_base)), _TOP + _SIDE, _TOP)
    tuned = [(row.capability, row.harm) for row in rows]
    base = [(row.capability_base, row.harm_base) for row in rows]
    places = [f"{x(a.estimate)} {y(b.estimate)}" if a and b else "" for a, b in tuned]
    starts = [f"{x(a.estimate)} {y(b.estimate)}" if a and b else "" for a, b in base]
    ways = [f"M{a}L{b}" for a, b in zip(starts, places, strict=True) if a]
    return svg.draw(
        "against",
        left=_LEFT,
        top=_TOP,
        side=_SIDE,
        across=x.ticks,
        up=y.ticks,
        count=len(rows),
        ways="".join(ways),
        base_ends=_ends(base, x, y),
        ends=_ends(tuned, x, y),
        base="".join(dict.fromkeys(f"M{start}{_RING}" for start in starts if start)),
        points=[
            (row, *place.split(), _label(row)) for row, place in zip(rows, places, strict=True)
        ],
    )


def _ends(pairs: Iterable[_Pair], x: _Axis, y: _Axis) -> str:
    """Return the intervals of both scores, each once: many entries have one base."""
    drawn = (
        f"M{x(a.lower)} {y(b.estimate)}H{x(a.upper)}M{x(a.estimate)} {y(b.lower)}V{y(b.upper)}"
        for a, b in pairs
        if a and b
    )
    return "".join(dict.fromkeys(drawn))


def _label(row: BoardRow) -> str:
    named = {
        "harm": row.harm,
        "capability": row.capability,
        "base harm": row.harm_base,
        "base capability": row.capability_base,
    }
    read = [f"{name} {svg.read_out(score)}" for name, score in named.items() if score]
    return f"{row.title}: {', '.join(read)}"
