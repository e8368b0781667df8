import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from scipy import stats

from safebench.errors import StatsError
from safebench.stats import (
    change_verdict,
    cohens_h,
    fewest_prompts,
    flip_rate,
    paired_difference,
    phi,
    phi_inverse,
    pooled_sigma,
    replication_interval,
    rerun_verdict,
    size_class,
    tost_power,
)
from safebench.stats.equivalence import arms_of_rerun
from safebench.stats.planning import power_at
from safebench.stats.replication import predict

WORDS = {"reproduced", "not_reproduced", "inconclusive", "no_verdict"}
runs = hnp.arrays(np.float64, st.integers(1, 8), elements=st.floats(0, 1))
outcomes = hnp.arrays(
    np.float64, st.tuples(st.integers(2, 4), st.integers(1, 80)), elements=st.sampled_from([0.0, 1])
)


@pytest.mark.parametrize(
    ("new", "equal_var"), [([0.51, 0.50, 0.52, 0.49, 0.50], True), ([0.51, 0.50, 0.52], False)]
)
def test_away_from_0_and_1_the_interval_is_that_of_t(new, equal_var):
    old = [0.50, 0.52, 0.49, 0.51, 0.505]
    wanted = stats.ttest_ind(phi(new), phi(old), equal_var=equal_var)
    low, high = wanted.confidence_interval(0.90)
    result = rerun_verdict(old, new)
    assert (result.lower, result.upper) == pytest.approx((low, high), abs=1e-3)
    assert result.df == pytest.approx(wanted.df)
    assert result.verdict == "reproduced"
    assert "inside the margin of 5.0 points" in result.reason
    if equal_var:
        assert result.power == pytest.approx(tost_power(result.sigma, 0.1, 5, 5), abs=1e-3)


def test_paired_interval_is_the_paired_t():
    old, new = np.array([0.4, 0.5, 0.6, 0.55]), np.array([0.41, 0.52, 0.60, 0.56])
    low, high = stats.ttest_rel(phi(new), phi(old)).confidence_interval(0.90)
    result = rerun_verdict(old, new, paired=True)
    assert (result.lower, result.upper) == pytest.approx((low, high), abs=1e-3)
    assert result.verdict == "reproduced"
    assert rerun_verdict(old, new).verdict == "inconclusive"


def word_of(old, new, paired=False):
    """The verdict without its power and reason, which take far longer."""
    return arms_of_rerun(old, new, paired, None, None).decide(0.1, 0.05)[0]


def test_a_shift_is_not_reproduced():
    result = rerun_verdict([0.30, 0.31, 0.32], [0.50, 0.51, 0.52])
    assert result.verdict == "not_reproduced"
    assert result.difference_points == pytest.approx(0.2)
    assert result.lower_points < 0.2 < result.upper_points
    assert "outside the margin" in result.reason


def test_the_papers_worst_cell_is_underpowered():
    result = rerun_verdict([0.73, 0.82, 0.78, 0.74, 0.82], [0.74, 0.80, 0.79, 0.72, 0.83])
    assert result.verdict == "inconclusive"
    assert result.underpowered
    assert result.original_underpowered
    assert result.seeds_needed > 5
    assert "the original is underpowered" in result.reason


def test_one_original_run_needs_a_pooled_sigma():
    blind = rerun_verdict([0.5], [0.5, 0.501, 0.499])
    assert blind.verdict == "inconclusive"
    assert "original run" in blind.reason
    single = rerun_verdict([0.5], [0.5])
    assert (single.lower, single.upper, single.sigma, single.df) == (None,) * 4
    assert single.verdict == "inconclusive"
    assert rerun_verdict([0.5], [0.5, 0.501, 0.499], pooled_sigma=0.02).verdict == "reproduced"
    assert rerun_verdict([0.5], [0.9], pooled_sigma=0.02).verdict == "not_reproduced"
    assert rerun_verdict([0.5, 0.5, 0.51], [0.5]).verdict == "reproduced"


