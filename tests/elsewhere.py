"""Workers that know a run's folder alone, and may be lost: elsewhere, as far as a run can tell."""

from __future__ import annotations

import pickle
from pathlib import Path
from typing import Any

import pytest

from safebench.evidence.store import Store
from safebench.study import execute as executing
from safebench.study.executors.interface import Ended, Lost, Unit
from safebench.study.executors.local import InProcess
from safebench.study.making import OpenMaker
from safebench.study.plan import Plan


class Elsewhere(InProcess):
    """Does units in this process, with what would travel; the first of each kind is lost."""

    def __init__(self, open_work: OpenMaker) -> None:
        sent = pickle.dumps(open_work)
        opened: list[Any] = []

        def work(unit: Unit) -> Any:
            opened[:] = opened or [pickle.loads(sent)()]  # noqa: S301
            return opened[0](pickle.loads(pickle.dumps(unit)))  # noqa: S301

        super().__init__(work)
        self._lost: set[str] = set()

    def wait(self) -> list[Ended | Lost]:
        """Lose a unit, or return how it ended."""
        (event,) = super().wait()
        if event.unit.kind in self._lost:
            return [event]
        self._lost.add(event.unit.kind)
        return [Lost(event.unit, "signal SIGKILL")]


def work_elsewhere(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let runs have such workers."""

    def opened(plan: Plan, store: Store, settings: Any, tuned: Path | None) -> Elsewhere:
        folder = store.folder.resolve()
        return Elsewhere(OpenMaker(plan.card, folder, settings, 1, plan.declared, tuned))

    monkeypatch.setattr(executing, "open_executor", opened)
