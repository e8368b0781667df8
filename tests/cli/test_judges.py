"""`safebench judges`: what is known of judges, and what a card needs of them."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

import pytest
import yaml

from safebench.card.judge import ModelJudge
from safebench.errors import CardError
from safebench.judges.llm import check_entry
from safebench.judges.prompted.presets import presets
from safebench.judges.registry import KINDS, check_judges
from tests.cli.test_tasks import HEAVY
from tests.command import safebench
from tests.plans import plan_data, write_plan
from tests.study.test_runnable import MODEL_JUDGE


@pytest.fixture(autouse=True)
def _empty_machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("OPENAI_API_KEY", "OPENAI_BASE_URL"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HF_HUB_CACHE", str(tmp_path / "hub"))
    monkeypatch.chdir(tmp_path)


def in_cache(folder: Path, name: str, template: str) -> str:
    commit = "c" * 40
    at = folder / "hub" / f"models--{name.replace('/', '--')}" / "snapshots" / commit
    at.mkdir(parents=True)
    (at / "model.safetensors").touch()
    (at / "tokenizer_config.json").write_text(json.dumps({"chat_template": template}))
    return commit


def test_every_kind_and_known_judge_has_a_line(capsys: pytest.CaptureFixture[str]) -> None:
    ran = safebench(capsys, "judges")
    assert ran.code == 0
    lines = {line.split()[0]: line for line in ran.out.splitlines() if line.strip()}
    assert {*KINDS, *presets()} <= set(lines)
    assert "harm, severity" in lines["strongreject-rubric"]
    assert lines["strongreject-rubric"].rstrip().endswith("no key")
    assert "its tokenizer" in lines["llama-guard-3"]
    assert all(kind.about for kind in KINDS.values())
    found = json.loads(safebench(capsys, "judges", "--format", "json").out)
    assert [one["name"] for one in found["judges"]] == list(presets())
    assert [one["name"] for one in found["kinds"]] == list(KINDS)


@pytest.mark.parametrize("name", presets())
def test_a_known_judge_is_explained_and_its_entry_is_one_of_a_card(
    name: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    ran = safebench(capsys, "judges", name)
    assert ran.code == 0
    entry = ran.out.partition("In a card, under `judge:`\n")[2].partition("\n\nBefore")[0]
    (data,) = yaml.safe_load(entry)
    judge = ModelJudge.model_validate_json(json.dumps(data))
    assert judge.name == name
    plain = json.loads(safebench(capsys, "judges", name, "--format", "json").out)
    assert plain["entry"] == data
    assert plain["missing"] and all(one["how"] for one in plain["missing"])
    assert presets()[name].citation in ran.out
    template = dict(data["template"])
    if "arguments" in template:  # what a user fills in
        template["arguments"] = {
            k: "text" if str(v).startswith("TO FILL") else v
            for k, v in template["arguments"].items()
        }
        if template != data["template"]:
            with pytest.raises(CardError, match="TO FILL IN"):
                check_judges([judge], tmp_path)
    check_entry(judge, "judge[0]")  # a dry run lists what is to be filled in
    whole = ModelJudge.model_validate_json(json.dumps({**data, "template": template}))
    check_entry(whole, "judge[0]")
    kind = KINDS["llm"]
    assert all(getattr(whole, f) in values for f, values in kind.executed.items())
    verified = presets()[name].digest == "verified"
    assert isinstance(judge.prompt_template_sha256, str) == verified


def test_an_entry_has_what_is_on_this_machine(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    commit = in_cache(tmp_path, "Qwen/Qwen3Guard-Gen-8B", "a template")
    ran = safebench(capsys, "judges", "qwen3guard-gen")
    assert f"revision: {commit}" in ran.out
    digest = hashlib.sha256(b"a template").hexdigest()
    assert f"prompt_template_sha256: {digest}" in ran.out
    assert "It can judge here." in ran.out
    in_cache(tmp_path, "cais/HarmBench-Llama-2-13b-cls", "")
    (tmp_path / "harmbench-llama-2.txt").write_text("{behavior} {generation}")
    assert "It can judge here." in safebench(capsys, "judges", "harmbench-llama-2-13b").out
    (tmp_path / "harmbench-llama-2.txt").write_text("{behavior}")
    ran = safebench(capsys, "judges", "harmbench-llama-2-13b")
    assert "has no '{generation}', the place of the response" in ran.out


def test_one_that_is_not_known_is_said(capsys: pytest.CaptureFixture[str]) -> None:
    ran = safebench(capsys, "judges", "judge-dredd")
    assert ran.code == 2
    assert "there is no preset 'judge-dredd'" in ran.err
    assert "one of sorry-bench" in ran.err


def test_neither_models_nor_the_hub_are_loaded() -> None:
    import subprocess
    import sys

    program = (
        "import sys; from safebench.cli.main import main\n"
        "try: main(['judges'])\nexcept SystemExit: pass\n"
        f"print([name for name in {sorted(HEAVY)} if name in sys.modules])"
    )
    ran = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )
    assert ran.stdout.splitlines()[-1] == "[]"


def judge(name: str, **changes: Any) -> dict[str, Any]:
    template = {"source": "file", "path": f"{name}.txt", "prompt": "{p}", "response": "{r}"}
    return {
        **MODEL_JUDGE,
        "name": name,
        "kind": "llm",
        "id": f"example/{name}",
        "revision": "1" * 40,
        "constructs": ["harm"],
        "parser": "label",
        "verdicts": {"0": "refused", "1": "complied"},
        "on_parse_failure": "unparsed",
        "sampling": {"max_new_tokens": 4},
        "template": template,
        **changes,
    }


def test_a_dry_run_lists_all_that_judges_lack(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    judges = [
        *plan_data()["judge"],
        judge("first", primary=True),
        judge(
            "second",
            access="api",
            template={
                "source": "distribution",
                "distribution": "no-such-judges",
                "version": "1.2",
                "file": "judges.py",
                "symbol": "PROMPT",
                "prompt": "{p}",
                "response": "{r}",
            },
        ),
    ]
    plan = write_plan(tmp_path, judge=json.loads(json.dumps(judges)))  # no shared parts
    ran = safebench(capsys, "run", plan, "--dry-run")
    assert ran.code == 0, ran.err
    said = ran.out[ran.out.index("not here") :].splitlines()
    assert [line.startswith("  Get it: ") for line in said] == [False, True] * 4
    text = "\n".join(said)
    for part in (
        "first.txt: No such file", "the weights of judge first: example/first",
        f"hf download example/first --revision {'1' * 40}",
        "pip install --no-deps no-such-judges==1.2", "OPENAI_API_KEY is not set",
    ):  # fmt: skip
        assert part in text
    plain = json.loads(safebench(capsys, "run", plan, "--dry-run", "--format", "json").out)
    assert [one["thing"] for one in plain["missing"]] == ["template", "weights", "template", "key"]
    assert safebench(capsys, "validate", plan).code == 0


@pytest.mark.parametrize("name", presets())
def test_a_plan_with_a_pasted_entry_is_valid_and_a_dry_run_says_what_it_lacks(
    name: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    entry = {**presets()[name].filled(tmp_path), "primary": True}
    plan = write_plan(tmp_path, judge=json.loads(json.dumps([*plan_data()["judge"], entry])))
    assert safebench(capsys, "validate", plan).code == 0
    ran = safebench(capsys, "run", plan, "--dry-run", "--format", "json")
    assert ran.code == 0, ran.err
    expected = [one._asdict() for one in presets()[name].missing(tmp_path)]
    assert json.loads(ran.out)["missing"] == expected
    ran = safebench(capsys, "run", plan, "--out", tmp_path / "out")
    assert ran.code == 2