def test_a_pooled_sigma_is_that_of_one_run():
    alone = rerun_verdict([0.5, 0.6], [0.5, 0.6], pooled_sigma=0.03)
    pairs = rerun_verdict([0.5, 0.6], [0.5, 0.6], pooled_sigma=0.03, paired=True)
    wanted = stats.norm.ppf(0.95) * 0.03  # sqrt(1/2 + 1/2) = 1
    assert alone.upper == pytest.approx(wanted, abs=1e-3)
    assert pairs.upper == pytest.approx(alone.upper)
    assert pairs.sigma == pytest.approx(0.03 * np.sqrt(2))


def test_a_pooled_sigma_of_few_runs_has_their_degrees_of_freedom():
    exact = rerun_verdict([0.5], [0.5] * 3, pooled_sigma=0.03)
    few = rerun_verdict([0.5], [0.5] * 3, pooled_sigma=0.03, pooled_df=4)
    assert (exact.df, few.df) == (math.inf, 4)
    wanted = stats.t.ppf(0.95, 4) * 0.03 * math.sqrt(1 + 1 / 3)
    assert few.upper == pytest.approx(wanted, abs=2e-3)
    assert few.power < exact.power
    assert few.power == pytest.approx(power_at(0.03 * math.sqrt(4 / 3), 4, 0.1), abs=0.02)
    assert "df" in few.method
    pairs = rerun_verdict([0.5] * 2, [0.5] * 2, pooled_sigma=0.03, pooled_df=4, paired=True)
    assert pairs.df == 4


def test_pooled_sigma_is_the_within_mean_square():
    groups = [[0.3, 0.32, 0.35], [0.6, 0.62], [0.9], [0.45, 0.44, 0.47, 0.46]]
    x = [phi(g) for g in groups]
    squares = sum(np.sum((g - np.mean(g)) ** 2) for g in x)
    found = pooled_sigma(groups)
    assert (found.df, found.n, found.n_groups) == (6, 10, 4)
    assert found.estimate == pytest.approx(math.sqrt(squares / 6))
    bounds = np.sqrt(squares / stats.chi2.ppf([0.975, 0.025], 6))
    assert (found.lower, found.upper) == pytest.approx(tuple(bounds))
    equal = [groups[0], groups[3][:3]]
    two, same = pooled_sigma(equal), rerun_verdict(*equal)
    assert (two.estimate, two.df) == pytest.approx((same.sigma, same.df))


@given(st.lists(runs, min_size=1, max_size=4), st.randoms(use_true_random=False))
def test_pooled_sigma_does_not_depend_on_order(groups, random):
    groups = [*groups, np.array([0.2, 0.3])]
    found = pooled_sigma(groups)
    assert 0 <= found.lower <= found.estimate <= found.upper
    random.shuffle(groups)
    assert pooled_sigma([g[::-1] for g in groups]).estimate == pytest.approx(found.estimate)


def test_prediction_of_a_published_mean():
    # USEPA (2009) Unified Guidance, example 18-2: chrysene at two background wells, upper 99 %
    # limit of the geometric mean of 4 future values; 46.96613 in EnvStats::predIntLnorm's help
    x = np.log([6.9, 27.3, 10.8, 8.9, 15.1, 7.2, 48.4, 7.8])
    half, _ = predict(x.std(ddof=1), 7, 8, 4, 0.98)
    assert round(math.exp(x.mean() + half), 5) == 46.96613


def test_prediction_interval_on_phi_and_in_points():
    old = np.array([0.40, 0.43, 0.47])
    x = phi(old)
    half = stats.t.ppf(0.975, 2) * x.std(ddof=1) * math.sqrt(1 / 3 + 1 / 2)
    found = replication_interval(old, 2)
    assert (found.lower, found.upper) == pytest.approx((x.mean() - half, x.mean() + half))
    assert found.lower_points == pytest.approx(phi_inverse(found.lower))
    assert found.upper_points == pytest.approx(phi_inverse(found.upper))
    assert (found.df, found.n, found.n_rerun) == (2, 3, 2)


