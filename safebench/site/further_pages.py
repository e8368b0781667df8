"""The pages beside the board: rules and formulas, registry, how to submit, comparison; the feed."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from safebench.checks import all_rules
from safebench.evidence.board_log import LogLine
from safebench.resources import spec_dir
from safebench.site.board_rows import BoardRow
from safebench.site.pages import Pages
from safebench.site.paging import pager
from safebench.site.sources import LeftOut
from safebench.site.submission_page import verdict_sentence
from safebench.words import count, listed, number

LINES_A_PAGE = 100
"""Lines of a page of the registry: at most 1,400 elements, as on a page of the board."""
_NEWEST = 50
"""Entries of the feed."""
_LINK = re.compile(r"\[([^\]]*)\]\([^)]*\)")
_NO_XML = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


def rules(pages: Pages) -> bytes:
    """Return the page of rules and formulas: the columns' own, and the words of the standard."""
    return _page(
        pages,
        "rules.html",
        level_rows=spec_table("levels.md", "| level | a card has it when |"),
        reading_rows=spec_table("reading.md", "| | where | the word |"),
        rules=list(all_rules().values()),
    )


def submit(pages: Pages) -> bytes:
    """Return the page that says how to submit."""
    return _page(pages, "submit.html")


def compare(pages: Pages) -> bytes:
    """Return the page that compares any two entries."""
    return _page(pages, "compare.html")


def _page(pages: Pages, template: str, **context: object) -> bytes:
    return pages.render(template, root="", **context).encode()


def spec_table(page: str, head: str) -> list[list[str]]:
    """Return the rows of the table of a page of the standard that begins with a line."""
    text = (spec_dir() / "v1" / page).read_text(encoding="utf-8")
    _, found, rest = text.partition(f"{head}\n")
    if not found:
        raise ValueError(f"{page} has no table {head!r}")
    rows = []
    for line in rest.split("\n")[1:]:
        if not line.startswith("|"):
            break
        rows.append([_LINK.sub(r"\1", cell).strip() for cell in line.strip("|").split("|")])
    return rows


@dataclass(frozen=True)
class Registered:
    """A line of the board's log, for a reader; or an entry that is in no log."""

    id: str
    page: str | None
    """The page of the entry, where there is one."""
    status: str
    number: int | None = None
    """None where it is in no log."""
    kind: str = "submission"
    content: str = ""
    key: str = ""
    runs: str = ""


def registry(
    pages: Pages, rows: Sequence[BoardRow], log: Sequence[LogLine], left_out: Sequence[LeftOut]
) -> Iterator[tuple[str, bytes]]:
    """Yield the pages of the registry: every line of the log, the oldest first.

    Entries without evidence, which are in no log, come last.
    """
    by_id = {row.id: row for row in rows}
    last = {(line.kind, line.id): at for at, line in enumerate(log)}
    gone = {one.name for one in left_out}
    lines = [
        _registered(at, line, by_id, is_last=last[line.kind, line.id] == at, gone=gone)
        for at, line in enumerate(log)
    ]
    unlogged = (row.id for row in rows if ("submission", row.id) not in last)
    lines += [
        Registered(one, f"submissions/{one}.html", "published without evidence, and so not logged")
        for one in unlogged
    ]
    parts = [lines[at : at + LINES_A_PAGE] for at in range(0, len(lines), LINES_A_PAGE)] or [[]]
    names = ["registry.html", *(f"registry-{n}.html" for n in range(2, len(parts) + 1))]
    for at, (name, part) in enumerate(zip(names, parts, strict=True), start=1):
        yield (
            name,
            _page(
                pages,
                "registry.html",
                lines=part,
                number=at,
                pager=pager(at, names),
                total=len(log),
            ),
        )


def _registered(
    at: int, line: LogLine, rows: Mapping[str, BoardRow], *, is_last: bool, gone: set[str]
) -> Registered:
    home = rows.get(line.id.partition("/")[0])
    if line.kind == "registration":
        status = "registered before it was run"
    elif line.id in gone or home is None:
        status = "not there any more"
    else:
        status = "published" if is_last else "replaced by a later version"
    shown = home is not None and line.kind == "submission" and is_last and line.id not in gone
    return Registered(
        number=at + 1,
        kind=line.kind,
        id=line.id,
        content=line.content[:12],
        key="" if line.key is None else line.key[:12],
        page=None if home is None else f"submissions/{home.id}.html",
        status=status,
        runs=_runs(home.begun) if shown and home is not None else "",
    )


def _runs(begun: Mapping[str, int]) -> str:
    if not begun:
        return "none registered"
    parts = [f"{number(begun[word])} {word}" for word in sorted(begun)]
    return f"{count(sum(begun.values()), 'run')}: {listed(parts)}"


def feed(pages: Pages, rows: Sequence[BoardRow]) -> bytes:
    """Return the Atom feed of the newest entries, by the dates of their cards (RFC 4287)."""
    dated = sorted(rows, key=lambda row: (row.date or "", row.id), reverse=True)[:_NEWEST]
    text = pages.render(
        "feed.xml",
        rows=[(row, verdict_sentence(row)) for row in dated],
        updated=next((row.date for row in dated if row.date), None) or "1970-01-01",
        root="",
    )
    return _NO_XML.sub("\ufffd", text).encode()
