"""A board of several pages in a real browser: its order is the printed texts', over all entries."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from safebench.site.board import Board
from safebench.site.board_rows import BoardRow, make_row
from safebench.site.columns import DEFAULT
from safebench.site.extras import Whole
from safebench.site.families import Ordered, ordered
from safebench.site.pages import Pages
from safebench.site.publish import write_board
from safebench.site.sources import read_submissions
from safebench.site.writing import Writer
from tests.site.test_browser import settle

SIZE, PAGE = 130, 50


@pytest.fixture(scope="module")
def large(board: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Ordered]:
    """A board of many entries, with ties, and with numbers that were not measured."""
    rng = np.random.default_rng(0)
    rows = [make_row(one) for one in read_submissions(board)[0]]
    entries = ordered(other(rows[n % len(rows)], n, rng) for n in range(SIZE))
    out = tmp_path_factory.mktemp("large")
    write_board(Writer(out), Pages(Board()), Whole(entries, (), ()), None)
    return out, entries


def other(row: BoardRow, number: int, rng: np.random.Generator) -> BoardRow:
    shifted = {
        name: score and score.model_copy(update={"estimate": float(rng.integers(10)) / 10})
        for name, score in ((n, getattr(row, n)) for n in ("harm", "change", "capability"))
    }
    if number % 3 == 0:
        shifted["capability"] = None
    title = f"{rng.choice(['a', 'B', 'ç', '10', '9'])} {row.title}"
    return replace(row, id=f"{row.id}-{number}", title=title, **shifted)


@pytest.fixture
def tab(browser: Any, large: tuple[Path, Ordered]) -> Any:
    context = browser.new_context()
    page = context.new_page()
    page.goto(f"{large[0].as_uri()}/index.html")
    page.wait_for_function("() => window.safebench && window.safebench.rest.board")
    yield page
    context.close()


def ids(tab: Any) -> list[str]:
    links = tab.eval_on_selector_all("#board tr.row th a", "all => all.map(a => a.href)")
    return [link.rpartition("/")[2].removesuffix(".html") for link in links]


def in_order(entries: Ordered, value: Callable[[str], Any], key: str, is_up: bool) -> list[str]:
    """Return ids family by family, by what a column prints; what is not there comes last."""
    show = next(column.show for column in DEFAULT if column.key == key)
    found: list[str] = []
    groups = [[row for part in f.sections for row in part.rows] for f in entries.families]
    for rows in [*groups, list(entries.below)]:
        there = [row for row in rows if show(row).main]
        # Python keeps the order of equal ones, with `reverse` too.
        there.sort(key=lambda row: value(show(row).main), reverse=not is_up)
        found += [row.id for row in [*there, *(row for row in rows if not show(row).main)]]
    return found


def number(text: str) -> float:
    return float(text.replace("\u2212", "-").removeprefix("≥ "))


@pytest.mark.parametrize(
    ("key", "value"),
    [("harm", number), ("change", number), ("capability", number), ("title", str.lower)],
)
def test_every_column_sorts_all_entries_both_ways(
    tab: Any, large: tuple[Path, Ordered], key: str, value: Callable[[str], Any]
) -> None:
    for is_up in (True, False):
        tab.locator(f"#board th[data-key={key}] button").click()
        wanted = in_order(large[1], value, key, is_up)
        assert ids(tab) == wanted[:PAGE]
        tab.locator(".pager a", has_text="3").click()
        settle(tab, SIZE % PAGE)
        assert ids(tab) == wanted[2 * PAGE :]


def test_rows_that_stay_are_not_drawn_again_and_links_between_pages_follow(tab: Any) -> None:
    tab.fill("#filter", "tiny")
    row = tab.query_selector("#board tr.row")
    tab.fill("#filter", "tiny-chat")  # the same entries
    assert row.evaluate("row => row.isConnected")
    assert "q=tiny-chat" in tab.locator(".pager a").last.get_attribute("href")
    tab.fill("#filter", "safety data")
    assert not row.evaluate("row => row.isConnected")
