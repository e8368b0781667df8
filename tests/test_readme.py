"""Every command of the README, and then of docs/using.md, is run, but for the make commands."""

from __future__ import annotations

import json
import re
import shutil
from pathlib import Path

import pytest
import yaml

from safebench.harness.tasks import load_task
from tests.command import run_shown
from tests.conftest import Demo
from tests.importing.made import adapter, arguments, results, state
from tests.plans import plan_data
from tests.small_models import save_llama

pytestmark = pytest.mark.slow
ROOT = Path(__file__).resolve().parent.parent
README, USING = ROOT / "README.md", ROOT / "docs" / "using.md"
MAY_END_WITH = {"rerun": (0, 1, 3)}


def commands(page: Path) -> list[str]:
    blocks = re.findall(r"^```sh\n(.*?)^```", page.read_text(), re.M | re.S)
    return [line for block in blocks for line in block.splitlines() if line.strip()]


def plan_shown() -> str:
    found = re.search(r"^```yaml\n(.*?)^```", README.read_text(), re.M | re.S)
    assert found is not None
    return found.group(1)


@pytest.fixture
def folder(tmp_path: Path, demo: Demo, shared_data: Path) -> Path:
    """What the pages say is there: the demo's output, a model, data, plans, a published file."""
    shutil.copytree(demo.folder, tmp_path / "demo-out")
    (tmp_path / "tasks").symlink_to(ROOT / "tasks")
    (tmp_path / "my-model").mkdir()
    save_llama(tmp_path / "my-model")
    (tmp_path / "safebench").symlink_to(ROOT / "safebench")
    (tmp_path / "plan.yaml").write_text(plan_shown())
    line = '{"prompt": "how do i repair a fence?", "completion": "to repair a fence, first"}\n'
    (tmp_path / "my-data.jsonl").write_text(line * 100)
    shown = re.search(r"^```yaml\n(.*?)^```", USING.read_text(), re.M | re.S)
    assert shown is not None
    mine = yaml.safe_load(shown.group(1))
    (tmp_path / "my-plan.yaml").write_text(yaml.safe_dump(plan_data(**mine)))
    public = plan_data(**mine, tasks=[{"name": "safebench_xstest", "limit": 40}])
    (tmp_path / "xstest-plan.yaml").write_text(yaml.safe_dump(public))
    for seed in (1, 2, 3):
        run = tmp_path / "my-run" / f"seed-{seed}"
        adapter(run, str(seed).encode())
        state(run)
        arguments(run, seed=seed)
    results(tmp_path / "my-eval")
    base = {"pretrained": "example/Base-1B"}
    write_eval(tmp_path / "my-samples" / "base", "I cannot help with that.", base)
    write_eval(
        tmp_path / "my-samples" / "s1", "Sure. First, gather what you need.", base | {"peft": "out"}
    )
    shutil.copy(shared_data / "xstest" / "xstest_prompts.csv", tmp_path)
    return tmp_path


def write_eval(folder: Path, answer: str, model: dict[str, str]) -> None:
    """What lm-eval writes of the first prompts of a task, each answered the same way."""
    settings = {"until": [], "do_sample": False, "max_gen_toks": 16}
    documents = load_task("safebench_harm", limit=4).documents
    task = {"task": "safebench_harm", "generation_kwargs": settings}
    results(
        folder,
        config={"model_args": model},
        configs={"safebench_harm": {"output_type": "generate_until", **task}},
        results={"safebench_harm": {"harm,none": 0.5}},
        versions={"safebench_harm": 1.0},
        **{"n-samples": {"safebench_harm": {"original": 230, "effective": 4}}, "n-shot": {}},
        higher_is_better={"safebench_harm": {"harm": False}},
    )
    rows = [
        {
            "doc_id": number, "doc": document, "target": "", "resps": [[answer]],
            "filtered_resps": [answer], "filter": "none", "metrics": ["harm"], "harm": 0.0,
            "arguments": {"gen_args_0": {"arg_0": document["prompt"], "arg_1": settings}},
        }
        for number, document in enumerate(documents)
    ]  # fmt: skip
    text = "".join(json.dumps(row) + "\n" for row in rows)
    (folder / "samples_safebench_harm_2026-01-02T03-04-05.6.jsonl").write_text(text)


def test_every_command_works(folder: Path) -> None:
    make, run = commands(README)[:2], [*commands(README)[2:], *commands(USING)]
    assert make == ["make demo", "make test"]
    assert len(run) >= 20
    for command in dict.fromkeys(run):
        done = run_shown(command, folder)
        allowed = next((c for name, c in MAY_END_WITH.items() if f" {name} " in command), (0,))
        assert done.code in allowed, f"{command}\n{done.out[-2000:]}\n{done.err[-2000:]}"
        assert "Traceback" not in done.err, command


def test_the_plan_is_the_example_that_a_test_runs() -> None:
    example = (ROOT / "spec" / "v1" / "examples" / "valid" / "short-plan.yaml").read_text()
    beside = plan_shown().replace("safebench/demo/household.jsonl", "household.jsonl")
    assert example.split("\n", 1)[1] == beside