@given(
    hnp.arrays(np.float64, st.integers(2, 6), elements=st.floats(0, 1)),
    hnp.arrays(np.float64, st.integers(1, 6), elements=st.floats(0, 1)),
)
@settings(max_examples=40)
def test_within_prediction_is_the_replication_interval(old, new):
    found = replication_interval(old, new.size)
    centre = float(np.mean(phi(new)))
    assert found.lower <= found.estimate <= found.upper
    assert 0 <= found.lower_points <= found.upper_points <= 1
    inside = rerun_verdict(old, new).within_prediction
    if min(abs(centre - found.lower), abs(centre - found.upper)) > 1e-9:
        assert inside is (found.lower < centre < found.upper)


def test_within_prediction_is_none_where_nothing_is_predicted():
    assert rerun_verdict([0.5], [0.5, 0.51]).within_prediction is None
    assert rerun_verdict([0.5], [0.5, 0.51], pooled_sigma=0.03).within_prediction is True
    assert rerun_verdict([0.5] * 2, [0.5] * 2, paired=True).within_prediction is None
    assert rerun_verdict([0.5] * 2, [0.5]).within_prediction is True
    assert rerun_verdict([0.5] * 2, [0.6]).within_prediction is False
    assert rerun_verdict([0.5] * 2, [0.51], n_prompts=400).within_prediction is True


def test_a_prediction_interval_lets_pass_what_equivalence_does_not():
    rng = np.random.default_rng(8)  # SD 3 points near .5, 3 runs against 1, 10 points apart
    old = np.clip(0.5 + 0.03 * rng.standard_normal((2000, 3)), 0, 1)
    new = np.clip(0.6 + 0.03 * rng.standard_normal((2000, 1)), 0, 1)
    ends = [replication_interval(a, 1) for a in old]
    inside = [e.lower < phi(float(b[0])) < e.upper for e, b in zip(ends, new, strict=True)]
    assert np.mean(inside) == pytest.approx(0.63, abs=0.03)
    words = [word_of(a, b) for a, b in zip(old, new, strict=True)]
    assert np.mean([word == "reproduced" for word in words]) < 0.01


@pytest.mark.parametrize(
    ("limit", "target", "cv", "total"),
    # PowerTOST (CRAN, 1.5-6) data ctCW.III, design "parallel", additive, exact; total of both arms:
    # at differences of 0, .05, .1, .15
    [
        (0.2, 0.8, 0.10, (12, 14, 28, 102)),
        (0.2, 0.8, 0.20, (36, 48, 102, 398)),
        (0.2, 0.8, 0.40, (140, 182, 398, 1586)),
        (0.2, 0.9, 0.10, (14, 18, 36, 140)),
        (0.2, 0.9, 0.22, (54, 76, 168, 666)),
        (0.2, 0.9, 0.40, (176, 246, 550, 2194)),
    ],
)
def test_sample_sizes_of_a_published_table(limit, target, cv, total):
    for theta, both in zip((0.0, 0.05, 0.10, 0.15), total, strict=True):
        n = both // 2
        assert tost_power(cv, limit, n, n, theta=theta) >= target
        assert tost_power(cv, limit, n - 1, n - 1, theta=theta) < target


@pytest.mark.parametrize(
    ("cv", "ratio", "total"),
    # PowerTOST ctSJ.VIII.20 (Julious 2004, table VIII): limits .8 to 1.25, log scale, power .9
    [(0.30, 1.0, 78), (0.30, 0.95, 102), (0.35, 1.05, 134), (0.50, 0.9, 554), (0.85, 1.2, 11180)],
)
def test_sample_sizes_on_a_log_scale(cv, ratio, total):
    sigma, n = math.sqrt(math.log(1 + cv**2)), total // 2
    at = {"theta": math.log(ratio)}
    assert tost_power(sigma, math.log(1.25), n, n, **at) >= 0.9
    assert tost_power(sigma, math.log(1.25), n - 1, n - 1, **at) < 0.9


