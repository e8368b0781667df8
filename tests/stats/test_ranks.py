import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from scipy import stats

from safebench.errors import StatsError
from safebench.stats import _maxt, leader_classes, moderated_variances, rank_intervals, ranks


@st.composite
def boards(draw):
    n = draw(st.integers(1, 9))
    scores = draw(hnp.arrays(np.float64, n, elements=st.sampled_from([0, 0.1, 0.25, 0.5, 0.9, 1])))
    variances = draw(hnp.arrays(np.float64, n, elements=st.sampled_from([0, 1e-5, 1e-4, 1e-2])))
    return scores, variances


@settings(max_examples=40, deadline=None)
@given(boards(), st.sampled_from([None, 2, 9]), st.sampled_from(["max-T", "sidak"]), st.data())
def test_bounds_order_and_relabelling(board, df, method, data):
    scores, variances = board
    n = scores.size
    found = rank_intervals(scores, variances, df, method=method)
    assert (found.lower >= 1).all() and (found.upper <= n).all() and found.n == n
    assert (found.lower <= found.rank).all() and (found.rank <= found.upper).all()
    assert (found.estimate == [1 + (scores > s).sum() for s in scores]).all()
    assert set(found.groups) == set(range(1, found.groups.max() + 1))
    order = np.array(data.draw(st.permutations(range(n))))
    moved = rank_intervals(scores[order], variances[order], df, method=method)
    for name in ("rank", "lower", "upper", "groups"):
        assert (getattr(moved, name) == getattr(found, name)[order]).all()
    turned = rank_intervals(-scores, variances, df, method=method, higher_is_better=False)
    assert (turned.lower == found.lower).all() and (turned.upper == found.upper).all()


def naive(scores, covariance, tail):
    """Step-down over ordered pairs, written out: the set of (better, worse) told apart."""
    n = scores.size
    draws = _maxt.normal_draws(_maxt.centred(covariance))
    v = covariance if covariance.ndim == 2 else np.diag(covariance)
    pairs = [(i, j) for i in range(n) for j in range(n) if i != j]
    se = {(i, j): np.sqrt(v[i, i] + v[j, j] - 2 * v[i, j]) for i, j in pairs}
    told = set()
    while True:
        left = [p for p in pairs if p not in told]
        largest = np.max([(draws[:, i] - draws[:, j]) / se[i, j] for i, j in left], axis=0)
        critical = np.sort(largest)[-int(tail * (draws.shape[0] + 1))]
        now = {(i, j) for i, j in pairs if (scores[i] - scores[j]) / se[i, j] > critical}
        if now == told:
            return told, critical
        told = now


@pytest.mark.parametrize("kind", ["variances", "shared prompts", "any covariance"])
def test_step_down_leaves_out_no_draw_that_matters(kind):
    rng = np.random.default_rng(5)
    n = 12
    spread = rng.uniform(0.2, 3, n)
    if kind == "shared prompts":
        spread = np.diag(spread) + 2.0
    elif kind == "any covariance":
        a = rng.standard_normal((n, 3))
        spread = a @ a.T + np.diag(spread / 4)
    scores = np.sort(rng.normal(0, 4, n))[::-1]
    told, critical = naive(scores, spread, 0.05)
    found = rank_intervals(scores, spread)
    assert found.critical == pytest.approx(critical, rel=1e-9)
    worse = np.bincount([i for i, _ in told], minlength=n)
    better = np.bincount([j for _, j in told], minlength=n)
    assert (found.lower == 1 + better).all() and (found.upper == n - worse).all()
    single = np.sort(np.max(np.abs(_pairs(spread)), axis=1))[-500]
    assert critical < single and len(told) > 10


def _pairs(spread):
    draws = _maxt.normal_draws(_maxt.centred(spread))
    v = spread if spread.ndim == 2 else np.diag(spread)
    i, j = np.triu_indices(v.shape[0], 1)
    return (draws[:, i] - draws[:, j]) / np.sqrt(v[i, i] + v[j, j] - 2 * v[i, j])


