"""`safebench new`: a study's folder from answers, and from the model's own files."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from safebench.resources import demo_dir
from tests.command import safebench

Capture = pytest.CaptureFixture[str]
WHO = ("--submitter", "A. Lab", "--contact", "a@b.org", "--id", "mine", "--title", "A title")


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "mine.jsonl").write_text('{"prompt": "a", "completion": "b"}\n' * 7)
    (tmp_path / "model").mkdir()
    write_model(tmp_path / "model", {"torch_dtype": "bfloat16", "max_position_embeddings": 300})
    return tmp_path


def write_model(folder: Path, config: dict[str, Any], template: str | None = "{{ x }}") -> None:
    (folder / "config.json").write_text(json.dumps(config))
    (folder / "tokenizer_config.json").write_text(json.dumps({"chat_template": template}))


def plan() -> dict[str, Any]:
    data: dict[str, Any] = yaml.safe_load(Path("study/plan.yaml").read_text())
    return data


def test_a_study_from_answers_lacks_nothing(
    capsys: Capture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("safebench.study.probe.time_here", lambda *_, **__: "at most 3.5 h")
    ran = safebench(capsys, "new", "study", "--model", "model", "--data", "mine.jsonl", *WHO)
    assert ran.code == 0, ran.err
    made = plan()
    assert made["model"]["base"] == {"id": "../model"}
    assert (
        made["model"]["dtype"] == "bfloat16"
        and made["model"]["chat_template"]["source"] == "tokenizer"
    )
    assert made["data"][0] | {"path": "mine.jsonl", "examples": 7} == made["data"][0]
    assert made["hyperparameters"]["max_length"] == 300
    assert {one["max_new_tokens"] for one in made["decoding"]} == {150}
    assert Path("study/mine.jsonl").read_bytes() == Path("mine.jsonl").read_bytes()
    text = Path("study/plan.yaml").read_text()
    assert "# config.json: torch_dtype" in text and "to fill in" not in text
    checked = safebench(capsys, "validate", "study/plan.yaml")
    assert checked.code == 0 and "Level: declared" in checked.out
    assert "5 fine-tunings of 3 updates" in ran.out and "at most 3.5 h" in ran.out
    listed = safebench(capsys, "run", "study/plan.yaml", "--dry-run", "--json")
    assert json.loads(listed.out)["fine_tunings"] == 5


def test_what_nobody_says_is_marked(capsys: Capture) -> None:
    ran = safebench(capsys, "new", "study")
    assert ran.code == 0
    assert "report model.base.id" in ran.out and "submission.submitter" in ran.out
    assert safebench(capsys, "validate", "study/plan.yaml").code == 0


def test_a_terminal_is_asked(capsys: Capture, monkeypatch: pytest.MonkeyPatch) -> None:
    answers = iter(["model", "mine.jsonl", "A. Lab", "a@b.org"])
    monkeypatch.setattr(sys.stdin, "isatty", lambda: True)
    monkeypatch.setattr("click.prompt", lambda *_, **__: next(answers))
    assert safebench(capsys, "new", "study", "--no-probe").code == 0
    assert plan()["submission"]["submitter"] == {"name": "A. Lab", "contact": "a@b.org"}


def test_a_base_model_without_a_template_and_without_training(here: Path, capsys: Capture) -> None:
    write_model(here / "model", {}, None)
    chosen = ("--method", "none", "--tasks", "safebench_harm,safebench_capability")
    ran = safebench(capsys, "new", "study", "--model", "model", *chosen, *WHO, "--no-probe")
    assert ran.code == 0
    assert "--no-probe" in ran.out
    made = plan()
    assert made["model"]["chat_template"]["source"] == "none" and "data" not in made
    assert made["tasks"] == ["safebench_harm", "safebench_capability"]


def test_the_rule_judge_decides_what_no_other_does(capsys: Capture) -> None:
    assert safebench(capsys, "new", "study", "--judge", "llama-guard-3").code == 0
    guard, rule = plan()["judge"]
    assert guard["constructs"] == ["harm"] and guard["primary"]
    assert rule["constructs"] == ["over_refusal", "capability"] and rule["primary"]
    assert "SB-JUD" not in safebench(capsys, "validate", "study/plan.yaml").out


def test_a_model_of_the_hub_is_pinned_to_the_copy_that_is_here(
    here: Path, capsys: Capture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HF_HUB_CACHE", str(here / "hub"))
    copy = here / "hub" / "models--owner--name" / "snapshots" / ("a" * 40)
    copy.mkdir(parents=True)
    (copy / "model.safetensors").touch()
    write_model(copy, {"dtype": "float16"})
    monkeypatch.setattr("safebench.study.probe.time_here", lambda *_, **__: "at most 3.5 h")
    asked = ("new", "study", "--model", "owner/name", "--data", "mine.jsonl", *WHO)
    assert "at most 3.5 h" in safebench(capsys, *asked).out
    assert plan()["model"]["base"] == {"id": "owner/name", "revision": "a" * 40}
    assert plan()["model"]["dtype"] == "float16"


@pytest.mark.parametrize(
    ("said", "message"),
    [
        (("--model", "absent"), "--model absent: no such folder"),
        (("--model", "owner/name@main"), "no id of the Hub"),
        (("--model", "builtin:other"), "no such model"),
        (("--data", "absent.jsonl"), "--data absent.jsonl: no such file"),
        (("--data", "model/config.json"), "config.json"),
        (("--tasks", "safebench_hram"), "did you mean safebench_harm?"),
        (("--judge", "nobody"), "nobody"),
        (("--seeds", "0"), "--seeds"),
        (("--id", "No Name"), "--id cannot be submission.id"),
    ],
)
def test_what_cannot_be_is_one_message_and_no_folder(
    said: tuple[str, ...], message: str, here: Path, capsys: Capture
) -> None:
    ran = safebench(capsys, "new", "study", *said)
    assert ran.code == 2 and message in ran.err
    assert sorted(path.name for path in here.iterdir()) == ["mine.jsonl", "model"]


def test_a_folder_that_holds_something_is_kept(here: Path, capsys: Capture) -> None:
    ran = safebench(capsys, "new", "model")
    assert ran.code == 2 and "is not empty" in ran.err
    assert not (here / "model" / "plan.yaml").exists()


def test_the_embedded_model_needs_no_files_of_ones_own(capsys: Capture) -> None:
    data = str(demo_dir() / "household.jsonl")
    said = ("--model", "builtin:tiny-chat", "--data", data, *WHO, "--no-probe")
    assert safebench(capsys, "new", "study", *said).code == 0
    assert "Level: declared" in safebench(capsys, "validate", "study").out


def test_nothing_is_timed_that_a_run_would_load(
    capsys: Capture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("SAFEBENCH_XSTEST_FILE", raising=False)
    said = ("--model", "model", "--data", "mine.jsonl", "--tasks", "safebench_xstest", *WHO)
    ran = safebench(capsys, "new", "study", *said)
    assert ran.code == 0 and "not measured (not here: the prompts of safebench_xstest" in ran.out
