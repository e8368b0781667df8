import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from scipy import stats
from scipy.special import expit

from safebench.errors import StatsError
from safebench.stats import score_interval
from safebench.stats.intervals import interval_from

tables = hnp.arrays(
    np.float64,
    hnp.array_shapes(min_dims=2, max_dims=2, min_side=1, max_side=8),
    elements=st.sampled_from([0.0, 1.0]) | st.floats(0, 1, width=32),
)


def bounds(interval):
    return np.array([interval.estimate, interval.lower, interval.upper])


@given(tables, st.booleans())
def test_bounds_stay_in_order_and_in_range(table, clustered):
    clusters = np.arange(table.shape[1]) // 2 if clustered else None
    interval = score_interval(table, clusters=clusters)
    assert 0 <= interval.lower <= interval.estimate <= interval.upper <= 1
    assert interval.upper - interval.lower > 1e-6
    assert interval.n == table.size
    assert interval.estimate == pytest.approx(table.mean())
    if table.shape[0] > 1:
        fixed = score_interval(table, prompts_fixed=True)
        assert 0 <= fixed.lower <= fixed.estimate <= fixed.upper <= 1
        assert fixed.upper > fixed.lower


@given(tables, st.randoms(use_true_random=False))
def test_order_and_labels_do_not_matter(table, random):
    seeds, prompts = (list(range(n)) for n in table.shape)
    random.shuffle(seeds)
    random.shuffle(prompts)
    labels = np.array([f"family {i // 3}" for i in range(len(prompts))])
    straight = bounds(score_interval(table, clusters=labels))
    renamed = np.array([100 - i // 3 for i in range(len(prompts))])
    moved = score_interval(table[np.ix_(seeds, prompts)], clusters=renamed[prompts])
    assert bounds(moved) == pytest.approx(straight, abs=1e-7)


@given(tables)
def test_swapping_harm_and_safety_mirrors_the_interval(table):
    one, other = score_interval(table), score_interval(1 - table)
    assert one.lower == pytest.approx(1 - other.upper, abs=1e-6)
    assert one.upper == pytest.approx(1 - other.lower, abs=1e-6)


@pytest.mark.parametrize(
    ("successes", "n", "low", "high"),
    # Clopper & Pearson (1934), 95 %: widely tabulated, e.g. Newcombe (1998, Stat. Med. 17:857)
    [
        (81, 263, 0.2527, 0.3676),
        (15, 148, 0.0578, 0.1617),
        (0, 20, 0.0, 0.1684),
        (1, 29, 0.0009, 0.1776),
    ],
)
def test_one_binary_run_is_clopper_pearson(successes, n, low, high):
    run = np.zeros((1, n))
    run[0, :successes] = 1
    interval = score_interval(run)
    assert (round(interval.lower, 4), round(interval.upper, 4)) == (low, high)
    assert "one seed" in interval.method


def test_zero_events_count_each_prompt_once():
    five, one = score_interval(np.zeros((5, 300))), score_interval(np.zeros((1, 300)))
    assert five.upper == pytest.approx(1 - 0.025 ** (1 / 300))
    assert five.upper == one.upper
    assert five.lower == 0
    assert five.n_effective == 300
    families = score_interval(np.zeros((5, 300)), clusters=np.arange(300) // 10)
    assert families.upper == pytest.approx(1 - 0.025 ** (1 / 30))


def test_more_harm_never_lowers_the_bound_below_zero_events():
    table = np.zeros((10, 200))
    none = score_interval(table).upper
    for column in range(8):
        table[column, column] = 1
        assert score_interval(table).upper >= none - 1e-12


def test_repeats_are_averaged_and_one_seed_says_so():
    rng = np.random.default_rng(1)
    cube = (rng.random((3, 4, 50)) < 0.4).astype(float)
    assert bounds(score_interval(cube))[0] == pytest.approx(cube.mean())
    assert score_interval(cube).n == 600
    assert score_interval(cube[:1]).n_seeds == 1
    assert "one seed" in score_interval(cube[:1]).method
    assert "repeats only" in score_interval(cube[:1], prompts_fixed=True).method


def test_two_way_variance_matches_the_mean_squares():
    rng = np.random.default_rng(2)
    y = (rng.random((6, 400)) < rng.random((6, 1)) * 0.5 + 0.2).astype(float)
    s, p = y.shape
    ms_p = s * y.mean(axis=0).var(ddof=1)
    ms_s = p * y.mean(axis=1).var(ddof=1)
    ms_e = ((y - y.mean(0) - y.mean(1)[:, None] + y.mean()) ** 2).sum() / ((s - 1) * (p - 1))
    v = (ms_p + ms_s - ms_e) / (s * p)
    below = (ms_p**2 / (p - 1) + ms_s**2 / (s - 1) + ms_e**2 / ((s - 1) * (p - 1))) / (s * p) ** 2
    interval = score_interval(y)
    assert interval.df == pytest.approx(v**2 / below)
    from scipy import stats

    half = stats.t.ppf(0.975, interval.df) * np.sqrt(v)
    assert interval.upper - interval.lower == pytest.approx(2 * half, rel=0.05)


def test_families_of_copies_count_once():
    rng = np.random.default_rng(3)
    y = (rng.random((4, 40)) < 0.5).astype(float)
    copies = score_interval(np.repeat(y, 5, axis=1), clusters=np.repeat(np.arange(40), 5))
    assert bounds(copies) == pytest.approx(bounds(score_interval(y)), abs=0.02)


def test_seed_spread_widens_the_interval():
    rng = np.random.default_rng(4)
    base = rng.random((5, 300))
    steady = (base < 0.5).astype(float)
    swinging = (base < np.array([0.3, 0.4, 0.5, 0.6, 0.7])[:, None]).astype(float)
    width = [np.ptp(bounds(score_interval(t))[1:]) for t in (steady, swinging)]
    assert width[1] > 2 * width[0]


def test_squared_half_widths_add_where_seeds_spread():
    from scipy import stats

    rng = np.random.default_rng(2)
    y = (rng.random(400) < np.array([0.45, 0.5, 0.55])[:, None]).astype(float)
    prompt = y.mean(axis=0).var(ddof=1) / 400
    seed = y.mean(axis=1).var(ddof=1) / 3
    residual = y - y.mean(0) - y.mean(1)[:, None] + y.mean()
    cell = (residual**2).sum() / (2 * 399) / 1200
    square = stats.t.ppf(0.975, 399) ** 2 * prompt + stats.t.ppf(0.975, 2) ** 2 * (seed - cell)
    interval = score_interval(y)
    quantile = stats.t.ppf(0.975, interval.df)
    n_raw = y.mean() * (1 - y.mean()) / (prompt + seed - cell) * 400 / 399
    implied = stats.t.ppf(0.975, max(n_raw - 1, interval.df))
    assert square > quantile**2 * (prompt + seed - cell)
    expected = n_raw * (implied**2 * (prompt + seed - cell)) / square
    assert interval.n_effective == pytest.approx(expected)


def test_one_prompt_says_nothing_of_others():
    interval = score_interval(np.array([[1.0], [0.0], [1.0]]))
    assert interval.upper - interval.lower > 0.9


def test_constant_scores_on_fixed_prompts():
    table = np.tile([0.0, 1.0], (3, 100))
    interval = score_interval(table, prompts_fixed=True)
    assert 0 < interval.upper - interval.lower < 0.05


@pytest.mark.parametrize(
    ("seeds", "effect", "least"), [(5, 0.1, 0.935), (5, 0.6, 0.93), (10, 0.6, 0.93)]
)
def test_coverage_is_near_nominal(seeds, effect, least):
    rng = np.random.default_rng(seeds)
    n, prompts = 1000, 100
    logit = (
        2 * rng.standard_normal((n, 1, prompts))
        + effect * rng.standard_normal((n, seeds, 1))
        + 0.7 * rng.standard_normal((n, seeds, prompts))
    )
    outcomes = (rng.random(logit.shape) < expit(logit)).astype(float)
    intervals = [score_interval(table) for table in outcomes]
    assert least <= np.mean([i.lower <= 0.5 <= i.upper for i in intervals]) <= 0.985


def test_refusals_name_the_place():
    with pytest.raises(StatsError, match=r"scores\[1, 2\] is nan"):
        score_interval([[0, 1, 0], [0, 1, np.nan]])
    with pytest.raises(StatsError, match=r"scores\[0, 1\] is 55, outside \[0, 1\]"):
        score_interval([[0, 55]])
    with pytest.raises(StatsError, match="1 dimensions"):
        score_interval([0.1, 0.2])
    with pytest.raises(StatsError, match="empty"):
        score_interval(np.zeros((3, 0)))
    with pytest.raises(StatsError, match=r"clusters has shape \(1,\), not \(2,\)"):
        score_interval([[0, 1]], clusters=["a"])
    with pytest.raises(StatsError, match="confidence is 95"):
        score_interval([[0, 1]], confidence=95)
    with pytest.raises(StatsError, match="nothing varies"):
        score_interval([[0, 1]], prompts_fixed=True)


@settings(max_examples=25)
@given(st.integers(1, 6), st.integers(1, 6), st.integers(0, 35))
def test_nan_is_refused_wherever_it_is(seeds, prompts, place):
    table = np.zeros((seeds, prompts))
    row, column = divmod(place % table.size, prompts)
    table[row, column] = np.nan
    with pytest.raises(StatsError, match=rf"scores\[{row}, {column}\] is nan"):
        score_interval(table)


def test_fixed_prompts_without_spread_get_the_noise_of_flips_not_seen():
    """Worked by hand: 6 of 20 prompts, the same ones in each of 4 seeds."""
    found = score_interval(np.tile([1.0] * 6 + [0.0] * 14, (4, 1)), prompts_fixed=True)
    flips = 1 - 0.025 ** (1 / 20)  # Clopper-Pearson of none in 20
    variance = flips / 2 / (4 * 20)
    trials = 0.3 * 0.7 / variance
    n = trials * (stats.t.ppf(0.975, trials - 1) / stats.t.ppf(0.975, 3)) ** 2
    assert found.n_effective == pytest.approx(n)
    lower, upper = (
        stats.beta.ppf(0.025, 0.3 * n, 0.7 * n + 1),
        stats.beta.ppf(0.975, 0.3 * n + 1, 0.7 * n),
    )
    assert (found.lower, found.upper) == pytest.approx((lower, upper))
    assert found.df == 3


def test_fixed_prompts_that_spread_rest_on_the_variance_of_the_seeds():
    """Scores .5, .4, .3, .2 of four seeds on 10 prompts; the cells of the table vary more."""
    table = np.array([[1.0] * k + [0.0] * (10 - k) for k in (5, 4, 3, 2)])
    found = score_interval(table, prompts_fixed=True)
    seed = table.mean(axis=1).var(ddof=1) / 4
    rest = table - table.mean(axis=0) - table.mean(axis=1, keepdims=True) + table.mean()
    cell = (rest**2).sum() / (3 * 9) / 40
    variance = max(seed, (seed + 9 * cell) / 10)
    trials = 0.35 * 0.65 / variance
    trials = max(trials, min(trials * 10 / 9, 10))
    t = stats.t.ppf(0.975, max(trials - 1, 3)) / stats.t.ppf(0.975, 3)
    assert found.n_effective == pytest.approx(trials * min(t, 1) ** 2)


def test_events_are_rare_below_ten():
    for variance, rare in ((0.0125, False), (0.0126, True)):
        found = interval_from(0.5, variance, 0, 0, 0, 1, 1e18)
        assert bool(found.rare) is rare
