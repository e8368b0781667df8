"""`run --dry-run`, --only, --limit; `status`; `withdraw`: what they print, and that it is so."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from safebench.card.io import load_card
from safebench.errors import DivergedError
from safebench.evidence.store import Store
from safebench.evidence.tables import read_responses
from safebench.study.execute import claim_of
from safebench.study.plan import make_plan
from safebench.tuning.interface import Job
from safebench.tuning.peft_trainer import PeftTrainer
from tests.cli.test_start import start
from tests.command import Ran, safebench
from tests.plans import plan_data
from tests.tiny_runs import QUICK, files_of, protocol, run_tiny, same_files, write_tiny

pytestmark = pytest.mark.slow
Capture = pytest.CaptureFixture[str]


@pytest.fixture(scope="module")
def done(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A plan with a control, and its run that was left alone."""
    folder = tmp_path_factory.mktemp("whole")
    run_tiny(write_tiny(folder, seeds=1, control=True), folder / "out")
    return folder


@pytest.fixture
def out(done: Path, request: pytest.FixtureRequest) -> Path:
    """A new folder beside the plan."""
    return done / str(request.node.name)


def run(capsys: Capture, plan: Path, out: Path, *more: object) -> Ran:
    ran = safebench(capsys, "run", plan, "--out", out, *QUICK, *more)
    return Ran(ran.code, " ".join(ran.out.split()), " ".join(ran.err.split()))


def begun(plan: Path, out: Path) -> Store:
    """Return the store of a run that was only begun."""
    store = Store(out)
    with store.opened(claim_of(make_plan(protocol(plan), out))):
        pass
    return store


def on_the_hub() -> dict[str, Any]:
    """Sections of a plan of which much is on the Hub."""
    pinned = {"revision": "a" * 40}
    published = {"name": "published", "id": "owner/set", "split": "train", **pinned}
    tasks = [{"name": f"safebench_{name}"} for name in ("harm", "xstest", "wmdp")]
    prompted = ("prompt_template_sha256", "parser", "on_parse_failure", "decoding", "lineage")
    grader = {
        "name": "graded", "kind": "classifier", "id": "owner/judge", "primary": True,
        "constructs": ["severity"],
        **{name: {"not_reported": "of a prompted model"} for name in prompted},
    }  # fmt: skip
    return {
        "model": {**plan_data()["model"], "base": {"id": "owner/model", **pinned}},
        "data": [
            {**plan_data()["data"][0], "weight": 0.75},
            {**published, "examples": 24, "weight": 0.25},
        ],
        "judge": [*plan_data()["judge"], {**grader, **pinned}],
        "tasks": [{**tasks[0], "limit": 2, "construct": ["harm", "severity"]}, *tasks[1:]],
    }


def counted(capsys: Capture, plan: Path, *more: object) -> dict[str, Any]:
    ran = safebench(capsys, "run", plan, "--dry-run", "--format=json", *more)
    assert ran.code == 0, ran.err
    found: dict[str, Any] = json.loads(ran.out)
    return found


def test_a_dry_run_counts_what_a_run_makes(done: Path, out: Path, capsys: Capture) -> None:
    plan = counted(capsys, done / "plan.yaml", "--out", out)
    assert not out.exists()
    rows = read_responses(done / "out").to_pylist()
    assert plan["responses"] == len(rows) == sum(b["responses"] for b in plan["blocks"])
    keys = ("condition", "training_seed", "checkpoint", "decoding")
    made = {(*(row[k] for k in keys), row["task"], row["repeat"]) for row in rows}
    assert plan["cells"] == len(made)
    seeds = dict(zip(("#1",), load_card(done / "out" / "card.yaml").seeds.training, strict=True))
    blocks = [{**b, "training_seed": seeds.get(b["training_seed"])} for b in plan["blocks"]]
    assert {tuple(b[k] for k in keys) for b in blocks} == {cell[:4] for cell in made}
    assert plan["fine_tunings"] == 2
    assert plan["updates"] == 3  # 24 examples in batches of 8
    assert plan["answers"] == 24
    assert sum(row["new_tokens"] for row in rows) <= plan["new_tokens"] == (54 + 24) * 3
    assert {block["state"] for block in plan["blocks"]} == {"to_do"}
    finished = counted(capsys, done / "plan.yaml", "--out", done / "out")
    assert finished["blocks"] == [{**b, "state": "finished"} for b in blocks]


