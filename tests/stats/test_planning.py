import json
import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from safebench.errors import StatsError
from safebench.stats import (
    plan_stability,
    plan_verdict_seeds,
    sigma_from_points,
    sigma_upper,
    tost_power,
    verdict_power,
)
from safebench.stats._checks import first_that
from safebench.stats.planning import power_at


@pytest.mark.parametrize(
    ("ratio", "eighty", "ninety"),
    [(0.3, 3, 3), (0.4, 4, 5), (0.5, 6, 7), (0.75, 11, 13), (1, 18, 23)],
)
def test_seeds_per_arm_as_the_spec_states(ratio, eighty, ninety):
    for power, seeds in ((0.8, eighty), (0.9, ninety)):
        assert tost_power(ratio, 1.0, seeds, seeds) >= power
        assert seeds == 3 or tost_power(ratio, 1.0, seeds - 1, seeds - 1) < power


def test_power_of_a_published_design(shared_data):
    case = json.loads((shared_data / "stats" / "cases.json").read_text())["power_tost_parallel"]
    sigma = math.sqrt(math.log(1 + case["cv"] ** 2))
    power = tost_power(sigma, math.log(1.25), *case["n"], theta=math.log(case["theta0"]))
    assert round(power, 7) == case["power"]


@pytest.mark.parametrize(
    ("sigma", "n1", "n2", "theta"), [(0.04, 3, 3, 0.0), (0.078, 5, 5, 0.02), (0.05, 3, 1, 0.0)]
)
def test_power_agrees_with_simulation(sigma, n1, n2, theta):
    from scipy import stats

    rng = np.random.default_rng(n1)
    n = 200_000
    df, root = n1 + n2 - 2, math.sqrt(1 / n1 + 1 / n2)
    difference = theta + sigma * root * rng.standard_normal(n)
    half = stats.t.ppf(0.95, df) * sigma * np.sqrt(rng.chisquare(df, n) / df) * root
    share = np.mean(np.abs(difference) + half < 0.1)
    assert tost_power(sigma, 0.1, n1, n2, theta=theta) == pytest.approx(share, abs=0.004)


def test_power_at_the_margin_is_at_most_alpha():
    assert tost_power(0.01, 0.1, 50, 50, theta=0.1) == pytest.approx(0.05, abs=1e-6)
    assert tost_power(0.1, 0.1, 5, 5, theta=0.1) < 0.05
    assert tost_power(0.1, 0.1, 5, 5, theta=-0.1) == tost_power(0.1, 0.1, 5, 5, theta=0.1)


def test_large_designs_approach_the_normal():
    from scipy import stats

    n = 200_000
    t = 0.5 / math.sqrt(2 / n) * 0.004
    expected = 2 * stats.norm.cdf(t - stats.norm.ppf(0.95)) - 1
    assert tost_power(1.0, 0.002, n, n) == pytest.approx(max(expected, 0), abs=1e-4)


def test_refusals():
    with pytest.raises(StatsError, match="n1 \\+ n2"):
        tost_power(0.1, 0.1, 1, 1)
    with pytest.raises(StatsError, match="sigma is -1"):
        tost_power(-1, 0.1, 3, 3)
    with pytest.raises(StatsError, match="margin is 0"):
        tost_power(1, 0, 3, 3)


# --- further published powers -------------------------------------------------------------------


@pytest.mark.parametrize(
    ("cv", "theta0", "limit", "variance_factor", "n", "df", "power"),
    [  # PowerTOST's README, crossover designs: the same integral at another se and df
        (0.20, 0.95, 0.80, 2.0, 20, 18, 0.834680),
        (0.40, 0.90, 0.75, 1.0, 30, 86, 0.822929),
        (0.125, 0.975, 0.90, 2.0, 32, 30, 0.800218),
        (0.45, 0.90, 0.80, 1.5, 124, 245, 0.800125),
    ],
)
def test_powers_of_other_published_designs(cv, theta0, limit, variance_factor, n, df, power):
    se = math.sqrt(math.log(1 + cv**2) * variance_factor / n)
    found = power_at(se, df, -math.log(limit), theta=math.log(theta0))
    assert round(found, 6) == power


@pytest.mark.parametrize(
    ("n", "power"), [(8, 0.28871), (15, 0.69339), (30, 0.94326), (50, 0.99458)]
)
def test_pass_460_two_arms(n, power):
    assert round(tost_power(18, 19.2, n, n, theta=-4), 5) == power


