"""The pages as files: well formed, whole without a script, within their budgets."""

from __future__ import annotations

import csv
import gzip
import hashlib
import html
import json
import re
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from safebench.analysis.correction import Corrected
from safebench.analysis.measures import Number
from safebench.card.results import key_of
from safebench.site.board import Board
from safebench.site.board_rows import BoardRow, RerunBadge, make_row
from safebench.site.families import ordered
from safebench.site.pages import Pages
from safebench.site.sources import read_submissions
from safebench.site.writing import listed
from tests.site.html_check import broken_links, read

INDEX_LIMIT, CARD_LIMIT, SCRIPT_LIMIT = 60_000, 150_000, 30_000
MOST_ELEMENTS = 1_400


def pages(site: Path) -> list[Path]:
    return sorted(site.rglob("*.html"))


def test_every_page_is_well_formed_and_its_links_resolve(site: Path) -> None:
    assert len(pages(site)) > 5
    for path in pages(site):
        page = read(path.read_text(encoding="utf-8"))
        assert page.problems == []
        assert broken_links(path, page) == []


def test_no_page_carries_code_or_asks_for_anything_from_elsewhere(site: Path) -> None:
    for path in pages(site):
        text = path.read_text(encoding="utf-8")
        page = read(text)
        attributes = {name for _, names in page.tags for name in names}
        assert not {name for name in attributes if name.startswith("on")} | (attributes & {"style"})
        assert ("style", ()) not in page.tags
        assert "default-src &#39;none&#39;" in text
        assert {tag for tag, names in page.tags if "src" in names} <= {"script"}
        assert all(not re.match(r"[a-z]+:", link) or "example.org" in link for link in page.links)


def test_the_first_page_is_whole_without_a_script(site: Path) -> None:
    text = (site / "index.html").read_text(encoding="utf-8")
    data = json.loads((site / "leaderboard.json").read_text())
    for entry in data["submissions"]:
        assert entry["title"] in text
        assert f".{entry['harm']['estimate']:.2f}".split(".")[-1] in text
    assert text.count("<button") == text.count('<button type="button" disabled')
    assert '<form class="tools" role="search" hidden>' in text
    assert text.count("aria-sort") == 1
    assert "<caption" in text
    assert "Listed below the line" in text
    assert "not rated" in text  # one seed


def test_a_submission_page_has_its_sections_and_withholds_texts(site: Path) -> None:
    path = site / "submissions" / "household.html"
    page = read(path.read_text(encoding="utf-8"))
    wanted = {"data", "hyperparameters", "seeds", "decoding", "judge", "evidence", "reruns"}
    assert wanted | {"model", "tasks", "prompting", "environment", "stability"} <= set(page.ids)
    for words in (
        "not reported: the original authors do not say",
        "out of memory in epoch 1",
        "texts of the responses are withheld",
        "Left out of the card",
        "does not apply",
    ):
        assert words in page.text
    assert not list(site.rglob("responses.parquet"))


def test_pictures_have_a_name_and_a_description(site: Path) -> None:
    text = (site / "submissions" / "household.html").read_text(encoding="utf-8")
    for picture in re.findall(r"<svg[^>]*role=\"img\".*?</svg>", text, flags=re.DOTALL):
        assert re.match(r"<svg[^>]*><title>[^<]+</title><desc>[^<]+</desc>", picture)


def test_sizes_stay_within_the_budgets(site: Path) -> None:
    assert (site / "index.html").stat().st_size <= INDEX_LIMIT
    scripts = [site / "static" / name for name in ("board.js", "rows.js")]
    assert sum(path.stat().st_size for path in scripts) <= SCRIPT_LIMIT
    for path in (site / "submissions").glob("*.html"):
        assert path.stat().st_size <= CARD_LIMIT


def full(row: BoardRow) -> BoardRow:
    """Return a row with everything that a row may have: a control, corrections, a rerun."""
    assert row.harm is not None and row.harm_base is not None
    fixed = Number(0.31, 0.12, 0.55, {"prompts": 36}, "Rogan-Gladen")
    scores = [s for s in (row.harm, row.over_refusal, row.capability) if s is not None]
    return replace(
        row,
        control=row.harm_base.model_copy(update={"condition": "control"}),
        corrected=tuple(Corrected(key_of(s), fixed, fixed, fixed) for s in scores),
        rerun=RerunBadge("inconclusive", 3, 1),
    )