@pytest.mark.parametrize("df", [None, 6.0])
@pytest.mark.parametrize("shape", ["variances", "covariance"])
def test_blocks_compare_every_pair(monkeypatch, df, shape):
    rng = np.random.default_rng(2)
    n = 90
    variances = rng.uniform(0.1, 2, n)
    scores = rng.normal(0, 6, n).round(1)
    spread = variances if shape == "variances" else np.diag(variances) + 0.05
    monkeypatch.setattr(ranks, "BLOCK", 16)
    found = rank_intervals(scores, spread, df, method="sidak")
    se = np.sqrt(variances[:, None] + variances)
    level = (1 - 0.95 ** (2 / (n * (n - 1)))) / 2
    limit = stats.norm.isf(level)
    if df:
        welch = se**4 / ((variances[:, None] ** 2 + variances**2) / df)
        limit = stats.t.isf(level, welch if shape == "variances" else df)
    told = scores[:, None] - scores > limit * se
    assert (found.lower == 1 + told.sum(axis=0)).all()
    assert (found.upper == n - told.sum(axis=1)).all()
    assert 100 < told.sum() < 0.9 * n * (n - 1) / 2
    apart = told | told.T | np.eye(n, dtype=bool)
    same = ~apart  # groups: connected components of what is not told apart
    reach = np.linalg.matrix_power((same | np.eye(n, dtype=bool)).astype(float), n) > 0
    assert ((found.groups[:, None] == found.groups) == reach).all()


def test_shared_prompts_tell_entries_apart_sooner():
    scores = [0.5, 0.52, 0.54]
    variances = np.full(3, 4e-4)
    alone = rank_intervals(scores, variances)
    paired = rank_intervals(scores, np.diag(variances - 3.96e-4) + 3.96e-4)
    assert list(alone.upper) == [3, 3, 3] and list(alone.groups) == [1, 1, 1]
    assert list(paired.upper) == [3, 2, 1] and list(paired.groups) == [3, 2, 1]


def test_groups_are_chains():
    found = rank_intervals([0.9, 0.8, 0.7, 0.3], np.full(4, 0.002))
    assert list(found.groups) == [1, 1, 1, 2]
    assert found.lower[2] == 2  # told apart from the first, linked by the second


def test_zero_spread_ties_and_one_entry():
    found = rank_intervals([0.3, 0.3, 0.5], [0, 0, 0])
    assert list(found.rank) == [2, 2, 1] and list(found.lower) == [2, 2, 1]
    assert list(found.upper) == [3, 3, 1] and list(found.groups) == [2, 2, 1]
    one = rank_intervals([0.4], [0.01])
    assert (one.rank[0], one.lower[0], one.upper[0], one.groups[0]) == (1, 1, 1, 1)


@pytest.mark.parametrize("df", [None, 4])
def test_family_wise_error_of_equal_entries(df):
    rng = np.random.default_rng(11)
    wrong, boards = 0, 200
    for _ in range(boards):
        runs = rng.standard_normal((5, 8))
        variances = runs.var(axis=0, ddof=1) / 5 if df else np.full(8, 0.2)
        found = rank_intervals(runs.mean(axis=0), variances, df)
        wrong += bool((found.lower > 1).any())
    assert 0.01 * boards < wrong < 0.085 * boards


def test_500_equal_entries_at_5_seeds():
    runs = np.random.default_rng(4).standard_normal((5, 500))
    scores, variances = runs.mean(axis=0), runs.var(axis=0, ddof=1) / 5
    assert (rank_intervals(scores, variances).lower - 1).sum() > 60
    assert (rank_intervals(scores, variances, df=4).lower == 1).all()
    assert (rank_intervals(scores, *moderated_variances(variances, 4)).lower == 1).all()


def test_more_than_500_entries_are_compared_in_pairs():
    scores = np.linspace(0, 1, 501)
    found = rank_intervals(scores, np.full(501, 1e-4))
    assert found.method == "sidak, normal"
    assert rank_intervals(scores[:5], np.full(5, 1e-4)).method == "max-T, normal"
    assert found.groups.max() == 1 and found.upper[-1] < 60


