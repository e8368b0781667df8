import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from scipy import stats
from scipy.special import expit

from safebench.errors import StatsError
from safebench.stats import paired_difference


@st.composite
def two_arms(draw):
    prompts = draw(st.integers(1, 8))
    arm = st.integers(1, 4).flatmap(
        lambda s: hnp.arrays(np.float64, (s, prompts), elements=st.floats(0, 1, width=32))
    )
    return draw(arm), draw(arm)


@given(two_arms(), st.randoms(use_true_random=False))
def test_bounds_order_and_symmetry(arms, random):
    a, b = arms
    result = paired_difference(a, b)
    assert -1 <= result.lower <= result.estimate <= result.upper <= 1
    assert result.estimate == pytest.approx(b.mean() - a.mean(), abs=1e-12)
    other = paired_difference(b, a)
    assert (other.lower, other.upper) == pytest.approx((-result.upper, -result.lower), abs=1e-9)
    order = list(range(a.shape[1]))
    random.shuffle(order)
    moved = paired_difference(a[::-1, order], b[:, order])
    assert (moved.lower, moved.upper) == pytest.approx((result.lower, result.upper), abs=1e-9)


def test_one_run_each_is_the_paired_t():
    rng = np.random.default_rng(1)
    a, b = (rng.random((1, 80)) < p for p in (0.3, 0.5))
    d = b[0].astype(float) - a[0]
    result = paired_difference(a, b)
    se = np.sqrt(d.var(ddof=1) / 80)
    assert result.se == pytest.approx(se)
    assert result.upper - result.estimate == pytest.approx(stats.t.ppf(0.975, 79) * se)
    assert "run effect of a and b not measured" in result.method


def test_identical_arms_do_not_claim_certainty():
    a = np.tile([0.0, 1.0], (2, 50))
    result = paired_difference(a, a)
    assert result.estimate == 0
    assert 0.02 < result.upper < 0.05


def test_seed_variance_of_an_arm_is_added():
    rng = np.random.default_rng(3)
    a = (rng.random((1, 150)) < 0.3).astype(float)
    b = (rng.random((4, 150)) < np.array([0.3, 0.5, 0.6, 0.8])[:, None]).astype(float)
    seed = b.mean(axis=1).var(ddof=1) / 4
    residual = b - b.mean(axis=0) - b.mean(axis=1)[:, None] + b.mean()
    cell = np.sum(residual**2) / (3 * 149) / 600
    prompt = (b.mean(axis=0) - a[0]).var(ddof=1) / 150
    result = paired_difference(a, b)
    assert result.se**2 == pytest.approx(prompt + seed - cell)
    below = prompt**2 / 149 + seed**2 / 3 + cell**2 / (3 * 149)
    assert result.df == pytest.approx(result.se**4 / below)
    assert "run effect of a not measured" in result.method


@given(two_arms())
def test_never_narrower_than_the_t_interval_of_satterthwaites_df(arms):
    found = paired_difference(*arms)
    if found.df > 0:
        half = stats.t.ppf(0.975, found.df) * found.se
        assert found.upper >= min(found.estimate + half, 1) - 1e-9
        assert found.lower <= max(found.estimate - half, -1) + 1e-9


def test_squared_half_widths_add_where_seeds_spread():
    rng = np.random.default_rng(3)
    a = (rng.random((1, 150)) < 0.3).astype(float)
    b = (rng.random((3, 150)) < np.array([0.4, 0.5, 0.6])[:, None]).astype(float)
    prompt = (b.mean(axis=0) - a[0]).var(ddof=1) / 150
    result = paired_difference(a, b)
    excess = result.se**2 - prompt
    square = stats.t.ppf(0.975, 149) ** 2 * prompt + stats.t.ppf(0.975, 2) ** 2 * excess
    assert square > (stats.t.ppf(0.975, result.df) * result.se) ** 2
    assert result.upper - result.estimate == pytest.approx(np.sqrt(square))
    assert result.parts == ((pytest.approx(prompt), 149), (0, 0), (pytest.approx(excess), 2))


