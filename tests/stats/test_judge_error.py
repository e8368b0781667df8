import json
import math
import random as generators

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from scipy import stats

from safebench.errors import StatsError
from safebench.stats import ppi_estimate, rogan_gladen, stability, youden


def verdicts(ones, n, table):
    """Judged, audited verdicts and labels; table: both say 1, judge only, label only, neither."""
    both, judge, label, neither = table
    f = [1] * (both + judge) + [0] * (label + neither)
    y = [1] * both + [0] * judge + [1] * label + [0] * neither
    return [1] * ones + [0] * (n - ones), f, y


SMALL = verdicts(365, 1000, (30, 6, 1, 63))
LARGE = verdicts(217, 500, (102, 52, 12, 234))


# ppi-python 0.2.3: ppi_mean_pointestimate and ppi_mean_ci(y, f, f_unlabelled, alpha=0.05, lam=...)
@pytest.mark.parametrize(
    ("data", "lam", "estimate", "lower", "upper"),
    [
        (SMALL, 1, 0.315, 0.25598018, 0.37401982),
        (SMALL, None, 0.31369341, 0.26040204, 0.36698477),
        (LARGE, 1, 0.334, 0.27631283, 0.39168717),
        (LARGE, None, 0.30130373, 0.26271315, 0.33989432),
    ],
)
def test_as_ppi_python(data, lam, estimate, lower, upper):
    found = ppi_estimate(*data, lam=lam)
    assert (found.estimate, found.lower, found.upper) == pytest.approx(
        (estimate, lower, upper), abs=1e-8
    )


def test_tuned_lam_is_the_published_formula():
    u, f, y = (np.array(x, dtype=float) for x in LARGE)
    cov = np.mean((y - y.mean()) * (f - f.mean()))
    expected = cov / ((1 + 400 / 500) * np.concatenate([u, f]).var(ddof=1))
    assert ppi_estimate(u, f, y).lam == pytest.approx(expected, rel=1e-12)
    assert ppi_estimate(u, 1 - f, y).lam == 0  # a judge that is wrong is not listened to


def test_lam_0_is_the_audit_alone():
    u, f, y = LARGE
    found = ppi_estimate(u, f, y, lam=0)
    se = np.std(y) / 20
    assert (found.estimate, found.upper) == pytest.approx((np.mean(y), np.mean(y) + 1.959964 * se))


def test_small_audits_have_t_quantiles():
    y = np.tile([0.0, 1.0, 1.0], 4)
    found = ppi_estimate([0, 1, 1, 0], np.zeros(12), y)
    half = 2.20098516 * y.std(ddof=1) / np.sqrt(12)
    assert found.lam == 0 and found.estimate == pytest.approx(2 / 3)
    assert found.upper - found.estimate == pytest.approx(half)
    assert "t, df = 11" in found.method


@given(st.integers(2, 300), st.booleans(), st.booleans())
def test_equal_labels_do_not_claim_certainty(n, label, judge):
    found = ppi_estimate([0, 1, 1, 0] * 50, np.full(n, judge), np.full(n, label))
    bound = 1 - 0.025 ** (1 / n)  # Clopper-Pearson without any event
    assert found.upper - found.lower >= bound - 1e-12
    assert found.estimate == label


def test_one_error_is_not_narrower_than_none():
    f = np.tile([0.0, 1.0], 50)
    y = f.copy()
    none = ppi_estimate(np.tile([0, 1], 500), f, y, lam=1)
    y[0] = 1
    one = ppi_estimate(np.tile([0, 1], 500), f, y, lam=1)
    assert one.upper - one.lower >= none.upper - none.lower > 0.07


