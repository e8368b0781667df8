import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from scipy.special import expit

from safebench.errors import StatsError
from safebench.stats import score_interval, worst_setting
from safebench.stats._twoway import two_way
from safebench.stats.worst import _two_way_covariance


def test_one_setting_is_its_score_interval():
    y = (np.random.default_rng(1).random((4, 80)) < 0.3).astype(float)
    found = worst_setting([y])
    plain = score_interval(y)
    assert found.critical == pytest.approx(1.96, abs=0.05)
    assert (found.lower, found.upper) == pytest.approx((plain.lower, plain.upper), abs=0.005)
    assert (found.index, found.estimate) == (0, plain.estimate)


def test_eight_equal_settings():
    rng = np.random.default_rng(5)
    inside = 0
    excess = []
    for _ in range(60):
        p = expit(2 * rng.standard_normal(100))
        y = (rng.random((8, 6, 100)) < p).astype(float)
        found = worst_setting(y)
        excess.append(found.estimate - p.mean())
        inside += all(i.lower <= 0.5 <= i.upper for i in found.intervals)
        assert found.lower <= 0.5
        assert found.lower <= found.estimate <= found.upper
        assert 2.0 < found.critical < 2.8  # between one setting and Sidak's eight
    assert inside >= 54
    assert np.mean(excess) > 0.01


def test_settings_in_any_order_and_direction():
    rng = np.random.default_rng(9)
    y = (rng.random((4, 3, 60)) < np.array([0.2, 0.4, 0.6, 0.5])[:, None, None]).astype(float)
    found = worst_setting(y)
    assert found.index == 2 and found.lower == found.intervals[2].lower
    # the worst score may be another setting's, whose seeds differ more
    assert found.upper == max(interval.upper for interval in found.intervals)
    order = [3, 2, 0, 1]
    moved = worst_setting(y[order])
    assert moved.index == 1 and moved.critical == pytest.approx(found.critical, rel=1e-9)
    assert (moved.lower, moved.upper) == pytest.approx((found.lower, found.upper))
    turned = worst_setting(1 - y, higher_is_worse=False)
    assert turned.index == 2
    assert (1 - turned.upper, 1 - turned.lower) == pytest.approx((found.lower, found.upper))


def test_settings_may_have_different_repeats():
    rng = np.random.default_rng(3)
    greedy = (rng.random((3, 40)) < 0.3).astype(float)
    sampled = (rng.random((3, 5, 40)) < 0.3).astype(float)
    found = worst_setting([greedy, sampled])
    assert found.intervals[1].estimate == pytest.approx(sampled.mean())
    same = worst_setting([greedy, greedy, greedy])  # one setting three times: nothing to pay for
    assert same.critical == pytest.approx(1.96, abs=0.05) and same.index == 0


@settings(max_examples=25, deadline=None)
@given(hnp.arrays(np.float64, (2, 2, 3), elements=st.sampled_from([0, 1])))
def test_worst_setting_bounds(y):
    found = worst_setting(y)
    assert 0 <= found.lower <= found.estimate <= found.upper <= 1
    assert found.estimate == pytest.approx(y.mean(axis=(1, 2)).max())


@pytest.mark.parametrize(
    ("outcomes", "message"),
    [
        ([], "no settings"),
        ([[[0, math.nan]]], r"outcomes\[0\]\[0, 1\] is nan"),
        ([[[0, 1]], [[0, 1, 1]]], r"outcomes\[1\] has 1 seeds x 3 prompts"),
        ([[[0, 2]]], "outside"),
    ],
)
def test_worst_setting_refuses(outcomes, message):
    with pytest.raises(StatsError, match=message):
        worst_setting(outcomes)


@pytest.mark.parametrize("shape", [(3, 2), (3, 5), (1, 5), (3, 1)])
def test_the_variance_of_one_setting_is_that_of_its_interval(shape):
    table = np.random.default_rng(2).random(shape)
    m = two_way(table, np.arange(shape[1]), shape[1])
    found = _two_way_covariance(np.stack([table, 2 * table]))
    assert found == pytest.approx((m.prompt + m.seed - m.cell) * np.array([[1, 2], [2, 4]]))
    assert two_way(table, np.zeros(shape[1], dtype=np.int64), 1).prompt == 0
