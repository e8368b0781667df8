"""Files of the site beside the board, its data, and the page of each submission.

`board_files` is called once, when every submission has been read and dropped again: it sees the
small rows alone. `submission_files` is called for each submission while its evidence is loaded;
what it gives may depend on nothing else, since it is kept until a file of the submission changes.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from safebench.evidence.board_log import LogLine
from safebench.site.board_rows import BoardRow
from safebench.site.families import Ordered
from safebench.site.pages import Pages
from safebench.site.sources import Entry, LeftOut

#: Further pages, as (file, words of the link): the first page links to them in this order.
LINKS: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True)
class Whole:
    """The whole board, without evidence."""

    entries: Ordered
    left_out: Sequence[LeftOut]
    log: Sequence[LogLine]
    """Every line of the board's log, those of this build too."""


def board_files(pages: Pages, whole: Whole) -> Iterator[tuple[str, bytes]]:
    """Yield name and content of further files of the board."""
    yield from ()


def submission_files(pages: Pages, entry: Entry, row: BoardRow) -> Iterator[tuple[str, bytes]]:
    """Yield name and content of further files of a submission: `badge/ID.svg`."""
    yield from ()