def test_copies_of_an_outcome_count_once():
    u, f, y = (np.array(x, dtype=float) for x in SMALL)
    at_u, at_f = np.arange(u.size), u.size + np.arange(f.size)
    plain = ppi_estimate(u, f, y, (at_u, at_f))
    copies = ppi_estimate(
        *(np.repeat(x, 4) for x in (u, f, y)), (np.repeat(at_u, 4), np.repeat(at_f, 4))
    )
    for name in ("estimate", "lower", "upper", "lam", "n_clusters"):
        assert getattr(copies, name) == pytest.approx(getattr(plain, name), abs=1e-12)
    alone = ppi_estimate(u, f, y)
    assert plain.upper - plain.lower == pytest.approx(alone.upper - alone.lower, rel=0.02)


def test_prompts_shared_by_both_parts_are_counted_together():
    # judged = all responses, the audited among them: with lam = 1 and everything audited, the judge
    # cancels out, and what is left is the mean of the labels
    rng = np.random.default_rng(1)
    f = (rng.random(60) < 0.4).astype(float)
    y = np.where(rng.random(60) < 0.8, f, 1 - f)
    ids = np.array([f"p{i}" for i in range(60)])
    found = ppi_estimate(f, f, y, (ids, ids), lam=1)
    assert found.estimate == pytest.approx(y.mean())
    half = 2.00099538 * y.std(ddof=1) / np.sqrt(60)  # t_59
    assert found.upper - found.estimate == pytest.approx(half, rel=1e-6)


def test_seeds_that_spread_widen_it_by_j():
    rng = np.random.default_rng(3)
    runs = (rng.random((3, 60)) < [[0.1], [0.4], [0.7]]).astype(float)
    f, y = runs[:, :20].ravel(), np.tile([0.0, 0, 0, 1], 15)
    alone, found = ppi_estimate(runs.ravel(), f, y), ppi_estimate(runs.ravel(), f, y, runs=runs)
    residual = runs - runs.mean(0) - runs.mean(1)[:, None] + runs.mean()
    excess = runs.mean(1).var(ddof=1) / 3 - np.sum(residual**2) / (2 * 59) / 180
    j = np.clip(np.cov(y, f)[0, 1] / np.var(y, ddof=1), 0.3, 1)
    half = np.hypot(alone.upper - alone.estimate, 4.30265273 * np.sqrt(excess) / j)
    p = found.estimate
    n = p * (1 - p) * (1.959963985 / half) ** 2
    assert found.lower == pytest.approx(stats.beta.ppf(0.025, n * p, n - n * p + 1), abs=1e-7)
    assert found.upper == pytest.approx(stats.beta.ppf(0.975, n * p + 1, n - n * p), abs=1e-7)
    assert found.method.startswith("PPI++, seeds") and p == alone.estimate
    repeats = ppi_estimate(runs.ravel(), f, y, runs=np.stack([runs, runs], axis=1))
    assert repeats.upper == pytest.approx(found.upper)
    one = ppi_estimate(runs[0], f, y, runs=runs[:1])
    assert "one seed" in one.method and one.upper < found.upper


@pytest.mark.parametrize("by_cluster", [False, True])
def test_weights_undo_a_sample_by_verdict(by_cluster):
    # every verdict of 1 is audited, and one in four of the verdicts of 0
    rng = np.random.default_rng(4)
    estimates = []
    for _ in range(300):
        y = (rng.random(1000) < 0.1).astype(float)
        f = np.where(rng.random(1000) < np.where(y == 1, 0.7, 0.97), y, 1 - y)
        taken = (f == 1) | (rng.random(1000) < 0.25)
        clusters = (np.arange(1000), np.flatnonzero(taken)) if by_cluster else None
        w = np.where(f == 1, 1, 4)[taken]
        found = ppi_estimate(f, f[taken], y[taken], clusters, weights=w)
        estimates.append((found.estimate, found.lower, found.upper))
    middle, lower, upper = np.array(estimates).T
    assert middle.mean() == pytest.approx(0.1, abs=0.004)  # unweighted it is .08
    assert np.mean((lower <= 0.1) & (upper >= 0.1)) > 0.9


