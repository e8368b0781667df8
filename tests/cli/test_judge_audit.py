"""`safebench judge audit`: what is drawn, what a rater sees, and what the labels do."""

from __future__ import annotations

import base64
import csv
import hashlib
import html
import json
import re
import shutil
from collections import Counter
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest

from safebench.evidence.audit import KEY, read_audit
from safebench.evidence.submission import Submission
from safebench.evidence.tables import OUTCOMES, RESPONSES, make_table, write_table
from safebench.site.audit_page import audit_page
from safebench.study.auditing import Drawn, Place, Strata, draw
from tests.command import Ran, safebench
from tests.site.made_by_code import TASKS, Recipe, read_yaml, write_card, write_submission

RECIPE = Recipe(prompts=30, repeats=2, seeds=(1, 2, 3), tasks=TASKS, harm=0.15)
HOSTILE = '=HYPERLINK("http://x")</pre><script>alert(1)</script>\u202e'


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_submission(tmp_path_factory.mktemp("audit"), RECIPE)


@pytest.fixture
def folder(made: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(made, tmp_path / "household"))


def audit(capsys: pytest.CaptureFixture[str], *arguments: object) -> Ran:
    return safebench(capsys, "judge", "audit", *arguments)


def sheet(folder: Path) -> list[dict[str, str]]:
    with (folder / "audit" / "sheet.csv").open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def rate(folder: Path, name: str, *, wrong: int = 0, bom: bool = False) -> Path:
    """A rater's copy of the sheet; every so-manieth label is another one."""
    rows = sheet(folder)
    for number, row in enumerate(rows, start=1):
        text = row["response"]
        said = "refused" if text.startswith("I cannot") else "complied" if text else "incoherent"
        row["label"] = "partial" if wrong and number % wrong == 0 else said
    path = folder.parent / f"{name}.csv"
    with path.open("w", encoding="utf-8-sig" if bom else "utf-8", newline="") as file:
        writer = csv.DictWriter(file, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)
    return path


def test_every_condition_and_task_gets_as_many(made: Path) -> None:
    sample = draw(Submission.read(made), 80)
    cells = Counter((one.place.condition, one.place.task) for one in sample.rows)
    assert cells == {
        (c, t): 20 for c in ("base", "tuned") for t in ("safebench_harm", "safebench_overrefusal")
    }
    places = [one.place for one in sample.rows]
    assert len(set(places)) == 80
    assert {(p.checkpoint, p.decoding) for p in places} == {(None, "t07"), (2, "t07")}
    weights = {(one.place.condition, round(one.weight, 9)) for one in sample.rows}
    assert weights == {("base", 3.0), ("tuned", 9.0)}
    assert draw(Submission.read(made), 80) == sample
    assert draw(Submission.read(made), 80, seed=1).rows != sample.rows
    everywhere = draw(Submission.read(made), 80, everywhere=True)
    assert {one.place.decoding for one in everywhere.rows} == {"greedy", "t07"}


@pytest.mark.parametrize("strata", ["task", "verdict"])
def test_weights_make_every_estimate_unbiased(made: Path, strata: Strata) -> None:
    submission = Submission.read(made)
    _ = submission.blocks, submission.results, submission.responses  # read once
    truth = {
        (b.condition, b.task): float(b.scores.mean())
        for b in submission.blocks
        if b.decoding == "t07" and b.checkpoint in (None, 2) and b.construct != "capability"
    }
    score = {
        Place(*(row[name] for name in KEY)): row["score"]
        for row in submission.outcomes.to_pylist()
        if row["construct"] != "capability"
    }
    found: dict[Any, list[float]] = {cell: [] for cell in truth}
    for seed in range(30):
        rows = draw(submission, 60, seed=seed, strata=strata).rows
        for cell, values in found.items():
            mine = [r for r in rows if (r.place.condition, r.place.task) == cell]
            total = sum(r.weight for r in mine)
            values.append(sum(r.weight * score[r.place] for r in mine) / total)
    for cell, values in found.items():
        error = np.std(values) / np.sqrt(30) + 1e-9
        assert np.mean(values) == pytest.approx(truth[cell], abs=4 * error)
    if strata == "verdict":  # the verdicts are known, so that their shares have no error at all
        assert all(np.std(values) < 1e-9 for values in found.values())


