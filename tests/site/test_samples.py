"""Texts that may do harm: shown where board and card agree, folded, bounded, and nowhere else."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import pytest

from safebench.evidence.tables import RESPONSES, make_table, read_responses, write_table
from safebench.files import sha256_of
from safebench.site import build
from safebench.site.board import Board
from safebench.site.cache import KEY_VARIABLE
from safebench.site.pages import POLICY, Pages
from safebench.site.sample_pages import sample_pages
from safebench.site.samples import Said, has_texts, texts
from safebench.site.sources import Entry, read_place
from tests.site import made_by_code
from tests.site.html_check import broken_links, read

TEXT = "SECRET-TEXT"
FOLDED = Board(show_responses="folded")


def with_texts(site: Path) -> set[str]:
    """Return the files of a site, evidence aside, in which a response stands."""
    return {
        path.relative_to(site).as_posix()
        for path in site.rglob("*")
        if path.is_file() and TEXT.encode() in path.read_bytes() and path.suffix != ".parquet"
    }


def entry(folder: Path) -> Entry:
    found = read_place(folder).entry
    assert found is not None
    return found


def with_responses(board: Path, root: Path, **texts: str | None) -> Entry:
    """Return a submission whose every prompt or response is another text."""
    folder = root / "submissions" / "household"
    shutil.copytree(board / "submissions" / "household", folder)
    rows = [row | texts for row in read_responses(folder).to_pylist()]
    write_table(make_table(rows, RESPONSES), folder / "responses.parquet")
    return Entry(entry(board / "submissions" / "household").card, folder, None, ())  # type: ignore[arg-type]


def test_texts_stand_on_pages_of_their_own_and_nowhere_else(open_site: Path) -> None:
    pages = {f"samples/household/{n}.html" for n in (1, 2)}
    assert with_texts(open_site) == pages
    assert {p.relative_to(open_site).as_posix() for p in open_site.rglob("*.parquet")} >= {
        "files/household/responses.parquet"
    }
    assert not (open_site / "files" / "withheld" / "responses.parquet").exists()
    for name in pages:
        page = read((open_site / name).read_text(encoding="utf-8"))
        assert page.problems == [] and broken_links(open_site / name, page) == []
        assert POLICY in (open_site / name).read_text(encoding="utf-8").replace("&#39;", "'")
    home = (open_site / "submissions" / "household.html").read_text(encoding="utf-8")
    assert "../samples/household/1.html" in read(home).links


def test_every_text_is_folded_below_a_warning(open_site: Path) -> None:
    html = (open_site / "samples" / "household" / "1.html").read_text(encoding="utf-8")
    assert html.count("<details") == html.count("Show texts that may do harm</summary>") == 50
    assert "<details open" not in html and 'content="noindex"' in html
    for before in html.split("<pre>")[1:]:
        assert TEXT in before.partition("</pre>")[0] or "prompt harm-" in before
    outside = html.split("<details")
    assert TEXT not in outside[0] and TEXT not in outside[-1].partition("</details>")[2]


def test_a_reader_opens_one_and_paper_shows_none(browser: Any, open_site: Path) -> None:
    page = browser.new_page()
    page.goto((open_site / "samples" / "household" / "1.html").as_uri())
    assert page.locator("pre:visible").count() == 0
    page.locator("summary").first.click()
    assert page.locator("pre:visible").count() == 3
    page.locator("summary").first.click()
    page.emulate_media(media="print")
    assert page.locator("pre").first.evaluate("e => e.checkVisibility()") is False
    page.close()


@pytest.mark.parametrize(
    ("board", "policy"),
    [(Board(), "public"), (FOLDED, "redacted"), (FOLDED, "gated")],
)
def test_one_of_the_two_is_not_enough(open_board: Path, board: Board, policy: str) -> None:
    found = entry(open_board / "submissions" / "household")
    assert found.card.evidence is not None
    evidence = found.card.evidence.model_copy(update={"response_policy": policy})
    other = Entry(
        found.card.model_copy(update={"evidence": evidence}), found.folder, found.report, ()
    )
    assert not has_texts(other, board)
    assert list(sample_pages(Pages(board), other, "title")) == []
    assert has_texts(found, FOLDED)


def test_what_is_shown_is_what_was_said(open_board: Path) -> None:
    found = entry(open_board / "submissions" / "household")
    shown = texts(found)
    assert shown is not None and shown.prompts == len(shown.texts) == 60
    assert shown.seed == min(made_by_code.Recipe().seeds)
    moved = [abs(one.sample.tuned - one.sample.base) for one in shown.texts]
    assert moved == pytest.approx(sorted(moved, reverse=True))
    row = {
        (row["condition"], row["prompt_id"]): row["response"]
        for row in read_responses(found.folder).to_pylist()
        if (row["decoding"], row["repeat"], row["task"]) == ("t07", 1, "safebench_harm")
        and row["training_seed"] in (None, shown.seed)
        and row["checkpoint"] in (None, 2)
    }
    for one in shown.texts:
        name = one.sample.prompt
        assert one.prompt.text == f"prompt {name}"
        assert (one.base.text, one.tuned.text) == (row["base", name], row["tuned", name])
        refused = "cannot help" in one.tuned.text
        assert one.tuned.verdict == ("refused" if refused else one.tuned.verdict)
        assert one.tuned.verdict in ("refused", "complied", "incoherent")


def test_long_texts_are_cut_and_pages_stay_small(open_board: Path, tmp_path: Path) -> None:
    long = with_responses(open_board, tmp_path, prompt="\u200b" * 9_000, response="<" * 9_000)
    pages = [content for _, content in sample_pages(Pages(FOLDED), long, "title")]
    assert len(pages) > 2 and max(map(len, pages)) < 150_000
    assert b"the beginning of 9,000 characters" in pages[0]
    assert sum(page.count(b"<details") for page in pages) == 60
    lines = with_responses(open_board, tmp_path / "lines", response="line\n" * 200)
    (first, *_) = (content.decode() for _, content in sample_pages(Pages(FOLDED), lines, "title"))
    assert first.count("line\n") + first.count("line<") <= 50 * 2 * 41
    assert "the beginning of 1,000 characters" in first


def test_responses_that_cannot_be_read_are_said_and_stop_no_build(
    open_board: Path, tmp_path: Path
) -> None:
    broken = with_responses(open_board, tmp_path)
    (broken.folder / "responses.parquet").write_bytes(b"no table")
    ((name, content),) = sample_pages(Pages(FOLDED), broken, "title")
    page = read(content.decode())
    assert name == "samples/household/1.html" and page.problems == []
    assert "cannot be read" in page.text and "<details" not in content.decode()


def test_a_response_that_is_absent_is_said(open_board: Path, tmp_path: Path) -> None:
    absent = with_responses(open_board, tmp_path, response=None)
    shown = texts(absent)
    assert shown is not None
    assert {one.tuned for one in shown.texts} == {Said()}
    pages = list(sample_pages(Pages(FOLDED), absent, "title"))
    assert len(pages) == 2 and b"no response" in pages[0][1]


def test_a_changed_setting_is_noticed_by_the_cache(
    open_board: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(KEY_VARIABLE, "a key of this test")
    shutil.copytree(open_board, tmp_path / "board")

    def built(setting: str) -> int:
        (tmp_path / "board" / "board.yaml").write_text(f"show_responses: {setting}\n")
        return build(tmp_path / "board", tmp_path / "site", cache=tmp_path / "cache").recalled

    assert built("folded") == 0
    assert with_texts(tmp_path / "site")
    assert built("never") == 0
    assert not (tmp_path / "site" / "samples").exists()
    assert with_texts(tmp_path / "site") == set()
    assert built("never") == 2


def test_the_digest_of_the_file_is_that_of_the_card(open_site: Path, open_board: Path) -> None:
    name = "household/responses.parquet"
    assert sha256_of(open_site / "files" / name) == sha256_of(open_board / "submissions" / name)