def test_a_limit_that_leaves_nothing_out_makes_no_trial(tmp_path: Path, capsys: Capture) -> None:
    tasks = [{"name": "safebench_harm"}]
    whole = write_tiny(tmp_path, seeds=1, tasks=tasks)
    limited = write_tiny(tmp_path / "limited", seeds=1, tasks=[{**tasks[0], "limit": 9999}])
    made = [make_plan(protocol(p), tmp_path / "out").card for p in (whole, limited)]
    assert made[0].tasks == made[1].tasks
    assert made[0].seeds == made[1].seeds  # which are derived from what is measured
    assert not made[0].trials
    run_tiny(limited, tmp_path / "out")
    plan = counted(capsys, limited, "--out", tmp_path / "out")
    assert {block["state"] for block in plan["blocks"]} == {"finished"}


def test_a_dry_run_says_it_in_words(done: Path, out: Path, capsys: Capture) -> None:
    before = files_of(done)
    ran = safebench(capsys, "run", done / "plan.yaml", "--dry-run")
    assert ran.code == 0, ran.err
    table = [" ".join(line.split()) for line in ran.out.splitlines()]
    assert "base greedy 1 3 6" in table
    assert "control #1 epoch 1 t07 2 6 12" in table
    assert "left to the run: the training seeds" in ran.out
    assert "27 cells: safebench_harm (2 prompts)" in ran.out
    assert "54 responses, at most 234 new tokens" in ran.out
    assert "24 answers of the base model become training data first" in ran.out
    assert "2 fine-tunings of 3 updates (24 examples each)" in ran.out
    only = safebench(capsys, "run", done / "plan.yaml", "--dry-run", "--only", "condition=base")
    assert "become training data" not in only.out
    assert "fine-tuning" not in only.out
    assert files_of(done) == before


def test_another_study_has_finished_nothing(done: Path, capsys: Capture) -> None:
    training = load_card(done / "plan.yaml").hyperparameters
    other = write_tiny(
        done / "other", seeds=1, control=True,
        hyperparameters={**training.model_dump(mode="json", exclude_none=True), "epochs": 2},
    )  # fmt: skip
    plan = counted(capsys, other, "--out", done / "out")
    assert {(b["training_seed"], b["state"]) for b in plan["blocks"]} == {
        (None, "to_do"), ("#1", "to_do"),
    }  # fmt: skip