@pytest.mark.parametrize("of", [replace, full])
def test_a_full_page_stays_within_the_budget_and_the_rest_follows(
    board: Path, of: Callable[[BoardRow], BoardRow]
) -> None:
    rows = [of(make_row(s)) for s in read_submissions(board)[0]] * 30
    names = {f"leaderboard.{n}": "0" * 64 for n in ("json", "jsonl.gz", "csv", "csv.gz", "parquet")}
    found = dict(Pages(Board()).board_pages(ordered(rows), names))
    assert list(found) == ["index.html", "board-2.html", "board-3.html"]
    assert [text.count('<tr class="row">') for text in found.values()] == [50, 50, 20]
    for text in found.values():
        assert len(text.encode()) <= INDEX_LIMIT
        assert len(read(text).tags) <= MOST_ELEMENTS


def test_the_scripts_data_is_what_the_page_shows(site: Path) -> None:
    core = json.loads((site / "data/v2/core.js").read_text().partition("=")[2][:-2])
    rest = json.loads((site / "data/v2/cols-board.js").read_text().partition("=")[2][:-2])

    def texts(given: list[list[str]] | str) -> list[str]:
        return given.split("\n") if isinstance(given, str) else [given[0][n] for n in given[1]]

    page = html.unescape((site / "index.html").read_text(encoding="utf-8"))
    entries = json.loads((site / "leaderboard.json").read_text())["submissions"]
    assert core["ids"].split("\n") == [entry["id"] for entry in entries]
    for key, given in core["main"].items():
        column = next(c for c in core["columns"] if c["key"] == key)
        main = texts(given)
        beside = texts((rest.get(key) or {"beside": [[""], [0] * core["total"]]})["beside"])
        assert len(main) == len(beside) == core["total"]
        if column.get("shown") and not column.get("plain"):
            for a, b in zip(main, beside, strict=True):
                assert (f"<b>{a}</b> {b}".strip() if a else f"<i>{b}</i>") in page
    listed = json.loads((site / "data/v2/index.json").read_text())["files"]
    assert {file["path"] for file in listed} == {
        f"data/v2/{name}.js" for name in ("core", "cols-board", "cols-more")
    }


def test_every_format_has_the_same_rows(site: Path) -> None:
    table = pq.read_table(site / "leaderboard.parquet")
    text = (site / "leaderboard.csv").read_bytes()
    assert gzip.decompress((site / "leaderboard.csv.gz").read_bytes()) == text
    lines = gzip.decompress((site / "leaderboard.jsonl.gz").read_bytes()).splitlines()
    assert [json.loads(line) for line in lines] == table.to_pylist()
    assert table.column_names == text.split(b"\n")[0].decode().split(",")


def test_downloads_carry_the_numbers_and_the_digests(site: Path) -> None:
    entries = json.loads((site / "leaderboard.json").read_text())["submissions"]
    with (site / "leaderboard.csv").open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    assert [r["id"] for r in rows] == [e["id"] for e in entries]
    assert len(rows) == 4
    assert [float(r["harm"]) for r in rows] == [e["harm"]["estimate"] for e in entries]
    assert {r["schema"] for r in rows} == {"safebench/leaderboard/2"}
    for row, entry in zip(rows, entries, strict=True):
        for name in ("lower", "lower_if_normal"):
            bound = (entry["stability"] or {}).get(name)
            assert row[f"stability_{name}"] == ("" if bound is None else repr(bound))
    there = {p.relative_to(site).as_posix() for p in site.rglob("*") if p.is_file()}
    assert set(listed(site)) == there - {"SHA256SUMS", ".safebench-site"}
    for name, digest in listed(site).items():
        assert hashlib.sha256((site / name).read_bytes()).hexdigest() == digest


@pytest.mark.parametrize("name", ["card.yaml", "outcomes.parquet"])
def test_published_evidence_is_the_submitters_own_file(board: Path, site: Path, name: str) -> None:
    original = board / "submissions" / "household" / name
    assert (site / "files" / "household" / name).read_bytes() == original.read_bytes()


def test_a_page_tells_what_is_its_own_from_what_its_family_shares(board: Path) -> None:
    entries = read_submissions(board)[0]
    rows = {one.id: make_row(one) for one in entries}
    pages = {one.id: Pages(Board()).submission(one, rows[one.id], {}) for one in entries}
    of_one = [id for id, row in rows.items() if row.family == rows["household"].family]
    assert len(of_one) > 1
    for id in of_one:
        before, _, after = pages[id].partition('<details class="more"><summary>What is its own')
        own, _, measured = after.partition("<summary>How it was measured")
        assert f"every entry of its family is: <bdi>{rows[id].family.words}</bdi>" in before
        assert all(f'id="{name}"' in own for name in ("data", "hyperparameters", "model", "seeds"))
        assert all(f'id="{name}"' in measured for name in ("decoding", "judge", "tasks"))
        assert "batch 16" in before.partition('<dl class="brief">')[2]
