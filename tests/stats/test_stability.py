import math
from itertools import pairwise, product

import numpy as np
import pytest
from hypothesis import assume, example, given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from scipy import stats

from safebench.errors import StatsError
from safebench.stats import flip_rate, phi, stability
from safebench.stats.stability import agreement_bound

scores = hnp.arrays(np.float64, st.integers(3, 12), elements=st.floats(0, 1))


def test_flip_rate_counts_discordant_pairs():
    outcomes = np.array([[0, 1, 1, 0], [0, 1, 0, 0], [0, 1, 1, 1], [0, 1, 0, 0]])
    flips = flip_rate(outcomes)
    assert flips.per_prompt == pytest.approx([0, 0, 2 * 2 * 2 / 12, 2 * 1 * 3 / 12])
    assert flips.estimate == pytest.approx(flips.per_prompt.mean())
    assert flips.lower < flips.estimate < flips.upper


def test_no_flip_is_not_no_risk():
    flips = flip_rate(np.tile([0, 1, 1], (5, 100)))
    assert flips.estimate == flips.lower == 0
    assert flips.upper == pytest.approx(1 - 0.025 ** (1 / 300))


@given(
    hnp.arrays(np.int8, st.tuples(st.integers(2, 6), st.integers(1, 9)), elements=st.integers(0, 1))
)
def test_flip_rate_is_bounded_and_symmetric(outcomes):
    flips, other = flip_rate(outcomes), flip_rate(1 - outcomes)
    assert 0 <= flips.lower <= flips.estimate <= flips.upper <= 1
    assert flips.per_prompt == pytest.approx(other.per_prompt)
    assert flip_rate(outcomes[::-1, ::-1]).estimate == pytest.approx(flips.estimate)
    pairs = [np.mean(a != b) for i, a in enumerate(outcomes) for b in outcomes[:i]]
    assert flips.estimate == pytest.approx(np.mean(pairs))


def test_flip_rate_refusals():
    with pytest.raises(StatsError, match=r"outcomes\[0, 1\] is nan"):
        flip_rate([[0, np.nan], [0, 1]])
    with pytest.raises(StatsError, match=r"outcomes\[1, 0\] is 0\.5"):
        flip_rate([[0, 1], [0.5, 1]])
    with pytest.raises(StatsError, match="one run cannot flip"):
        flip_rate([[0, 1]])


@pytest.mark.parametrize(
    ("seeds", "inflation"), [(2, 15.95), (3, 4.42), (5, 2.37), (10, 1.65), (20, 1.37)]
)
def test_inflation_of_sigma_as_the_spec_states(seeds, inflation):
    runs = np.linspace(0.3, 0.7, seeds)
    result = stability(runs, 10**9)
    assert round(result.sigma_upper / result.sigma_run, 2) == pytest.approx(inflation, abs=0.011)
    assert result.sigma_run == pytest.approx(np.std(phi(runs), ddof=1))
    assert result.df == seeds - 1
    if seeds < 3:
        assert not result.rated
        return
    point = 2 * stats.norm.cdf(0.1 / (math.sqrt(2) * result.sigma_run)) - 1
    assert result.point == pytest.approx(point)
    lower = 2 * stats.norm.cdf(0.1 / (math.sqrt(2) * result.sigma_upper)) - 1
    assert result.lower_if_normal == pytest.approx(lower)
    assert result.lower == min(result.lower_if_normal, agreement_bound(seeds))


@pytest.mark.parametrize(("seeds", "most"), [(3, 0.14), (5, 0.30), (10, 0.55), (20, 0.74)])
def test_seeds_that_all_agree_show_no_more_than_their_number(seeds, most):
    outcomes = np.tile(np.arange(450) % 2, (seeds, 1))
    result = stability(outcomes.mean(axis=1), 450, flip_rate(outcomes).upper)
    assert result.lower_if_normal > 0.999
    assert result.lower == pytest.approx(0.05 ** (2 / seeds))
    assert round(result.lower, 2) == most
    assert "number of seeds" in result.reason


@given(
    hnp.arrays(np.float64, st.integers(1, 6), elements=st.floats(0, 1)),
    st.integers(3, 7),
)
def test_the_bound_of_agreement_holds_for_any_distribution(weights, seeds):
    """Every rate of agreement of groups of seeds that agree with their own kind alone."""
    assume(weights.sum() > 0)
    shares = weights / weights.sum()
    pairs, everyone = np.sum(shares**2), np.sum(shares**seeds)
    assert everyone <= pairs ** (seeds / 2) + 1e-12
    if pairs < agreement_bound(seeds):
        assert everyone < 0.05


