"""The benchmark of coverage runs to its end, and its true figures are true."""

from __future__ import annotations

import importlib
import os
import re
import subprocess
import sys
from itertools import product
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest

from safebench.stats.equivalence import arms_of_rerun

ROOT = Path(__file__).resolve().parents[2]
BENCHMARKS = ROOT / "benchmarks"
TRUTH = re.compile(r"^(.+?) +\d\.\d{3} \+-.*?(truth -?\d\.\d{3}|exact \d\.\d{3}|$)")


def benchmark(name: str) -> ModuleType:
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(str(BENCHMARKS))
        return importlib.import_module(name)


@pytest.fixture(scope="module")
def worlds() -> ModuleType:
    return benchmark("worlds")


def described(table: str) -> list[tuple[str, str]]:
    """Every cell with its true figure, where it has one."""
    return [match.groups() for match in map(TRUTH.match, table.splitlines()) if match]


def test_it_runs_to_its_end_and_the_kept_table_is_of_its_cells() -> None:
    found = subprocess.run(
        [sys.executable, str(BENCHMARKS / "coverage.py"), "--replicates", "1"],
        capture_output=True,
        text=True,
        check=True,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
    )
    kept = (BENCHMARKS / "coverage.txt").read_text(encoding="utf-8")
    assert described(found.stdout) == described(kept)
    assert len(described(kept)) > 450
    assert int(kept.split()[0]) >= 2000


def test_an_unknown_part_is_refused() -> None:
    found = subprocess.run(
        [sys.executable, str(BENCHMARKS / "coverage.py"), "--only", "scores"],
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
    )
    assert found.returncode == 2
    assert "the parts are score, fixed" in found.stderr


def test_true_figures_agree_with_simulation(worlds: ModuleType) -> None:
    rng = np.random.default_rng(1)
    for world in (
        worlds.World(0.3, seeds=worlds.COLLAPSE),
        worlds.World(0.4, worlds.BIMODAL, worlds.LARGE),
    ):
        pmf = worlds.run_distribution(world, 40)
        assert pmf.sum() == pytest.approx(1)
        y = world.outcomes(rng, 8000, 2, 40, fixed=True).mean(axis=(2, 3))
        error = y.std() / 126
        assert worlds.mean_score(pmf) == pytest.approx(y.mean(), abs=4 * error)
        x = 2 * np.arcsin(np.sqrt(y))
        near = np.mean(np.abs(x[:, 0] - x[:, 1]) <= 0.1 * (1 + 1e-9))
        assert worlds.true_stability(pmf) == pytest.approx(near, abs=0.022)
        prompts = world.outcomes(rng, 8000, 1, 10)
        assert prompts.mean() == pytest.approx(world.rate, abs=0.01)
    shift = worlds.shift_for(worlds.World(0.3), 40, 0.1)
    moved = worlds.run_distribution(worlds.World(0.3), 40, shift) @ worlds.phis(40)
    assert moved - worlds.run_distribution(worlds.World(0.3), 40) @ worlds.phis(
        40
    ) == pytest.approx(0.1)


def test_a_change_has_the_means_it_says(worlds: ModuleType) -> None:
    world = worlds.Change(0.2, 0.35, worlds.LARGE, family_share=0.8)
    a, b = world.outcomes(np.random.default_rng(2), 3000, 2, 30, 1)
    assert a.mean() == pytest.approx(0.2, abs=0.012)
    assert b.mean() == pytest.approx(0.35, abs=0.015)


@pytest.mark.parametrize(
    ("arms", "paired"), [((8, 8), False), ((5, 12), False), ((12, 12), True)], ids=str
)
def test_verdicts_of_many_replicates_are_those_of_each(arms: tuple[int, int], paired: bool) -> None:
    reruns, rng, seen = benchmark("reruns"), np.random.default_rng(3), set()
    for name, shift in product(("usual", "rare, prompts alike", "large seed effect"), (0, 0.3, 3)):
        world = reruns.FEW[name]
        old, new = (
            world.outcomes(rng, 4, seeds, 200, fixed=True, shift=move)[:, :, 0]
            for seeds, move in zip(arms, (0, shift), strict=True)
        )
        old[0] = new[0] = False  # no spread
        words = reruns.words_of(old, new, 0.015, paired)
        for word, a, b in zip(words, old, new, strict=True):
            one = arms_of_rerun(a, b, paired, None, None)
            assert word == one.decide(reruns.MARGIN, 0.015)[0]
        seen |= set(words.tolist())
    assert seen == {"reproduced", "not_reproduced", "inconclusive"}
