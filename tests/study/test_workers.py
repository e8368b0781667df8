"""A run whose units are done elsewhere: by workers that know its folder alone, and may be lost."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from safebench.errors import MissingDependencyError, RunError, SafebenchError
from safebench.evidence.store import Store
from safebench.study import execute as executing
from safebench.study.executors.interface import Ended, Lost, OpenWork, Unit
from safebench.study.executors.local import InProcess
from safebench.study.executors.opening import open_executor
from safebench.study.making import Maker, OpenMaker
from safebench.study.plan import Plan, make_plan
from tests.command import safebench
from tests.study.test_run_graded import write as write_graded
from tests.tiny_runs import SETTINGS, Said, protocol, run_tiny, same_files, write_tiny

pytestmark = pytest.mark.slow


class Elsewhere(InProcess):
    """Workers in other processes, as far as a run can tell; the first unit of each kind is lost."""

    def __init__(self, open_work: OpenWork) -> None:
        made: list[Any] = []

        def work(unit: Unit) -> Any:
            made[:] = made or [open_work()]
            return made[0](unit)

        super().__init__(work)
        self.lost: set[str] = set()

    def wait(self) -> list[Ended | Lost]:
        """Lose a unit, or return how it ended."""
        (event,) = super().wait()
        if event.unit.kind in self.lost:
            return [event]
        self.lost.add(event.unit.kind)
        return [Lost(event.unit, "signal SIGKILL")]


@pytest.fixture
def elsewhere(monkeypatch: pytest.MonkeyPatch) -> None:
    def opened(plan: Plan, store: Store, settings: Any, tuned: Path | None) -> Elsewhere:
        return Elsewhere(
            OpenMaker(plan.card, store.folder.resolve(), settings, 1, plan.declared, tuned)
        )

    monkeypatch.setattr(executing, "open_executor", opened)


def test_the_bytes_are_those_of_one_process(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest
) -> None:
    plan = write_graded(tmp_path)
    run_tiny(plan, tmp_path / "here")
    monkeypatch.setenv("SAFEBENCH_CACHE", str(tmp_path / "cache"))  # grades anew
    request.getfixturevalue("elsewhere")
    run_tiny(plan, tmp_path / "there")
    same_files(tmp_path / "here", tmp_path / "there")
    events = Store(tmp_path / "there").journal.read()
    assert [e["event"] for e in events] == [
        *("session", "registered", "problem", "block", "problem", "graded", "finished")
    ]
    assert events[2]["reason"] == "its worker was lost by signal SIGKILL"
    assert len((tmp_path / "cache" / "judgements.jsonl").read_text().splitlines()) > 2


@pytest.mark.usefixtures("elsewhere")
def test_workers_of_another_kind_are_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    changes: dict[str, Any] = {"hyperparameters": {"method": "none"}, "data": []}
    plan, out = write_tiny(tmp_path, seeds=1, **changes), tmp_path / "out"
    real: Callable[..., dict[str, Any]] = Maker.environment
    with monkeypatch.context() as patch:

        def other(self: Maker) -> dict[str, Any]:
            found = real(self)
            second = Store(out).has("base--greedy")
            return found | {"python": "3.99.0"} if second else found

        patch.setattr(Maker, "environment", other)
        with pytest.raises(RunError, match=r"another environment \(python .* -> 3\.99\.0\)"):
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
    from safebench.study.executors import opening

    plan = make_plan(protocol(write_tiny(tmp_path)), tmp_path / "out")

    def environments(workers: int | None, device: str | None) -> list[dict[str, str]]:
        settings = replace(SETTINGS, workers=workers, device=device)
        found: Any = open_executor(plan, Store(tmp_path / "out"), settings, None)
        return [] if found is None else list(found._environments.values())

    assert environments(None, "cpu") == []  # in this process
    assert environments(2, "cpu") == [{}, {}]
    monkeypatch.setattr(opening, "_accelerators", lambda: 3)
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    seen = [{"CUDA_VISIBLE_DEVICES": str(place)} for place in range(3)]
    assert environments(None, "cuda") == seen
    assert environments(4, "cuda") == [*seen, seen[0]]
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "5,7")
    assert environments(2, "cuda") == [{"CUDA_VISIBLE_DEVICES": name} for name in ("5", "7")]
    assert os.environ["CUDA_VISIBLE_DEVICES"] == "5,7"


def test_errors_can_travel() -> None:
    from safebench.study.executors.interface import do

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