def test_equal_weights_are_none():
    u, f, y = SMALL
    plain, found = ppi_estimate(u, f, y), ppi_estimate(u, f, y, weights=np.full(100, 7.0))
    assert (found.lower, found.upper) == pytest.approx((plain.lower, plain.upper), abs=1e-12)
    for wrong in ([1.0] * 99, [0.0] + [1.0] * 99):
        with pytest.raises(StatsError, match="weights has"):
            ppi_estimate(u, f, y, weights=wrong)


def test_cluster_labels_may_be_of_any_kind():
    u, f, y = [0, 1, 1, 0], [0, 1, 1], [0, 1, 0]
    numbers = ppi_estimate(u, f, y, ([1, 2, 3, 4], [1.0, 2.0, 5.0]))
    words = ppi_estimate(u, f, y, (list("abcd"), list("abe")))
    assert (numbers.lower, numbers.upper) == (words.lower, words.upper)


def test_one_cluster_says_nothing():
    found = ppi_estimate([0, 1], [0, 1], [0, 1], (["a", "b"], ["a", "a"]))
    assert (found.lower, found.upper, found.n_clusters) == (0, 1, 1)


audits = st.tuples(
    hnp.arrays(np.float64, st.integers(1, 12), elements=st.sampled_from([0, 0.5, 1])),
    hnp.arrays(np.float64, (2, 9), elements=st.sampled_from([0, 0.5, 1])),
)


COVARIANCE_CANCELS = (
    np.array([0.5, 0, 0]),
    np.array([[0.5] * 9, [0, 0.5, 0.5] * 3]),
)


AS_FEW_AS_COUNT = (
    np.array([0.0]),
    np.array([[0.0] * 9, [0.5, 0.5, 0.5, 0.5, 1, 0, 0, 0, 0]]),  # 4 effective disagreements
)


@example(AS_FEW_AS_COUNT, False, generators.Random(0))
@example(AS_FEW_AS_COUNT, False, generators.Random(1))
@example(COVARIANCE_CANCELS, True, generators.Random(0))
@given(audits, st.booleans(), st.randoms(use_true_random=False))
def test_bounds_order_and_invariance(audit, by_cluster, random):
    judged, (f, y) = audit
    labels = (np.arange(judged.size) % 4, np.arange(9) % 3) if by_cluster else None
    found = ppi_estimate(judged, f, y, labels)
    assert 0 <= found.lower <= found.estimate <= found.upper <= 1 and 0 <= found.lam <= 1
    assert found.lower < found.upper
    order = list(range(9))
    random.shuffle(order)
    renamed = None
    if by_cluster:
        renamed = tuple(np.array(["x", "a", "m", "b"])[part] for part in labels)
        renamed = (renamed[0][::-1], renamed[1][order])
    moved = ppi_estimate(judged[::-1], f[order], y[order], renamed)
    assert (moved.lower, moved.upper) == pytest.approx((found.lower, found.upper), abs=1e-9)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (([0, np.nan], [0, 1], [0, 1]), r"judged\[1\] is nan"),
        (([0, 1], [0, 1], [0, np.nan]), r"audited_labels\[1\] is nan"),
        (([0, 1], [0, 2], [0, 1]), r"audited_judged\[1\] is 2"),
        (([0, 1], [0, 1, 1], [0, 1]), "audited_judged has 3 outcomes and audited_labels 2"),
        (([0, 1], [0], [0]), "one outcome"),
        (([0, 1], [0, 1], [0, 1], ([1], [1, 2])), r"clusters has shapes \(1,\)"),
    ],
)
def test_ppi_refuses(arguments, message):
    with pytest.raises(StatsError, match=message):
        ppi_estimate(*arguments)


def test_published_prevalences(shared_data):
    cases = json.loads((shared_data / "stats" / "cases.json").read_text())["lang_reiczigel_2014"]
    for case in cases["examples"]:
        found = rogan_gladen(case["positives"], case["n"], case["se"], case["sp"])
        assert [round(found.lower, 3), round(found.upper, 3)] == case["ci"]
        assert found.reason == "" and "transport assumed" in found.method


