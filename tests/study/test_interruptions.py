"""kill -9 at any moment, then the same command again: the bytes of a run that was left alone."""

from __future__ import annotations

import json
import os
import random
from collections.abc import Iterator
from pathlib import Path

import pytest

from benchmarks import interruptions
from safebench.files import replace_file
from tests.tiny_runs import Said, run_tiny, same_files, write_tiny

pytestmark = pytest.mark.slow
KILLED = -9


class Runs:
    """One plan, its finished run, and processes that execute it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.context = interruptions.forked()
        self.plan = write_tiny(folder, seeds=1, control=True)
        self.whole = folder / "whole"
        counted = folder / "moments.txt"
        assert self.process(interruptions.count_moments, self.plan, self.whole, counted) == 0
        self.moments = int(counted.read_text())

    def process(self, *call: object) -> int | None:
        """Call a function in a process of its own; return how that ended."""
        function, *arguments = call
        process = self.context.Process(target=function, args=arguments)  # type: ignore[arg-type]
        process.start()
        process.join()
        return process.exitcode


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> Runs:
    return Runs(tmp_path_factory.mktemp("killed"))


@pytest.fixture
def counted(tmp_path: Path) -> Iterator[list[str]]:
    """The names of durable calls that this process makes."""
    calls: list[str] = []
    with interruptions.watched(calls.append):
        yield calls


def test_every_durable_call_is_seen(counted: list[str], tmp_path: Path) -> None:
    """Pathlib must go through os, in every version of Python, or no moment lies there."""
    replace_file(tmp_path / "a", b"x")
    assert counted == ["fsync", "replace", "fsync"]
    (tmp_path / "a").rename(tmp_path / "b")
    (tmp_path / "b").replace(tmp_path / "c")
    (tmp_path / "c").unlink()
    assert counted[3:] == ["rename", "replace", "unlink"]
    assert os.fsync.__module__ != "posix"


def test_a_run_has_many_moments_to_die_at(runs: Runs) -> None:
    assert runs.moments > 40


@pytest.mark.parametrize("seed", range(5))
def test_a_killed_run_goes_on_to_the_same_bytes(runs: Runs, seed: int) -> None:
    moment = random.Random(seed).randint(1, runs.moments)
    out = runs.folder / f"killed-{seed}"
    assert runs.process(interruptions.execute_plan, runs.plan, out, moment) == KILLED
    assert runs.process(interruptions.execute_plan, runs.plan, out) == 0
    same_files(out, runs.whole)


def test_a_fine_tuning_goes_on_inside(runs: Runs) -> None:
    out = runs.folder / "inside"
    assert runs.process(interruptions.die_inside, runs.plan, out, 2) == KILLED
    assert len(list((out / ".work").glob("tuning/*/step-2"))) == 1
    said = Said()
    run_tiny(runs.plan, out, said)
    assert [line for line in said.lines if line.endswith(": went on after step 2")]
    same_files(out, runs.whole)


def test_a_run_killed_while_it_tidies_up_is_finished(runs: Runs) -> None:
    """The card is there and the claim is gone: what is left of the work goes, and no more."""
    out = runs.folder / "tidying"
    moment = runs.moments - 3
    assert runs.process(interruptions.execute_plan, runs.plan, out, moment) == KILLED
    assert (out / "card.yaml").is_file()
    assert (out / ".work").is_dir()
    assert runs.process(interruptions.execute_plan, runs.plan, out) == 0
    same_files(out, runs.whole)


def test_every_run_is_registered_before_it_starts(runs: Runs) -> None:
    lines = (runs.whole / "journal.jsonl").read_text().splitlines()
    events = [json.loads(line) for line in lines]
    kinds = [event["event"] for event in events]
    assert kinds[0] == "session"
    assert kinds[1:4] == ["registered"] * 3
    assert "registered" not in kinds[4:]
    assert kinds.count("tuned") == 2
    assert kinds.count("block") == 6
    assert kinds[-1] == "finished"
