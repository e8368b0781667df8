"""Judge error on the board, on a submission's page, in its downloads and in other formats."""

from __future__ import annotations

import csv
import json
import re
from pathlib import Path

import pytest

import safebench
from safebench.analysis.report import make_report
from safebench.card.judge import Calibration
from safebench.evidence.manifest import describe_files, write_manifest
from safebench.evidence.submission import Submission
from safebench.exporting.interface import Options, write_export
from safebench.site.publish import build
from safebench.study.calibrating import open_card, store
from safebench.words import proportion
from tests.analysis.test_judges import two_judges
from tests.site.made_by_code import TASKS, Recipe, write_card, write_submission

GOOD = {"positives": 40, "found": 36, "negatives": 60, "cleared": 57, "n": 100, "kappa": 0.86}


@pytest.fixture(scope="module")
def board(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("board")
    (root / "board.yaml").write_text("title: Test\n", encoding="utf-8")
    for name in ("plain", "known"):
        recipe = Recipe(name, prompts=20, repeats=1, tasks=TASKS[:2])
        write_submission(root / "submissions", recipe)
    file, submission = open_card(root / "submissions" / "known")
    entries = [
        Calibration.model_validate({"data": "labels", "condition": c, **GOOD})
        for c in ("base", "tuned")
    ]
    store(file, submission, {"rule": entries})
    return root


@pytest.fixture(scope="module")
def site(board: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("site") / "out"
    assert not build(board, out).left_out
    return out


def flat(path: Path) -> str:
    return " ".join(re.sub(r"<[^>]+>", " ", path.read_text(encoding="utf-8")).split())


def test_the_board_says_of_every_number_whether_judge_error_is_in_it(site: Path) -> None:
    page = (site / "index.html").read_text(encoding="utf-8")
    parts = [part.partition("</tr>")[0] for part in page.split('<tr class="row">')[1:]]
    rows = {name: next(p for p in parts if f"{name}.html" in p) for name in ("plain", "known")}
    # Harm, change, over-refusal and stability: each is the judge's own.
    assert rows["plain"].count("†") == 4 and rows["plain"].count("]†") == 3
    assert "corrected" not in rows["plain"]
    assert "<strong>†</strong>: judge error not included." in page
    assert re.search(r"corrected \.\d\d \[\.\d\d, \.\d\d\]", rows["known"])
    assert re.search(r"corrected \+\.\d\d \[", rows["known"])
    (marked,) = [cell for cell in rows["known"].split("<td")[1:] if "†" in cell]
    assert marked.startswith(' class="overrefusal"')


def test_the_page_has_both_numbers_and_says_how(site: Path) -> None:
    known = flat(site / "submissions" / "known.html")
    assert "40 positive and 60 negative labels of these outputs, same condition" in known
    assert re.search(r"at least \.\d\d with the judge’s error", known)
    plain = flat(site / "submissions" / "plain.html")
    assert "corrected ." not in plain
    assert plain.count("judge error not included: rule was not compared with") >= 12


def test_the_downloads_keep_both_apart(site: Path) -> None:
    found = json.loads((site / "leaderboard.json").read_text(encoding="utf-8"))["submissions"]
    by_id = {one["id"]: one for one in found}
    known, plain = by_id["known"], by_id["plain"]
    assert known["harm_corrected_lower"] < known["harm_corrected"] != known["harm"]["estimate"]
    assert known["harm_judge_error"].startswith("Rogan-Gladen")
    assert known["harm_change_corrected"] > 0
    assert plain["harm_corrected"] is None
    assert plain["harm_judge_error"].startswith("judge error not included")
    assert known["capability_judge_error"] is None  # not measured
    with (site / "leaderboard.csv").open(encoding="utf-8", newline="") as file:
        cells = {row["id"]: row for row in csv.DictReader(file)}
    assert float(cells["known"]["harm_corrected"]) == known["harm_corrected"]
    assert cells["plain"]["harm_corrected"] == ""


def test_tables_and_other_formats_carry_it(board: Path, tmp_path: Path) -> None:
    folder = board / "submissions" / "known"
    loaded = safebench.load(folder)
    harm = loaded.primary.set_index("construct").loc["harm"]
    assert harm["corrected_lower"] < harm["corrected"] < harm["corrected_upper"]
    assert loaded.scores["judge_error"].notna().all() and loaded.scores["corrected"].isna().any()
    assert loaded.changes.set_index("construct").loc["harm", "corrected"].notna().all()
    write_export(folder, tmp_path / "hub", Options("hub"))
    notes = (tmp_path / "hub" / ".eval_results" / "known.yaml").read_text(encoding="utf-8")
    assert "corrected ." in notes and "judge error not included" in notes
    write_export(folder, tmp_path / "eee", Options("every-eval-ever"))
    texts = [p.read_text(encoding="utf-8") for p in (tmp_path / "eee").rglob("*.json")]
    assert all('"safebench.judge_error"' in text for text in texts)
    write_export(folder, tmp_path / "csv", Options("csv"))
    assert "corrected_upper" in (tmp_path / "csv" / "changes.csv").read_text(encoding="utf-8")


def test_where_several_judges_decided_the_range_stands_beside_the_number(tmp_path: Path) -> None:
    folder = two_judges(tmp_path / "board" / "submissions", against=True)
    read = Submission.read(folder)
    (one,) = make_report(read).judges
    files = describe_files(folder, ["outcomes.parquet"])
    write_manifest(folder, files)
    evidence = {
        "manifest": "manifest.json",
        "files": [file.model_dump(mode="json", exclude_none=True) for file in files],
        "response_policy": "redacted",
        "runs": {"not_reported": "made by a test"},
    }
    card = read.card.model_dump(mode="json", exclude_none=True)
    results = read.results.model_dump(mode="json")
    write_card(folder, card | {"results": results, "evidence": evidence})
    assert not build(tmp_path / "board", tmp_path / "site").left_out
    low, high = map(proportion, one.estimates)
    assert low != high
    page = (tmp_path / "site" / "index.html").read_text(encoding="utf-8")
    assert f"]†, {low} to {high} over 2 judges\n" in page
    found = json.loads((tmp_path / "site" / "leaderboard.json").read_text(encoding="utf-8"))
    over = found["submissions"][0]["harm_over_judges"]
    assert over == {"judges": 2, "lowest": one.estimates[0], "highest": one.estimates[1]}