@pytest.mark.parametrize("paired", [False, True])
@pytest.mark.parametrize(
    ("prompts", "word"),
    [(4, "no_verdict"), (49, "no_verdict"), (100, "inconclusive"), (700, "reproduced")],
)
@pytest.mark.parametrize("score", [0.0, 1.0])
def test_runs_that_agree_are_not_certain(score, prompts, word, paired):
    tables = np.full((2, prompts), score), np.full((2, prompts), score)
    result = rerun_verdict(*tables, paired=paired)
    assert result.verdict == word
    assert result.lower < 0 < result.upper if 0 < score < 1 else result.upper > result.lower
    scores = [table.mean(axis=1) for table in tables]
    flips = 1 - 0.025 ** (1 / prompts)
    again = rerun_verdict(*scores, paired=paired, n_prompts=prompts, flip_upper=flips)
    assert (again.lower, again.upper) == (result.lower, result.upper)


def test_without_the_number_of_prompts_runs_that_agree_say_nothing():
    result = rerun_verdict([0.5] * 3, [0.5] * 3)
    assert (result.verdict, result.lower, result.floor) == ("inconclusive", None, None)
    assert "number of prompts" in result.reason
    assert rerun_verdict([0.5] * 3, [0.5] * 3, n_prompts=450).verdict == "reproduced"
    assert rerun_verdict([0.0] * 3, [1.0] * 3, n_prompts=450).verdict == "not_reproduced"


@pytest.mark.parametrize(
    ("seeds", "prompts"),
    # shared table of the review: at scores of 0, .01, .05, .2, .5
    [
        (2, (599, 248, 108, 57, 45)),
        (3, (400, 203, 88, 47, 37)),
        (5, (240, 134, 68, 36, 29)),
        (10, (120, 67, 48, 25, 20)),
    ],
)
def test_the_fewest_prompts_that_can_reproduce(seeds, prompts):
    assert tuple(fewest_prompts(seeds, p) for p in (0, 0.01, 0.05, 0.2, 0.5)) == prompts


@pytest.mark.parametrize("score", [0.0, 0.2, 0.5])
@pytest.mark.parametrize("seeds", [2, 3, 5])
def test_fewer_prompts_are_named_in_the_reason(score, seeds):
    needed = fewest_prompts(seeds, score)
    for prompts in (max(needed - 1, 50), max(needed, 50)):
        flips = 1 - 0.025 ** (1 / prompts)
        runs = [score] * seeds
        result = rerun_verdict(runs, runs, n_prompts=prompts, flip_upper=flips)
        assert (result.verdict == "reproduced") is (prompts >= needed)
        assert result.prompts_needed == (None if prompts >= needed else needed)
        assert ("fewer than" in result.reason) is (prompts < needed)


def test_outcomes_tell_flips_and_prompts_themselves():
    rng = np.random.default_rng(2)
    old, new = ((rng.random((3, 2, 120)) < 0.3).astype(float) for _ in range(2))
    result = rerun_verdict(old, new)
    flips = np.mean([flip_rate(table[:, 0]).estimate for table in (old, new)])
    upper = stats.beta.ppf(0.975, flips * 120 + 1, 120 - flips * 120)
    again = rerun_verdict(
        old.mean(axis=(1, 2)), new.mean(axis=(1, 2)), n_prompts=120, flip_upper=upper
    )
    assert (result.lower, result.upper) == pytest.approx((again.lower, again.upper))
    assert result.floor == pytest.approx(math.sqrt(min(1, upper / (2 * 0.3 * 0.7)) / 120), rel=0.05)
    pairs = rerun_verdict(old, new, paired=True)
    share = float((old[:, 0] != new[:, 0]).mean())
    p = (old.mean() + new.mean()) / 2
    upper = stats.beta.ppf(0.975, share * 120 + 1, 120 - share * 120)
    assert pairs.floor == pytest.approx(math.sqrt(min(1, upper / (2 * p * (1 - p))) / 120))


