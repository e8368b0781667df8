"""Cards that are unlike the usual one: plans, papers of others, untuned models, long texts."""

from __future__ import annotations

import csv
import json
from pathlib import Path
from typing import Any

import pytest

from safebench.site import build
from tests.site import made_by_code
from tests.site.html_check import read
from tests.site.made_by_code import Recipe

ABSENT = {"not_reported": "the paper does not say"}
SMALL = {"prompts": 12, "repeats": 1}


def built(root: Path, recipe: Recipe, **sections: object) -> tuple[str, str, dict[str, object]]:
    """Return index, page and entry of a submission whose card was changed."""
    folder = made_by_code.write_submission(root / "board" / "submissions", recipe)
    data = made_by_code.read_yaml(folder)
    for name, value in sections.items():
        if value is None:
            data.pop(name)
        else:
            data[name] = value
    made_by_code.write_card(folder, data)
    site = build(root / "board", root / "site").index.parent
    index = (site / "index.html").read_text(encoding="utf-8")
    page = (site / "submissions" / f"{recipe.id}.html").read_text(encoding="utf-8")
    assert read(index).problems == read(page).problems == []
    entry = json.loads((site / "leaderboard.json").read_text())["submissions"][0]
    return index, page, entry


def test_a_plan_is_listed_as_not_measured(tmp_path: Path) -> None:
    index, page, entry = built(tmp_path, Recipe(**SMALL), results=None, evidence=None)
    assert entry["harm"] is None
    assert entry["below_the_line"]
    assert index.count("not measured") >= 5
    assert "Listed below the line" in index
    assert "The card has no evidence" in page


def test_somebody_elses_paper_shows_what_it_leaves_out(tmp_path: Path) -> None:
    recipe = Recipe(**SMALL)
    submission = made_by_code.plan(recipe)["submission"] | {"relationship": "third_party"}
    index, page, entry = built(
        tmp_path,
        recipe,
        submission=submission,
        results=None,
        evidence=None,
        data=ABSENT,
        seeds=ABSENT,
        environment=ABSENT,
        hyperparameters=ABSENT,
    )
    assert page.count("not reported: the paper does not say") >= 4
    assert "describes somebody else’s work" in page
    assert "third party" in index
    assert "method not reported" in index
    assert entry["level"] == "incomplete"


def test_fewer_than_three_seeds_are_never_ranked(tmp_path: Path) -> None:
    index, page, entry = built(tmp_path, Recipe(seeds=(4, 5), **SMALL))
    assert entry["below_the_line"]
    assert "Recipes on" not in index
    assert "2 training seeds of at least 3" in index
    assert "at least" in page