def test_rogan_gladen_by_hand():
    found = rogan_gladen(30, 100, (9, 10), (8, 10))
    assert found.estimate == pytest.approx((0.3 + 0.8 - 1) / 0.7)
    assert found.youden == pytest.approx(0.7)
    low = rogan_gladen(5, 100, (9, 10), (8, 10))
    assert low.estimate == 0 and low.reason.startswith("fewer positives")
    high = rogan_gladen(99, 100, (9, 10), (8, 10))
    assert high.estimate == 1 and high.reason.startswith("more positives")


def test_rogan_gladen_of_an_effective_n():
    plain = rogan_gladen(120, 200, (90, 100), (80, 100))
    fewer = rogan_gladen(0.6 * 17.5, 17.5, (90, 100), (80, 100))
    assert fewer.estimate == pytest.approx(plain.estimate)
    assert fewer.lower < plain.lower and fewer.upper > plain.upper
    for wrong in ((5, 0), (5, math.inf), (6, 5), (-1, 5), (math.nan, 5)):
        with pytest.raises(StatsError):
            rogan_gladen(*wrong, (90, 100), (80, 100))


@given(st.integers(0, 40), st.integers(0, 12), st.integers(0, 9))
def test_rogan_gladen_bounds(positives, hits, passes):
    if hits / 12 + passes / 9 <= 1:
        with pytest.raises(StatsError, match="no better than chance"):
            rogan_gladen(positives, 40, (hits, 12), (passes, 9))
        return
    found = rogan_gladen(positives, 40, (hits, 12), (passes, 9))
    assert 0 <= found.lower <= found.estimate <= found.upper <= 1
    more = rogan_gladen(min(positives + 1, 40), 40, (hits, 12), (passes, 9))
    assert more.estimate >= found.estimate


def test_a_calibration_too_small_to_tell():
    found = rogan_gladen(10, 40, (200, 1000), (1, 1))
    assert (found.lower, found.upper) == (0, 1) and "does not settle" in found.reason


@pytest.mark.parametrize("counts", [(3, 2), (-1, 2), (1.5, 2), (0, 0), (1, 2, 3), 4])
def test_counts_are_checked(counts):
    with pytest.raises(StatsError):
        youden(counts, (1, 1))
    with pytest.raises(StatsError):
        rogan_gladen(1, 2, (1, 1), counts)


@pytest.mark.parametrize(
    ("n_se", "n_sp", "least"), [(10, 10, 0.97), (50, 50, 0.955), (20, 50, 0.96)]
)
def test_youden_covers_exactly(n_se, n_sp, least):
    lower = np.array(
        [[youden((a, n_se), (b, n_sp)).lower for b in range(n_sp + 1)] for a in range(n_se + 1)]
    )
    for se, sp in [(0.5, 0.9), (0.7, 0.7), (0.8, 0.95), (0.9, 0.9), (0.97, 0.97), (1, 0.9), (1, 1)]:
        chance = np.outer(
            stats.binom.pmf(np.arange(n_se + 1), n_se, se),
            stats.binom.pmf(np.arange(n_sp + 1), n_sp, sp),
        )
        assert chance[lower <= se + sp - 1 + 1e-12].sum() >= least


def test_youden_bounds_and_its_use():
    found = youden((32, 33), (20, 20))
    assert found.lower < found.estimate < found.upper <= 1 and found.n == (33, 20)
    assert found.estimate == pytest.approx(32 / 33)
    assert youden((64, 66), (40, 40)).lower > found.lower
    scores = [0.3, 0.32, 0.35]
    judged = stability(scores, 200, judge_youden_lower=found.lower)
    assert judged.lower_if_normal < stability(scores, 200).lower_if_normal
    assert youden((0, 5), (0, 5)).lower == -1