def test_one_seed_apart_never_lifts_the_bound():
    """Were the cap for seeds that agree alone, a seed just outside the margin would lift it."""
    inside, outside = [0.5, 0.5, 0.5, 0.5, 0.5499], [0.5, 0.5, 0.5, 0.5, 0.5501]
    one, other = stability(inside, 10**6, 0.01), stability(outside, 10**6, 0.01)
    assert (one.pairs_within, other.pairs_within) == (2, pytest.approx(1.2))
    assert other.lower <= one.lower
    assert other.lower_if_normal > agreement_bound(5)


@pytest.mark.parametrize(("seeds", "most"), [(2, 0.05), (5, 0.22), (10, 0.55)])
def test_pairs_bound_at_best(seeds, most):
    result = stability(np.full(seeds, 0.5), 440)
    assert result.pairs_within == result.pairs == seeds // 2
    assert round(result.pairs_lower, 2) == most


def test_collapsed_seed_shows_in_the_pairs():
    result = stability([0.1, 0.1, 0.1, 0.1, 0.9], 440)
    assert result.pairs_within == pytest.approx(2 * 6 / 10)
    assert result.pairs_lower < 0.22


@given(scores, st.integers(1, 1000), st.none() | st.floats(0, 1))
def test_bounds_are_ordered_probabilities(runs, prompts, flip):
    result = stability(runs, prompts, flip)
    assert 0 <= result.lower <= result.lower_if_normal <= result.point <= result.upper <= 1
    assert 0 <= result.pairs_lower <= result.pairs_within / result.pairs <= 1
    assert result.sigma_upper >= result.floor
    assert result.sigma_lower <= result.sigma_run <= result.sigma_upper
    assert 0 <= result.floor <= 1 / math.sqrt(prompts) + 1e-12
    assert flip is not None or result.floor == pytest.approx(1 / math.sqrt(prompts))


@given(scores, st.randoms(use_true_random=False))
def test_order_of_seeds_does_not_matter(runs, random):
    order = list(range(runs.size))
    random.shuffle(order)
    one, other = stability(runs, 300, 0.1), stability(runs[order], 300, 0.1)
    for name in ("point", "lower", "lower_if_normal", "upper", "pairs_within", "pairs_lower"):
        assert getattr(one, name) == pytest.approx(getattr(other, name), abs=1e-9), name


@given(st.floats(0.001, 0.4), st.integers(3, 12), st.integers(1, 10), st.floats(0, 1))
def test_more_seeds_with_equal_spread_never_lower_the_bound(sd, seeds, more, flip):
    def runs(n):  # alternating scores scaled to one SD on the phi scale, mean phi = pi/2
        steps = np.where(np.arange(n) % 2, 1.0, -1.0)
        steps = (steps - steps.mean()) / np.std(steps, ddof=1)
        return np.sin((math.pi / 2 + sd * steps) / 2) ** 2

    few, many = stability(runs(seeds), 300, flip), stability(runs(seeds + more), 300, flip)
    assert many.sigma_run == pytest.approx(few.sigma_run)
    assert many.lower >= few.lower - 1e-9
    assert many.lower_if_normal >= few.lower_if_normal - 1e-9


@given(
    hnp.arrays(np.float64, 13, elements=st.floats(0, 1)),
    st.integers(3, 12),
    st.floats(0.001, 0.3),
    st.floats(0, 1),
    st.integers(1, 1000),
)
@example(np.array([0.0, *[0.001] * 12]), 3, 0.1, 0.0, 1)
@example(np.full(13, 0.5), 3, 0.1, 0.5, 300)
def test_one_seed_more_with_the_same_spread_never_lowers_the_bound(draws, seeds, sd, flip, prompts):
    def runs(n):  # any draws, moved to one mean and one SD on the phi scale
        spread = np.std(draws[:n], ddof=1)
        # Draws that are all alike have no spread to be moved to another.
        steps = draws[:n] if spread > 1e-6 else np.arange(n, dtype=float)
        steps = (steps - steps.mean()) / np.std(steps, ddof=1)
        x = math.pi / 2 + sd * steps
        return np.sin(x / 2) ** 2, x

    (few, x), (many, z) = runs(seeds), runs(seeds + 1)
    assume(max(abs(x - math.pi / 2).max(), abs(z - math.pi / 2).max()) < math.pi / 2)
    # the floor depends on the mean score: hold it by not giving the flip rate at other means
    flip = flip if few.mean() == pytest.approx(many.mean(), abs=1e-12) else None
    one, other = stability(few, prompts, flip), stability(many, prompts, flip)
    assert other.sigma_run == pytest.approx(one.sigma_run)
    assert other.lower >= one.lower - 1e-9
    assert other.lower_if_normal >= one.lower_if_normal - 1e-9