def test_moderated_variances():
    rng = np.random.default_rng(1)
    true = 3 * 8 / rng.chisquare(8, 4000)
    raw = true * rng.chisquare(4, 4000) / 4
    found, df = moderated_variances(raw, 4)
    assert df[0] - 4 == pytest.approx(8, rel=0.25)
    assert np.log(found / true).std() < 0.6 * np.log(raw / true).std()
    equal, many = moderated_variances(2 * rng.chisquare(4, 4000) / 4, 4)
    assert (many > 30).all() and equal.mean() == pytest.approx(2, rel=0.05)
    few, few_df = moderated_variances([1.0, 2.0, 0.0], 2)
    assert (few > 0).all() and (few_df > 2).all()
    assert moderated_variances([0.5], 3)[1][0] == 3
    with pytest.raises(StatsError, match=r"variances\[1\] is -1, below 0"):
        moderated_variances([1, -1], 3)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (([0.1, np.nan], [1, 1]), r"scores\[1\] is nan"),
        (([0.1, 0.2], [1, np.nan]), r"covariance\[1\] is nan"),
        (([0.1, 0.2], [1, -1]), "variance -1 at 1"),
        (([0.1, 0.2], [1, 1, 1]), r"covariance has shape \(3,\)"),
        (
            ([0.1, 0.2], [[1, 0], [0.5, 1]]),
            r"covariance\[0, 1\] is 0 and covariance\[1, 0\] is 0.5",
        ),
        (([0.1, 0.2], [[1, 2], [2, 1]]), "a difference would have the variance -2"),
        (([1, 2, 3], [[5, 4.5, 4.5], [4.5, 5, 0.5], [4.5, 0.5, 5]]), "combination of the scores"),
        (([0.1, 0.2], [1, 1], [4, 0]), r"df\[1\] is 0"),
        (([0.1, 0.2], [1, 1], [4, 4, 4]), r"df has shape \(3,\)"),
        (([0.1, 0.2], [1, 1], None, 1.0), "confidence is 1"),
        (([0.1, 0.2], [1, 1], None, 0.99999), "10000 draws cannot find"),
        (([[0.1, 0.2]], [1, 1]), r"scores has shape \(1, 2\)"),
        (([0.1], [1], None, 0.9, True, "tukey"), "method is 'tukey'"),
    ],
)
def test_refuses(arguments, message):
    with pytest.raises(StatsError, match=message):
        rank_intervals(*arguments)


def classes_written_out(scores, variances, tail=0.05):
    n = scores.size
    level = 1 - (1 - tail) ** (1 / max(n * (n - 1) / 2, 1))
    z = stats.norm.isf(level / 2)
    order, leader, number, found = np.lexsort((variances, -scores)), None, 0, np.zeros(n, int)
    for i in order:
        apart = leader is None or scores[leader] - scores[i] > z * np.sqrt(
            variances[leader] + variances[i]
        )
        leader, number = (i, number + 1) if apart else (leader, number)
        found[i] = number
    return list(found)


@settings(max_examples=40)
@given(boards(), st.sampled_from([None, 2, 9]), st.data())
def test_a_class_holds_those_that_are_not_separated_from_its_leader(board, df, data):
    scores, variances = board
    assert list(leader_classes(scores, variances)) == classes_written_out(scores, variances)
    found = leader_classes(scores, variances, df)
    assert set(found) == set(range(1, found.max() + 1))
    assert (np.diff(found[np.lexsort((variances, -scores))]) >= 0).all()
    order = np.array(data.draw(st.permutations(range(scores.size))))
    assert (leader_classes(scores[order], variances[order], df) == found[order]).all()
    assert (leader_classes(-scores, variances, df, higher_is_better=False) == found).all()


def test_classes_do_not_chain():
    scores = np.arange(10) / 10  # neighbours are not separated, the ends are
    variances = np.full(10, 0.05**2)
    assert set(rank_intervals(scores, variances).groups) == {1}
    assert list(leader_classes(scores, variances)) == [4, 3, 3, 3, 2, 2, 2, 1, 1, 1]
