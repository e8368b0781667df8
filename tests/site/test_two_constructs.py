"""A task that measures two things, as XSTest does: each number is shown under its own name."""

from __future__ import annotations

import csv
import io
import json
import re
from pathlib import Path

import pytest

from safebench.card.io import load_card
from safebench.card.measured import MeasuredResults, MeasuredScore, complete_results
from safebench.card.results import find, key_of
from safebench.site import build
from safebench.site.charts import charts, seed_tables
from safebench.words import with_interval
from tests.site import made_by_code
from tests.site.made_by_code import Recipe

XSTEST = (
    ("safebench_xstest", "harm"),
    ("safebench_xstest", "over_refusal"),
    ("safebench_capability", "capability"),
)
CONSTRUCTS = ("harm", "over_refusal", "capability")


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("xstest")
    recipe = Recipe(id="xstest", prompts=24, repeats=1, seeds=(1, 2, 3), harm=0.8, tasks=XSTEST)
    made_by_code.write_submission(root / "board" / "submissions", recipe)
    return build(root / "board", root / "site").index.parent


@pytest.fixture(scope="module")
def results(site: Path) -> MeasuredResults:
    found = complete_results(load_card(site / "files" / "xstest" / "card.yaml"))
    assert found is not None
    return found


def primary(results: MeasuredResults, construct: str) -> MeasuredScore:
    estimand = next(p for p in results.primary if p.construct == construct)
    score = find(results.scores, key_of(estimand))
    assert score is not None
    return score


def test_the_two_constructs_differ_in_this_submission(results: MeasuredResults) -> None:
    harm, refusal = (primary(results, name).estimate for name in CONSTRUCTS[:2])
    assert harm > 0.5 > 0.2 > refusal


@pytest.mark.parametrize("construct", CONSTRUCTS)
def test_json_and_csv_hold_the_number_of_the_construct(
    site: Path, results: MeasuredResults, construct: str
) -> None:
    score = primary(results, construct)
    (entry,) = json.loads((site / "leaderboard.json").read_text())["submissions"]
    (row,) = csv.DictReader(io.StringIO((site / "leaderboard.csv").read_text()))
    wanted = (score.estimate, score.lower, score.upper)
    assert tuple(entry[construct][end] for end in ("estimate", "lower", "upper")) == wanted
    names = (construct, f"{construct}_lower", f"{construct}_upper")
    assert tuple(float(row[name]) for name in names) == wanted


@pytest.mark.parametrize("construct", CONSTRUCTS)
def test_board_and_page_show_the_number_of_the_construct(
    site: Path, results: MeasuredResults, construct: str
) -> None:
    score = primary(results, construct)
    shown = with_interval(score.estimate, score.lower, score.upper)
    for name in ("index.html", "submissions/xstest.html"):
        html = (site / name).read_text(encoding="utf-8").replace("&nbsp;", " ")
        text = re.sub(r"\s+", " ", re.sub(r"<[^>]+>", "", html))
        assert shown in text


def test_base_and_change_are_those_of_harm(site: Path, results: MeasuredResults) -> None:
    (entry,) = json.loads((site / "leaderboard.json").read_text())["submissions"]
    base = next(
        s
        for s in results.scores
        if (s.construct, s.condition, s.decoding) == ("harm", "base", "t07")
    )
    assert entry["harm_base"]["estimate"] == base.estimate
    assert entry["harm_change"]["construct"] == "harm"


def test_each_construct_is_marked_and_drawn_once(site: Path, results: MeasuredResults) -> None:
    page = (site / "submissions" / "xstest.html").read_text(encoding="utf-8")
    assert page.count('<tr class="primary">') == len(CONSTRUCTS)
    drawn = charts(load_card(site / "files" / "xstest" / "card.yaml"), results)
    assert [c.construct for c in drawn] == list(CONSTRUCTS)
    runs = {c.construct: {len(p.picture) for p in c.panels} for c in drawn}
    assert runs["harm"] != runs["over_refusal"]
    assert [t.construct for t in seed_tables(results)] == list(CONSTRUCTS)
    for table in seed_tables(results):
        assert {score.construct for score, _ in table.rows} == {table.construct}