def test_a_sheet_shows_no_verdict_and_runs_nothing(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    rows = pq.read_table(folder / "responses.parquet").to_pylist()
    rows = [row | {"response": HOSTILE} for row in rows]
    write_table(make_table(rows, RESPONSES), folder / "responses.parquet")
    ran = audit(capsys, folder, "--n", 12)
    assert (ran.code, ran.err) == (0, "")
    assert re.match(
        r"Drew 12 responses of 480, seed \d+, stratified by condition and task\.", ran.out
    )
    assert {row["response"] for row in sheet(folder)} == {f"'{HOSTILE}"}
    assert list(sheet(folder)[0]) == ["id", "prompt", "response", "label"]
    page = (folder / "audit" / "sheet.html").read_text(encoding="utf-8")
    assert page.count("<script>") == 1 and "alert(1)&lt;/script&gt;" in page
    assert "\u202e" not in page and "&lt;U+202E&gt;" in page
    script = page.partition("<script>")[2].partition("</script>")[0]
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    assert f"script-src 'sha256-{digest}'" in html.unescape(page)
    assert "http" not in page.replace("http-equiv", "").replace("http://x", "")
    drawn = json.loads((folder / "audit" / "audit.json").read_text(encoding="utf-8"))
    assert len(drawn["rows"]) == 12 and "verdict" not in drawn["rows"][0]


def test_the_page_is_sound() -> None:
    place = Place("base", None, None, "greedy", 1, "t", "p")
    page = audit_page([Drawn("r0001", place, 2.0, "Why?", "")], "a <b>").decode()

    class Reader(HTMLParser):
        def __init__(self) -> None:
            super().__init__()
            self.open: list[str] = []
            self.radios = 0

        def handle_starttag(self, tag: str, attrs: Any) -> None:
            self.radios += ("type", "radio") in attrs
            if tag not in ("meta", "input"):
                self.open.append(tag)

        def handle_endtag(self, tag: str) -> None:
            assert self.open.pop() == tag

    reader = Reader()
    reader.feed(page)
    assert not reader.open and reader.radios == 4
    assert "a &lt;b&gt;" in page and "(empty)" in page


def test_labels_come_back_as_calibrations_and_evidence(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert audit(capsys, folder, "--n", 160).code == 0
    raters = [rate(folder, "ann", wrong=10), rate(folder, "ben", bom=True), rate(folder, "cleo")]
    given = [part for path in raters for part in ("--read", path)]
    ran = audit(capsys, folder, *given)
    assert (ran.code, ran.err) == (0, "")
    assert ran.out.startswith("3 raters: 160 of 160 responses labelled\n  agreement of raters, Kr")
    labels = read_audit(folder / "audit" / "labels.csv")
    assert len(labels) == 160
    head = (folder / "audit" / "labels.csv").read_text(encoding="utf-8").splitlines()[0]
    assert head.endswith("label,weight,rater 1,rater 2,rater 3") and "prompt," not in head
    card = read_yaml(folder)
    entries = card["judge"][0]["calibration"]
    by = {(e["construct"], e.get("condition")): e for e in entries if "group" not in e}
    assert set(by) == {(c, d) for c in ("harm", "over_refusal") for d in (None, "base", "tuned")}
    tuned = by["harm", "tuned"]
    assert (tuned["outputs"], tuned["drawn"], tuned["n"]) == ("these", "random", 40)
    assert tuned["same_prompts"] is True and tuned["found"] == tuned["positives"] > 0
    assert "positives" not in by["harm", None]  # base and tuned stand for different numbers
    assert {"audit/labels.csv", "audit/audit.json"} < {f["path"] for f in card["evidence"]["files"]}
    checked = safebench(capsys, "validate", folder)
    assert checked.code == 0 and " 0 warnings" in checked.out
    board = folder.parent / "board"
    (board / "submissions").mkdir(parents=True)
    (board / "board.yaml").write_text("title: Test\n", encoding="utf-8")
    shutil.copytree(folder, board / "submissions" / "household")
    assert (
        safebench(capsys, "leaderboard", "build", board, "--out", board.parent / "site").code == 0
    )
    published = board.parent / "site" / "files" / "household"
    assert sorted(p.name for p in published.rglob("*.*") if p.is_file()) == [
        "card.yaml", "labels.csv", "manifest.json", "outcomes.parquet",
    ]  # fmt: skip
    scored = safebench(capsys, "score", folder, "--task", "safebench_harm", "--full")
    assert "labels of these outputs, same condition" in " ".join(scored.out.split())  # 3 seeds


def test_two_raters_have_a_kappa_and_one_has_none(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    audit(capsys, folder, "--n", 40, "--strata", "verdict")
    one, two = rate(folder, "ann"), rate(folder, "ben", wrong=8)
    ran = audit(capsys, folder, "--read", one, "--read", two, "--format", "json")
    found = json.loads(ran.out)
    assert found["raters"] == ["ann", "ben"] and found["without_majority"] == 5
    assert 0 < found["kappa"]["lower"] < found["kappa"]["estimate"] < 1
    assert found["alpha"]["level"] == "nominal"
    entry = found["calibration"]["rule"][0]
    assert entry["drawn"] == "stratified" and "5 rat" not in entry["data"]
    alone = audit(capsys, folder, "--read", one)
    assert alone.code == 0 and "agreement of raters" not in alone.out


def test_a_judge_added_later_is_calibrated_too(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    audit(capsys, folder, "--n", 40)
    data = read_yaml(folder)
    second = {"name": "second", "primary": False, "constructs": ["harm", "over_refusal"]}
    data["judge"].append({**data["judge"][0], **second})
    write_card(folder, data)
    rows = pq.read_table(folder / "outcomes.parquet").to_pylist()
    more = [row | {"judge": "second"} for row in rows if row["construct"] != "capability"]
    write_table(make_table(rows + more, OUTCOMES), folder / "outcomes.parquet")
    ran = audit(capsys, folder, "--read", rate(folder, "ann"))
    assert ran.code == 0 and "\njudge rule\n" in ran.out and "\njudge second\n" in ran.out
    assert all("calibration" in judge for judge in read_yaml(folder)["judge"])


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("id,text\nr0001,x\n", "no column `id` or `label`; it has id, text"),
        ("id;label\nr0001;refused\n", "it has id;label"),
        ("id,label\nr9999,refused\n", "ann.csv:2: 'r9999' is no response of this audit"),
        ("id,label\nr0001,refused\nr0001,refused\n", "ann.csv:3: a second label of r0001"),
        ("id,label\nr0001,refuse\n", "ann.csv:2: label 'refuse' is none of refused"),
        ("id,label\nr0001,\n", "no row has a label"),
        ("id,label\nr0001\n", "ann.csv:2: 1 cells under 2 column names"),
    ],
)
def test_a_wrong_sheet(
    folder: Path, capsys: pytest.CaptureFixture[str], text: str, message: str
) -> None:
    audit(capsys, folder, "--n", 8)
    path = folder.parent / "ann.csv"
    path.write_text(text, encoding="utf-8")
    ran = audit(capsys, folder, "--read", path)
    assert ran.code == 2 and message in ran.err and "Fix:" in ran.err
    assert "calibration" not in read_yaml(folder)["judge"][0]


def test_what_cannot_be_audited(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = folder.parent / "ann.csv"
    path.write_text("id,label\nr0001,refused\n", encoding="utf-8")
    ran = audit(capsys, folder, "--read", path)
    assert ran.code == 2 and "there is no audit to read labels of" in ran.err
    many = audit(capsys, folder, "--n", 5000)
    assert many.code == 0 and "Drew 480 responses of 480" in many.out
    assert "There were no 5000 to be drawn." in many.out
    again = audit(capsys, folder)
    assert again.code == 2 and "there is an audit already" in again.err
    drawn = folder / "audit" / "audit.json"
    drawn.write_text("{}", encoding="utf-8")
    spoilt = audit(capsys, folder, "--read", path)
    assert spoilt.code == 2 and "not what an audit wrote" in spoilt.err
    (folder / "responses.parquet").unlink()
    shutil.rmtree(folder / "audit")
    bare = audit(capsys, folder)
    assert bare.code == 2 and "carries no responses" in bare.err


def test_labels_by_other_words_and_ties(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    audit(capsys, folder, "--n", 8)
    path = folder.parent / "ann.csv"
    path.write_text("id,label\nr0001,no\nr0002,yes\n", encoding="utf-8")
    other = folder.parent / "ben.csv"
    other.write_text("id,label\nr0001,no\nr0002,no\n", encoding="utf-8")
    words = ("--label-map", "no=refused,yes=complied")
    ran = audit(capsys, folder, "--read", path, "--read", other, *words)
    assert ran.code == 0
    assert "2 raters: 2 of 8 responses labelled\n  the others are taken to be like" in ran.out
    assert "  1 left out: no label has a majority of the raters" in ran.out
    other.write_text("id,label\nr0001,yes\nr0002,no\n", encoding="utf-8")
    tied = audit(capsys, folder, "--read", path, "--read", other, *words)
    assert tied.code == 2 and "no response has a label that most raters gave" in tied.err
