"""Prompt by prompt: permutation tests against scipy's, and what they cannot say."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from safebench.errors import StatsError
from safebench.stats import paired_difference, prompt_tests


def test_equal_numbers_of_runs_are_fishers_exact_test() -> None:
    draw = np.random.default_rng(3)
    a, b = draw.integers(0, 2, (6, 40)), draw.integers(0, 2, (6, 40))
    found = prompt_tests(a, b)
    for i in range(40):
        table = [[a[:, i].sum(), 6 - a[:, i].sum()], [b[:, i].sum(), 6 - b[:, i].sum()]]
        assert found.p_values[i] == pytest.approx(stats.fisher_exact(table).pvalue)
    assert found.method == "exact permutation of runs"


def test_graded_outcomes_are_scipys_permutation_test() -> None:
    draw = np.random.default_rng(4)
    a, b = draw.integers(0, 4, (3, 5)) / 3, draw.integers(0, 4, (4, 5)) / 3
    found = prompt_tests(a, b)

    def apart(x, y):
        return abs(x.mean() - y.mean())

    for i in range(5):
        expected = stats.permutation_test(
            (a[:, i], b[:, i]), apart, alternative="greater", n_resamples=np.inf
        )
        assert found.p_values[i] == pytest.approx(expected.pvalue)


def test_draws_come_near_the_exact_value() -> None:
    draw = np.random.default_rng(2)
    a, b = draw.random((12, 6)) < 0.4, draw.random((12, 6)) < 0.7
    with pytest.raises(StatsError, match="2704156 divisions"):
        prompt_tests(a / 2, b / 2)
    found = prompt_tests(a / 2, b / 2, np.random.default_rng(1))
    assert found.p_values == pytest.approx(prompt_tests(a, b).p_values, abs=0.015)
    assert found.least == 1 / 20_001


@pytest.mark.parametrize(("runs", "least"), [((1, 1), 1), ((5, 5), 2 / 252), ((1, 5), 1 / 6)])
def test_the_least_p_is_reached_and_not_passed(runs: tuple[int, int], least: float) -> None:
    found = prompt_tests(np.zeros((runs[0], 1)), np.ones((runs[1], 1)))
    assert found.p_values[0] == pytest.approx(least)
    assert found.least == pytest.approx(least)


OUTCOMES = st.sampled_from([0.0, 0.25, 1.0])


@settings(max_examples=40, deadline=None)
@given(st.data(), st.integers(1, 5), st.integers(1, 5), st.integers(1, 4))
def test_sides_and_runs_may_change_places(data, s_a: int, s_b: int, prompts: int) -> None:
    def table(s):
        row = st.lists(OUTCOMES, min_size=prompts, max_size=prompts)
        return np.array(data.draw(st.lists(row, min_size=s, max_size=s)))

    a, b = table(s_a), table(s_b)
    one, other = prompt_tests(a, b), prompt_tests(b[::-1], a)
    assert one.p_values == pytest.approx(other.p_values)
    assert one.differences == pytest.approx(-other.differences)
    assert (one.p_values >= one.least - 1e-12).all() and (one.p_values <= 1).all()
    assert (prompt_tests(a, a).p_values == 1).all()


def test_false_findings_are_at_most_nominal() -> None:
    draw = np.random.default_rng(5)
    rates = draw.random(4000)
    a, b = (draw.random((5, 4000)) < rates for _ in range(2))
    assert (prompt_tests(a, b).p_values <= 0.05).mean() <= 0.05 + 3 * math.sqrt(0.05 * 0.95 / 4000)


def test_the_p_of_a_difference_agrees_with_its_interval() -> None:
    draw = np.random.default_rng(6)
    a, b = draw.random((3, 50)), np.clip(draw.random((4, 50)) + 0.1, 0, 1)
    b[0] = 1  # one seed apart, so that the squared half-widths decide
    found = paired_difference(a, b)
    at = paired_difference(a, b, confidence=1 - found.p_value)
    assert at.lower == pytest.approx(0, abs=1e-9)
    assert paired_difference(b, a).p_value == pytest.approx(found.p_value)
    assert paired_difference(a[:, :1], b[:, :1]).p_value == 1
    assert paired_difference(a, a).p_value == pytest.approx(1)


def test_the_p_of_one_run_each_is_the_paired_t() -> None:
    draw = np.random.default_rng(7)
    a, b = draw.random(60), draw.random(60) + 0.2
    expected = stats.ttest_rel(a, np.clip(b, 0, 1)).pvalue
    found = paired_difference(a[None], np.clip(b, 0, 1)[None])
    assert found.p_value == pytest.approx(expected, rel=1e-9)


def test_what_cannot_be_tested() -> None:
    with pytest.raises(StatsError, match="a has 2 prompts and b 3"):
        prompt_tests(np.zeros((1, 2)), np.zeros((1, 3)))
    with pytest.raises(StatsError, match=r"b\[0, 1\] is nan"):
        prompt_tests(np.zeros((1, 2)), [[0, np.nan]])


def test_draws_count_the_observed_division_once() -> None:
    a, b = np.linspace(0.0, 0.2, 12)[:, None], np.linspace(0.7, 1.0, 12)[:, None]
    found = prompt_tests(a, b, np.random.default_rng(3))
    # 2 of 2.7 million divisions are as far apart: none among 20,000 draws
    assert found.p_values[0] == pytest.approx(1 / 20_001)
