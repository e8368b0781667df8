"""The cheapest design: exact, monotone, honest about what cannot be reached."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from safebench.errors import StatsError
from safebench.stats import balanced_bounds, plan_design, score_interval, variance_components
from safebench.stats.design import design_of

COSTS = {"fine_tune": 100, "generation": 0.01}
EFFECTS = {
    "prompt": 0.09,
    "training_seed": 0.0016,
    "prompt:training_seed": 0.05,
    "training_seed:repeat": 0.0001,
    "residual": 0.1,
}
FACETS = {
    "prompt": ("prompt",),
    "training_seed": ("training_seed",),
    "prompt:training_seed": ("prompt", "training_seed"),
    "training_seed:repeat": ("training_seed", "repeat"),
    "residual": ("prompt", "training_seed", "repeat"),
}


def se(effects, n):
    return math.sqrt(sum(v / math.prod(n[f] for f in FACETS[name]) for name, v in effects.items()))


def cost(costs, n):
    s, r, p = n["training_seed"], n["repeat"], n["prompt"]
    return (
        costs.get("fine_tune", 0) * s + costs["generation"] * s * r * p + costs.get("prompt", 0) * p
    )


variances = st.fixed_dictionaries({name: st.sampled_from([0.0, 0.001, 0.02]) for name in EFFECTS})
prices = st.fixed_dictionaries(
    {
        "fine_tune": st.sampled_from([0, 1, 50]),
        "generation": st.sampled_from([0.01, 1]),
        "prompt": st.sampled_from([0, 2]),
    }
)


@given(variances, prices, st.floats(0.02, 0.1))
@settings(max_examples=25)
def test_a_design_reaches_its_target_and_is_made_of_its_parts(effects, costs, target):
    plan = plan_design(effects, costs, target)
    assert plan.se == pytest.approx(se(effects, plan.n_levels))
    assert plan.se <= target * (1 + 1e-9)
    assert plan.cost == pytest.approx(cost(costs, plan.n_levels))
    assert math.fsum(plan.contributions.values()) == pytest.approx(plan.se**2)


MOST = {"training_seed": 9, "repeat": 4, "prompt": 70}


def every_design(effects, costs, aim, value, score, fixed):
    """All designs within MOST that do what is asked: (what is least, seeds, repeats, prompts)."""
    sizes = range(2, 10), range(1, 5), ([40] if fixed else range(2, 71))
    n = [axis.astype(float) for axis in np.meshgrid(*sizes, indexing="ij")]
    kept = {name: v for name, v in effects.items() if not (fixed and name == "prompt")}
    price = costs.get("fine_tune", 0) * n[0] + costs["generation"] * n[0] * n[1] * n[2]
    price += costs.get("prompt", 0) * n[2]
    index = {"training_seed": 0, "repeat": 1, "prompt": 2}
    part = {name: v / math.prod(n[index[f]] for f in FACETS[name]) for name, v in kept.items()}
    if aim == "budget":
        by_seed = sum(v for name, v in part.items() if name.startswith("training_seed"))
        t = [stats.t.ppf(0.975, n[i] - 1) ** 2 for i in (0, 2)]
        if fixed:
            by_seed = sum(part.values())
        by_prompt = sum(v for name, v in part.items() if "prompt" in FACETS[name])
        least = t[0] * by_seed + (0 if fixed else t[1] * by_prompt)
        fits = price <= value
    else:
        least = price
        fits = np.sqrt(sum(part.values())) <= value
    if aim == "half_width":
        options = {"fixed": {"prompt": 40}} if fixed else {}
        design = design_of(effects, score=score, **options)

        def narrow(n):
            found = design.interval(n)
            return (found.upper - found.lower) / 2 <= value

        narrow_with_more = np.logical_and.accumulate(narrow(n)[:, :, ::-1], axis=2)[:, :, ::-1]
        fits = narrow_with_more & narrow((n[0], n[1], n[2] if fixed else np.full_like(n[2], 1e12)))
    return sorted(zip(least[fits], *(axis[fits] for axis in n), strict=True))


@pytest.mark.parametrize("aim", ["target_se", "half_width", "budget"])
@pytest.mark.parametrize("fixed", [False, True])
def test_no_design_of_all_is_better(aim, fixed):
    rng = np.random.default_rng(5)
    reached = 0
    for _ in range(60):
        effects = {name: float(rng.choice([0, 1e-4, 1e-3, 0.01, 0.05])) for name in FACETS}
        costs = {
            "fine_tune": float(rng.choice([0, 1, 50])),
            "generation": 0.1,
            "prompt": float(rng.choice([0, 2])),
        }
        low, high = {"target_se": (0.02, 0.1), "half_width": (0.08, 0.3), "budget": (10, 400)}[aim]
        value, score = rng.uniform(low, high), float(rng.choice([0.5, 0.2, 0.03]))
        most = MOST | ({"prompt": 40} if fixed else {})
        options = {"fixed": {"prompt": 40}} if fixed else {}
        every = every_design(effects, costs, aim, value, score, fixed)
        asked = {aim: value, "score": score, "at_most": most, **options}
        if not every:
            with pytest.raises(StatsError, match=r"out of reach|smallest design"):
                plan_design(effects, costs, **asked)
            continue
        plan = plan_design(effects, costs, **asked)
        n = tuple(plan.n_levels[facet] for facet in MOST)
        ties = [row[1:] for row in every if row[0] <= every[0][0] * (1 + 1e-9)]
        assert n[:2] == min(ties)[:2]
        assert n in ties
        reached += 1
    assert reached > 20


@given(variances, prices, st.floats(0.02, 0.08))
@settings(max_examples=10)
def test_dearer_when_finer_or_dearer(effects, costs, target):
    plan = plan_design(effects, costs, target)
    assert plan_design(effects, costs, target * 0.8).cost >= plan.cost * (1 - 1e-9)
    double = {**costs, "generation": 2 * costs["generation"]}
    assert plan_design(effects, double, target).cost >= plan.cost * (1 - 1e-9)
    assert all(o.cost >= plan.cost * (1 - 1e-9) for o in plan.alternatives)


def test_half_width_uses_t():
    plan = plan_design(EFFECTS, COSTS, half_width=0.1)
    assert plan.n_levels["training_seed"] > 2
    half_width = (plan.upper - plan.lower) / 2
    assert plan.se < half_width / 1.96
    assert half_width <= 0.1


def test_alternatives_are_the_best_with_seeds_near_by():
    plan = plan_design(EFFECTS, COSTS, 0.05, at_most={"training_seed": 5})
    found = [tuple(split.n_levels.values()) for split in plan.alternatives]
    assert tuple(plan.n_levels.values()) == (2, 1, 100)
    assert found == [(3, 1, 73), (4, 1, 62)]
    assert [split.cost for split in plan.alternatives] == pytest.approx([302.19, 402.48])
    assert plan.alternatives[0].se == pytest.approx(se(EFFECTS, plan.alternatives[0].n_levels))
    assert plan.alternatives[1].responses == 4 * 62
    six = plan_design(EFFECTS, COSTS, half_width=0.05)
    assert [split.n_levels["training_seed"] for split in six.alternatives] == [7, 8, 12]


def test_a_budget_is_kept_and_used():
    plan = plan_design(EFFECTS, COSTS, budget=1000)
    assert 900 < plan.cost <= 1000
    assert plan.target_se is None
    assert plan_design(EFFECTS, COSTS, budget=2000).se < plan.se


def test_huge_designs_are_found_at_once():
    plan = plan_design(EFFECTS, COSTS, 0.0002)
    assert plan.n_levels["training_seed"] > 50_000
    assert plan.se <= 0.0002 * (1 + 1e-9)


def test_fixed_prompts_drop_their_effect_and_keep_their_number():
    plan = plan_design(EFFECTS, COSTS, 0.03, fixed={"prompt": 300})
    assert plan.n_levels["prompt"] == 300
    assert "prompt" not in plan.contributions
    assert plan.n_levels["training_seed"] == 2


def test_tuple_keys():
    effects = {("training_seed",): 0.001, ("prompt",): 0.05}
    by_name = {"training_seed": 0.001, "prompt": 0.05}
    costs = {"training_seed": 1, "generation": 0.1}
    assert plan_design(effects, costs, 0.05) == plan_design(by_name, costs, 0.05)


def test_out_of_reach_names_the_floor():
    with pytest.raises(StatsError, match=r"least possible is 0\.03\d*, mostly from prompt"):
        plan_design(EFFECTS, COSTS, 0.01, at_most={"prompt": 100})
    with pytest.raises(StatsError, match="budget is 10; the smallest design allowed costs 200"):
        plan_design(EFFECTS, COSTS, budget=10)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"costs": {"seed": 1}}, "costs has 'seed'"),
        ({"costs": {"fine_tune": 1}}, "lacks a positive generation"),
        ({"costs": {**COSTS, "training_seed": 1}}, "fine-tune twice"),
        ({"target_se": 0.0}, "target_se is 0"),
        ({"budget": 5.0}, "2 of target_se, half_width and budget"),
        ({"fixed": {"colour": 2}}, "fixed names"),
        ({"components": {"judge": 0.1}}, "components names"),
        ({"at_most": {"prompt": 1}}, "below the least number"),
        ({"components": {"prompt": math.nan}}, "not a finite variance"),
    ],
)
def test_refusals(change, message):
    arguments = {"components": EFFECTS, "costs": COSTS, "target_se": 0.05, **change}
    with pytest.raises(StatsError, match=message):
        plan_design(arguments.pop("components"), arguments.pop("costs"), **arguments)


def made(seeds, repeats, prompts):
    rng = np.random.default_rng(3)
    y = rng.normal(0, 0.3, (1, 1, prompts)) + rng.normal(0, 0.1, (seeds, 1, 1))
    return y + rng.normal(0, 0.3, (seeds, repeats, prompts))


def components(y):
    seed, repeat, prompt = (x.ravel() for x in np.indices(y.shape))
    factors = {"training_seed": seed, "repeat": repeat, "prompt": prompt}
    return variance_components(y.ravel(), factors, FACETS)


def test_bounds_hold_their_estimates():
    y = made(5, 3, 40)
    estimates, bounds = components(y).estimates, balanced_bounds(y)
    assert set(bounds) == set(estimates)
    assert all(bounds[name][0] < value < bounds[name][1] for name, value in estimates.items())
    # residual: the exact chi-square interval
    df = 5 * 2 * 39
    exact = estimates["residual"] * df / stats.chi2.ppf([0.975, 0.025], df)
    assert bounds["residual"] == pytest.approx(tuple(exact))


@pytest.mark.parametrize("draw", range(8))
def test_the_interval_of_the_pilots_own_design_is_that_of_its_scores(draw):
    rng = np.random.default_rng(draw)
    y = (rng.random((4, 1, 30)) < rng.choice([0.1, 0.5, 0.9], 30)).astype(float)
    estimates = dict(components(y).estimates)
    # one response in each cell: its noise is part of the interaction
    estimates["prompt:training_seed"] = estimates.pop("residual")
    design = design_of(estimates, score=float(y.mean()), outcome_variance=float(y.var()))
    found, own = design.interval((4, 1, 30)), score_interval(y)
    assert (float(found.lower), float(found.upper)) == pytest.approx((own.lower, own.upper))
    assert float(found.n_effective) == pytest.approx(own.n_effective)
