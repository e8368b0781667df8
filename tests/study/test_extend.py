"""A trial becomes the whole in its own folder, and a finished folder asks for nothing again."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

import safebench.study.making
from safebench.card.io import load_card
from safebench.cli.run import command
from safebench.evidence.journal import Journal
from safebench.study.extend import is_trial_of
from safebench.study.plan import make_plan
from tests.conformance.runner import VALID
from tests.plans import plan_data, write_plan
from tests.tiny_runs import QUICK, protocol, run_tiny, same_files

UNTUNED: dict[str, Any] = {
    "hyperparameters": {"method": "none"},
    "data": [],
    "seeds": {
        "scheme": "declared", "training": [1], "generation": 5, "controls": [], "origin": "a test",
    },
}  # fmt: skip
TASKS = ("safebench_harm", "safebench_overrefusal", "safebench_capability")


def plan_of(folder: Path, limit: int) -> Path:
    tasks = [{"name": name, "limit": limit} for name in TASKS]
    decoding = [d | {"max_new_tokens": 3} for d in plan_data()["decoding"]]
    return write_plan(folder, **UNTUNED, tasks=tasks, decoding=decoding)


def test_a_trial_is_extended_and_gives_the_bytes_of_the_whole(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    plan = plan_of(tmp_path, 3)
    run_tiny(plan, tmp_path / "trial", limit=2)
    asked: list[int] = []
    generate = safebench.study.making.generate

    def counted(engine: Any, prompts: Any, *rest: Any, **named: Any) -> Any:
        asked.append(len(prompts))
        return generate(engine, prompts, *rest, **named)

    monkeypatch.setattr(safebench.study.making, "generate", counted)
    run_tiny(plan, tmp_path / "trial")
    assert asked == [3, 3]  # one new prompt of each task, greedy and sampled
    run_tiny(plan, tmp_path / "whole")
    assert asked[2:] == [9, 9]
    same_files(tmp_path / "trial", tmp_path / "whole")
    events = [event["event"] for event in Journal(tmp_path / "trial").read()]
    assert events[0] == "trial" and events.count("finished") == 1

    # Finished, it needs neither the model nor the same folder.
    shutil.rmtree(tmp_path / "model")
    (tmp_path / "trial").rename(tmp_path / "moved")
    arguments = [plan, "--out", tmp_path / "moved", *QUICK]
    done = CliRunner().invoke(command, [str(a) for a in arguments])
    assert done.exit_code == 0
    assert "Finished earlier" in done.output


@pytest.mark.parametrize(
    ("old", "new", "trial"),
    [(2, 3, True), (2, None, True), (3, 2, False), (2, 2, False), (None, 2, False)],
)
def test_what_is_a_trial_of_what(old: int | None, new: int | None, trial: bool) -> None:
    card = load_card(VALID / "submission" / "card.yaml")

    def limited(limit: int | None) -> Any:
        tasks = tuple(t.model_copy(update={"limit": limit}) for t in card.task_list())
        return card.model_copy(update={"tasks": tasks})

    assert is_trial_of(limited(old), limited(new)) is trial
    other = limited(new).model_copy(update={"decoding": card.decoding[:1]})  # type: ignore[index]
    assert not is_trial_of(limited(old), other)


def test_the_shortest_plan_is_pinned_and_written_out(tmp_path: Path) -> None:
    shutil.copy(VALID / "short-plan.yaml", tmp_path / "plan.yaml")
    shutil.copy(
        Path(safebench.__file__).parent / "demo" / "household.jsonl", tmp_path / "household.jsonl"
    )
    card = make_plan(protocol(tmp_path / "plan.yaml"), tmp_path / "out", limit=1).card
    (dataset,) = card.data  # type: ignore[misc]
    assert (dataset.name, dataset.examples) == ("household", 300)
    assert len(card.seeds.training) == 5  # type: ignore[union-attr, arg-type]
    assert card.hyperparameters.checkpoints == (2,)  # type: ignore[union-attr]
    assert dataset.sha256 and dataset.rendered_sha256
