"""A run whose units are done elsewhere: by workers that know its folder alone, and may be lost."""

from __future__ import annotations

import os
import socket
import sys
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from safebench.errors import DivergedError, MissingDependencyError, RunError, SafebenchError
from safebench.evidence.lock import locked
from safebench.evidence.store import Store
from safebench.study.execute import open_executor
from safebench.study.executors.interface import Unit, do
from safebench.study.making import Maker, OpenMaker
from safebench.study.plan import make_plan
from safebench.study.training import Tuned
from tests.command import safebench
from tests.elsewhere import work_elsewhere
from tests.study.test_run_graded import write as write_graded
from tests.tiny_runs import SETTINGS, Said, protocol, run_tiny, same_files, write_tiny

pytestmark = pytest.mark.slow


def test_the_bytes_are_those_of_one_process(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    plan = write_graded(tmp_path)
    run_tiny(plan, tmp_path / "here")
    monkeypatch.setenv("SAFEBENCH_CACHE", str(tmp_path / "cache"))  # grades anew
    work_elsewhere(monkeypatch)
    run_tiny(plan, tmp_path / "there")
    same_files(tmp_path / "here", tmp_path / "there")
    events = Store(tmp_path / "there").journal.read()
    assert [e["event"] for e in events] == [
        *("session", "registered", "workers", "problem", "block", "problem", "graded", "finished")
    ]
    assert events[3]["reason"] == "its worker was lost by signal SIGKILL"
    assert len((tmp_path / "cache" / "judgements.jsonl").read_text().splitlines()) > 2


def test_workers_of_another_kind_are_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    changes: dict[str, Any] = {"hyperparameters": {"method": "none"}, "data": []}
    plan, out = write_tiny(tmp_path, seeds=1, **changes), tmp_path / "out"
    work_elsewhere(monkeypatch)
    real: Callable[..., dict[str, Any]] = Maker.environment
    with monkeypatch.context() as patch:

        def other(self: Maker) -> dict[str, Any]:
            found = real(self)
            second = Store(out).has("base--greedy")
            return found | {"python": "3.99.0"} if second else found

        patch.setattr(Maker, "environment", other)
        with pytest.raises(
            RunError, match=rf"base--t07, on {socket.gethostname()}: .* \(python .* -> 3\.99\.0\)"
        ):
            run_tiny(plan, out, Said())
    assert Store(out).has("base--greedy")
    assert not Store(out).has("base--t07")
    run_tiny(plan, out, Said())
    assert (out / "card.yaml").is_file()


def test_storage_that_is_not_shared(tmp_path: Path) -> None:
    plan = make_plan(protocol(write_tiny(tmp_path)), tmp_path / "out")
    there = OpenMaker(plan.card, tmp_path / "out", SETTINGS, 1, None, None)
    with pytest.raises(RunError, match=f"{tmp_path / 'out'}: not there on "):
        there()
    store = Store(tmp_path / "out")
    with pytest.raises(RunError, match=r"was written on another machine, and is not there"):
        store.put(Path("x.parquet"), store.path("x"), "0" * 64)


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (("--address", "head:6379"), "--address is that of a Ray cluster, and --executor is local"),
        (("--executor", "ray", "--address", "head"), "--address 'head' is not HOST:PORT"),
        (("--workers", "2", "--device", "auto"), "--device auto spreads one model over all"),
        (("--workers", "0"), "0 is not in the range x>=1"),
    ],
)
def test_options_that_contradict_each_other(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], options: tuple[str, ...], said: str
) -> None:
    ran = safebench(capsys, "run", write_tiny(tmp_path), "--out", tmp_path / "out", *options)
    assert ran.code == 2
    assert said in " ".join(ran.err.split())
    assert not (tmp_path / "out").exists()


def test_what_is_asked_for_and_not_installed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "ray", None)
    plan = make_plan(protocol(write_tiny(tmp_path)), tmp_path / "out")
    with pytest.raises(MissingDependencyError) as caught:
        open_executor(plan, Store(tmp_path / "out"), replace(SETTINGS, executor="ray"), None)
    assert caught.value.fix == "pip install 'safebench[ray]'"


def test_each_worker_has_an_accelerator(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    from safebench.study import execute

    plan = make_plan(protocol(write_tiny(tmp_path)), tmp_path / "out")

    def environments(workers: int | None, device: str | None) -> list[dict[str, str]]:
        settings = replace(SETTINGS, workers=workers, device=device)
        found: Any = open_executor(plan, Store(tmp_path / "out"), settings, None)
        return [] if found is None else list(found._environments.values())

    assert environments(None, "cpu") == []  # in this process
    assert environments(2, "cpu") == [{}, {}]
    monkeypatch.setattr(execute, "_accelerators", lambda: 3)
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    seen = [{"CUDA_VISIBLE_DEVICES": str(place)} for place in range(3)]
    assert environments(None, "cuda") == seen
    assert environments(4, "cuda") == [*seen, seen[0]]
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "5,7")
    assert environments(2, "cuda") == [{"CUDA_VISIBLE_DEVICES": name} for name in ("5", "7")]
    assert os.environ["CUDA_VISIBLE_DEVICES"] == "5,7"


def test_errors_can_travel() -> None:
    class OddError(Exception):
        def __init__(self, one: int, two: int) -> None:
            super().__init__(f"{one} and {two}")

    def fails(problem: Exception) -> Exception | None:
        def work(unit: Unit) -> None:
            raise problem

        return do(work, Unit("tune", "x")).problem

    ours = fails(SafebenchError("what happened", fix="what helps"))
    assert isinstance(ours, SafebenchError)
    assert (str(ours), ours.fix) == ("what happened", "what helps")
    assert str(fails(OddError(1, 2))) == "OddError: 1 and 2"


def test_weights_that_parts_of_a_grid_share(tmp_path: Path) -> None:
    shared = Tuned(tmp_path / "tuned" / "tuned-seed-1")
    places = (tmp_path / str(number) for number in range(9))
    bad = Tuned(tmp_path / "tuned" / "tuned-seed-2")
    trained: list[str] = []

    def train(place: Path, content: str = "weights") -> None:
        trained.append(place.name)
        for one in (shared, bad):
            one.states.mkdir(parents=True, exist_ok=True)
        if content == "nan":
            raise DivergedError("the loss became nan at step 3")
        (place / "checkpoint-1").mkdir(parents=True)
        (place / "checkpoint-1" / "adapter").write_text(content)

    def get(one: Tuned = shared, content: str = "weights", lock: Any = None) -> str:
        place = next(places)

        def wait() -> None:
            trained.append("waited")
            lock.close()

        one.get(place, lambda: train(place, content), wait)
        return (place / "checkpoint-1" / "adapter").read_text()

    assert [get(), get()] == ["weights", "weights"]
    assert trained == ["0"]
    kept = tmp_path / "tuned" / "tuned-seed-1" / "checkpoint-1" / "adapter"
    kept.unlink()
    kept.write_text("dama")  # cut short
    assert get() == "weights"
    assert trained == ["0", "2"]
    held = ExitStack()
    held.enter_context(locked(tmp_path / "tuned" / "tuned-seed-1.lock"))
    assert get(lock=held) == "weights"
    assert trained == ["0", "2", "waited"]
    assert not shared.states.exists()  # nobody goes on from there any more
    for _ in range(2):  # the second one need not try
        with pytest.raises(DivergedError, match="nan at step 3"):
            get(bad, "nan")
    assert trained == ["0", "2", "waited", "4"]
    assert not bad.states.exists()
