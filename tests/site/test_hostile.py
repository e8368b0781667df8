"""Whatever a card says stays text: the elements of a page do not depend on it."""

from __future__ import annotations

import csv
import io
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from safebench.card.base import NotReported
from safebench.site import exports
from safebench.site.board import Board
from safebench.site.board_rows import make_row
from safebench.site.families import ordered
from safebench.site.pages import Pages
from safebench.site.sources import Entry, read_submissions
from safebench.site.text import clean
from tests.site.html_check import read

HOSTILE = [
    "<script>alert(1)</script>",
    "</title></h1><img src=x onerror=alert(1)>",
    "\" onmouseover='alert(1)' x=\"",
    "javascript:alert(1)",
    "{{ 7 * 7 }} {% raw %}",
    "]]><![CDATA[ --> <!-- ",
    "\u202egnp.exe\u202c \u200f \u2066x",
    "nul \x00 bell \x07 escape \x1b[31m",
    "lone \ud800 surrogate",
    "&lt;b&gt; &amp;amp; &#60;",
    '=HYPERLINK("http://evil.example")',
]


@pytest.fixture(scope="module")
def submission(board: Path) -> Entry:
    found = {s.id: s for s in read_submissions(board)[0]}
    return found["household"]


def _with(submission: Entry, text: str) -> Entry:
    """Put a text wherever a card may carry one."""
    card = submission.card
    plain = text.encode("utf-8", "replace").decode()  # no card is read with half a character
    who = card.submission.submitter.model_copy(
        update={"name": text, "organisation": text, "contact": text}
    )
    assert not isinstance(card.data, NotReported)
    sets = tuple(
        d.model_copy(update={"filtered_out": NotReported.model_construct(not_reported=text)})
        for d in card.data
    )
    card = card.model_copy(
        update={
            "submission": card.submission.model_copy(update={"title": text, "submitter": who}),
            "model": card.model.model_copy(
                update={"base": card.model.base.model_copy(update={"id": text})}
            ),
            "data": sets,
            "prompting": card.prompting.model_copy(update={"system_prompt": plain}),
        }
    )
    return Entry(card, submission.folder, submission.report, ())


def _render(submission: Entry, text: str) -> list[str]:
    writer = Pages(Board.model_construct(title=text, description=text))
    row = make_row(submission)
    files = {"card.yaml": "0" * 64}
    index = writer.index(ordered([row]), {"leaderboard.csv": "0" * 64})
    return [index, writer.submission(submission, row, files)]


def _check(submission: Entry, text: str) -> None:
    calm = text.count("/") * "a/" + "b"  # a model's name is shown in segments
    plain = _render(_with(submission, calm), calm)
    hostile = _render(_with(submission, text), text)
    for expected, found in zip(plain, hostile, strict=True):
        found.encode("utf-8")
        a, b = read(expected), read(found)
        assert b.problems == []
        assert b.tags == a.tags
        assert b.links == a.links


@pytest.mark.parametrize("text", HOSTILE)
def test_hostile_text_never_becomes_markup(submission: Entry, text: str) -> None:
    _check(submission, text)
    shown = _render(_with(submission, text), text)[1]
    assert clean(text).split("<")[0].strip() in read(shown).text


@settings(
    max_examples=25,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(text=st.text(min_size=1, max_size=60))
def test_any_text_never_becomes_markup(submission: Entry, text: str) -> None:
    _check(submission, text)


@given(st.text())
def test_clean_text_has_no_character_that_hides_or_reorders(text: str) -> None:
    shown = clean(text)
    shown.encode("utf-8")
    assert not {c for c in shown if c in "\u202e\u2066\x00\x1b"}
    assert clean(shown) == shown


@pytest.mark.parametrize("text", ["=1+1", "+1", "-1", "@x", "\t=1"])
def test_no_cell_of_the_csv_is_a_formula(submission: Entry, text: str) -> None:
    content = b"".join(exports.to_csv([make_row(_with(submission, text))])).decode("utf-8")
    row = next(csv.DictReader(io.StringIO(content)))
    assert row["title"] == f"'{text}"
    assert float(row["harm_change"]) == make_row(submission).change.estimate