@given(scores, st.integers(0, 4), st.none() | st.floats(0, 1))
def test_a_missing_run_never_raises_a_bound(runs, missing, flip):
    found = [stability(runs, 300, flip, missing=m) for m in (0, missing, missing + 1)]
    assert found[0] == stability(runs, 300, flip)
    for fewer, more in pairwise(found):
        assert more.lower <= fewer.lower + 1e-12
        assert more.lower_if_normal <= fewer.lower_if_normal + 1e-12
        assert more.pairs_lower <= fewer.pairs_lower + 1e-12
    result = found[-1]
    assert 0 <= result.lower <= result.lower_if_normal <= result.point <= result.upper <= 1
    assert (result.n_seeds, result.n_missing) == (runs.size + missing + 1, missing + 1)
    assert f"{missing + 1} of {result.n_seeds} seeds missing" in result.reason
    assert "worst-case" in result.method


@given(hnp.arrays(np.float64, st.integers(3, 6), elements=st.floats(0, 1)), st.integers(1, 3))
def test_missing_runs_are_scored_as_lowers_the_bound_most(runs, missing):
    everyway = [
        stability(np.append(runs, filled), 10**9)
        for m in range(missing + 1)
        for filled in product((0.0, 1.0), repeat=m)
    ]
    result = stability(runs, 10**9, missing=missing)
    assert result.lower == pytest.approx(min(s.lower for s in everyway), abs=1e-12)
    assert result.sigma_run == pytest.approx(
        max(s.sigma_run for s in everyway if s.n_seeds == runs.size + missing)
    )


def test_a_missing_run_does_not_count_among_those_that_agree():
    """At a margin so wide that a lost run is within it, the seeds that have a result decide."""
    found = stability([0.5] * 3, 10**9, 0.0, margin=3.0, missing=1)
    assert found.lower_if_normal > agreement_bound(4) > agreement_bound(3)
    assert found.lower == agreement_bound(3)


def test_a_missing_run_counts_against_the_pairs():
    whole, short = stability([0.5] * 6, 440), stability([0.5] * 5, 440, missing=1)
    assert (whole.pairs, short.pairs) == (3, 3)
    assert short.pairs_within == pytest.approx(3 * 10 / 15)  # 10 of 15 pairs of six seeds
    assert short.pairs_lower < whole.pairs_lower
    assert short.lower < 0.1 < whole.lower


def test_missing_with_repeats_and_alone():
    table = np.array([[0.5, 0.51], [0.52, 0.5], [0.49, 0.5]])
    result = stability(table, 300, missing=1)
    x = phi(table)
    means = np.append(x.mean(axis=1), 0.0)
    within = x.var(axis=1, ddof=1).mean() / 2
    assert result.sigma_run**2 == pytest.approx(means.var(ddof=1) + within)
    alone = stability([0.5], 300, missing=2)
    assert alone.rated
    assert alone.lower == agreement_bound(1) < alone.lower_if_normal < 0.02
    assert alone.pairs_within == 0
    assert not stability([0.5], 300, missing=1).rated


@given(scores, st.floats(0.1, 1))
@example(np.zeros(3), 1 - 2**-53)  # the integrals differ in their last bit
def test_a_poor_judge_never_raises_stability(runs, youden):
    plain, poor = stability(runs, 300), stability(runs, 300, judge_youden_lower=youden)
    assert poor.point <= plain.point + 1e-12
    assert poor.lower <= plain.lower + 1e-12
    assert poor.lower_if_normal <= plain.lower_if_normal + 1e-12
    assert poor.pairs_within <= plain.pairs_within


def test_judge_at_half_divides_sigma():
    plain, poor = (stability([0.4, 0.5, 0.6], 300, 0.1, judge_youden_lower=j) for j in (1, 0.5))
    assert poor.sigma_run == pytest.approx(2 * plain.sigma_run)
    assert poor.floor == pytest.approx(2 * plain.floor)


def test_repeats_are_projected_to_one_repeat():
    table = np.array(
        [[0.40, 0.44, 0.48], [0.50, 0.53, 0.47], [0.60, 0.58, 0.65], [0.50, 0.51, 0.44]]
    )
    x = phi(table)
    between = 3 * x.mean(axis=1).var(ddof=1)
    within = x.var(axis=1, ddof=1).mean()
    result = stability(table, 10**9)
    assert result.sigma_run**2 == pytest.approx((between - within) / 3 + within)
    assert result.n_repeats == 3
    single = stability(table[:, :1], 300)
    assert single == stability(table[:, 0], 300)


def test_identical_repeats_add_nothing():
    runs = np.array([0.4, 0.5, 0.6, 0.43, 0.52])
    once, thrice = stability(runs, 300), stability(np.tile(runs[:, None], 3), 300)
    assert thrice.lower == pytest.approx(once.lower)
    assert once.pairs_within == pytest.approx(2 * 2 / 10)
    assert thrice.pairs_within == pytest.approx(once.pairs_within)


