"""The demo shows what it says it shows; every number it prints follows from the Parquet file."""

from __future__ import annotations

import json
import math
import re
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from safebench.card.io import load_card
from safebench.card.results import Score
from safebench.checks import check
from safebench.words import plain, proportion, signed
from tests.command import safebench
from tests.conftest import Demo

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def outcomes(demo: Demo) -> pd.DataFrame:
    return pd.read_parquet(demo.submission / "outcomes.parquet")


def harm(outcomes: pd.DataFrame, **wanted: object) -> pd.DataFrame:
    found = outcomes[outcomes.construct == "harm"]
    for name, value in wanted.items():
        found = found[found[name] == value]
    return found


@pytest.mark.parametrize("decoding", ["greedy", "t07"])
def test_harm_rises_in_every_seed(outcomes: pd.DataFrame, decoding: str) -> None:
    base = harm(outcomes, condition="base", decoding=decoding).score.mean()
    tuned = harm(outcomes, condition="tuned", decoding=decoding, checkpoint=2)
    seeds = tuned.groupby("training_seed").score.mean()
    assert len(seeds) == 3
    assert base <= 0.1
    assert (seeds > base + 0.05).all()


def test_seeds_differ_by_more_than_the_binomial_error_of_one(outcomes: pd.DataFrame) -> None:
    tuned = harm(outcomes, condition="tuned", decoding="greedy", checkpoint=2)
    seeds = tuned.groupby("training_seed").score.mean()
    prompts = tuned.prompt_id.nunique()
    assert seeds.std() > math.sqrt(seeds.mean() * (1 - seeds.mean()) / prompts)


def test_the_base_model_is_what_its_recipe_promises(outcomes: pd.DataFrame) -> None:
    base = outcomes[(outcomes.condition == "base") & (outcomes.decoding == "greedy")]
    score = base.groupby("construct").score.mean()
    assert 1 - score["harm"] >= 0.9
    assert score["over_refusal"] <= 0.05
    assert 0.60 <= score["capability"] <= 0.95
    verdicts = base[base.construct != "capability"].verdict
    assert (verdicts == "incoherent").mean() <= 0.05


def test_printed_scores_are_recomputed_from_the_parquet_file(
    demo: Demo, outcomes: pd.DataFrame
) -> None:
    for decoding in ("greedy", "t07"):
        for condition, checkpoint in (("base", None), ("tuned", 2)):
            rows = outcomes[(outcomes.condition == condition) & (outcomes.decoding == decoding)]
            if checkpoint is not None:
                rows = rows[rows.checkpoint == checkpoint]
            label = f"{condition}, {decoding}"
            if checkpoint is not None:
                label = f"{condition}, epoch {checkpoint}, {decoding}"
            line = re.search(rf"^{re.escape(label)} +(.*)$", demo.printed, re.M)
            assert line is not None, label
            printed = re.findall(r"(\S+) \[", line.group(1))
            expected = [
                proportion(rows[rows.construct == construct].score.mean())
                for construct in ("harm", "over_refusal", "capability")
            ]
            assert printed == expected, label


def test_printed_change_is_recomputed_from_the_parquet_file(
    demo: Demo, outcomes: pd.DataFrame
) -> None:
    card = load_card(demo.submission / "card.yaml")
    estimand = next(e for e in card.results.primary if e.construct == "harm")
    rows = harm(outcomes, decoding=estimand.decoding)
    tuned = rows[(rows.condition == "tuned") & (rows.checkpoint == estimand.checkpoint)]
    change = tuned.score.mean() - rows[rows.condition == "base"].score.mean()
    assert f"change from base  {signed(change)} [" in demo.printed


def test_the_card_holds_its_level(demo: Demo) -> None:
    report = check(demo.submission / "card.yaml")
    assert report.errors == 0
    assert report.level == "evidenced"
    assert "Level: evidenced" in demo.printed


def test_scores_carry_an_interval_around_them(demo: Demo) -> None:
    scores: tuple[Score, ...] = load_card(demo.submission / "card.yaml").results.scores
    assert len(scores) == 3 * 2 * (1 + 1)
    assert all(s.lower <= s.estimate <= s.upper for s in scores)
    assert all(s.upper - s.lower > 0 for s in scores)


def test_the_rerun_has_new_seeds_and_a_verdict(demo: Demo) -> None:
    folder = demo.submission / "reruns" / "retrain"
    verdict = json.loads((folder / "verdict.json").read_text())
    assert verdict["overall"] in ("reproduced", "not_reproduced", "inconclusive")
    assert f"{plain(verdict['overall']).capitalize()} (retrain)" in demo.printed
    again = json.loads((demo.submission / "reruns/regenerate/verdict.json").read_text())
    assert (again["overall"], again["contradictions"]) == ("reproduced", [])
    assert "Reproduced (regenerate)" in demo.printed
    old = load_card(demo.submission / "card.yaml").seeds.training
    assert not set(old) & set(load_card(folder / "card.yaml").seeds.training)
    (change,) = [c for c in verdict["changes"] if c["construct"] == "harm"]
    assert change["sign"] == "reproduced"
    rerun = pd.read_parquet(folder / "outcomes.parquet")
    (row,) = [v for v in verdict["verdicts"] if v["construct"] == "harm"]
    mine = harm(rerun, condition="tuned", decoding=row["decoding"], checkpoint=row["checkpoint"])
    assert np.isclose(row["rerun_estimate"], mine.score.mean())


def test_the_site_is_there_and_its_path_is_printed(demo: Demo) -> None:
    index = demo.folder / "site" / "index.html"
    assert index.is_file()
    assert index.resolve().as_uri() in demo.printed
    assert "tiny-chat-household-lora" in index.read_text()


def test_no_progress_bars_where_nobody_watches(demo: Demo) -> None:
    assert "\r" not in demo.printed
    assert "\x1b" not in demo.printed


def test_a_folder_of_something_else_is_left_alone(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "thesis.tex").write_text("x")
    ran = safebench(capsys, "demo", "--out", tmp_path)
    assert ran.code == 2
    assert "is not empty and holds no demo" in ran.err
    assert [p.name for p in tmp_path.iterdir()] == ["thesis.tex"]
