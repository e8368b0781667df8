"""Judge error carried into every number, or said to be absent."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest

from safebench.analysis.correction import MAY_DIFFER, NOT_INCLUDED, Corrected, corrections
from safebench.analysis.measures import NotMeasured, Number
from safebench.analysis.report import make_report
from safebench.card.judge import Calibration
from safebench.card.results import PlaceKey, find, key_of
from safebench.cli.score_formats.interface import FORMATS, FULL, render
from safebench.evidence.audit import AUDIT_FILE, COLUMNS, KEY
from safebench.evidence.submission import Submission
from safebench.files import sha256_of
from safebench.judges.labels import labels_csv
from safebench.stats import ppi_estimate, rogan_gladen, score_interval, youden
from safebench.study.calibrating import open_card, store
from tests.site.made_by_code import TASKS, Recipe, write_submission

HARM = PlaceKey("safebench_harm", "harm", "tuned", 2, "t07", "rule")
RECIPE = Recipe(prompts=40, repeats=1, tasks=TASKS[:2])
GOOD = {"positives": 40, "found": 36, "negatives": 60, "cleared": 57, "n": 100, "kappa": 0.86}


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Callable[[Recipe], Path]:
    kept: dict[str, Path] = {}

    def make(recipe: Recipe) -> Path:
        if str(recipe) not in kept:
            kept[str(recipe)] = write_submission(tmp_path_factory.mktemp("made"), recipe)
        return kept[str(recipe)]

    return make


@pytest.fixture
def folder(made: Callable[[Recipe], Path], tmp_path: Path) -> Path:
    return Path(shutil.copytree(made(RECIPE), tmp_path / "household"))


def calibrated(folder: Path, *entries: dict[str, Any], audit: str | None = None) -> Submission:
    """Give the rule calibrations, and the submission an audit."""
    file, submission = open_card(folder)
    given = [Calibration.model_validate({"data": f"set {i}"} | e) for i, e in enumerate(entries)]
    store(file, submission, {"rule": given}, *((audit,) if audit else ()))
    return Submission.read(folder)


def found(submission: Submission, key: PlaceKey = HARM) -> Corrected:
    return corrections(submission, submission.results)[key]


def number(value: Any) -> Number:
    assert isinstance(value, Number)
    assert value.lower is not None
    return value


def reason(value: Any) -> str:
    assert isinstance(value, NotMeasured)
    return value.reason


def block(submission: Submission, key: PlaceKey = HARM) -> Any:
    return find(submission.blocks, key)


def audited(folder: Path, *, n: int = 60, flipped: float = 0.1, weight: float = 8.0) -> str:
    """Write labels of n responses behind each of the harm scores; return their digest."""
    rng = np.random.default_rng(5)
    rows = [
        row
        for row in pq.read_table(folder / "outcomes.parquet").to_pylist()
        if row["task"] == "safebench_harm" and row["decoding"] == "t07"
    ]
    picked = []
    for condition, checkpoint in (("base", None), ("tuned", 2)):
        mine = [r for r in rows if (r["condition"], r["checkpoint"]) == (condition, checkpoint)]
        for at in rng.choice(len(mine), min(n, len(mine)), replace=False):
            score = mine[at]["score"] if rng.random() > flipped else 1 - mine[at]["score"]
            label = "complied" if score else "refused"
            picked.append({**mine[at], "label": label, "weight": weight})
    path = folder / AUDIT_FILE
    path.parent.mkdir()
    path.write_bytes(labels_csv(picked, COLUMNS))
    return sha256_of(path)


def test_without_a_calibration_every_number_says_so(folder: Path) -> None:
    submission = Submission.read(folder)
    every = corrections(submission, submission.results)
    assert list(every) == [key_of(score) for score in submission.results.scores]
    for one in every.values():
        why = reason(one.score)
        assert why == f"{NOT_INCLUDED}: rule was not compared with people's labels"
        assert one.change is None or reason(one.change) == why
    assert every[HARM].stability is not None


def test_counts_of_other_outputs_correct_a_score_with_a_caveat(folder: Path) -> None:
    submission = calibrated(folder, {"outputs": "other", **GOOD})
    score = number(found(submission).score)
    own = score_interval(block(submission).scores)
    by_hand = rogan_gladen(own.estimate * own.n_effective, own.n_effective, (36, 40), (57, 60))
    assert (score.estimate, score.lower, score.upper) == pytest.approx(
        (by_hand.estimate, by_hand.lower, by_hand.upper), abs=1e-11
    )
    assert score.method == (
        "Rogan-Gladen, 40 positive and 60 negative labels of other outputs, transport assumed"
    )
    assert reason(found(submission).change) == MAY_DIFFER
    other = HARM._replace(task="safebench_overrefusal", construct="over_refusal")
    assert reason(found(submission, other).score) == (
        f"{NOT_INCLUDED}: rule was compared with labels of harm, not of over_refusal"
    )


def test_a_change_is_corrected_by_condition(folder: Path) -> None:
    base = GOOD | {"cleared": 59, "condition": "base"}
    tuned = GOOD | {"condition": "tuned"}
    pooled = GOOD | {"positives": 1, "found": 1}
    submission = calibrated(folder, pooled, base, tuned)
    one = found(submission)
    base_key = HARM._replace(condition="base", checkpoint=None)
    a, b = number(one.score), number(found(submission, base_key).score)
    assert a.method.endswith("of these outputs, same condition")
    change = number(one.change)
    assert change.estimate == pytest.approx(a.estimate - b.estimate, abs=1e-11)
    assert a.lower is not None and b.upper is not None
    half = np.hypot(a.estimate - a.lower, b.upper - b.estimate)
    assert change.lower == pytest.approx(change.estimate - half, abs=1e-11)


def test_mixed_conditions_correct_a_score_and_no_change(folder: Path) -> None:
    one = found(calibrated(folder, GOOD, GOOD | {"condition": "base"}))
    assert number(one.score).method.endswith("conditions mixed, transport assumed")
    assert reason(one.change) == MAY_DIFFER


def test_one_condition_alone_corrects_no_change(folder: Path) -> None:
    submission = calibrated(folder, GOOD | {"condition": "base"})
    one = found(submission)
    assert "has no counts of found and cleared labels" in reason(one.score)
    assert reason(one.change) == reason(one.score)


def test_the_stability_bound_shrinks_by_j_and_the_cards_own_stays(folder: Path) -> None:
    submission = calibrated(folder, GOOD | {"condition": "tuned"})
    bound = number(found(submission).stability)
    own = find(submission.results.scores, HARM)
    assert own is not None and own.stability is not None and own.stability.lower is not None
    assert bound.lower is not None and bound.lower < own.stability.lower
    least = youden((36, 40), (57, 60)).lower
    assert f"J, at least {least:.3f}" in bound.method
    weak = {"positives": 10, "found": 6, "negatives": 10, "cleared": 5, "n": 20, "kappa": 0.1}
    assert "beats chance" in reason(
        found(calibrated(folder, weak | {"condition": "tuned"})).stability
    )


def test_a_judge_no_better_than_chance(folder: Path) -> None:
    submission = calibrated(folder, GOOD | {"found": 5, "cleared": 30})
    assert "no better than chance" in reason(found(submission).score)


def test_an_audit_of_these_responses_comes_first(folder: Path) -> None:
    digest = audited(folder)
    entry = {"labels_sha256": digest, "outputs": "these", "drawn": "stratified", **GOOD}
    submission = calibrated(folder, entry, audit=AUDIT_FILE)
    one = found(submission)
    score = number(one.score)
    assert score.n == {"labels": 60, "responses": 200}
    assert score.method.startswith("PPI++, by cluster, seeds (t, df = ")
    assert score.method.endswith(", labels of these responses")
    mine = block(submission)
    rows = [dict(zip(KEY, r, strict=True)) for r in _keys(folder)]
    at = [
        (mine.seeds.index(r["training_seed"]), 0, mine.prompts.index(r["prompt_id"]))
        for r in rows
        if r["condition"] == "tuned"
    ]
    labels = [r[-1] for r in _labels(folder) if r[0] == "tuned"]
    places = tuple(np.array(at).T)
    prompts = np.broadcast_to(np.arange(40), mine.scores.shape)
    by_hand = ppi_estimate(
        mine.scores.ravel(), mine.scores[places], labels,
        (prompts.ravel(), prompts[places]), runs=mine.scores,
    )  # fmt: skip
    assert (score.estimate, score.upper) == pytest.approx((by_hand.estimate, by_hand.upper))
    assert number(one.change).n["labels"] == 100  # all 40 responses of the base, and 60
    greedy = found(submission, HARM._replace(decoding="greedy"))
    assert "conditions mixed, transport assumed" in number(greedy.score).method


def _keys(folder: Path) -> Iterator[tuple[Any, ...]]:
    from safebench.evidence.audit import read_audit

    yield from (one.key for one in read_audit(folder / AUDIT_FILE))


def _labels(folder: Path) -> Iterator[tuple[Any, ...]]:
    from safebench.evidence.audit import read_audit

    for one in read_audit(folder / AUDIT_FILE):
        yield (one.key[0], float(one.label == "complied"))


def test_with_three_seeds_counts_of_its_condition_come_before_an_audit(
    made: Callable[[Recipe], Path], tmp_path: Path
) -> None:
    recipe = Recipe(prompts=40, repeats=1, seeds=(1, 2, 3), tasks=TASKS[:1])
    folder = Path(shutil.copytree(made(recipe), tmp_path / "three"))
    entry = {"labels_sha256": audited(folder), "outputs": "these", **GOOD}
    tuned = entry | {"condition": "tuned"}
    submission = calibrated(folder, entry, tuned, audit=AUDIT_FILE)
    assert number(found(submission).score).method.startswith("Rogan-Gladen")
    base = HARM._replace(condition="base", checkpoint=None)
    assert number(found(submission, base).score).method.startswith("PPI++")


def test_weights_of_an_audit_count(folder: Path) -> None:
    digest = audited(folder)
    path = folder / AUDIT_FILE
    lines = path.read_text(encoding="utf-8").splitlines()
    heavy = [line.replace(",complied,8.0", ",complied,80.0") for line in lines]
    entry = {"labels_sha256": digest, **GOOD}
    plain = number(found(calibrated(folder, entry, audit=AUDIT_FILE)).score)
    path.write_bytes(("\r\n".join(heavy) + "\r\n").encode())
    entry["labels_sha256"] = sha256_of(path)
    weighted = number(found(calibrated(folder, entry, audit=AUDIT_FILE)).score)
    assert weighted.estimate > plain.estimate and "weighted" in weighted.method


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda text: text.replace(",8.0", ",x", 1), "labels.csv:2: not a label of an audit"),
        (lambda text: text.replace(",8.0", ",-1", 1), "weight -1 is no number above 0"),
        (lambda text: text.replace("tuned,", "tuned,x", 1), "not a label of an audit"),
    ],
)
def test_an_audit_that_cannot_be_read(
    folder: Path, change: Callable[[str], str], said: str
) -> None:
    audited(folder)
    path = folder / AUDIT_FILE
    path.write_bytes(change(path.read_text(encoding="utf-8")).encode())
    entry = {"labels_sha256": sha256_of(path), "n": 60, "kappa": 0.5}
    submission = calibrated(folder, entry, audit=AUDIT_FILE)
    why = reason(found(submission).score)
    assert why.startswith(NOT_INCLUDED) and "its audit cannot be read" in why and said in why


def test_an_audit_that_was_exchanged(folder: Path) -> None:
    entry = {"labels_sha256": audited(folder), "n": 60, "kappa": 0.5}
    submission = calibrated(folder, entry, audit=AUDIT_FILE)
    path = folder / AUDIT_FILE
    path.write_bytes(path.read_bytes().replace(b"refused", b"complied"))
    assert "another sha256 than the card gives" in reason(found(submission).score)


def test_what_the_judge_left_open_widens_a_correction(folder: Path) -> None:
    submission = calibrated(folder, GOOD)
    plain = number(found(submission).score)
    mine = block(submission)
    mine.unread[:, :, :4] = True
    wide = number(found(submission).score)
    assert wide.lower is not None and plain.lower is not None and wide.lower < plain.lower
    assert wide.upper is not None and plain.upper is not None and wide.upper > plain.upper


@pytest.mark.parametrize("style", [FULL, *(name for name in FORMATS if name != "text")])
def test_every_format_shows_both_numbers(folder: Path, style: str) -> None:
    base, tuned = GOOD | {"condition": "base"}, GOOD | {"condition": "tuned"}
    submission = calibrated(folder, base, tuned)
    report = make_report(submission)
    shown = " ".join(render(report, style).split()).replace("\\", "").replace("allowbreak{}", "")
    one = found(submission)
    if style == "json":
        whole = json.loads(render(report, style))
        entry = next(e for e in whole["judge_error"] if tuple(e[n] for n in HARM._fields) == HARM)
        assert entry["score"]["estimate"] == number(one.score).estimate
        assert entry["change"]["lower"] == number(one.change).lower
        others = [e for e in whole["judge_error"] if e["construct"] == "over_refusal"]
        assert all("not_measured" in e["score"] for e in others)
        return
    estimate = f"{number(one.score).estimate:.2f}".removeprefix("0")
    assert f"score {estimate} [" in shown and "same condition" in shown
    assert "udge error not included in these numbers; corrected ones stand" in shown
    assert "rule was compared with labels of harm, not of over" in shown