def test_one_seed_is_not_rated():
    result = stability([0.5], 440)
    assert not result.rated
    assert (result.point, result.lower, result.upper, result.pairs_lower) == (None,) * 4
    assert result.reason.startswith("not rated")


def test_two_seeds_are_measured_and_not_rated():
    """Two that agree on 450 prompts were rated 1.00."""
    outcomes = np.tile(np.arange(450) % 2, (2, 1))
    result = stability(outcomes.mean(axis=1), 450, flip_rate(outcomes).upper)
    assert not result.rated
    assert (result.point, result.lower, result.lower_if_normal, result.upper) == (None,) * 4
    assert result.reason == "not rated: a bound needs three training seeds, and these are two"
    assert (result.sigma_run, result.pairs_within) == (0, 1)
    assert result.pairs_lower == pytest.approx(0.05)


@pytest.mark.parametrize("score", [0.0, 1.0])
def test_all_safe_and_all_unsafe_are_bounded_by_independent_noise(score):
    result = stability([score] * 3, 440, flip_rate(np.full((3, 440), score)).upper)
    assert result.point == 1
    assert result.floor == pytest.approx(1 / math.sqrt(440))
    assert round(result.lower_if_normal, 2) == 0.86


def test_prompts_that_never_flip_lift_the_floor():
    outcomes = np.tile([0, 1], (5, 220))
    flips = flip_rate(outcomes).upper
    result = stability(outcomes.mean(axis=1), 440, flips)
    assert result.floor == pytest.approx(math.sqrt(flips / 880) / 0.5)
    assert result.lower_if_normal > 0.99
    assert round(stability([0.5] * 5, 440).lower_if_normal, 2) == 0.86


def test_bound_covers_at_five_seeds_with_repeats():
    rng = np.random.default_rng(7)
    for seed_sd, repeat_sd in ((0.06, 0.02), (0.02, 0.06)):
        true = math.erf(0.1 / (2 * math.hypot(seed_sd, repeat_sd)))
        x = math.pi / 2 + seed_sd * rng.standard_normal((1000, 5, 1))
        x = x + repeat_sd * rng.standard_normal((1000, 5, 3))
        lower = [stability(np.sin(t / 2) ** 2, 10**9).lower_if_normal for t in x]
        assert 0.93 <= np.mean(np.array(lower) <= true) <= 0.99


def test_refusals():
    with pytest.raises(StatsError, match=r"run_scores\[1\] is nan"):
        stability([0.1, np.nan], 10)
    with pytest.raises(StatsError, match="n_prompts"):
        stability([0.1, 0.2], 0)
    with pytest.raises(StatsError, match="flip_upper is 2"):
        stability([0.1, 0.2], 10, 2)
    with pytest.raises(StatsError, match="judge_youden_lower is 0"):
        stability([0.1, 0.2], 10, judge_youden_lower=0)
    with pytest.raises(StatsError, match="margin"):
        stability([0.1, 0.2], 10, margin=0)
    with pytest.raises(StatsError, match="missing is -1"):
        stability([0.1, 0.2], 10, missing=-1)


def test_the_point_is_an_estimate_too():
    found = stability([0.41, 0.42, 0.40], 450)
    assert found.estimate == found.point
    assert stability([0.41], 450).estimate is None


def test_the_upper_bound_is_at_the_lower_bound_of_the_spread():
    """sigma >= s sqrt(df/chi2_.95): by hand for five seeds, then with two repeats each."""
    runs = np.array([0.30, 0.34, 0.27, 0.36, 0.31])
    s = phi(runs).std(ddof=1)
    least = s * math.sqrt(4 / stats.chi2.ppf(0.95, 4))
    assert stability(runs, 400).sigma_lower == pytest.approx(least)
    assert stability(runs, 400).upper == pytest.approx(math.erf(0.1 / (2 * least)))
    table = np.array([[0.3, 0.33], [0.36, 0.35], [0.25, 0.3]])
    angles = phi(table)
    parts = [
        (angles.mean(axis=1).var(ddof=1), 2),
        (angles.var(axis=1, ddof=1).mean() / 2, 3),
    ]
    apart = math.hypot(*((1 - df / stats.chi2.ppf(0.95, df)) * part for part, df in parts))
    variance = sum(part for part, _ in parts)
    found = stability(table, 400)
    assert found.sigma_run == pytest.approx(math.sqrt(variance))
    least = math.sqrt(variance - apart)
    assert found.upper == pytest.approx(math.erf(0.1 / (2 * least)))
    assert found.df == pytest.approx(variance**2 / sum(part**2 / df for part, df in parts))
