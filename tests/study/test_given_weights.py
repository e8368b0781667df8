"""Weights that a card brings are used as they are: nothing is fine-tuned, the outcomes the same."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest
import yaml

from safebench.card.io import load_card
from safebench.files import sha256_of
from safebench.tuning.peft_trainer import PeftTrainer
from tests.command import Ran, safebench
from tests.plans import plan_data
from tests.tiny_runs import QUICK, run_tiny, write_tiny

pytestmark = pytest.mark.slow
Capture = pytest.CaptureFixture[str]


@pytest.fixture(scope="module")
def done(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A plan and the run that trained its adapters."""
    folder = tmp_path_factory.mktemp("trained")
    run_tiny(write_tiny(folder), folder / "out")
    return folder


@pytest.fixture(autouse=True)
def untrained(monkeypatch: pytest.MonkeyPatch, done: Path) -> None:
    """Nothing may be fine-tuned once `done` is there."""

    def never(*args: Any, **kwargs: Any) -> Any:
        raise AssertionError("it was fine-tuned")

    monkeypatch.setattr(PeftTrainer, "train", never)


def given(done: Path, name: str, change: Callable[[list[dict[str, Any]]], None]) -> Path:
    """Write a card that asks for the same study with the weights that it made."""
    card = yaml.safe_load((done / "out" / "card.yaml").read_text())
    for part in ("results", "evidence", "environment"):
        del card[part]
    card["model"]["base"]["id"] = "model"
    card["data"][0]["path"] = "benign.jsonl"
    for entry in card["model"]["weights"]:
        entry["path"] = f"out/{entry['path']}"
    change(card["model"]["weights"])
    path = done / name
    path.write_text(yaml.safe_dump(card, sort_keys=False))
    return path


def run(capsys: Capture, plan: Path, out: Path) -> Ran:
    ran = safebench(capsys, "run", plan, "--out", out, *QUICK)
    return Ran(ran.code, ran.out, " ".join(ran.err.split()))


def errors(capsys: Capture, out: Path) -> list[dict[str, Any]]:
    checked = safebench(capsys, "validate", out, "--format", "json")
    findings = json.loads(checked.out)["files"][0]["findings"]
    return [f for f in findings if f["severity"] == "error"]


def test_given_adapters_give_the_same_outcomes(done: Path, capsys: Capture) -> None:
    plan, out = given(done, "given.yaml", lambda weights: None), done / "from-given"
    ran = run(capsys, plan, out)
    assert ran.code == 0, ran.err
    for name in ("outcomes.parquet", "responses.parquet"):
        assert (out / name).read_bytes() == (done / "out" / name).read_bytes()
    assert errors(capsys, out) == []
    first, second = (load_card(f / "card.yaml") for f in (done / "out", out))
    assert [w.sha256 for w in first.model.weights] == [w.sha256 for w in second.model.weights]
    dry = safebench(capsys, "run", plan, "--dry-run")
    assert "2 sets of weights provided; nothing is fine-tuned" in dry.out


def test_other_weights_than_the_cards_are_refused(done: Path, capsys: Capture) -> None:
    def other(weights: list[dict[str, Any]]) -> None:
        weights[1]["sha256"] = "0" * 64

    plan, out = given(done, "other.yaml", other), done / "from-other"
    ran = run(capsys, plan, out)
    assert ran.code == 2
    seed = load_card(plan).model.weights[1].training_seed
    assert f"weights of training seed {seed}, checkpoint 1: {done}/out/adapters" in ran.err
    assert f"but the card says {'0' * 64}" in ran.err
    assert not out.exists()


def test_weights_of_every_cell_are_needed(done: Path, capsys: Capture) -> None:
    plan, out = given(done, "fewer.yaml", lambda weights: weights.pop()), done / "from-fewer"
    seed = load_card(done / "out" / "card.yaml").model.weights[1].training_seed
    ran = run(capsys, plan, out)
    assert ran.code == 2
    assert f"training seed {seed}" in ran.err
    assert not out.exists()


