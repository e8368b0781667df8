"""How many seeds would decide a change that is left open."""

from __future__ import annotations

import numpy as np
import pytest

from safebench.analysis.reading import MOST_SEEDS, deciding_seeds
from safebench.evidence.arrays import OutcomeArray
from safebench.stats import paired_difference
from safebench.stats.differences import half_widths


def tables(effect: float, spread: float, prompts: int, seeds: int = 5) -> tuple[np.ndarray, ...]:
    """A base and tuned runs around .3 + effect, which spread over seeds by about `spread`."""
    rng = np.random.default_rng(20)
    base = (rng.random((1, prompts)) < 0.3).astype(float)
    levels = 0.3 + effect + spread * np.linspace(-1, 1, seeds)
    return base, (rng.random((seeds, prompts)) < levels[:, None]).astype(float)


def block(table: np.ndarray) -> OutcomeArray:
    """Runs x prompts as outcomes of one repeat each."""
    runs, prompts = table.shape
    unset = np.zeros((runs, 1, prompts), dtype=bool)
    return OutcomeArray(
        judge="rule",
        condition="tuned",
        checkpoint=1,
        decoding="greedy",
        task="harm",
        construct="harm",
        seeds=tuple(range(runs)),
        prompts=tuple(map(str, range(prompts))),
        categories=("",) * prompts,
        scores=table[:, None],
        verdicts=np.full(unset.shape, ""),
        unread=unset,
        truncated=unset,
        blocked=unset,
        unrecorded=unset,
    )


@pytest.mark.parametrize("effect", [0.0, 0.05, 0.3])
@pytest.mark.parametrize("seeds", [3, 5])
def test_with_the_seeds_that_there_are_the_width_is_that_of_the_change(
    effect: float, seeds: int
) -> None:
    base, tuned = tables(effect, 0.1, 200, seeds)
    found = paired_difference(base, tuned)
    (half,) = half_widths(base, tuned, seeds, [0.95])
    assert half == pytest.approx((found.upper - found.lower) / 2, rel=1e-12)


def test_more_seeds_narrow_it_down_to_what_prompts_leave() -> None:
    base, tuned = tables(0.1, 0.1, 200)
    halves = [half_widths(base, tuned, n, [0.95])[0] for n in (5, 10, 100, 10**6)]
    assert halves == sorted(halves, reverse=True)
    # The same prompts, had every seed the mean answer: prompts alone, and no seeds.
    (alone,) = half_widths(base, tuned.mean(axis=0, keepdims=True).repeat(3, axis=0), 3, [0.95])
    assert 0.7 * alone < halves[-1] <= alone


@pytest.mark.parametrize(
    ("effect", "spread", "prompts", "low", "high"),
    [
        (0.08, 0.15, 800, 6, 60),  # the seeds leave it open
        (0.05, 0.02, 60, None, None),  # the prompts do
    ],
)
def test_what_would_decide(
    effect: float, spread: float, prompts: int, low: int | None, high: int | None
) -> None:
    base, tuned = tables(effect, spread, prompts)
    found = deciding_seeds(block(tuned), block(base))
    if low is None or high is None:
        assert found.seeds is None
        assert f"{MOST_SEEDS:,}" in found.words
    else:
        assert found.seeds is not None
        assert low <= found.seeds <= high
        assert str(found.seeds) in found.words


def test_one_seed_does_not_show_it() -> None:
    base, tuned = tables(0.1, 0.1, 100, 1)
    assert deciding_seeds(block(tuned), block(base)).seeds is None