def test_graded_outcomes_do_not_flip_and_are_taken_as_independent():
    rng = np.random.default_rng(2)
    old, new = rng.random((3, 120)), rng.random((3, 120))
    assert rerun_verdict(old, new).floor == pytest.approx(math.sqrt(1 / 120))


@pytest.mark.parametrize(
    ("rate", "prompts", "seeds", "paired"),
    # the worst cells of the review: up to .94 were called `reproduced` before
    [(0.99, 100, 10, False), (0.05, 50, 2, False), (0.5, 50, 3, False), (0.3, 100, 5, True)],
)
def test_false_reproductions_on_few_prompts_stay_below_alpha(rate, prompts, seeds, paired):
    rng = np.random.default_rng(9)
    shifted = float(np.sin((phi(rate) + (0.1 if rate < 0.6 else -0.1)) / 2) ** 2)
    words = [
        word_of(
            (rng.random((seeds, prompts)) < rate).astype(float),
            (rng.random((seeds, prompts)) < shifted).astype(float),
            paired,
        )
        for _ in range(1500)
    ]
    assert np.mean([word == "reproduced" for word in words]) < 0.05 + 4 * 0.0056
    assert np.mean([word == "not_reproduced" for word in words]) < 0.06 + 4 * 0.0061


@given(outcomes, outcomes)
@settings(max_examples=40)
def test_more_spread_or_fewer_prompts_never_shorten_the_interval(old, new):
    new = np.resize(new, (new.shape[0], old.shape[1]))
    result = rerun_verdict(old, new)
    if result.lower is None:
        return
    scores = old.mean(axis=1), new.mean(axis=1)
    lengths = []
    for n in (10_000, 400, 60):
        found = rerun_verdict(*scores, n_prompts=n)
        lengths.append(found.upper - found.lower)
    assert lengths == sorted(lengths)


def test_margins_in_points_are_taken_at_the_original():
    about = {"n_prompts": 2000, "flip_upper": 0.01}
    assert rerun_verdict([0.01, 0.01], [0.04, 0.04], **about).verdict == "not_reproduced"
    assert rerun_verdict([0.50, 0.50], [0.53, 0.53], **about).verdict == "reproduced"
    assert round(rerun_verdict([0.01, 0.01], [0.01, 0.01]).margin_points, 3) == 0.012


@given(runs, runs, st.booleans())
@settings(max_examples=40)
def test_every_verdict_is_coherent(old, new, paired):
    if paired:
        new = np.resize(new, old.size)
    result = rerun_verdict(old, new, paired=paired)
    assert result.verdict in WORDS
    assert result.reason.endswith(".")
    if result.lower is not None:
        assert result.lower <= result.difference + 1e-12
        assert result.difference <= result.upper + 1e-12
        assert result.lower_points <= result.difference_points + 1e-12
        assert result.difference_points <= result.upper_points + 1e-12
        inside = -0.1 < result.lower <= result.upper < 0.1
        outside = result.lower > 0.1 or result.upper < -0.1
        if old.size > 1:
            expected = {(1, 0): "reproduced", (0, 1): "not_reproduced"}
            key = (int(inside), int(outside))
            assert result.verdict == expected.get(key, "inconclusive")
    mirrored = rerun_verdict(new, old, paired=paired)
    assert mirrored.difference == pytest.approx(-result.difference, abs=1e-12)
    if min(old.size, new.size) > 1:
        assert mirrored.verdict == result.verdict


@given(hnp.arrays(np.float64, st.integers(2, 8), elements=st.floats(0, 1)))
@settings(max_examples=40)
def test_an_identical_model_is_reproduced_when_paired_on_enough_prompts(old):
    assert rerun_verdict(old, old, paired=True, n_prompts=1000).verdict == "reproduced"


