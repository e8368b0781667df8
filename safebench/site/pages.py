"""The pages: templates that escape everything and fail on a name that is not there."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import partial
from typing import Any

from safebench import __version__, words
from safebench.analysis.correction import Corrected, beside
from safebench.analysis.measures import Measure
from safebench.card.base import NotReported
from safebench.card.card import Card
from safebench.card.measured import MeasuredResults, MeasuredScore, complete_results, cut_shares
from safebench.card.results import MOST_TRUNCATED, find, key_of
from safebench.checks import LEVELS
from safebench.site import charts, fields, svg, text
from safebench.site.board import Board
from safebench.site.board_rows import MIN_SEEDS, BoardRow, primary
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
_SECTIONS = (
    *("data", "hyperparameters", "seeds", "decoding", "judge"),
    *("model", "tasks", "prompting", "environment", "submission"),
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
            min_seeds=MIN_SEEDS,
            place=lambda s, unit: words.where(s.condition, s.checkpoint, s.decoding, unit),
            cut_words=_cut_words,
            beside=_beside,
        )
        self._env.filters.update(
            proportion=words.proportion,
            signed=partial(words.signed, minus=_MINUS),
            percent=partial(words.percent, digits=1),
            share=words.percent,
            count=words.count,
            number=words.number,
            plain=words.plain,
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
            text = self._render(
                "index.html",
                page=page,
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

    def rules(self) -> str:
        """Return how every column's number is made, and what is read against what."""
        return self._render("columns.html", root="")

    def submission(self, submission: Entry, row: BoardRow, files: dict[str, str]) -> str:
        """Return the page of a submission: `files` maps published names to their sha256."""
        report = submission.report
        missing = (
            (row.standing.missing,) if report.level == "replicated" else report.missing_for_next
        )
        return self._render(
            "submission.html",
            **_context(submission),
            row=row,
            missing=[item for item in missing if item],
            files=files,
            root="../",
        )

    def _render(self, template: str, **context: Any) -> str:
        return self._env.get_template(template).render(**context)


def _context(submission: Entry) -> dict[str, Any]:
    """Return what the template of a submission's page shows."""
    card = submission.card
    results = complete_results(card)
    harm = primary(results, "harm")
    rows = []
    if harm and submission.card.given_evidence is not None:
        rows = charts.by_category(submission.outcomes, harm)
    return {
        "s": submission,
        "card": card,
        "results": results,
        "left_out": _left_out(card, results),
        "harm": harm,
        "worst": _worst_decoding(results, harm) if results and harm else None,
        "is_primary": lambda results, score: find(results.primary, key_of(score)) is not None,
        "scores": charts.by_task(results.scores) if results else [],
        "changes": charts.by_task(results.changes) if results else [],
        "charts": charts.charts(card, results) if results else [],
        "seed_tables": charts.seed_tables(results) if results else [],
        "categories": rows,
        "sections": _sections(card),
        "runs": _runs(card),
    }


def _worst_decoding(results: MeasuredResults, harm: MeasuredScore) -> MeasuredScore:
    """Return the worst score over decodings, everything else being that of a score."""
    place = key_of(harm)
    same = [s for s in results.scores if key_of(s)._replace(decoding=harm.decoding) == place]
    return max(same, key=lambda score: score.estimate, default=harm)


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


def _left_out(card: Card, shown: MeasuredResults | None) -> int:
    """Return how many numbers of the card are incomplete and so are not shown."""
    given = card.given_results
    if given is None or shown is None:
        return 0
    return len(given.scores) + len(given.changes) - len(shown.scores) - len(shown.changes)


def _sections(card: Card) -> list[tuple[str, str, fields.FieldTable]]:
    """Return anchor, heading and table of every section of the protocol, the mandatory first."""
    tables = {name: fields.table(getattr(card, name)) for name in _SECTIONS}
    tables["hyperparameters"] = fields.table(card.hyperparameters, first=("objective", "method"))
    tables["submission"] = fields.table(card.submission, skip=("title",))
    if not isinstance(card.tasks, NotReported):  # bare names become entries
        tables["tasks"] = fields.table(card.task_list())
    return [(name, name.capitalize(), table) for name, table in tables.items()]


def _runs(card: Card) -> Any:
    """Return registered runs, or the reason why they are not reported."""
    evidence = card.given_evidence
    if evidence is None:
        return "the card has no evidence"
    runs = evidence.runs
    return f"not reported: {runs.not_reported}" if isinstance(runs, NotReported) else runs
