"""Whatever a card says stays text: the elements of a page do not depend on it."""

from __future__ import annotations

import csv
import io
import json
import shutil
import xml.etree.ElementTree as ElementTree
from dataclasses import replace
from functools import cache
from pathlib import Path

import pyarrow as pa
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from safebench.card.base import NotReported
from safebench.checks import CheckedCard
from safebench.evidence.board_log import LogLine
from safebench.evidence.tables import RESPONSES, make_table, write_table
from safebench.site import exports, extras
from safebench.site.board import Board
from safebench.site.board_rows import BoardRow, make_row
from safebench.site.families import ordered
from safebench.site.pages import Pages
from safebench.site.sources import Entry, LeftOut, read_place
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
    "</script><!--\u2028);alert(1)//",
    "zero\u200bwidth \ufeff\u2060 joiners \u200d \u200c soft\u00adhyphen \u3164",
]


@pytest.fixture(scope="module")
def submission(board: Path, tmp_path_factory: pytest.TempPathFactory) -> Entry:
    return of_its_own(board, tmp_path_factory.mktemp("hostile"))


def of_its_own(board: Path, folder: Path) -> Entry:
    """Return a submission in a folder where its responses may be written anew."""
    shutil.copytree(board / "submissions" / "household", folder / "household")
    found = read_place(folder / "household").entry
    assert found is not None
    _ = found.responses  # read before they are changed
    return found


def with_text(submission: Entry, text: str) -> Entry:
    """Put a text wherever a card, or its evidence, may carry one; responses are written anew."""
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
    evidence = card.evidence
    assert evidence is not None and isinstance(evidence.runs, tuple)
    runs = tuple(run.model_copy(update={"reason": text}) for run in evidence.runs)
    card = card.model_copy(
        update={
            "submission": card.submission.model_copy(update={"title": text, "submitter": who}),
            "model": card.model.model_copy(
                update={"base": card.model.base.model_copy(update={"id": text})}
            ),
            "data": sets,
            "prompting": card.prompting.model_copy(update={"system_prompt": plain}),
            "evidence": evidence.model_copy(update={"runs": runs, "response_policy": "public"}),
        }
    )
    entry = Entry(card, submission.folder, _found(submission.report, text), ())
    table = submission.outcomes
    for name, hit in (("category", "fraud"), ("prompt_id", "harm-024")):
        column = table[name].to_pylist()
        named = pa.array([plain if value == hit else value for value in column], pa.string())
        table = table.set_column(table.schema.get_field_index(name), name, named)
    # In the place where a cached property keeps what it has read.
    vars(entry)["outcomes"] = table
    assert submission.responses is not None
    said = submission.responses.to_pylist()
    for row in said:
        if row["prompt_id"] == "harm-024":
            row |= dict.fromkeys(("prompt_id", "prompt", "response"), plain)
    write_table(make_table(said, RESPONSES), entry.folder / "responses.parquet")
    return entry


def _found(report: CheckedCard, text: str) -> CheckedCard:
    """Put a text into what the check says of a card."""
    findings = tuple(replace(f, message=text, fix=text, pointer=text) for f in report.findings)
    return replace(report, findings=findings, missing_for_next=(text,))


def whole_board(submission: Entry, text: str) -> tuple[Pages, BoardRow, extras.Whole]:
    """Return a board of one submission, with a text in whatever else a board shows."""
    row = make_row(submission)
    line = LogLine.model_construct(kind="rerun", id=text, content="1" * 64, key=None)
    whole = extras.Whole(ordered([row]), [LeftOut(text, (text,))], [line], is_space=True)
    board = Board.model_construct(title=text, description=text, show_responses="folded")
    return Pages(board), row, whole


def render(submission: Entry, text: str) -> dict[str, str]:
    """Return every kind of page, of picture and of data for scripts."""
    writer, row, whole = whole_board(submission, text)
    made = dict(extras.board_files(writer, whole))
    made |= dict(extras.submission_files(writer, submission, row))
    pages = {name: text.decode() for name, text in made.items()}
    pages["index.html"] = writer.index(whole.entries, {"a.csv": "0" * 64}, whole.left_out)
    pages["submissions/household.html"] = writer.submission(
        submission, row, {"card.yaml": "0" * 64}
    )
    kinds = (".html", ".xml", ".svg", ".js")
    return {name: pages[name] for name in sorted(pages) if name.endswith(kinds)}


@cache
def _calm(submission: Entry, slashes: int) -> list[list[object]]:
    """Return the elements and links of every page where nobody means harm."""
    text = slashes * "a/" + "b"  # a model's name is shown in segments
    pages = map(read, render(with_text(submission, text), text).values())
    return [[page.tags, page.links] for page in pages]


def _check(submission: Entry, text: str) -> list[str]:
    shown = list(render(with_text(submission, text), text).values())
    for expected, found in zip(_calm(submission, text.count("/")), shown, strict=True):
        found.encode("utf-8")
        page = read(found)
        if "<html" in found:
            assert page.problems == []
        assert [page.tags, page.links] == expected
        if found.startswith(("<?xml", "<svg")):
            ElementTree.fromstring(found)  # noqa: S314 - ours, and no entity is declared
        if not found.startswith("safebench"):  # what is a script is read as one below
            continue
        head, _, data = found.partition("(")
        assert head in ("safebenchEntry", "safebenchNames")
        assert found.isascii() and "<" not in found
        json.loads(data.removesuffix(");\n"))  # and nothing else is in it
    return shown


@pytest.mark.parametrize("text", HOSTILE)
def test_hostile_text_never_becomes_markup(submission: Entry, text: str) -> None:
    shown = _check(submission, text)
    assert any(clean(text).split("<")[0].strip() in read(page).text for page in shown)


def test_texts_are_shown_as_they_are(submission: Entry) -> None:
    text = " ".join(HOSTILE)
    page = render(with_text(submission, text), text)["samples/household/1.html"]
    _, _, folded = page.partition("<details")
    plain = clean(text.encode("utf-8", "replace").decode())
    assert (
        read(folded).text.count(plain) == 10
    )  # six prompts have it for a category; id, prompt, two responses


@settings(
    max_examples=5,
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
    assert not {c for c in shown if c in "\u202e\u2066\x00\x1b\u200b\ufeff\u00ad\u3164"}
    assert clean(shown) == shown


@pytest.mark.parametrize("text", ["=1+1", "+1", "-1", "@x", "\t=1"])
def test_no_cell_of_the_csv_is_a_formula(submission: Entry, text: str) -> None:
    content = b"".join(
        exports.to_csv(exports.cells([make_row(with_text(submission, text))]))
    ).decode("utf-8")
    row = next(csv.DictReader(io.StringIO(content)))
    assert row["title"] == f"'{text}"
    assert float(row["harm_change"]) == make_row(submission).change.estimate
