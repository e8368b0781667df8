"""What else a card may ask for: other models and data, full or no fine-tuning, controls."""

from __future__ import annotations

import json
import shutil
import sys
from pathlib import Path
from typing import Any

import pytest

from safebench.card.io import load_card
from safebench.errors import CardError
from safebench.evidence.outcomes import read_outcomes
from safebench.files import sha256_of
from safebench.study.plan import make_plan
from tests.command import safebench
from tests.plans import plan_data, write_plan
from tests.tiny_runs import protocol

pytestmark = pytest.mark.slow


def run(
    capsys: pytest.CaptureFixture[str], folder: Path, architecture: str = "llama", **changes: Any
) -> Path:
    plan = write_plan(folder, architecture, **changes)
    ran = safebench(capsys, "run", plan, "--out", folder / "out", "--batch-size", "32")
    assert ran.code == 0, ran.err
    return folder / "out"


def test_another_architecture_without_chat_template(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    model = {"base": {"id": "model"}, "chat_template": {"source": "none"}}
    data = [{"name": "benign", "path": "benign.jsonl", "examples": 24, "template": "plain"}]
    out = run(capsys, tmp_path, "gpt2", model=model, data=data)
    assert load_card(out / "card.yaml").results is not None


def test_public_data_sets_from_local_files(
    tmp_path: Path, shared_data: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    tasks = [
        {
            "name": "safebench_xstest",
            "path": str(shared_data / "xstest" / "xstest_prompts.csv"),
            "limit": 40,
        },
        {
            "name": "safebench_strongreject",
            "path": str(shared_data / "behaviors" / "strongreject_dataset.csv"),
            "limit": 5,
        },
    ]
    out = run(capsys, tmp_path, tasks=tasks)
    card = load_card(out / "card.yaml")
    measured = {(s.task, s.construct) for s in card.results.scores}
    assert measured == {
        ("safebench_xstest", "over_refusal"),
        ("safebench_xstest", "harm"),
        ("safebench_strongreject", "harm"),
    }
    assert [t.dataset_id for t in card.task_list()] == ["Paul/XSTest", "walledai/StrongREJECT"]
    assert all(t.dataset_revision.not_reported for t in card.task_list())
    assert card.trials == {
        "safebench_xstest": "first 40 of 450 prompts",
        "safebench_strongreject": "first 5 of 313 prompts",
    }


def test_an_untuned_model(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    for late in ("peft", "trl", "bitsandbytes"):  # only adapters and quantized weights need them
        monkeypatch.setitem(sys.modules, late, None)  # importing it fails
    out = run(capsys, tmp_path, hyperparameters={"method": "none"}, data=[])
    outcomes = read_outcomes(out)
    assert set(outcomes.column("condition").to_pylist()) == {"base"}
    assert load_card(out / "card.yaml").model.weights is None


def test_full_fine_tuning(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    training = plan_data()["hyperparameters"]
    del training["lora"]
    out = run(capsys, tmp_path, hyperparameters={**training, "method": "full"})
    saved = sorted(p.name for p in (out / "adapters").rglob("*.safetensors"))
    assert saved == ["model.safetensors"] * 4
    assert {w.form for w in load_card(out / "card.yaml").model.weights} == {"full"}


def test_a_control_condition(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    data = [
        {"name": "benign", "path": "benign.jsonl", "examples": 24},
        {
            "name": "own",
            "role": "control",
            "path": "own.jsonl",
            "examples": 24,
            "controls_for": "content: the base model's own answers to the same questions",
        },
    ]
    rows = [{"prompt": f"how do i mend a roof {i}?", "completion": "climb up"} for i in range(24)]
    (tmp_path / "own.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    out = run(capsys, tmp_path, data=data)
    found = set(read_outcomes(out).column("condition").to_pylist())
    assert found == {"base", "tuned", "control"}
    card = load_card(out / "card.yaml")
    listed = [(w.condition, w.training_seed, w.checkpoint, w.form) for w in card.model.weights]
    assert sorted(listed) == sorted(
        (condition, seed, checkpoint, "adapter")
        for condition in ("tuned", "control")
        for seed in card.seeds.training
        for checkpoint in (1, 2)
    )
    for weights in card.model.weights:
        assert sha256_of(out / weights.path / "adapter_model.safetensors") == weights.sha256
    runs = {(run.condition, run.training_seed) for run in card.evidence.runs}
    assert runs == {("base", None)} | {(c, s) for c, s, *_ in listed}


def test_declared_seeds_are_used_as_they_are(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    seeds = {
        "scheme": "declared",
        "training": [7, 8],
        "generation": 9,
        "controls": ["data_order"],
        "origin": "counted up from seven",
    }
    out = run(capsys, tmp_path, seeds=seeds)
    assert load_card(out / "card.yaml").seeds.training == (7, 8)


def qlora(kind: str, compute: str, **changes: Any) -> dict[str, Any]:
    """Sections of a plan that trains on quantized weights."""
    how = {"method": "qlora", "quantization": {"type": kind, "compute_dtype": compute}, **changes}
    return {"hyperparameters": {**plan_data()["hyperparameters"], **how}}


WRONG: list[tuple[dict[str, Any], str]] = [
    ({"tasks": ["safebench_harms"]}, "there is no task safebench_harms"),
    (
        {"model": {"base": {"id": "nowhere"}, "chat_template": {"source": "tokenizer"}}},
        "there is no folder nowhere",
    ),
    (
        {
            "model": {
                "base": {"id": "model", "revision": "sha256:" + "0" * 64},
                "chat_template": {"source": "tokenizer"},
            }
        },
        "but the card says",
    ),
    (
        {"data": [{"name": "benign", "path": "none.jsonl", "examples": 24}]},
        "none.jsonl is not",
    ),
    ({"data": [{"name": "benign", "path": "benign.jsonl", "examples": 25}]}, "benign has 24"),
    (
        qlora("nf4", "float32", precision="bfloat16"),
        "compute_dtype is `float32`, but nf4 weights are computed in bfloat16",
    ),
    (qlora("int8", "float16"), "compute_dtype is `float16`, but int8 weights are computed in"),
    (qlora("fp4", "float32", precision="float64"), "precision is `float64`, and weights of that"),
    (
        {"model": {**plan_data()["model"], "dtype": "float64", "quantization": "nf4"}},
        "model.dtype is `float64`, and weights of that type cannot be quantized to nf4",
    ),
    (
        {
            "judge": [
                {"name": "r", "kind": "rule", "id": "nobody", "revision": "1", "primary": True}
            ]
        },
        "no judge 'nobody'",
    ),
]

TWICE = {"name": "greedy", "do_sample": False, "max_new_tokens": 6}
# What a rule forbids: changes, the rule, and what the plan itself says when it is not asked first
# (None where it would go on).
CONTRADICTIONS: list[tuple[dict[str, Any], str, str | None]] = [
    ({"tasks": []}, "SB-TASK-006", "tasks is empty"),
    ({"data": []}, "SB-DATA-001", "no set with role `tuned`"),
    (
        {"seeds": {"scheme": "declared", "training": 2, "controls": []}},
        "SB-SEED-005",
        "need their values",
    ),
    (
        {"seeds": {"scheme": "derived", "training": [1, 2], "controls": []}},
        "SB-SEED-002",
        "scheme `derived` gives",
    ),
    ({"decoding": [TWICE, {**TWICE, "max_new_tokens": 7}]}, "SB-DEC-001", None),
    ({"decoding": [{**TWICE, "temperature": 0.7}]}, "SB-DEC-004", None),
]


@pytest.mark.parametrize(("changes", "message"), WRONG, ids=[m for _, m in WRONG])
def test_a_plan_that_cannot_be_run(
    changes: dict[str, Any],
    message: str,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    small_study: Path,
) -> None:
    shutil.copytree(small_study, tmp_path / "s")
    plan = write_plan(tmp_path / "s", **changes)
    ran = safebench(capsys, "run", plan, "--out", tmp_path / "out")
    assert ran.code == 2
    assert message in ran.err
    assert not (tmp_path / "out" / "card.yaml").exists()
    assert safebench(capsys, "run", plan, "--dry-run") == ran


@pytest.mark.parametrize(
    ("changes", "rule", "message"), CONTRADICTIONS, ids=[rule for _, rule, _ in CONTRADICTIONS]
)
def test_what_validate_calls_an_error_is_not_run(
    changes: dict[str, Any],
    rule: str,
    message: str | None,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    small_study: Path,
) -> None:
    shutil.copytree(small_study, tmp_path / "s")
    plan = write_plan(tmp_path / "s", **changes)
    ran = safebench(capsys, "run", plan, "--out", tmp_path / "out")
    assert ran.code == 2
    assert f"{plan}:" in ran.err
    assert f": {rule}: " in ran.err
    assert not (tmp_path / "out").exists()
    if message is not None:
        with pytest.raises(CardError, match=message):
            make_plan(protocol(plan), tmp_path / "out")


def test_a_submission_that_was_tampered_with_is_not_rerun(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = run(capsys, tmp_path)
    card = out / "card.yaml"
    text = card.read_text()
    at = text.index("estimate: ", text.index("scores:"))
    line = text[at : text.index("\n", at)]
    card.write_text(text.replace(line, "estimate: 0.123456", 1))
    ran = safebench(capsys, "rerun", out, "--out", tmp_path / "again")
    assert ran.code == 2
    assert "SB-EVI-008" in ran.err
    assert not (tmp_path / "again").exists()


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("", "no examples"),
        ("not json", "benign.jsonl:1: not JSON"),
        ("[1]", "benign.jsonl:1: expected an object, found list"),
        ('{"prompt": "x"}', "benign.jsonl:1: the columns fit no"),
    ],
)
def test_training_data_that_cannot_be_read(
    line: str, message: str, tmp_path: Path, capsys: pytest.CaptureFixture[str], small_study: Path
) -> None:
    shutil.copytree(small_study, tmp_path / "s")
    plan = write_plan(tmp_path / "s")
    (tmp_path / "s" / "benign.jsonl").write_text(line + "\n" if line else "")
    ran = safebench(capsys, "run", plan, "--out", tmp_path / "out")
    assert ran.code == 2
    assert message in ran.err
    assert safebench(capsys, "run", plan, "--dry-run") == ran


def test_a_loss_that_is_no_number_is_explained(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    training = {**plan_data()["hyperparameters"], "learning_rate": 1e30}
    plan = write_plan(tmp_path, hyperparameters=training)
    ran = safebench(capsys, "run", plan, "--out", tmp_path / "out")
    assert ran.code == 2
    assert "lower hyperparameters.learning_rate" in ran.err


@pytest.mark.parametrize("device", ["nonsense", "xpu"])
def test_a_device_that_is_not_here(
    device: str, tmp_path: Path, capsys: pytest.CaptureFixture[str], small_study: Path
) -> None:
    ran = safebench(
        capsys, "run", small_study / "plan.yaml", "--out", tmp_path / "out", "--device", device
    )
    assert ran.code == 2
    assert f"device '{device}' cannot be used" in ran.err
    assert not (tmp_path / "out").exists()


def test_a_folder_that_cannot_be_written(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], small_study: Path
) -> None:
    (tmp_path / "file").write_text("")
    ran = safebench(capsys, "run", small_study / "plan.yaml", "--out", tmp_path / "file" / "inside")
    assert ran.code == 2
    assert "cannot be written" in ran.err