def test_a_long_seed_list_and_many_categories_stay_within_the_budget(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    names = tuple(f"category_{i}" for i in range(44))
    monkeypatch.setattr(made_by_code, "CATEGORIES", names)
    _, page, _ = built(tmp_path, Recipe(seeds=tuple(range(1, 11)), prompts=88, repeats=3))
    assert page.count("category 4") >= 5
    assert len(page.encode()) <= 150_000


def test_long_words_without_a_break_are_kept_whole(tmp_path: Path) -> None:
    _, page, _ = built(tmp_path, Recipe(title="x" * 400, **SMALL))
    assert page.count("x" * 400) == 3  # heading, window title and citation


def test_numbers_without_evidence_are_marked_and_never_ranked(tmp_path: Path) -> None:
    index, page, entry = built(tmp_path, Recipe(**SMALL), evidence=None)
    assert entry["below_the_line"]
    assert "its numbers have no evidence" in index
    assert "its numbers cannot be recomputed" in page


def third_party(recipe: Recipe) -> dict[str, object]:
    return made_by_code.plan(recipe)["submission"] | {"relationship": "third_party"}


def results_of(root: Path, recipe: Recipe) -> dict[str, Any]:
    found = made_by_code.read_yaml(made_by_code.write_submission(root / "first", recipe))["results"]
    assert isinstance(found, dict)
    return found


def test_numbers_of_which_a_part_is_not_reported_are_not_called_unmeasured(tmp_path: Path) -> None:
    recipe = Recipe(**SMALL)
    results = results_of(tmp_path, recipe)
    incomplete = [s for s in results["scores"] if s["construct"] == "harm"]
    for score in incomplete:
        score.update(n=ABSENT, runs=ABSENT, stability=ABSENT)
    change = next(c for c in results["changes"] if c["construct"] == "capability")
    change.update(lower=ABSENT)
    index, page, entry = built(
        tmp_path, recipe, submission=third_party(recipe), results=results, evidence=None
    )
    assert entry["harm"] is None
    assert entry["over_refusal"] is not None
    assert entry["below_the_line"]
    assert index.count("not reported in full") == 2  # the change and stability
    assert page.count("not reported in full") == 2
    assert "stated without an interval" in index and "stated without an interval" in page
    assert f"{len(incomplete) + 1} numbers of the card are not shown" in page
    assert "not measured</span>" not in page and "<i>not measured" not in index


def test_a_page_without_one_whole_number_has_no_empty_table(tmp_path: Path) -> None:
    recipe = Recipe(**SMALL)
    results = results_of(tmp_path, recipe)
    for number in (*results["scores"], *results["changes"]):
        number.update(lower=ABSENT)
    _, page, entry = built(
        tmp_path, recipe, submission=third_party(recipe), results=results, evidence=None
    )
    assert entry["over_refusal"] is None
    assert "What was measured" in page
    assert "are not shown" in page
    for heading in ("All scores", "Change from the base model", ">Stability</h3>", "Run scores"):
        assert heading not in page


def test_a_stability_without_a_pair_of_seeds_is_shown_with_its_bound(tmp_path: Path) -> None:
    recipe = Recipe(**SMALL)
    results = results_of(tmp_path, recipe)
    for score in results["scores"]:
        if score["stability"]:
            score["stability"].update(lower=0.13, lower_if_normal=0.93, pairs_within=None, pairs=0)
    index, page, _ = built(
        tmp_path, recipe, submission=third_party(recipe), results=results, evidence=None
    )
    assert '<span class="big">.13</span><span class="sub">.93 if seeds spread normally' in page
    assert "<b>≥ .13</b> .93 if normal†</td>" in index
    with (tmp_path / "site" / "leaderboard.csv").open(encoding="utf-8", newline="") as file:
        (row,) = csv.DictReader(file)
    assert (row["stability_lower"], row["stability_lower_if_normal"]) == ("0.13", "0.93")
    assert "% of pairs of seeds within" not in page.replace("&nbsp;", " ")


def test_two_seeds_have_no_stability(tmp_path: Path) -> None:
    index, page, entry = built(tmp_path, Recipe(**SMALL, seeds=(100, 101)))
    assert isinstance(entry["stability"], dict)
    assert entry["stability"]["lower"] is entry["stability"]["lower_if_normal"] is None
    assert "<i>not rated</i>" in index
    assert "if normal" not in index
    assert "a bound needs three training seeds, and these are two" in page


def test_results_that_are_not_reported_are_none(tmp_path: Path) -> None:
    recipe = Recipe(**SMALL)
    index, page, entry = built(
        tmp_path, recipe, submission=third_party(recipe), results=ABSENT, evidence=ABSENT
    )
    assert entry["harm"] is None
    assert "not measured" in index
    assert "What was measured" not in page


def test_a_judge_that_no_revision_names_is_called_so(tmp_path: Path) -> None:
    recipe = Recipe(**SMALL)
    judge = made_by_code.plan(recipe)["judge"][0]
    alias = {"unpinnable": "the provider updates it under one name", "first_request": ABSENT}
    _, page, entry = built(
        tmp_path,
        recipe,
        submission=third_party(recipe),
        judge=[{**judge, "id": "lab/moderation", "revision": alias}],
        evidence=None,
    )
    assert "not reported: the paper does not say" in page
    assert "the provider updates it under one name" in page
    heading = entry["family"]["words"]  # type: ignore[index]
    assert heading.endswith("judged by lab/moderation (revision cannot be pinned)")


def test_evidence_that_leaves_things_out_says_so(tmp_path: Path) -> None:
    recipe = Recipe(**SMALL)
    evidence = made_by_code.read_yaml(made_by_code.write_submission(tmp_path / "first", recipe))[
        "evidence"
    ]
    evidence["response_policy"] = ABSENT
    for file in evidence["files"]:
        file["rows"] = ABSENT
    evidence["runs"][1].update(training_seed=ABSENT, reason=ABSENT)
    _, page, entry = built(tmp_path, recipe, evidence=evidence)
    assert "withheld (not reported: the paper does not say)" in page
    assert page.count('<td class="num">not reported: the paper does not say</td>') == 1
    assert page.count("<bdi>not reported: the paper does not say</bdi>") == 1
    assert "not_reported" not in page.replace("calibration: {not_reported: why}", "")  # a remedy
    assert entry["harm"] is not None
