"""Pages of the board: fifty entries each, in its order, with the headings they stand under."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from safebench.site.board_rows import BoardRow
from safebench.site.families import Ordered

PAGE_ROWS = 50
BELOW = "Listed below the line, with what is missing"


@dataclass
class Block:
    """Entries below one heading."""

    family: str
    """Named where it begins, and again at the top of a page; empty for entries of none."""
    heading: str
    size: int
    """How many stand below it on all pages."""
    rows: Sequence[BoardRow]


@dataclass
class BoardPage:
    """One page of the board."""

    number: int
    of: int
    blocks: list[Block] = field(default_factory=list)

    @property
    def name(self) -> str:
        """The name of its file."""
        return page_name(self.number)

    @property
    def links(self) -> list[int]:
        """Numbers of the pages it links to, in order."""
        return _near(self.number, self.of)


def _near(number: int, of: int) -> list[int]:
    """Return the pages that one of so many links to, in order: the ends, and those around it."""
    around = range(number - 2, number + 3)
    return sorted({1, of, *(n for n in around if 1 <= n <= of)})


def pager(number: int, names: Sequence[str]) -> list[tuple[int, str, bool]]:
    """Return number and file of every page to link to, and whether it is this one.

    `names` are those of all pages; nothing is returned where there is one alone.
    """
    near = _near(number, len(names)) if len(names) > 1 else []
    return [(n, names[n - 1], n == number) for n in near]


def page_name(number: int) -> str:
    """Return the name of a page's file."""
    return "index.html" if number == 1 else f"board-{number}.html"


def board_pages(entries: Ordered) -> Iterator[BoardPage]:
    """Yield every page; there is one even where there are no entries."""
    total = len(entries.rows)
    of = max(1, -(-total // PAGE_ROWS))
    page, room = BoardPage(1, of), PAGE_ROWS
    for family, heading, rows in _lists(entries):
        start = 0
        while start < len(rows):
            if not room:
                yield page
                page, room = BoardPage(page.number + 1, of), PAGE_ROWS
            part = rows[start : start + room]
            page.blocks.append(Block(family, heading, len(rows), part))
            start, room = start + len(part), room - len(part)
    yield page


def _lists(entries: Ordered) -> Iterator[tuple[str, str, Sequence[BoardRow]]]:
    for family in entries.families:
        for section in family.sections:
            yield family.name, section.heading, section.rows
    if entries.below:
        yield "", BELOW, entries.below