def test_few_discordant_prompts_get_pseudo_prompts():
    a, b = np.zeros((1, 100)), np.zeros((1, 100))
    b[0, 0] = 1
    result = paired_difference(a, b)
    r = np.where(np.arange(100) < 1, 0.99, -0.01)
    weight = 1 - np.sum(r**2) ** 2 / np.sum(r**4) / 10
    assert result.se**2 == pytest.approx(1 / 100**2 + weight * 2 / 100**2)
    assert result.lower < 0


def test_families_of_copies_count_once():
    rng = np.random.default_rng(2)
    a, b = (rng.random((3, 40)) < p for p in (0.3, 0.5))
    plain = paired_difference(a, b)
    copies = [np.repeat(x, 5, axis=1) for x in (a, b)]
    clustered = paired_difference(*copies, clusters=np.repeat(np.arange(40), 5))
    assert clustered.se == pytest.approx(plain.se)
    assert clustered.n_clusters == 40
    alone = [x[:1] for x in copies]  # without seeds, five copies look like 5 times the prompts
    families = paired_difference(*alone, clusters=np.repeat(np.arange(40), 5))
    assert families.se / paired_difference(*alone).se == pytest.approx(np.sqrt(5), rel=0.05)


def test_one_prompt_says_nothing():
    result = paired_difference([[0.2], [0.3]], [[0.9], [0.8]])
    assert (result.lower, result.upper) == (-1, 1)


@pytest.mark.parametrize(("base_runs", "families"), [(1, 1), (3, 1), (1, 10)])
def test_coverage_with_the_base_measured_once_and_in_families(base_runs, families):
    rng = np.random.default_rng(base_runs + families)
    n, prompts, seeds = 1000, 200, 5
    shape = (n, 1, prompts // families)
    level = np.repeat(2 * rng.standard_normal(shape), families, axis=2)
    shift = np.repeat(1 + rng.standard_normal(shape), families, axis=2)
    a = rng.random((n, base_runs, prompts)) < expit(level)
    logit = level + shift + 0.3 * rng.standard_normal((n, seeds, 1))
    b = rng.random(logit.shape) < expit(logit)
    big = 2 * rng.standard_normal(2_000_000)
    truth = expit(big + 1 + np.hypot(1, 0.3) * rng.standard_normal(big.size)).mean()
    truth -= expit(big).mean()
    clusters = np.arange(prompts) // families
    found = [paired_difference(x, y, clusters=clusters) for x, y in zip(a, b, strict=True)]
    assert 0.925 <= np.mean([r.lower <= truth <= r.upper for r in found]) <= 0.985


def test_refusals():
    with pytest.raises(StatsError, match=r"b\[0, 1\] is nan"):
        paired_difference([[0, 1]], [[0, np.nan]])
    with pytest.raises(StatsError, match="a has 2 prompts and b 3"):
        paired_difference([[0, 1]], [[0, 1, 1]])


def test_the_pseudo_prompts_fade_out_by_tenths_of_effective_clusters():
    """V_d by hand where 4 of 30 prompts changed: k = (sum r^2)^2/sum r^4, weight 1 - k/10."""
    a, b = np.zeros((1, 30)), np.zeros((1, 30))
    b[0, :4] = 1
    r = (b - a)[0] - (b - a).mean()
    k = (r**2).sum() ** 2 / (r**4).sum()
    assert 1 < k < 10
    prompt = 30 / 29 * (r**2).sum() / 30**2 + 2 / 30**2 * (1 - k / 10)
    found = paired_difference(a, b)
    assert found.se == pytest.approx(np.sqrt(prompt))
    assert found.lower == pytest.approx(4 / 30 - stats.t.ppf(0.975, 29) * np.sqrt(prompt))
    many = np.tile([[0.0, 1.0, 0.0, 0.0]], 20)
    r = many[0] - many.mean()
    assert paired_difference(np.zeros((1, 80)), many).se == pytest.approx(
        np.sqrt(80 / 79 * (r**2).sum() / 80**2)
    )


def test_one_prompt_has_the_variance_of_its_pseudo_prompts_alone():
    assert paired_difference([[0.0]], [[1.0]]).se == pytest.approx(np.sqrt(2))
