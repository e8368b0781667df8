import json
import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from safebench.errors import StatsError
from safebench.stats import krippendorff_alpha

LEVELS = ["nominal", "ordinal", "interval", "ratio"]


def naive(ratings, level):
    """Every pair of ratings of every unit against every pair of all ratings."""
    units = [u[~np.isnan(u)] for u in np.asarray(ratings, dtype=float).T]
    units = [u for u in units if u.size > 1]
    pool = np.concatenate(units)

    def distance(c, k):
        if level == "nominal":
            return float(c != k)
        if level == "interval":
            return (c - k) ** 2
        if level == "ratio":
            return ((c - k) / (c + k)) ** 2 if c + k else 0.0
        low, high = min(c, k), max(c, k)
        inside = ((pool >= low) & (pool <= high)).sum()
        return (inside - ((pool == c).sum() + (pool == k).sum()) / 2) ** 2 if c != k else 0.0

    def total(values):
        return sum(distance(c, k) for c in values for k in values)

    observed = sum(total(u) / (u.size - 1) for u in units) / pool.size
    return 1 - observed / (total(pool) / (pool.size * (pool.size - 1)))


@pytest.mark.parametrize("level", LEVELS)
def test_canonical_example(shared_data, level):
    case = json.loads((shared_data / "stats" / "cases.json").read_text())["krippendorff_canonical"]
    ratings = np.array([[math.nan if x is None else x for x in row] for row in case["data"]])
    found = krippendorff_alpha(ratings, level)
    assert round(found.estimate, 3) == case["alpha"][level]
    assert (found.n_raters, found.n_units, found.n_ratings) == (4, 11, 40)
    assert found.lower < found.estimate < found.upper <= 1


tables = st.tuples(st.integers(1, 4), st.integers(1, 6)).flatmap(
    lambda shape: hnp.arrays(np.float64, shape, elements=st.sampled_from([0, 1, 2, 5, math.nan]))
)


@given(tables, st.sampled_from(LEVELS), st.randoms(use_true_random=False))
def test_as_pairs_written_out_whatever_the_order(ratings, level, random):
    found = krippendorff_alpha(ratings, level)
    if found.estimate is None:
        assert found.lower is found.upper is None and found.reason.startswith("not measured: ")
        return
    assert found.estimate == pytest.approx(naive(ratings, level), abs=1e-12)
    assert found.estimate == pytest.approx(1 - found.observed / found.expected)
    assert found.lower <= found.estimate <= found.upper <= 1
    rows, columns = (list(range(n)) for n in ratings.shape)
    random.shuffle(rows)
    random.shuffle(columns)
    moved = krippendorff_alpha(ratings[np.ix_(rows, columns)], level)
    assert (moved.estimate, moved.lower) == pytest.approx((found.estimate, found.lower), abs=1e-9)
    if level == "nominal":
        names = dict(zip([0, 1, 2, 5], [7, 3, 11, 0], strict=True))
        renamed = np.vectorize(lambda x: names.get(x, x), otypes=[float])(ratings)
        assert krippendorff_alpha(renamed).estimate == pytest.approx(found.estimate)


def test_interval_is_the_jackknife_written_out():
    rng = np.random.default_rng(2)
    ratings = rng.integers(0, 3, (3, 14)).astype(float)
    ratings[:, ::2] = ratings[0, ::2]
    found = krippendorff_alpha(ratings, "interval")
    left_out = np.array([naive(np.delete(ratings, u, axis=1), "interval") for u in range(14)])
    se = math.sqrt(13 / 14 * np.sum((left_out - left_out.mean()) ** 2))
    assert found.estimate - found.lower == pytest.approx(2.16036866 * se, rel=1e-6)  # t_13


def test_constants_are_not_measured_and_agreement_is_not_certain():
    same = krippendorff_alpha([[1, 1, 1], [1, 1, 1]])
    assert same.estimate is None and "all ratings are 1" in same.reason
    alone = krippendorff_alpha([[1, 2, 3]])
    assert alone.estimate is None and "no unit has two ratings" in alone.reason
    agreed = krippendorff_alpha(np.tile([0, 1], (2, 20)))
    assert agreed.estimate == agreed.upper == 1
    assert agreed.lower == pytest.approx(0.025 ** (1 / 40))
    unit = krippendorff_alpha([[1], [2]])
    assert (unit.lower, unit.upper) == (-1, 1)


@pytest.mark.parametrize(
    ("ratings", "level", "message"),
    [
        ([[1, math.inf]], "nominal", r"ratings\[0, 1\] is inf"),
        ([[1, 2], [0, -1]], "ratio", r"ratings\[1, 1\] is -1"),
        ([1, 2], "nominal", r"ratings has shape \(2,\)"),
        ([["a", "b"]], "nominal", "not a rectangular array of numbers"),
        ([[1, 2]], "likert", "level is 'likert'"),
    ],
)
def test_refuses(ratings, level, message):
    with pytest.raises(StatsError, match=message):
        krippendorff_alpha(ratings, level)
