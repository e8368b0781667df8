import json
import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from scipy import stats

from safebench.errors import StatsError
from safebench.stats import cohen_kappa, krippendorff_alpha, share

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


def test_kappa_by_hand():
    # 20 yes/yes, 5 yes/no, 10 no/yes, 15 no/no: Cohen's 1960 statistic is .4
    a = ["yes"] * 25 + ["no"] * 25
    b = ["yes"] * 20 + ["no"] * 5 + ["yes"] * 10 + ["no"] * 15
    found = cohen_kappa(a, b)
    assert found.estimate == pytest.approx(0.4)
    assert (found.observed, found.expected) == pytest.approx((0.3, 0.5))
    # the variance of Fleiss, Cohen & Everitt, of which the interval has the effective n
    p = np.array([[20, 5], [10, 15]]) / 50
    row, column = p.sum(1), p.sum(0)
    own = sum(p[i, i] * (1 - (row[i] + column[i]) * 0.6) ** 2 for i in range(2))
    cross = sum(p[i, 1 - i] * (column[i] + row[1 - i]) ** 2 for i in range(2)) * 0.36
    error = math.sqrt((own + cross - (0.4 - 0.5 * 0.6) ** 2) / 50) / 0.5
    assert found.upper - found.lower == pytest.approx(2 * 1.96 * error, rel=0.1)


@given(st.integers(2, 60), st.integers(1, 59), st.integers(0, 2**32 - 1))
def test_kappa_of_any_order_and_names(n, ones, seed):
    rng = np.random.default_rng(seed)
    a = np.arange(n) < min(ones, n - 1)
    b = np.where(rng.random(n) < 0.8, a, ~a)
    found = cohen_kappa(a, b)
    order = rng.permutation(n)
    names = np.array(["x", "q"])
    other = cohen_kappa(names[b[order].astype(int)], names[a[order].astype(int)])
    assert found.estimate is not None
    assert (other.estimate, other.lower, other.upper) == pytest.approx(
        (found.estimate, found.lower, found.upper), abs=1e-12
    )
    assert -1 <= found.lower <= found.estimate <= found.upper <= 1
    doubled = cohen_kappa(np.tile(a, 2), np.tile(b, 2), np.tile(np.arange(n), 2))
    assert found.lower - 1e-9 <= doubled.lower and doubled.upper <= found.upper + 1e-9


def test_perfect_agreement_is_not_certain():
    a = np.arange(100) % 2
    found = cohen_kappa(a, a)
    assert found.estimate == found.upper == 1
    assert found.lower == pytest.approx(1 - 2 * (1 - 0.025 ** (1 / 100)))
    nothing = cohen_kappa(np.ones(5), np.ones(5))
    assert nothing.estimate is None and "not measured" in nothing.reason


def test_kappa_refuses():
    for wrong in (([1, 0], [1]), ([], []), ([[1]], [[1]])):
        with pytest.raises(StatsError, match="first has shape"):
            cohen_kappa(*wrong)
    with pytest.raises(StatsError, match="weights has shape"):
        cohen_kappa([1, 0], [1, 0], weights=[1, 0])


@given(st.integers(0, 40), st.integers(1, 40))
def test_a_share_is_clopper_pearson(k, n):
    hits = np.arange(n) < min(k, n)
    exact = stats.binomtest(int(hits.sum()), n).proportion_ci(0.95)
    found = share(hits.astype(float))
    assert (found.lower, found.upper) == pytest.approx((exact.low, exact.high), abs=1e-9)
    weighted = share(hits.astype(float), np.arange(n), np.full(n, 3.0))
    assert (weighted.lower, weighted.upper) == pytest.approx((found.lower, found.upper), abs=1e-9)


def test_copies_and_weights_of_a_share():
    hits = (np.arange(60) % 3 == 0).astype(float)
    alone, copies = share(hits), share(np.repeat(hits, 4), np.repeat(np.arange(60), 4))
    assert copies.n == 240 and copies.n_effective == pytest.approx(alone.n_effective)
    heavy = share(hits, weights=np.where(np.arange(60) < 30, 9.0, 1.0))
    assert heavy.n_effective < 40 and heavy.method.endswith("effective n")
    all_one = share(np.ones(40), np.arange(40) % 4)
    assert all_one.n_effective == 4 and all_one.lower == pytest.approx(0.025**0.25)