def test_a_dry_run_says_what_it_leaves_to_the_run(
    tmp_path: Path, capsys: Capture, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("SAFEBENCH_XSTEST_FILE", "SAFEBENCH_WMDP_FILE"):
        monkeypatch.delenv(name, raising=False)
    plan = write_tiny(tmp_path, **on_the_hub())
    found = counted(capsys, plan)
    assert found["responses"] == (2 + 450 + 3668) * (1 + 2) * 3
    assert found["examples"] == 24 + 8  # as many of the set that was not read as its weight says
    assert [text.partition(",")[0] for text in found["left_to_the_run"]] == [
        "the prompts of safebench_xstest", "the prompts of safebench_wmdp", "the training seeds",
        "the base model on the Hub", "the set published on the Hub (24 examples by the card)",
    ]  # fmt: skip
    assert [one["what"].partition(":")[0] for one in found["missing"]] == [
        "the weights of judge graded"
    ]
    assert "which are on the Hub (450 prompts as published)" in found["left_to_the_run"][0]
    assert counted(capsys, plan, "--limit", 5)["responses"] == (2 + 5 + 5) * (1 + 2) * 3


@pytest.mark.parametrize("sections", [{}, on_the_hub()], ids=["here", "on the Hub"])
def test_a_plan_is_counted_without_a_model_library(sections: Any, tmp_path: Path) -> None:
    plan = write_tiny(tmp_path, **({"control": True} | sections))
    printed, _, modules = start("run", str(plan), "--dry-run").partition("\nmodules ")
    assert "new tokens" in printed
    assert not set(modules.split()) & {
        "torch", "transformers", "lm_eval", "peft", "trl", "datasets", "accelerate",
        "huggingface_hub", "bitsandbytes",
    }  # fmt: skip


def test_cells_may_be_made_one_part_after_another(done: Path, out: Path, capsys: Capture) -> None:
    plan = done / "plan.yaml"
    ran = run(capsys, plan, out, "--only", "condition=base")
    assert ran.code == 0, ran.err
    assert "9 of 27 cells of the grid are finished in" in ran.out
    assert f"Next: run without --only for the rest · safebench status {out}" in ran.out
    assert not (out / "adapters").exists()
    dry = safebench(capsys, "run", plan, "--out", out, "--dry-run").out
    assert (dry.count("finished"), dry.count("to do")) == (2, 4)
    ran = run(capsys, plan, out, "--only", "seed=#1,decoding=t07", "--only", "condition=control")
    assert "24 of 27 cells" in ran.out
    state = safebench(capsys, "status", out).out
    assert f"{out}: interrupted\n  cells     24 of 27; 48 of 54 responses\n" in state
    assert "  runs      2 of 3 finished\n" in state
    assert "responses a second\n" in state
    assert "give the same `safebench run` command again" in state
    ran = run(capsys, plan, out, "--only", "decoding=greedy")
    assert ran.code == 0, ran.err
    assert f"Wrote: {out}/card.yaml" in ran.out
    same_files(out, done / "out")


@pytest.mark.parametrize(
    ("value", "said"),
    [
        ("condition=tunned", "no cell has condition 'tunned' Fix: there are: base, tuned, control"),
        ("epoch=1", "'epoch=1' is not KEY=VALUE Fix: keys are condition, seed, checkpoint"),
        ("base", "'base' is not KEY=VALUE"),
        ("seed=#2", "no cell has seed '#2' Fix: there are: "),
    ],
)
def test_cells_that_are_not_there(
    value: str, said: str, done: Path, out: Path, capsys: Capture
) -> None:
    ran = run(capsys, done / "plan.yaml", out, "--only", value)
    assert ran.code == 2
    assert said in ran.err
    assert not out.exists()


@pytest.mark.parametrize("value", ["0/2", "3/2", "1", "1/0", "a/b", "-1/2"])
def test_shards_that_are_none(value: str, done: Path, out: Path, capsys: Capture) -> None:
    ran = run(capsys, done / "plan.yaml", out, f"--shard={value}")
    assert ran.code == 2
    assert f"--shard '{value}' is not i/n Fix: give --shard 1/4, 2/4, 3/4, 4/4" in ran.err
    assert not out.exists()


def test_a_trial_says_that_it_is_one(done: Path, out: Path, capsys: Capture) -> None:
    plan = write_tiny(done / "trial", seeds=1, hyperparameters={"method": "none"}, data=[])
    ran = run(capsys, plan, out, "--limit", 1)
    assert ran.code == 0, ran.err
    card = load_card(out / "card.yaml")
    assert [task.limit for task in card.task_list()] == [1, 1, 1]
    rows = read_responses(out).to_pylist()
    assert len(rows) == 3 * 3
    whole = {row["prompt_id"] for row in read_responses(done / "out").to_pylist()}
    assert len({row["prompt_id"] for row in rows} & whole) == 3


def test_status_of_whatever_there_is(done: Path, out: Path, capsys: Capture) -> None:
    store = begun(done / "plan.yaml", out)
    ran = safebench(capsys, "status", done / "out", out)
    assert ran.code == 0
    first, second = ran.out.split(str(out) + ":")
    assert first.startswith(f"{done / 'out'}: finished\n  runs      3 of 3 finished\n  last ")
    assert second.startswith(" interrupted\n  cells     0 of 27; 0 of 54 responses\n")
    with store.opened(store.claim()):
        ran = safebench(capsys, "status", out)
        assert f"{out}: running (process " in ran.out
        assert "Next" not in ran.out
        (found,) = json.loads(safebench(capsys, "status", out, "--format", "json").out)
    assert found["state"] == "running"
    assert (found["folder"], found["shard"]) == (str(out), "1/1")
    assert (found["cells"], found["responses"]) == ([0, 27], [0, 54])
    assert found["seconds_left"] is None


def test_status_of_what_is_no_run(tmp_path: Path, capsys: Capture) -> None:
    ran = safebench(capsys, "status", tmp_path)
    assert ran.code == 2
    assert "holds no unfinished run" in ran.err
    ran = safebench(capsys, "status", tmp_path / "nowhere")
    assert ran.code == 2
    assert "no such folder" in ran.err


def test_a_run_that_is_withdrawn_stands_in_the_card(
    tmp_path: Path, capsys: Capture, monkeypatch: pytest.MonkeyPatch
) -> None:
    plan, out = write_tiny(tmp_path, seeds=3), tmp_path / "out"
    store = begun(plan, out)
    first, second, third = store.claim().card.seeds.training
    why = ("--reason", "its node was lost")
    with store.opened(store.claim()):
        busy = safebench(capsys, "withdraw", out, "--training-seed", first, *why)
    assert busy.code == 2
    assert "another run is at work" in busy.err
    ran = safebench(capsys, "withdraw", out, "--training-seed", 5, *why)
    assert ran.code == 2
    assert "no run of tuned, training seed 5 is registered" in ran.err
    assert str(second) in ran.err
    ran = safebench(
        capsys, "withdraw", out, "--training-seed", first, "--condition", "control", *why
    )
    assert ran.code == 2
    assert "it has no control condition" in ran.err
    ran = safebench(capsys, "withdraw", out, "--training-seed", first, "--reason", " ")
    assert ran.code == 2
    assert "--reason is empty" in ran.err
    ran = safebench(capsys, "withdraw", out, "--training-seed", first, *why)
    assert ran.code == 0, ran.err
    assert f"Withdrawn: tuned, training seed {first}." in ran.out
    ran = safebench(capsys, "withdraw", out, "--training-seed", first, *why)
    assert ran.code == 2
    assert "is already lost" in ran.err
    real = PeftTrainer.train

    def train(self: PeftTrainer, job: Job) -> object:
        if job.seed == second:
            raise DivergedError(f"training seed {job.seed}: the loss became nan at step 1")
        return real(self, job)

    monkeypatch.setattr(PeftTrainer, "train", train)
    ran = run(capsys, plan, out)
    assert ran.code == 0, ran.err
    assert ran.err == ""  # no bars, no codes: nobody is watching
    assert "\x1b" not in ran.out
    states = {
        r.training_seed: (r.status, r.reason) for r in load_card(out / "card.yaml").evidence.runs
    }
    assert states[first] == ("withdrawn", "its node was lost")
    assert states[second][0] == "failed"
    assert states[third] == ("finished", None)
    told = safebench(capsys, "status", out).out
    assert f"  withdrawn tuned, training seed {first}: its node was lost" in told
    assert f"  failed    tuned, training seed {second}: training seed {second}: the loss" in told
    ran = safebench(capsys, "withdraw", out, "--training-seed", third, *why)
    assert ran.code == 2
    assert "its run is finished, and its card is written" in ran.err