@given(runs, runs, st.randoms(use_true_random=False))
@settings(max_examples=40)
def test_order_of_runs_does_not_matter(old, new, random):
    shuffled = list(old)
    random.shuffle(shuffled)
    one, other = rerun_verdict(old, new), rerun_verdict(shuffled, new[::-1])
    assert one.difference == pytest.approx(other.difference, abs=1e-9)
    assert one.sigma == pytest.approx(other.sigma, abs=1e-9)


def test_false_reproductions_at_the_margin_stay_below_alpha():
    rng = np.random.default_rng(5)
    x = np.pi / 2 + 0.04 * rng.standard_normal((2000, 10))
    x[:, 5:] += 0.1
    scores = np.sin(x / 2) ** 2
    found = np.mean([word_of(s[:5], s[5:]) == "reproduced" for s in scores])
    assert 0.03 < found < 0.065  # four Monte Carlo errors about .05


def test_rerun_refusals():
    with pytest.raises(StatsError, match=r"rerun_runs\[1\] is nan"):
        rerun_verdict([0.5], [0.5, np.nan])
    with pytest.raises(StatsError, match="2 original, 3 rerun"):
        rerun_verdict([0.5] * 2, [0.5] * 3, paired=True)
    with pytest.raises(StatsError, match="alpha"):
        rerun_verdict([0.5], [0.5], alpha=0.5)
    with pytest.raises(StatsError, match="pooled_sigma"):
        rerun_verdict([0.5], [0.5], pooled_sigma=0)
    with pytest.raises(StatsError, match="3 prompts and rerun_runs 2"):
        rerun_verdict(np.zeros((2, 3)), np.zeros((2, 2)))
    with pytest.raises(StatsError, match="for both"):
        rerun_verdict([0.5], np.zeros((2, 2)))
    with pytest.raises(StatsError, match="n_prompts is 0"):
        rerun_verdict([0.5] * 2, [0.5] * 2, n_prompts=0)
    with pytest.raises(StatsError, match="flip_upper is 2"):
        rerun_verdict([0.5] * 2, [0.5] * 2, n_prompts=60, flip_upper=2)
    with pytest.raises(StatsError, match="pooled_df is 0"):
        rerun_verdict([0.5], [0.5], pooled_sigma=0.1, pooled_df=0)


def test_replication_refusals():
    with pytest.raises(StatsError, match=r"original_runs\[1\] is nan"):
        replication_interval([0.5, np.nan], 2)
    with pytest.raises(StatsError, match="original_runs has one run"):
        replication_interval([0.5], 2)
    with pytest.raises(StatsError, match="n_rerun is 0"):
        replication_interval([0.5, 0.6], 0)
    with pytest.raises(StatsError, match=r"groups\[1\]\[0\] is nan"):
        pooled_sigma([[0.1, 0.2], [np.nan]])
    with pytest.raises(StatsError, match="2 studies and none with two runs"):
        pooled_sigma([[0.1], [0.2]])


@pytest.mark.parametrize(
    ("h", "label"),
    [(0.09, "none"), (-0.1, "very_small"), (0.2, "small"), (-0.5, "medium"), (0.8, "large")],
)
def test_size_classes(h, label):
    assert size_class(h) == label


def test_change_reproduces_in_sign_and_size():
    result = change_verdict([0.10, 0.12, 0.11], [0.30, 0.33, 0.36], [0.1], [0.31, 0.35, 0.33])
    assert result.verdict == result.sign_verdict == result.size_verdict == "reproduced"
    assert result.original.sign == result.rerun.sign == "increase"
    assert "measured once" in result.rerun.method


def test_change_interval_is_welch():
    base, tuned = [0.10, 0.12, 0.11], [0.30, 0.33, 0.36, 0.31]
    low, high = stats.ttest_ind(phi(tuned), phi(base), equal_var=False).confidence_interval(0.95)
    change = change_verdict(base, tuned, base, tuned).original
    assert (change.lower, change.upper) == pytest.approx((low, high), abs=5e-3)


