"""What a rerun takes from a submission, and what it refuses to."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from safebench.card.card import Card
from safebench.card.differences import environment_differences
from safebench.card.digest import derive_seeds, protocol_digest
from safebench.card.measured import MeasuredResults
from safebench.card.submission import Submitter
from safebench.errors import CardError
from safebench.evidence.submission import Submission
from safebench.study.rerun import rerun_card
from tests.plans import plan_data

SOMEBODY = Submitter(name="Somebody", organisation="Another lab", contact="a@example.org")
NOTHING = MeasuredResults(primary=(), scores=(), changes=())


def report(**changes: Any) -> Card:
    card = Card.model_validate_json(json.dumps(plan_data(**changes)))
    return card.model_copy(update={"results": NOTHING})


def test_same_protocol_new_seeds_other_submitter(tmp_path: Path) -> None:
    original = report()
    card = rerun_card(Submission(original, tmp_path), 4, SOMEBODY)
    assert protocol_digest(card) == protocol_digest(original)
    assert card.seeds.training == 4
    assert not set(derive_seeds(card, 4)) & set(derive_seeds(original, 4))
    assert card.submission.submitter == SOMEBODY
    assert card.submission.id == "small-rerun"
    assert (card.results, card.evidence, card.environment, card.model.weights) == (None,) * 4


def test_declared_seeds_become_derived_ones(tmp_path: Path) -> None:
    seeds = {"scheme": "declared", "training": [1, 2], "generation": 3, "controls": []}
    card = rerun_card(Submission(report(seeds=seeds), tmp_path), 2, SOMEBODY)
    assert (card.seeds.scheme, card.seeds.series, card.seeds.generation) == (
        "derived",
        "rerun",
        None,
    )


@pytest.mark.parametrize("path", ["../secret.jsonl", "/etc/passwd", "a/../../b"])
def test_training_data_outside_the_submission_are_not_read(path: str, tmp_path: Path) -> None:
    data = [{"name": "benign", "path": path, "examples": 24}]
    with pytest.raises(CardError, match="leaves the submission"):
        rerun_card(Submission(report(data=data), tmp_path), 2, SOMEBODY)


def test_a_chat_template_outside_the_submission_is_not_read(tmp_path: Path) -> None:
    template = {"source": "file", "path": "/etc/hostname"}
    model = {"base": {"id": "model"}, "chat_template": template}
    with pytest.raises(CardError, match="leaves the submission"):
        rerun_card(Submission(report(model=model), tmp_path), 2, SOMEBODY)


def test_prompts_outside_the_submission_come_from_their_own_source(tmp_path: Path) -> None:
    (tmp_path / "own.csv").write_text("prompt,type\n")
    tasks = [
        {"name": "safebench_xstest", "path": "../elsewhere.csv"},
        {"name": "safebench_strongreject", "path": "own.csv"},
    ]
    card = rerun_card(Submission(report(tasks=tasks), tmp_path), 2, SOMEBODY)
    assert [task.path for task in card.task_list()] == [None, "own.csv"]


def test_what_cannot_be_repeated(tmp_path: Path) -> None:
    with pytest.raises(CardError, match="nothing was fine-tuned"):
        rerun_card(
            Submission(report(hyperparameters={"method": "none"}, data=[]), tmp_path), 2, SOMEBODY
        )
    plan = report().model_copy(update={"results": None})
    with pytest.raises(CardError, match="no results to compare with"):
        rerun_card(Submission(plan, tmp_path), 2, SOMEBODY)


def test_environments_are_compared_line_by_line() -> None:
    environment = {
        "harness": "lm-eval 0.4.13",
        "python": "3.11.7",
        "libraries": {"torch": "2.13.0", "trl": "1.16.0"},
        "backend": "hf",
        "device": "cpu",
        "batch_size": 8,
        "attention": "sdpa",
        "sampling_scheme": "x",
    }
    other = {**environment, "device": "H100", "libraries": {"torch": "2.14.0", "trl": "1.16.0"}}
    first, second = report(environment=environment), report(environment=other)
    assert environment_differences(first, first) == []
    assert environment_differences(first, second) == [
        "torch 2.13.0 -> 2.14.0",
        "device cpu -> H100",
    ]
    absent = report(environment={"not_reported": "lost"})
    assert environment_differences(absent, first) == ["the original's environment is not reported"]
