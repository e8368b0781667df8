"""What goes wrong in a run: one clear message, finished cells intact, and the same bytes after."""

from __future__ import annotations

import json
import multiprocessing
import os
import signal
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from safebench.card.io import load_card
from safebench.errors import RunError
from safebench.evidence.store import Store
from safebench.models.transformers_engine import HfEngine
from safebench.study import making as execution
from safebench.study.execute import claim_of
from safebench.study.plan import make_plan
from safebench.tuning import peft_trainer
from safebench.tuning.interface import Job
from tests.command import Ran, safebench
from tests.tiny_runs import QUICK, Said, files_of, protocol, run_tiny, same_files, write_tiny

pytestmark = pytest.mark.slow
Patch = pytest.MonkeyPatch
Capture = pytest.CaptureFixture[str]


@pytest.fixture(scope="module")
def done(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A plan and its run that was left alone."""
    folder = tmp_path_factory.mktemp("whole")
    run_tiny(write_tiny(folder), folder / "out")
    return folder


@pytest.fixture
def out(done: Path, request: pytest.FixtureRequest) -> Path:
    """A new folder beside the plan."""
    return done / str(request.node.name)


def run(capsys: Capture, plan: Path, out: Path, *more: object) -> Ran:
    """Run the command, and join the lines of what it says."""
    ran = safebench(capsys, "run", plan, "--out", out, *QUICK, *more)
    return Ran(ran.code, " ".join(ran.out.split()), " ".join(ran.err.split()))


def events(out: Path, kind: str) -> list[dict[str, Any]]:
    found = [json.loads(line) for line in (out / "journal.jsonl").read_text().splitlines()]
    return [event for event in found if event["event"] == kind]


def seeds_of(plan: Path, out: Path) -> tuple[int, ...]:
    return make_plan(protocol(plan), out).card.seeds.training


def with_broken_weights(monkeypatch: Patch, broken: Callable[[int], bool]) -> None:
    """Let the loss of some seeds be no number from the first step, as after a too large one."""
    real = peft_trainer._trainer

    def trainer(model: Any, job: Job, *args: Any) -> Any:
        if broken(job.seed):
            with torch.no_grad():
                model.lm_head.weight.fill_(float("nan"))
        return real(model, job, *args)

    monkeypatch.setattr(peft_trainer, "_trainer", trainer)


def test_a_seed_whose_loss_is_no_number_is_a_result(
    done: Path, out: Path, capsys: Capture, monkeypatch: Patch
) -> None:
    plan = done / "plan.yaml"
    first, second = seeds_of(plan, out)
    with_broken_weights(monkeypatch, lambda seed: seed == first)
    ran = run(capsys, plan, out)
    assert ran.code == 0, ran.err
    reason = f"training seed {first}: the loss became nan at step 1"
    assert f"failed: {reason}; the card will list it and count it as the worst outcome" in ran.out
    assert f"tuned, training seed {first} is lost: {reason}" in ran.out
    card = load_card(out / "card.yaml")
    runs = {r.training_seed: (r.status, r.reason) for r in card.evidence.runs}
    assert runs == {None: ("finished", None), first: ("failed", reason), second: ("finished", None)}
    tuned = [s for s in card.results.scores if s.condition == "tuned"]
    assert tuned
    for score in tuned:
        assert (score.stability.seeds, score.stability.pairs_within) == (2, 0)
        assert (score.stability.point, score.stability.lower) == (None, None)
        assert "1 of 2 seeds missing, scored worst-case" in score.stability.note
    checked = safebench(capsys, "validate", out, "--format", "json")
    findings = json.loads(checked.out)["files"][0]["findings"]
    assert [f for f in findings if f["severity"] == "error"] == []
    again = safebench(capsys, "status", out)
    assert f"failed    tuned, training seed {first}: {reason}" in again.out


def test_without_any_training_seed_there_is_nothing_to_report(
    done: Path, out: Path, capsys: Capture, monkeypatch: Patch
) -> None:
    with_broken_weights(monkeypatch, lambda seed: True)
    ran = run(capsys, done / "plan.yaml", out)
    assert ran.code == 2
    assert "error: every training seed was lost; the first: training seed" in ran.err
    assert "the loss became nan at step 1 Fix: lower hyperparameters.learning_rate" in ran.err
    assert not (out / "card.yaml").exists()
    assert len(events(out, "failed")) == 2


def test_memory_that_runs_out_in_one_cell_leaves_the_others(
    done: Path, out: Path, capsys: Capture, monkeypatch: Patch
) -> None:
    plan = done / "plan.yaml"
    real, calls = HfEngine.generate, []

    def generate(self: Any, *args: Any) -> Any:
        calls.append(args)
        if len(calls) == 2:
            raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 20.00 GiB")
        return real(self, *args)

    monkeypatch.setattr(HfEngine, "generate", generate)
    ran = run(capsys, plan, out)
    assert ran.code == 2
    assert len(calls) == 6
    assert ran.err.count("base--t07") == 1
    assert "error: base--t07: generation failed (t07): CUDA out of memory." in ran.err
    assert "(lower --batch-size, or use a larger --device); finished cells are kept" in ran.err
    assert "run the same command again" in ran.err
    assert not (out / "card.yaml").exists()
    state = safebench(capsys, "status", out).out
    assert "problem   base--t07: generation failed (t07): CUDA out of memory" in state
    again = run(capsys, plan, out)
    assert again.code == 0, again.err
    assert len(calls) == 7
    same_files(out, done / "out")


def test_memory_that_runs_out_in_fine_tuning_leaves_the_others(
    done: Path, out: Path, capsys: Capture, monkeypatch: Patch
) -> None:
    plan = done / "plan.yaml"
    first, second = seeds_of(plan, out)
    short = [first]

    def trainer(model: Any, job: Job, *args: Any) -> Any:
        if job.seeds["data_order"] in short:
            raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 20.00 GiB")
        return real(model, job, *args)

    real = peft_trainer._trainer
    monkeypatch.setattr(peft_trainer, "_trainer", trainer)
    ran = run(capsys, plan, out)
    assert ran.code == 2
    assert (
        f"error: tuned, training seed {first}: out of memory in fine-tuning with seed {first} "
        "(lower hyperparameters.batch_size.per_device and raise gradient_accumulation as much"
    ) in ran.err
    assert (out / "adapters" / f"tuned-seed-{second}").is_dir()
    assert not events(out, "failed")  # an accident, and no result
    short.clear()
    assert run(capsys, plan, out).code == 0
    same_files(out, done / "out")


def mute(folder: Path) -> Path:
    """Write a plan whose model ends at once, whatever it is asked."""
    from transformers import LlamaForCausalLM

    changes: dict[str, Any] = {"hyperparameters": {"method": "none"}, "data": []}
    plan = write_tiny(folder, **changes, seeds=1)
    model = LlamaForCausalLM.from_pretrained(folder / "model")
    with torch.no_grad():  # the norm gives every position the same sign of the first number
        model.model.norm.weight.zero_()
    model.save_pretrained(folder / "model")
    return plan


def test_a_model_that_says_nothing_is_measured(tmp_path: Path, capsys: Capture) -> None:
    plan, out = mute(tmp_path), tmp_path / "out"
    ran = run(capsys, plan, out)
    assert ran.code == 0, ran.err
    assert "base--greedy: all 6 responses are empty: the model ends at once" in ran.out
    assert safebench(capsys, "score", out).code == 0
    checked = safebench(capsys, "validate", out, "--format", "json")
    findings = json.loads(checked.out)["files"][0]["findings"]
    assert [f for f in findings if f["severity"] == "error"] == []


def test_ctrl_c_keeps_what_is_finished(
    done: Path, out: Path, capsys: Capture, monkeypatch: Patch
) -> None:
    plan = done / "plan.yaml"
    real, calls = execution.generate, []

    def interrupted(*args: Any, **kwargs: Any) -> Any:
        calls.append(args)
        if len(calls) == 4:
            raise KeyboardInterrupt
        return real(*args, **kwargs)

    monkeypatch.setattr(execution, "generate", interrupted)
    ran = run(capsys, plan, out)
    assert ran.code == 130
    assert "error: interrupted; finished work is kept" in ran.err
    assert "Fix: run the same command again" in ran.err
    assert len(list((out / ".work" / "responses").glob("*.parquet"))) == 3
    assert events(out, "stopped")[0]["reason"] == "KeyboardInterrupt()"
    assert run(capsys, plan, out).code == 0
    same_files(out, done / "out")


def _told_to_stop(plan: Path, out: Path, printed: Path) -> None:
    from safebench.cli.main import main

    handle = os.open(printed, os.O_WRONLY | os.O_CREAT)
    os.dup2(handle, 2)
    main(["run", str(plan), "--out", str(out), *map(str, QUICK)])


def test_a_scheduler_may_stop_it(done: Path, out: Path, tmp_path: Path) -> None:
    plan, printed = done / "plan.yaml", tmp_path / "stderr.txt"
    process = multiprocessing.get_context("spawn").Process(
        target=_told_to_stop, args=(plan, out, printed)
    )
    process.start()
    until = time.monotonic() + 300
    while not (out / "journal.jsonl").is_file() and time.monotonic() < until:
        time.sleep(0.05)
    os.kill(int(process.pid or 0), signal.SIGTERM)
    process.join(300)
    assert process.exitcode == 130
    assert "interrupted; finished work is kept" in printed.read_text()
    assert Store(out).holder() is None
    run_tiny(plan, out)
    same_files(out, done / "out")


def test_another_card_is_told_what_differs(done: Path, out: Path, capsys: Capture) -> None:
    plan = done / "plan.yaml"
    with Store(out).opened(claim_of(make_plan(protocol(plan), out))):
        pass
    before = files_of(out)
    changed = done / "changed.yaml"
    changed.write_text(plan.read_text().replace("temperature: 0.7", "temperature: 0.8"))
    ran = run(capsys, changed, out)
    assert ran.code == 2
    assert "holds an unfinished run of another card (" in ran.err
    assert "0.7 -> 0.8" in ran.err
    assert "finished work there is kept Fix: restore that card to continue it" in ran.err
    assert files_of(out) == before


def test_two_runs_do_not_share_a_folder(done: Path, out: Path, capsys: Capture) -> None:
    plan = done / "plan.yaml"
    with Store(out).opened(claim_of(make_plan(protocol(plan), out))):
        ran = run(capsys, plan, out)
    assert ran.code == 2
    assert f"another run is at work in this folder (process {os.getpid()} on " in ran.err


def test_an_out_that_is_something_else(done: Path, out: Path, capsys: Capture) -> None:
    plan = done / "plan.yaml"
    out.mkdir()
    (out / "thesis.tex").write_text("x")
    ran = run(capsys, plan, out)
    assert ran.code == 2
    assert "is not empty and holds no unfinished run Fix: give --out a new folder" in ran.err
    ran = run(capsys, plan, out / "thesis.tex")
    assert ran.code == 2
    assert "is a file" in ran.err
    ran = run(capsys, plan, out / "thesis.tex" / "out")
    assert ran.code == 2
    assert "cannot be written (Not a directory)" in ran.err
    assert files_of(out) == {"thesis.tex": b"x"}


def test_a_submission_of_fewer_cells_is_not_the_whole(done: Path, out: Path) -> None:
    run_tiny(done / "plan.yaml", out, keep=lambda block: block.decoding == "greedy")
    with pytest.raises(RunError, match="already holds a finished submission of fewer cells"):
        run_tiny(done / "plan.yaml", out)


def test_the_first_of_several_problems_is_told(done: Path, out: Path, monkeypatch: Patch) -> None:
    def short(*args: Any, **kwargs: Any) -> Any:
        raise MemoryError

    monkeypatch.setattr(execution, "generate", short)
    said = Said()
    with pytest.raises(RunError) as caught:
        run_tiny(done / "plan.yaml", out, said)
    assert "base--greedy: out of memory (lower --batch-size" in str(caught.value)
    assert "and 5 more; finished cells are kept" in str(caught.value)
    assert len(said.lines) == 6