@pytest.mark.parametrize(("n", "power"), [(5, 0.10599), (15, 0.66629), (50, 0.99410)])
def test_pass_519_pairs(n, power):
    assert round(power_at(25.4558 / math.sqrt(n), n - 1, 19.2, theta=-4), 5) == power


@pytest.mark.parametrize(
    ("sigma", "margin", "power", "pairs"), [(0.1, 0.05, 0.8, 36), (28.284, 20, 0.7, 16)]
)
def test_pass_519_numbers_of_pairs(sigma, margin, power, pairs):
    found = [power_at(sigma / math.sqrt(n), n - 1, margin) for n in (pairs, pairs - 1)]
    assert found[0] >= power > found[1]


def test_pass_519_numbers_of_a_large_design():
    found = [tost_power(100, 10, n, n, alpha=0.025) for n in (2600, 2599)]
    assert found[0] >= 0.9 > found[1]


# --- seeds beside an original, prompts, stability, units ----------------------------------------


@given(st.floats(0.01, 0.2), st.integers(2, 12), st.sampled_from([0.5, 0.8, 0.9]))
@settings(max_examples=40, deadline=None)
def test_new_seeds_beside_an_original_are_just_enough(sigma, n, power):
    about = {"score": 0.4, "floor": 1 / 450, "margin": 0.1}
    found = plan_verdict_seeds(sigma, **about, power=power, n_original=n, df=20)

    def reached(new):
        return verdict_power((sigma**2, sigma**2), (n, new), 20, **about)

    if found is None:
        assert reached(10**6) < power + 1e-6
        return
    assert reached(found) >= power
    assert found == 1 or reached(found - 1) < power


def test_an_original_that_spreads_too_much_is_beyond_rescue():
    # 3.9 points at .5: the seed paper's worst cell
    assert plan_verdict_seeds(0.078, score=0.5, floor=1 / 450, n_original=5) is None
    assert plan_verdict_seeds(0.01, score=0.5, floor=1 / 450, n_original=1) is None


@given(st.integers(1, 40), st.integers(1, 40), st.integers(1, 60))
def test_the_first_that_is_enough(fewest, smallest, most):
    found = first_that(lambda n: n >= smallest, fewest, most)
    wanted = max(fewest, smallest)
    assert found == (wanted if wanted <= max(most, fewest) else None)


def test_seeds_for_a_stability_bound():
    def expected(sigma, n):
        return min(math.erf(0.05 / sigma_upper(sigma, n)), 0.05 ** (2 / n))

    for sigma, bound in ((0.03, 0.5), (0.03, 0.8), (0.05, 0.6), (0.07, 0.5), (0.001, 0.1)):
        n = plan_stability(sigma, bound)
        assert expected(sigma, n) >= bound
        assert n == 3 or expected(sigma, n - 1) < bound
    # seeds that do not spread at all
    assert [plan_stability(0, bound) for bound in (0.1, 0.5, 0.8)] == [3, 9, 27]
    assert plan_stability(0.2, 0.5) is None
    assert plan_stability(0.01, 0.8, floor=0.2) is None
    # the inflation that the standard prints
    assert [round(sigma_upper(1, n), 2) for n in (2, 3, 5, 10, 20)] == [
        15.95,
        4.42,
        2.37,
        1.65,
        1.37,
    ]


def test_points_and_phi():
    assert sigma_from_points(0.02, 0.5) == pytest.approx(0.04)
    assert sigma_from_points(0.02, 0.0) == pytest.approx(2 * math.asin(math.sqrt(0.02)))
    assert sigma_from_points(0.0, 0.3) == 0


@pytest.mark.parametrize("bad", [float("nan"), float("inf"), 2.5, 0, True])
def test_a_number_of_runs_is_a_whole_number(bad):
    with pytest.raises(StatsError, match="n1 is"):
        tost_power(0.1, 0.1, bad, 3)


@pytest.mark.parametrize(
    ("bad", "message"),
    [
        ({"score": 1.2}, "score is 1.2"),
        ({"power": 1.0}, "power is 1"),
        ({"alpha": 0.5}, "alpha is 0.5"),
        ({"margin": 0.0}, "margin is 0"),
    ],
)
def test_a_plan_of_a_verdict_refuses(bad, message):
    with pytest.raises(StatsError, match=message):
        plan_verdict_seeds(0.02, **{"score": 0.5, "floor": 1e-4, **bad})