def test_weights_that_are_not_there_are_named(done: Path, capsys: Capture) -> None:
    def moved(weights: list[dict[str, Any]]) -> None:
        weights[0]["path"] = "nowhere"

    ran = run(capsys, given(done, "moved.yaml", moved), done / "from-moved")
    assert ran.code == 2
    assert f"{done}/nowhere: no such folder" in ran.err


def test_whole_models_are_taken_where_they_lie(
    done: Path, tmp_path: Path, capsys: Capture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.undo()
    usual = plan_data()["hyperparameters"] | {"epochs": 1, "checkpoints": [1], "method": "full"}
    del usual["lora"]
    plan = write_tiny(tmp_path, seeds=1, hyperparameters=usual)
    ran = run(capsys, plan, tmp_path / "out")
    assert ran.code == 0, ran.err
    assert ran.err == ""
    assert [w.form for w in load_card(tmp_path / "out" / "card.yaml").model.weights] == ["full"]
    monkeypatch.setattr(PeftTrainer, "train", None)
    again = given(tmp_path, "given.yaml", lambda weights: None)
    ran = run(capsys, again, tmp_path / "from-given")
    assert ran.code == 0, ran.err
    name = "outcomes.parquet"
    assert (tmp_path / "from-given" / name).read_bytes() == (tmp_path / "out" / name).read_bytes()
    assert not (tmp_path / "from-given" / "adapters").exists()
    assert errors(capsys, tmp_path / "from-given") == []


LOST = "the publisher does not say"


@pytest.mark.parametrize("object", ["untuned", "tuned"])
def test_a_released_model_is_an_artefact(object: str, tmp_path: Path, capsys: Capture) -> None:
    """One model, untuned as far as the card goes, or of a training that nobody has told."""
    usual = plan_data()
    plan = write_tiny(tmp_path, tasks=[t | {"limit": 2} for t in usual["tasks"]])
    card = yaml.safe_load(plan.read_text())
    card["submission"]["object"] = "artefact"
    lost = {"not_reported": LOST}
    if object == "untuned":
        card |= {"hyperparameters": {"method": "none"}, "data": []}
        card["seeds"] = {"scheme": "derived", "training": 1, "controls": []}
    else:
        shutil.copytree(tmp_path / "model", tmp_path / "released")
        digest = sha256_of(tmp_path / "released" / "model.safetensors")
        card["model"]["weights"] = [
            {
                "training_seed": 0,
                "checkpoint": 1,
                "form": "full",
                "path": "released",
                "sha256": digest,
            },
        ]
        kept = (
            "optimizer learning_rate lr_scheduler weight_decay batch_size max_length loss_on "
            "epochs trainable max_grad_norm "
        )
        recipe: dict[str, Any] = {name: dict(lost) for name in kept.split()}
        card["hyperparameters"] = recipe | {"method": "full", "checkpoints": [1]}
        card["data"] = dict(lost)
        card["seeds"] = {
            "scheme": "declared",
            "training": [0],
            "generation": 7,
            "controls": dict(lost),
            "origin": "made up, since the publisher tells none",
        }
    plan.write_text(yaml.safe_dump(card, sort_keys=False))
    ran = run(capsys, plan, tmp_path / "out")
    assert ran.code == 0, ran.err
    assert errors(capsys, tmp_path / "out") == []
    again = safebench(capsys, "run", plan, "--out", tmp_path / "out", *QUICK)
    assert again.code == 0 and "Finished earlier" in again.out
    rows = pq.read_table(tmp_path / "out" / "responses.parquet").to_pylist()
    measured = {"base"} if object == "untuned" else {"base", "tuned"}
    assert {(r["condition"], r["repeat"]) for r in rows if r["decoding"] == "t07"} == {
        (condition, repeat) for condition in measured for repeat in (1, 2)
    }