def test_a_base_measured_once_borrows_the_spread_of_the_tuned_runs():
    tuned = [0.30, 0.33, 0.36, 0.31]
    change = change_verdict([0.1], tuned, [0.1], tuned).original
    se = np.std(phi(tuned), ddof=1) * np.sqrt(1 + 1 / 4)
    assert change.upper - change.estimate == pytest.approx(stats.t.ppf(0.975, 3) * se, rel=0.1)
    assert change.df == 3


@pytest.mark.parametrize("prompts", [4, 60, 450])
@pytest.mark.parametrize("per_prompt", [False, True])
def test_runs_that_agree_do_not_make_a_change_certain(prompts, per_prompt):
    if per_prompt:
        base, tuned = np.zeros((3, prompts)), np.zeros((3, prompts))
        found = change_verdict(base, tuned, base, tuned)
    else:
        found = change_verdict([0.0] * 3, [0.0] * 3, [0.0] * 3, [0.0] * 3, n_prompts=prompts)
    assert found.original.upper - found.original.lower > 4 / prompts
    assert found.verdict == ("no_verdict" if prompts < 50 else "inconclusive")
    assert found.original.sign == "unsupported"


def test_a_change_of_runs_without_spread_has_no_interval_where_prompts_are_not_known():
    found = change_verdict([0.1] * 2, [0.5] * 2, [0.1] * 2, [0.5] * 2)
    assert (found.original.lower, found.original.sign) == (None, "unsupported")
    assert "without any spread" in found.original.method
    known = change_verdict([0.1] * 2, [0.5] * 2, [0.1] * 2, [0.5] * 2, n_prompts=400)
    assert (known.verdict, known.original.sign) == ("reproduced", "increase")


def test_opposite_changes_are_not_reproduced():
    result = change_verdict([0.3, 0.31], [0.5, 0.51], [0.3, 0.31], [0.1, 0.11])
    assert result.verdict == "not_reproduced"
    assert "opposite" in result.reason


def test_same_sign_of_another_size_is_not_reproduced():
    tuned = [0.15, 0.16, 0.155], [0.8, 0.81, 0.79]
    base = [0.1] * 3
    result = change_verdict(base, tuned[0], base, tuned[1], n_prompts=2000, flip_upper=0.01)
    assert (result.sign_verdict, result.size_verdict) == ("reproduced", "not_reproduced")
    assert result.verdict == "not_reproduced"


def test_no_change_twice_is_reproduced_and_once_is_not():
    still = ([0.3, 0.301, 0.302], [0.3, 0.301, 0.303])
    assert change_verdict(*still, *still).verdict == "reproduced"
    moved = [0.3, 0.3, 0.301], [0.6, 0.61, 0.62]
    assert change_verdict(*still, *moved).verdict == "not_reproduced"


def test_one_seed_supports_no_sign():
    result = change_verdict([0.1, 0.1], [0.5], [0.1, 0.1], [0.5, 0.51])
    assert result.original.sign == "unsupported"
    assert result.original.lower is None
    assert result.verdict == "inconclusive"
    assert "the original and the rerun" in result.reason


def test_change_from_prompts():
    rng = np.random.default_rng(6)
    base = (rng.random((2, 200)) < 0.2).astype(float)
    tuned = (rng.random((4, 200)) < 0.6).astype(float)
    result = change_verdict(base, tuned, base, tuned)
    assert result.verdict == "reproduced"
    assert result.original.lower < result.original.estimate < result.original.upper
    assert result.original.estimate == pytest.approx(phi(tuned.mean()) - phi(base.mean()))
    zeros, ones = np.zeros((2, 50)), np.ones((2, 50))
    assert change_verdict(zeros, ones, zeros, ones).original.estimate == pytest.approx(np.pi)
    assert change_verdict(zeros, zeros, zeros, zeros).original.sign == "unsupported"


