"""The picture of harm against capability: whom it shows, and that its text says the same."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from safebench.site.against import pictures
from safebench.site.board_rows import BoardRow, make_row
from safebench.site.families import ordered
from safebench.site.paging import BoardPage, board_pages
from safebench.site.sources import read_submissions
from safebench.site.svg import read_out


@pytest.fixture(scope="module")
def row(board: Path) -> BoardRow:
    rows = (make_row(one) for one in read_submissions(board)[0])
    return next(row for row in rows if row.id == "household")


def page(*rows: BoardRow) -> BoardPage:
    return next(board_pages(ordered(rows)))


def several(row: BoardRow, number: int, **changes: Any) -> list[BoardRow]:
    return [replace(row, id=f"{row.id}-{n}", **changes) for n in range(number)]


def test_every_point_is_a_named_link_joined_to_its_base(row: BoardRow) -> None:
    assert row.harm and row.capability and row.capability_base
    (one,) = pictures(page(*several(row, 3)))
    assert re.findall(r'href="submissions/(.*?)\.html"', one.drawn) == [
        f"household-{n}" for n in range(3)
    ]
    said = f"harm {read_out(row.harm)}, capability {read_out(row.capability)}, base harm "
    assert one.drawn.count(said) == 3
    way = re.search(r'<path d="(.*?)" class="way"/>', one.drawn)
    assert way and way[1].count("L") == 3
    (alone,) = pictures(page(*several(row, 2, capability_base=None)))
    assert 'd="" class="way"' in alone.drawn


@pytest.mark.parametrize(
    ("number", "changes"),
    [
        (1, {}),
        (3, {"capability": None}),
        (3, {"seeds": 1}),  # below the line, and so read against no other
    ],
)
def test_there_is_none_without_two_that_have_both(
    row: BoardRow, number: int, changes: dict[str, Any]
) -> None:
    assert not pictures(page(*several(row, number, **changes)))


def test_there_is_none_where_capability_was_measured_in_several_ways(row: BoardRow) -> None:
    first, second = several(row, 2)
    assert pictures(page(first, second))
    assert not pictures(page(first, replace(second, measured_by={"capability": "other"})))


def test_every_interval_lies_inside_and_a_large_family_costs_few_elements(row: BoardRow) -> None:
    assert row.harm
    extreme = row.harm.model_copy(update={"estimate": 1.0, "lower": 0.97, "upper": 1.0})
    (one,) = pictures(page(*several(row, 60), *several(replace(row, id="x"), 2, harm=extreme)))
    numbers = [float(n) for n in re.findall(r"[MHVL ](\d+\.?\d*)", " ".join(paths(one.drawn)))]
    assert numbers and min(numbers) >= 0 and max(numbers) <= 262
    assert one.drawn.count("<") - one.drawn.count("</") <= 80


def paths(drawn: str) -> list[str]:
    return re.findall(r'<path d="([^"]*)" class="(?:ci|way)', drawn)
