"""What a rerun takes from a submission, and what it refuses to."""

from __future__ import annotations

import json
from collections.abc import Callable
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
from safebench.study.rerun import Extent, rerun_card
from tests.plans import plan_data

SOMEBODY = Submitter(name="Somebody", organisation="Another lab", contact="a@example.org")
NOTHING = MeasuredResults(primary=(), scores=(), changes=())


@pytest.fixture(autouse=True)
def _training_data(tmp_path: Path) -> None:
    (tmp_path / "benign.jsonl").write_text("")


def report(**changes: Any) -> Card:
    card = Card.model_validate_json(json.dumps(plan_data(**changes)))
    return card.model_copy(update={"results": NOTHING})


def test_same_protocol_new_seeds_other_submitter(tmp_path: Path) -> None:
    original = report()
    card = rerun_card(Submission(original, tmp_path), "retrain", SOMEBODY, Extent(seeds=4))
    assert protocol_digest(card) == protocol_digest(original)
    assert card.seeds.training == 4
    assert not set(derive_seeds(card, 4)) & set(derive_seeds(original, 4))
    assert card.submission.submitter == SOMEBODY
    assert card.submission.id == "small-rerun"
    assert (card.results, card.evidence, card.environment, card.model.weights) == (None,) * 4


def test_declared_seeds_become_derived_ones(tmp_path: Path) -> None:
    seeds = {"scheme": "declared", "training": [1, 2], "generation": 3, "controls": []}
    card = rerun_card(
        Submission(report(seeds=seeds), tmp_path), "retrain", SOMEBODY, Extent(seeds=2)
    )
    assert (card.seeds.scheme, card.seeds.series, card.seeds.generation) == (
        "derived",
        "rerun",
        None,
    )


@pytest.mark.parametrize("path", ["../secret.jsonl", "/etc/passwd", "a/../../b"])
def test_training_data_outside_the_submission_are_not_read(path: str, tmp_path: Path) -> None:
    data = [{"name": "benign", "path": path, "examples": 24}]
    with pytest.raises(CardError, match="leaves the submission"):
        rerun_card(Submission(report(data=data), tmp_path), "retrain", SOMEBODY, Extent(seeds=2))


def test_a_chat_template_outside_the_submission_is_not_read(tmp_path: Path) -> None:
    template = {"source": "file", "path": "/etc/hostname"}
    model = {"base": {"id": "model"}, "chat_template": template}
    with pytest.raises(CardError, match="leaves the submission"):
        rerun_card(Submission(report(model=model), tmp_path), "retrain", SOMEBODY, Extent(seeds=2))


JUDGE = {
    "name": "mine", "kind": "classifier", "prompt_template_sha256": "0" * 64, "parser": "x",
    "on_parse_failure": "x", "decoding": "x", "lineage": [], "revision": "0" * 40, "primary": True,
}  # fmt: skip
NAMES: dict[str, Callable[[str], dict[str, Any]]] = {
    "training data": lambda path: {"data": [{"name": "benign", "path": path, "examples": 24}]},
    "rendering template": lambda path: {
        "data": [
            {
                "name": "benign",
                "path": "x.jsonl",
                "examples": 24,
                "template": {"path": path, "sha256": "0" * 64},
            }
        ]
    },
    "base model": lambda path: {
        "model": {"base": {"id": path}, "chat_template": {"source": "none"}}
    },
    "chat template": lambda path: {
        "model": {"base": {"id": "model"}, "chat_template": {"source": "file", "path": path}}
    },
    "classifier": lambda path: {"judge": [JUDGE | {"id": path}]},
}


@pytest.mark.parametrize("path", ["../secret", "/etc", "a/../../b", "link", "folder"])
@pytest.mark.parametrize("name", NAMES)
def test_nothing_outside_the_submission_is_opened(name: str, path: str, tmp_path: Path) -> None:
    home = tmp_path / "submission"
    (home / "folder").mkdir(parents=True)
    (tmp_path / "secret").mkdir()
    (home / "link").symlink_to(tmp_path / "secret")
    (home / "folder/config.json").symlink_to(tmp_path / "secret")
    with pytest.raises(CardError, match=f"{path!r} leaves the submission"):
        rerun_card(
            Submission(report(**NAMES[name](path)), home), "retrain", SOMEBODY, Extent(seeds=2)
        )


def test_the_base_model_may_lie_where_the_person_says(tmp_path: Path) -> None:
    base = {"id": "../theirs", "revision": "sha256:" + "0" * 64}
    model = {"base": base, "chat_template": {"source": "none"}}
    original = Submission(report(model=model), tmp_path)
    card = rerun_card(original, "retrain", SOMEBODY, Extent(seeds=2), tmp_path / "mine")
    assert card.model.base.id == str(tmp_path / "mine")
    assert protocol_digest(card) == protocol_digest(original.card)


def test_prompts_outside_the_submission_come_from_their_own_source(tmp_path: Path) -> None:
    (tmp_path / "own.csv").write_text("prompt,type\n")
    tasks = [
        {"name": "safebench_xstest", "path": "../elsewhere.csv"},
        {"name": "safebench_strongreject", "path": "own.csv"},
    ]
    card = rerun_card(
        Submission(report(tasks=tasks), tmp_path), "retrain", SOMEBODY, Extent(seeds=2)
    )
    assert [task.path for task in card.task_list()] == [None, "own.csv"]


def test_what_cannot_be_repeated(tmp_path: Path) -> None:
    with pytest.raises(CardError, match="nothing was fine-tuned"):
        rerun_card(
            Submission(report(hyperparameters={"method": "none"}, data=[]), tmp_path),
            "retrain",
            SOMEBODY,
            Extent(seeds=2),
        )
    plan = report().model_copy(update={"results": None})
    with pytest.raises(CardError, match="no results to compare with"):
        rerun_card(Submission(plan, tmp_path), "retrain", SOMEBODY, Extent(seeds=2))


def test_all_that_is_missing_is_said_at_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "benign.jsonl").unlink()
    monkeypatch.setattr("safebench.study.rerun.find_spec", lambda name: None)
    model = {"base": {"id": "../theirs"}, "chat_template": {"source": "none"}}
    original = Submission(report(model=model, judge=[JUDGE | {"id": "../grader"}]), tmp_path)
    with pytest.raises(CardError) as raised:
        rerun_card(original, "retrain", SOMEBODY, Extent(seeds=2))
    for what in (
        "judge[0].id '../grader' leaves the submission",
        "needs torch, transformers, lm_eval, peft, trl",
        "benign.jsonl, the training data, is not there",
        "model.base.id '../theirs' leaves the submission",
    ):
        assert what in str(raised.value)


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