@given(runs, runs, runs, runs)
def test_change_verdicts_are_coherent(a, b, c, d):
    result = change_verdict(a, b, c, d)
    assert {result.verdict, result.sign_verdict, result.size_verdict} <= WORDS
    swapped = change_verdict(c, d, a, b)
    assert (swapped.verdict, swapped.sign_verdict) == (result.verdict, result.sign_verdict)
    flipped = change_verdict(b, a, d, c) if min(map(len, (a, b, c, d))) > 1 else swapped
    assert flipped.sign_verdict == result.sign_verdict


def test_change_refusals():
    with pytest.raises(StatsError, match=r"rerun_tuned\[0\] is nan"):
        change_verdict([0.1], [0.1], [0.1], [np.nan])
    with pytest.raises(StatsError, match="per-run scores"):
        change_verdict([0.1], [[0.1]], [0.1], [0.1])


def test_the_middle_of_an_interval_is_called_the_same_everywhere():
    verdict = rerun_verdict([0.41, 0.42, 0.40], [0.42, 0.41, 0.43])
    assert verdict.estimate == verdict.difference
    assert verdict.estimate == pytest.approx((verdict.lower + verdict.upper) / 2, abs=1e-4)


@pytest.mark.parametrize(("before", "after"), [(0.4, 0.6), (0.6, 0.4), (0.0, 0.03), (1.0, 0.97)])
def test_a_change_by_prompts_is_the_paired_difference_on_phi(before, after):
    """Around the midpoint of both scores; at 0 and 1 the pair is moved inside."""
    base = np.tile(np.arange(100) < 100 * before, (2, 1)).astype(float)
    tuned = np.stack([np.arange(100) < 100 * after, np.arange(100) < 100 * after + 1]) * 1.0
    change = change_verdict(base, tuned, base, tuned).original
    points = paired_difference(base, tuned)
    middle = (base.mean() + tuned.mean()) / 2

    def on_phi(d):
        low, high = middle - abs(d) / 2, middle + abs(d) / 2
        low, high = low - min(low, 0) - max(high - 1, 0), high - min(low, 0) - max(high - 1, 0)
        return np.sign(d) * cohens_h(max(low, 0), min(high, 1))

    assert change.estimate == pytest.approx(on_phi(points.estimate))
    assert change.estimate == pytest.approx(cohens_h(base.mean(), tuned.mean()))
    assert change.lower == pytest.approx(on_phi(points.lower))
    assert change.upper == pytest.approx(on_phi(points.upper))
    signs = {(True, False): "increase", (False, True): "decrease", (False, False): "unsupported"}
    assert change.sign == signs[change.lower > 0, change.upper < 0]
    assert change.estimate_points == pytest.approx(points.estimate)
    single = change_verdict(base, tuned[:1], base, tuned).original
    assert (single.lower, single.sign) == (None, "unsupported")
    width = 2 * stats.t.ppf(0.975, change.df)
    assert change.se == pytest.approx((change.upper - change.lower) / width)


def test_sizes_differ_when_their_distance_is_beyond_welchs_interval():
    base, step = np.full(3, 0.3), np.array([-1, 0, 1])
    found = set()
    for spread in np.linspace(0.005, 0.09, 12):
        tuned = 0.46 + 0.3 * spread * step, 0.58 + spread * step
        result = change_verdict(base, tuned[0], base, tuned[1], n_prompts=2000, flip_upper=0.05)
        a, b = result.original, result.rerun
        if result.sign_verdict != "reproduced":
            continue
        assert (a.size_class, b.size_class) == ("small", "medium")
        variances = a.se**2, b.se**2
        df = sum(variances) ** 2 / (variances[0] ** 2 / a.df + variances[1] ** 2 / b.df)
        bound = stats.t.ppf(0.975, df) * math.sqrt(sum(variances))
        apart = abs(b.estimate - a.estimate) > bound
        assert result.size_verdict == ("not_reproduced" if apart else "inconclusive")
        found.add(result.size_verdict)
    assert found == {"not_reproduced", "inconclusive"}
