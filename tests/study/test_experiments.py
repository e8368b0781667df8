"""The experiments E1 to E5 of the paper that the standard starts from can be planned and run."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from safebench.evidence.tables import read_responses
from safebench.models.interface import Arrangement
from safebench.models.transformers_engine import HfEngine
from tests.command import safebench
from tests.tiny_runs import run_tiny, write_tiny

pytestmark = pytest.mark.slow
EXAMPLES = Path(__file__).parents[2] / "spec" / "v1" / "examples" / "valid"
PAPER = sorted(path.name for path in EXAMPLES.glob("paper-e*.yaml"))
# Prompts of the three tasks, and what the grids are: (blocks, responses per prompt).
PROMPTS = 620
GRIDS = {
    "paper-e1-repeatability.yaml": (6, 3 * (1 + 5)),
    "paper-e2-seeds.yaml": (52, 2 * (1 + 5 * 5)),
    "paper-e3-decoding.yaml": (12, (2 + 1) * (1 + 5)),
    "paper-e4-control.yaml": (42, 2 * (1 + 2 * 5 * 2)),
    "paper-e5-severity.yaml": (22, 2 * (1 + 5 * 2)),
}


@pytest.mark.parametrize("name", PAPER)
def test_an_experiment_of_the_paper_is_planned(
    name: str, capsys: pytest.CaptureFixture[str]
) -> None:
    ran = safebench(capsys, "run", EXAMPLES / name, "--dry-run", "--format", "json")
    assert ran.code == 0, ran.err
    plan = json.loads(ran.out)
    blocks, each = GRIDS[name]
    assert len(plan["blocks"]) == blocks
    assert plan["responses"] == each * PROMPTS
    assert plan["answers"] == (300 if "e4" in name else 0)
    # The judge of the paper, beside the rule: its template, its weights; E5 asks an API, too.
    things = [one["thing"] for one in plan["missing"]]
    assert things == ["template", "weights"] + ["key"] * ("e5" in name)
    assert "sorry-bench.txt" in plan["missing"][0]["what"]
    assert plan["missing"][1]["how"].startswith("hf download sorry-bench/ft-mistral-7b")
    assert not any("judge" in text for text in plan["left_to_the_run"])  # one list, not two
    conditions = {block["condition"] for block in plan["blocks"]}
    assert conditions == {"base", "tuned"} | ({"control"} if "e4" in name else set())


def test_repeats_of_a_greedy_control_are_arranged_otherwise(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Experiment E3: nothing but the arrangement could make greedy repeats differ."""
    greedy = {
        "name": "t0",
        "do_sample": False,
        "max_new_tokens": 3,
        "repeats": 3,
        "repeat_control": True,
    }
    plan = write_tiny(
        tmp_path, seeds=1, hyperparameters={"method": "none"}, data=[], decoding=[greedy]
    )
    seen: list[Arrangement] = []
    real = HfEngine.generate

    def generate(self: Any, requests: Any, stream: Any, how: Arrangement, *more: Any) -> Any:
        seen.append(how)
        return real(self, requests, stream, how, *more)

    monkeypatch.setattr(HfEngine, "generate", generate)
    run_tiny(plan, tmp_path / "out")
    assert seen == [Arrangement(64), Arrangement(3, shuffled=2), Arrangement(2, shuffled=3)]
    rows = read_responses(tmp_path / "out").to_pylist()
    assert sorted({row["repeat"] for row in rows}) == [1, 2, 3]
    texts: dict[tuple[str, str], set[str]] = {}
    for row in rows:
        texts.setdefault((row["task"], row["prompt_id"]), set()).add(row["response"])
    assert len(texts) == 6
    assert {len(found) for found in texts.values()} == {1}
