"""Files of the site beside the board, its data, and the page of each submission.

`board_files` is called once, when every submission has been read and dropped again: it sees the
small rows alone. `submission_files` is called for each submission while its evidence is loaded;
what it gives may depend on nothing else, since it is kept until a file of the submission changes.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from safebench.evidence.board_log import LogLine
from safebench.site import further_pages, space
from safebench.site.badge import badge
from safebench.site.board_rows import BoardRow
from safebench.site.citing import citation_file
from safebench.site.comparing import comparison_data, comparison_names
from safebench.site.families import Ordered
from safebench.site.pages import LINKS, Pages
from safebench.site.sample_pages import sample_pages
from safebench.site.sources import Entry, LeftOut

__all__ = ["LINKS", "Whole", "board_files", "submission_files"]


@dataclass(frozen=True)
class Whole:
    """The whole board, without evidence."""

    entries: Ordered
    left_out: Sequence[LeftOut]
    log: Sequence[LogLine]
    """Every line of the board's log, those of this build too."""
    is_space: bool = False
    """Whether the site is to be pushed as a static Space of the Hub."""


def board_files(pages: Pages, whole: Whole) -> Iterator[tuple[str, bytes]]:
    """Yield name and content of further files of the board."""
    rows = whole.entries.rows
    yield "rules.html", further_pages.rules(pages)
    yield "submit.html", further_pages.submit(pages)
    yield "compare.html", further_pages.compare(pages)
    yield "names.js", comparison_names(rows)
    yield from further_pages.registry(pages, rows, whole.log, whole.left_out)
    yield "feed.xml", further_pages.feed(pages, rows)
    yield "CITATION.cff", citation_file(pages.board, rows)
    if whole.is_space:
        yield from space.files(pages.board)


def submission_files(pages: Pages, entry: Entry, row: BoardRow) -> Iterator[tuple[str, bytes]]:
    """Yield name and content of further files of a submission: `badge/ID.svg`, `c/ID.js`.

    Pages of its texts too, `samples/ID/1.html`, where board and card agree to show any.
    """
    yield f"badge/{entry.id}.svg", badge(row)
    data = comparison_data(entry, row)
    if data is not None:
        yield f"c/{entry.id}.js", data
    yield from sample_pages(pages, entry, row.title)
