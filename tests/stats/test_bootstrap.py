"""The pigeonhole bootstrap against loops, closed forms and its own promises."""

import numpy as np
import pytest

from safebench.errors import StatsError
from safebench.stats import bootstrap, largest_mean, phi, pigeonhole_bootstrap


def scores(shape=(10, 3, 40), seed=0):
    return np.random.default_rng(seed).random(shape)


def mean(sample):
    return sample.means.reshape(sample.seeds.shape[0], -1).mean(axis=1)


def run_spread(sample):
    angles = phi(sample.run_means.mean(axis=2))
    centre = (sample.seeds * angles).sum(axis=1, keepdims=True)
    return np.sqrt((sample.seeds * (angles - centre) ** 2).sum(axis=1))


def squared_prompts(sample):
    return (sample.prompts * sample.prompt_means.mean(axis=1) ** 2).sum(axis=1)


def draw(array, statistic, seed=1, **options):
    options = {"n_boot": 500, **options}
    return pigeonhole_bootstrap(array, statistic, np.random.default_rng(seed), **options)


@pytest.mark.parametrize(
    ("statistic", "loop"),
    [
        (largest_mean, lambda a: a.mean(axis=(0, 2)).max()),
        (run_spread, lambda a: phi(a.mean(axis=(1, 2))).std()),
        (squared_prompts, lambda a: (a.mean(axis=(0, 1)) ** 2).mean()),
        (lambda s: s.means[:, 1] - s.means[:, 0], lambda a: np.diff(a.mean(axis=(0, 2)))[0]),
        (lambda s: s.means[:, 1] / s.means[:, 0], lambda a: a[:, 1].mean() / a[:, 0].mean()),
    ],
)
def test_each_replicate_is_the_statistic_of_the_drawn_seeds_and_prompts(statistic, loop):
    """Weights of k/S and k/P are k copies of a seed and of a prompt."""
    array = scores()
    seen = []

    def spy(sample):
        found = statistic(sample)
        seen.append((sample.seeds, sample.prompts, found))
        return found

    result = draw(array, spy, n_boot=100)
    (_, _, estimate), *blocks = seen
    seeds, prompts, found = (np.concatenate(parts) for parts in zip(*blocks, strict=True))
    assert result.estimate == estimate[0]
    assert estimate[0] == pytest.approx(loop(array))
    for row in range(20):
        s = np.repeat(np.arange(10), np.rint(10 * seeds[row]).astype(int))
        p = np.repeat(np.arange(40), np.rint(40 * prompts[row]).astype(int))
        assert (s.size, p.size) == (10, 40)
        assert found[row] == pytest.approx(loop(array[s][:, :, p]))
    assert (result.replicates == found).all()
    assert [result.lower, result.upper] == pytest.approx(np.quantile(found, [0.025, 0.975]))


def test_blocks_do_not_matter(monkeypatch):
    whole = draw(scores(), largest_mean)
    monkeypatch.setattr(bootstrap, "BLOCK", 1)
    one_by_one = draw(scores(), largest_mean)
    assert [one_by_one.lower, one_by_one.upper] == pytest.approx([whole.lower, whole.upper])
    assert one_by_one.replicates == pytest.approx(whole.replicates)
    assert draw(scores(), largest_mean) == draw(scores(), largest_mean)
    assert draw(scores(), largest_mean, seed=2).lower != whole.lower


def test_variance_of_a_mean_is_owens():
    """Weights of seeds and prompts multiplied: E* of the variance, exactly."""
    array = scores((12, 30))
    n_seeds, n_prompts = array.shape
    centred = array - array.mean()
    seed = (centred.mean(axis=1) ** 2).mean() / n_seeds
    prompt = (centred.mean(axis=0) ** 2).mean() / n_prompts
    total = (centred**2).mean() / array.size
    # E(w w') of multinomial weights is (delta (1 - 1/n) + ... ) in each facet, hence the products
    exact = seed * (1 - 1 / n_prompts) + prompt * (1 - 1 / n_seeds) + total
    found = draw(array, mean, n_boot=20_000)
    assert found.se**2 == pytest.approx(exact, rel=0.04)


def test_blocks_are_bounded_for_prompt_means_too(monkeypatch):
    """Inner positions x prompts is the widest array when seeds are few."""
    monkeypatch.setattr(bootstrap, "BLOCK", 4000)
    sizes = []

    def spy(sample):
        sizes.append(sample.prompt_means.size)
        return mean(sample)

    draw(scores((2, 20, 40)), spy)
    assert max(sizes) == 4000


def test_a_single_seed_or_prompt_is_not_drawn_and_said_so():
    array = scores((1, 3, 30))
    found = draw(array, mean, n_boot=20_000)
    assert found.se**2 == pytest.approx(array.mean(axis=(0, 1)).var() / 30, rel=0.04)
    assert "1 seed, not drawn" in found.method
    array = scores((12, 3, 1))
    found = draw(array, mean, n_boot=20_000)
    assert found.se**2 == pytest.approx(array.mean(axis=(1, 2)).var() / 12, rel=0.04)
    assert "1 prompt, not drawn" in found.method


def test_constant_scores_and_few_seeds():
    found = draw(np.full((3, 1, 5), 0.25), run_spread)
    assert (found.estimate, found.lower, found.upper, found.se) == pytest.approx((0, 0, 0, 0))
    assert found.method == "pigeonhole bootstrap, percentile; only 3 seeds: too short an interval"


def test_refusals():
    with pytest.raises(StatsError, match=r"scores\[0, 1\] is nan"):
        draw([[0, np.nan], [0, 1]], mean)
    with pytest.raises(StatsError, match=r"scores has shape \(3,\)"):
        draw([0, 1, 1], mean)
    with pytest.raises(StatsError, match=r"scores\[0, 1\] is 40, outside \[0, 1\]"):
        draw([[0, 40], [0, 1]], mean)
    with pytest.raises(StatsError, match="1 seed and 1 prompt: nothing to draw"):
        draw([[1]], mean)
    with pytest.raises(StatsError, match="n_boot is 99"):
        draw(scores(), mean, n_boot=99)
    with pytest.raises(StatsError, match=r"statistic returned shape \(1, 3\), not \(1,\)"):
        draw(scores(), lambda sample: sample.means)
    with pytest.raises(StatsError, match="statistic is nan in the estimate"):
        draw(scores(), lambda sample: mean(sample) * np.nan)
    with pytest.raises(StatsError, match=r"statistic is inf in replicate \d+"):
        draw(np.eye(4), lambda s: np.divide(1, mean(s), out=mean(s) + np.inf, where=mean(s) > 0))
