import math
import random as generators

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from scipy import stats
from scipy.special import expit

from safebench.errors import StatsError
from safebench.stats import (
    cvar,
    phi,
    phi_inverse,
    score_tolerance_bound,
)


# Hahn & Meeker (1991), one-sided factors; (40, .9, .99) and (43, .9, .99) by noncentral t: the
# worked example of the Real Statistics site, and that of NIST's handbook 7.2.6.3
@pytest.mark.parametrize(
    ("n", "coverage", "confidence", "k"),
    [
        (2, 0.9, 0.95, 20.581),
        (3, 0.9, 0.95, 6.155),
        (5, 0.9, 0.95, 3.407),
        (10, 0.9, 0.95, 2.355),
        (5, 0.95, 0.95, 4.203),
        (10, 0.95, 0.95, 2.911),
        (20, 0.95, 0.95, 2.396),
        (10, 0.99, 0.95, 3.981),
        (40, 0.9, 0.99, 1.9017),
        (43, 0.9, 0.99, 1.8740),
    ],
)
def test_published_factors(n, coverage, confidence, k):
    angles = np.arange(n) / (20 * n) + 1
    found = score_tolerance_bound(phi_inverse(angles), coverage, confidence)
    digits = len(str(k).split(".")[1])
    assert round(found.k, max(digits, 3)) == k
    bound = angles.mean() + found.k * angles.std(ddof=1)
    assert phi(found.upper) == pytest.approx(bound) or bound > math.pi
    z = stats.norm.ppf(coverage)
    assert phi(found.estimate) == pytest.approx(angles.mean() + z * angles.std(ddof=1))
    assert found.lower == 0 and found.n == n


def test_tolerance_bound_holds_its_share():
    runs = np.random.default_rng(3).standard_normal((4000, 5))
    bounds = runs.mean(axis=1) + score_tolerance_bound([0.1, 0.2, 0.3, 0.4, 0.5]).k * runs.std(
        axis=1, ddof=1
    )
    assert np.mean(stats.norm.cdf(bounds) >= 0.9) == pytest.approx(0.95, abs=0.01)


@given(hnp.arrays(np.float64, st.integers(2, 8), elements=st.floats(0, 1, width=32)))
def test_tolerance_bounds_of_scores(scores):
    up = score_tolerance_bound(scores)
    assert 0 == up.lower <= up.estimate <= up.upper <= 1
    down = score_tolerance_bound(1 - scores, upper=False)
    assert (1 - down.lower, down.upper) == pytest.approx((up.upper, 1), abs=1e-7)
    plain = phi(scores).mean() + up.k * phi(scores).std(ddof=1)
    assert up.upper == pytest.approx(math.sin(min(plain, math.pi) / 2) ** 2)


def test_tolerance_of_equal_scores_and_refusals():
    found = score_tolerance_bound([0.2, 0.2, 0.2], upper=False)
    assert (found.lower, found.estimate, found.upper) == pytest.approx((0.2, 0.2, 1))
    with pytest.raises(StatsError, match=r"scores\[1\] is nan"):
        score_tolerance_bound([1.0, math.nan])
    with pytest.raises(StatsError, match="S >= 2"):
        score_tolerance_bound([1.0])
    with pytest.raises(StatsError, match="coverage is 1"):
        score_tolerance_bound([0.1, 0.2], coverage=1)


tables = st.tuples(st.integers(1, 4), st.integers(1, 12)).flatmap(
    lambda shape: hnp.arrays(np.float64, shape, elements=st.sampled_from([0, 0.3, 0.5, 1]))
)


SPREAD_CANCELS = np.array([[0.5, *[0.3] * 9], [*[0.3] * 9, 0.5]])


@example(SPREAD_CANCELS, 0.05, generators.Random(0))
@given(tables, st.sampled_from([0.05, 0.1, 0.25, 1.0]), st.randoms(use_true_random=False))
def test_cvar_bounds_and_invariance(scores, share, random):
    found = cvar(scores, share)
    means = scores.mean(axis=0)
    grid = np.concatenate([means, [0, 1]])  # Rockafellar & Uryasev: min over q
    least = min(q + np.maximum(means - q, 0).mean() / share for q in grid)
    assert found.plug_in == pytest.approx(least, abs=1e-9)
    assert 0 <= found.lower <= found.estimate <= found.upper <= 1
    assert found.plug_in <= found.upper
    if found.cross_fitted is not None:
        assert found.cross_fitted <= found.plug_in + 1e-9
    rows, columns = (list(range(n)) for n in scores.shape)
    random.shuffle(rows)
    random.shuffle(columns)
    moved = cvar(scores[np.ix_(rows, columns)], share)
    for name in ("estimate", "lower", "upper", "plug_in"):
        assert getattr(moved, name) == pytest.approx(getattr(found, name), abs=1e-9)
    turned = cvar(1 - scores, share, higher_is_worse=False)
    assert (1 - turned.upper, 1 - turned.lower) == pytest.approx((found.lower, found.upper))


def test_cvar_of_everything_is_the_mean():
    scores = np.random.default_rng(2).random((4, 30))
    found = cvar(scores, 1.0)
    assert (found.estimate, found.plug_in) == pytest.approx((scores.mean(), scores.mean()))


def test_cvar_by_hand():
    scores = [[0.9, 0.1, 0.0, 0.2, 0.0], [0.3, 0.8, 0.0, 0.1, 0.0]]
    found = cvar(scores, 0.3)  # one prompt and a half
    assert found.plug_in == pytest.approx((0.6 + 0.45 / 2) / 1.5)
    first = (0.1 + 0.9 / 2) / 1.5  # seed 2 picks prompt 2, then 1; seed 1 scores
    second = (0.3 + 0.1 / 2) / 1.5  # seed 1 picks prompt 1, then 4; seed 2 scores
    assert found.cross_fitted == found.estimate == pytest.approx((first + second) / 2)


def test_cvar_picked_and_scored_on_the_same_run_is_too_bad():
    rng = np.random.default_rng(6)
    noise = (rng.random((6, 600)) < 0.5).astype(float)  # every prompt alike: CVaR is .5
    found = cvar(noise)
    assert found.plug_in > 0.8 and found.cross_fitted == pytest.approx(0.5, abs=0.1)
    assert found.lower < 0.5 < found.upper
    alone = cvar(noise[0])
    assert alone.estimate == alone.plug_in == 1 and alone.cross_fitted is None
    assert alone.lower < 0.5 and "biased" in alone.method


def test_cvar_interval_holds_the_truth():
    rng = np.random.default_rng(8)
    level = np.sort(expit(2 * rng.standard_normal(200_000) - 1))
    truth = level[-20_000:].mean()
    inside = 0
    for _ in range(100):
        p = expit(2 * rng.standard_normal(150) - 1)
        found = cvar((rng.random((5, 150)) < p).astype(float))
        inside += found.lower <= truth <= found.upper
        assert found.upper - found.lower < 0.6
    assert inside >= 95


def test_cvar_edges():
    one = cvar([[0.4], [0.6]])
    assert (one.lower, one.upper) == (0, 1)
    safe = cvar(np.zeros((3, 100)))
    assert safe.estimate == 0 and safe.upper == pytest.approx(1 - 0.025 ** (1 / 10))
    with pytest.raises(StatsError, match=r"scores\[0, 1\] is nan"):
        cvar([[0.1, math.nan]])
    with pytest.raises(StatsError, match="share is 0"):
        cvar([0.1], share=0)
