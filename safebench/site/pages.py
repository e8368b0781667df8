"""The pages: templates that escape everything and fail on a name that is not there."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import partial
from typing import Any

from safebench import __version__, words
from safebench.analysis.correction import Corrected, beside
from safebench.analysis.measures import Measure
from safebench.card.measured import MeasuredScore, cut_shares
from safebench.card.results import MOST_TRUNCATED
from safebench.checks import LEVELS
from safebench.site import against, submission_page, svg, text
from safebench.site.board import Board
from safebench.site.board_rows import MIN_SEEDS, BoardRow
from safebench.site.columns import DEFAULT, ON_PAGE
from safebench.site.environment import page_environment
from safebench.site.families import Ordered
from safebench.site.paging import board_pages, page_name
from safebench.site.shown import marks
from safebench.site.sources import Entry, LeftOut

_MINUS = "\u2212"
#: What a page may load: its own style sheet and script, nothing else.
POLICY = (
    "default-src 'none'; style-src 'self'; script-src 'self'; base-uri 'none'; form-action 'none'"
)
_MOST_NAMED = 20
"""Folders that are named on a page; all are in leaderboard.json."""
#: Further pages, as (file, words of the link): every page links to them in this order.
LINKS: tuple[tuple[str, str], ...] = (
    ("rules.html", "Rules and formulas"),
    ("registry.html", "Registry of runs"),
    ("compare.html", "Compare two entries"),
    ("submit.html", "How to submit"),
    ("feed.xml", "Feed"),
    ("CITATION.cff", "Cite the board"),
)
CONSTRUCTS = {c: words.capitalized(words.construct_name(c)) for c in words.CONSTRUCTS}


class Pages:
    """Renders the pages of one board."""

    def __init__(self, board: Board) -> None:
        self.board = board
        self._env = page_environment()
        self._env.globals.update(
            board=board,
            version=__version__,
            policy=POLICY,
            levels=LEVELS,
            constructs=CONSTRUCTS,
            columns=ON_PAGE,
            shown=DEFAULT,
            marks=marks,
            page_name=page_name,
            most_named=_MOST_NAMED,
            most_points=against.MOST_POINTS,
            min_seeds=MIN_SEEDS,
            place=lambda s, unit: words.where(s.condition, s.checkpoint, s.decoding, unit),
            cut_words=_cut_words,
            beside=_beside,
            links=LINKS,
        )
        self._env.filters.update(
            proportion=words.proportion,
            signed=partial(words.signed, minus=_MINUS),
            percent=partial(words.percent, digits=1),
            share=words.percent,
            count=words.count,
            number=words.number,
            plain=words.plain,
            construct_name=words.construct_name,
            list_words=words.listed,
            ticks=text.ticks,
            reported=text.reported,
            num=svg.num,
            read_out=svg.read_out,
        )

    def board_pages(
        self,
        entries: Ordered,
        downloads: dict[str, str],
        left_out: Sequence[LeftOut] = (),
        links: Sequence[tuple[str, str]] = (),
    ) -> Iterator[tuple[str, str]]:
        """Yield name and text of every page of the board.

        `downloads` maps a file's name to its sha256; `links` are further pages, with their words.
        """
        left = [one.name for one in left_out if not one.is_gone]
        gone = [one.name for one in left_out if one.is_gone]
        for page in board_pages(entries):
            text = self.render(
                "index.html",
                page=page,
                pictures=against.pictures(page) if page.number == 1 else [],
                entries=entries,
                total=len(entries.rows),
                downloads=downloads,
                left_out=left,
                gone=gone,
                links=links,
                root="",
            )
            yield page.name, text

    def index(
        self,
        entries: Ordered,
        downloads: dict[str, str],
        left_out: Sequence[LeftOut] = (),
    ) -> str:
        """Return the first page of the board."""
        return next(self.board_pages(entries, downloads, left_out))[1]

    def submission(self, submission: Entry, row: BoardRow, files: dict[str, str]) -> str:
        """Return the page of a submission: `files` maps published names to their sha256."""
        return self.render(
            "submission.html",
            **submission_page.context(submission, row, files, self.board),
            root="../",
        )

    def render(self, template: str, **context: Any) -> str:
        """Return a page of a template of this room."""
        return self._env.get_template(template).render(**context)


def _cut_words(score: MeasuredScore, base: MeasuredScore | None) -> str:
    """Return which shares of the responses were cut, where many of either were."""
    shares = cut_shares(score, base)
    if max(shares.values(), default=0.0) <= MOST_TRUNCATED:
        return ""
    return words.shares(shares)


def _beside(found: Corrected | None, part: str = "score") -> str:
    """Return what stands beside a number as judged: the corrected one, or that there is none."""
    value: Measure | None = None if found is None else getattr(found, part)
    return beside(value, is_change=part == "change", minus=_MINUS)
