"""`safebench plan` on a small made-up submission."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml

from safebench.evidence.tables import OUTCOMES, OUTCOMES_FILE, make_table, write_table
from tests.cli.test_start import start
from tests.command import safebench
from tests.plans import plan_data


def pilot(folder: Path, seeds: int = 3, repeats: int = 2) -> Path:
    draw = np.random.default_rng(2)
    chance = draw.beta(0.5, 0.8, 40)
    primary = {"checkpoint": 2, "decoding": "t07", "judge": "rule"}
    tasks = [{"name": f"task_{c}", "primary": dict(primary)} for c in ("capability", "harm")]
    (folder / "card.yaml").write_text(yaml.safe_dump(plan_data(tasks=tasks)))
    rows: list[dict[str, Any]] = [
        {
            "condition": "tuned" if seed else "base",
            "training_seed": seed,
            "checkpoint": 2 if seed else None,
            "decoding": "t07",
            "repeat": repeat,
            "generation_seed": 1,
            "task": f"task_{construct}",
            "construct": construct,
            "category": None,
            "prompt_id": f"p{i:02d}",
            "judge": "rule",
            "status": "ok",
            "verdict": None if construct == "capability" else "complied" if score else "refused",
            "score": score,
        }
        for seed in (None, *range(100, 100 + seeds))
        for construct in ("capability", "harm")
        for repeat in range(1, repeats + 1)
        for i in range(40)
        for score in (float(draw.random() < chance[i] + 0.05 * ((seed or 0) % 3)),)
    ]
    write_table(make_table(rows, OUTCOMES), folder / OUTCOMES_FILE)
    return folder


COSTS = ("--cost-fine-tune", 100, "--cost-generation", 0.01)
GIVEN = ("--score", 0.4, "--sigma-seed", 0.04)


def test_a_pilot_is_answered_in_full(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    ran = safebench(capsys, "plan", pilot(tmp_path), "--target", 0.15, *COSTS)
    assert ran.code == 0
    assert ran.out.startswith("harm (tuned, epoch 2, t07), task_harm, judge rule: score .")
    assert "from 3 seeds x 2 repeats x 40 prompts" in ran.out
    headings = ("What varies", "Training seeds", "95 % interval", "Cheapest design", "How certain")
    for heading in headings:
        assert heading in ran.out
    assert "the pilot's own design" in ran.out
    assert "3 seeds determine the spread over seeds poorly" in ran.out
    assert "However little seeds spread, a stability of .5 takes 9 and .8 takes 27 of" in ran.out


def test_json_has_the_same(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    ran = safebench(
        capsys, "plan", pilot(tmp_path), "--construct", "capability", "--target", 0.15, *COSTS,
        "--format", "json",
    )  # fmt: skip
    found = json.loads(ran.out)
    assert found["spread"]["source"].startswith("capability")
    assert found["cheapest"]["upper"] - found["cheapest"]["lower"] <= 2 * 0.15
    wide, narrow = (found["intervals"][seeds]["1"] for seeds in ("5", "10"))
    assert wide[0] < narrow[0] < narrow[1] < wide[1]


def test_given_spreads_are_enough(capsys: pytest.CaptureFixture[str]) -> None:
    ran = safebench(capsys, "plan", *GIVEN, "--sigma-prompt", 0.3, "--from-seeds", 3)
    assert ran.code == 0
    assert "Give --cost-fine-tune and --cost-generation" in ran.out
    # 4 points at .4 are .0816 on phi: 13 seeds in each arm
    assert " 13 " in ran.out


def test_a_target_out_of_reach_says_why(capsys: pytest.CaptureFixture[str]) -> None:
    ran = safebench(capsys, "plan", *GIVEN, *COSTS, "--max-prompts", 100)
    assert ran.code == 0
    assert "the least possible" in ran.out


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((), "give SUBMISSION"),
        (("--score", 0.4), "--sigma-seed"),
        ((*GIVEN, "--target", 5), "5.0 is not in the range"),
        ((*GIVEN, "--judge", "x"), "--judge chooses a score of a pilot"),
        ((*GIVEN, "--cost-fine-tune", 3), "needs --cost-generation too"),
        ((*GIVEN, "--budget", 3), "--budget needs"),
        (("absent", "--score", 0.4), "the pilot measures this"),
        (("absent",), "absent"),
        (("--score", 0.01, "--sigma-seed", 0.2), "have at most"),
    ],
)
def test_bad_input(
    arguments: tuple[object, ...], message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    ran = safebench(capsys, "plan", *arguments)
    assert ran.code == 2
    assert message in ran.err


def test_a_pilot_with_one_seed_is_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    ran = safebench(capsys, "plan", pilot(tmp_path, seeds=1))
    assert ran.code == 2
    assert "one training seed" in ran.err
    assert "Fix: run a pilot with three or more seeds" in ran.err


def test_what_was_not_measured_names_what_was(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    ran = safebench(capsys, "plan", pilot(tmp_path), "--decoding", "greedy")
    assert ran.code == 2
    assert "no outcomes of decoding greedy" in ran.err
    assert "harm (tuned, epoch 2, t07)" in ran.err


def test_it_starts_without_what_it_does_not_need(tmp_path: Path) -> None:
    printed, _, modules = start("plan", str(pilot(tmp_path))).partition("\nmodules ")
    assert "How certain" in printed
    heavy = {"torch", "transformers", "peft", "trl", "datasets", "accelerate", "lm_eval", "pandas"}
    assert not heavy & set(modules.split())
