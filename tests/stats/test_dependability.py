"""Phi of prompts: mean squares written out, and what is not measured."""

from __future__ import annotations

import numpy as np
import pytest

from safebench.stats import dependability


def test_against_mean_squares_written_out() -> None:
    """Phi and its jackknife, against one analysis of variance per table."""
    table = (np.random.default_rng(4).random((4, 9)) < np.linspace(0.1, 0.9, 9)).astype(float)

    def phi(y: np.ndarray) -> float:
        s, p = y.shape
        rows, columns, mean = y.mean(1), y.mean(0), y.mean()
        ms_p = s * ((columns - mean) ** 2).sum() / (p - 1)
        ms_s = p * ((rows - mean) ** 2).sum() / (s - 1)
        rest = ((y - rows[:, None] - columns + mean) ** 2).sum() / ((s - 1) * (p - 1))
        var_p, var_s = (ms_p - rest) / s, (ms_s - rest) / p
        return var_p / (var_p + (var_s + rest) / s)

    found = dependability(table)
    without = np.array([phi(np.delete(table, j, axis=1)) for j in range(9)])
    half = 2.306004 * np.sqrt(8 / 9 * ((without - without.mean()) ** 2).sum())
    assert found.estimate == pytest.approx(phi(table))
    assert found.upper == pytest.approx(min(found.estimate + half, 1), abs=1e-6)
    assert found.lower == pytest.approx(max(found.estimate - half, -1), abs=1e-6)


def test_agreement_without_exception_is_not_certainty() -> None:
    found = dependability(np.tile([0.0, 1.0, 1.0, 0.0], (3, 1)))
    assert found.estimate == pytest.approx(1)
    assert found.lower == pytest.approx(0.025**0.25)


@pytest.mark.parametrize("shape", [(1, 5), (3, 2)])
def test_too_little_is_not_measured(shape: tuple[int, int]) -> None:
    found = dependability(np.indices(shape).sum(0) % 2)
    assert found.estimate is None
    assert found.reason


def test_equal_scores() -> None:
    assert dependability(np.ones((3, 5))).reason == "every score is the same"
