import csv
import json

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import special

from safebench.errors import StatsError
from safebench.stats import variance_components
from safebench.stats._mls import Reach, relative


@pytest.fixture
def cases(shared_data):
    return json.loads((shared_data / "stats" / "cases.json").read_text())


def crossed(table):
    rows, columns = np.indices(table.shape)
    return table.ravel(), {"row": rows.ravel(), "column": columns.ravel()}


TWO_WAY = {"row": ("row",), "column": ("column",), "residual": ("row", "column")}


def test_brennan_synthetic_1(cases):
    case = cases["brennan_synthetic_1"]
    y, factors = crossed(np.array(case["data_rows_person_cols_item"], dtype=float))
    result = variance_components(y, factors, TWO_WAY)
    published = case["variance_components"]
    assert result.estimates == pytest.approx(
        dict(zip(TWO_WAY, (published[k] for k in ("person", "item", "person:item")), strict=True)),
        abs=case["tolerance"],
    )
    assert result.df == {"row": 9, "column": 11, "residual": 99}


def test_brennan_synthetic_3(cases):
    case = cases["brennan_synthetic_3"]
    table = np.array(case["data_rows_itemoccasion_cols_person"], dtype=float)
    row, person = (index.ravel() for index in np.indices(table.shape))
    effects = {
        "person": ("person",),
        "item": ("item",),
        "occasion": ("occasion",),
        "person:item": ("person", "item"),
        "person:occasion": ("person", "occasion"),
        "item:occasion": ("item", "occasion"),
        "residual": ("person", "item", "occasion"),
    }
    factors = {"person": person, "item": row % 4, "occasion": row // 4}
    result = variance_components(table.ravel(), factors, effects)
    assert result.estimates == pytest.approx(case["variance_components"], abs=case["tolerance"])
    assert result.df["residual"] == 9 * 3 * 1
    assert result.n_levels == {"person": 10, "item": 4, "occasion": 2}


def test_penicillin(cases, shared_data):
    case = cases["penicillin"]
    with (shared_data / "stats" / case["file"]).open(newline="") as file:
        rows = list(csv.DictReader(file))
    data = {name: np.array([row[name] for row in rows]) for name in rows[0]}
    effects = {"plate": ("plate",), "sample": ("sample",), "residual": ("plate", "sample")}
    factors = {"plate": data["plate"], "sample": data["sample"]}
    result = variance_components(data["diameter"].astype(float), factors, effects)
    sds = {name: np.sqrt(value) for name, value in result.estimates.items()}
    assert sds == pytest.approx(case["sd"], abs=5e-5)
    assert round(result.mean, 3) == case["mean"]


def test_shrout_fleiss(cases):
    case = cases["shrout_fleiss_1979"]
    y, factors = crossed(np.array(case["data"], dtype=float))
    target, judge, error = variance_components(y, factors, TWO_WAY).estimates.values()
    icc = {
        "ICC(2,1)": target / (target + judge + error),
        "ICC(3,1)": target / (target + error),
        "ICC(2,k)": target / (target + (judge + error) / 4),
        "ICC(3,k)": target / (target + error / 4),
    }
    assert {name: round(value, 2) for name, value in icc.items()} == case["icc"]


def naive(y, factors, effects):
    """Method I with loops, straight from the formulas."""
    n = len(y)

    def cells(facets):
        groups = {}
        for i in range(n):
            groups.setdefault(tuple(factors[f][i] for f in facets), set()).add(i)
        return list(groups.values())

    groups = [cells(facets) for facets in effects.values()]
    groups[-1] = [{i} for i in range(n)]
    t = [sum(np.sum(y[list(c)]) ** 2 / len(c) for c in g) for g in groups]
    everything = np.sum(y) ** 2 / n
    k = [[sum(len(c & d) ** 2 / len(c) for c in g for d in h) for h in groups] for g in groups]
    base = [sum(len(d) ** 2 for d in h) / n for h in groups]
    return np.linalg.solve(np.array(k) - np.array(base), np.array(t) - everything)


def ragged(random, n=60):
    factors = {
        "prompt": random.integers(0, 7, n),
        "seed": random.integers(0, 4, n),
        "repeat": random.integers(0, 3, n),
    }
    effects = {
        "prompt": ("prompt",),
        "seed": ("seed",),
        "repeat:seed": ("seed", "repeat"),
        "prompt:seed": ("prompt", "seed"),
        "residual": ("prompt", "seed", "repeat"),
    }
    return random.normal(size=n), factors, effects


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 10**6))
def test_unbalanced_nested_design_matches_the_formulas(seed):
    y, factors, effects = ragged(np.random.default_rng(seed))
    result = variance_components(y, factors, effects)
    assert list(result.estimates) == list(effects)
    assert list(result.estimates.values()) == pytest.approx(naive(y, factors, effects), abs=1e-7)


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 10**6))
def test_labels_order_shift_and_scale(seed):
    random = np.random.default_rng(seed)
    y, factors, effects = ragged(random)
    plain = variance_components(y, factors, effects)
    order = random.permutation(y.size)
    words = {k: np.array([f"{k}-{9 - v}" for v in codes])[order] for k, codes in factors.items()}
    moved = variance_components(5 + 3 * y[order], words, effects)
    assert moved.estimates == pytest.approx(
        {name: 9 * value for name, value in plain.estimates.items()}, rel=1e-6, abs=1e-8
    )
    sparse = {k: codes * 10**9 - 5 for k, codes in factors.items()}
    assert variance_components(y, sparse, effects).estimates == pytest.approx(plain.estimates)


def test_unbiased_on_an_unbalanced_design():
    random = np.random.default_rng(0)
    keep = random.random(6 * 30 * 3) < 0.7
    seed, prompt, _ = (index.ravel()[keep] for index in np.indices((6, 30, 3)))
    factors = {"seed": seed, "prompt": prompt}
    effects = {"seed": ("seed",), "prompt": ("prompt",), "sp": ("seed", "prompt"), "residual": ()}
    estimates = []
    for _ in range(400):
        y = random.normal(size=6)[seed] + 0.5 * random.normal(size=30)[prompt]
        y = y + 0.7 * random.normal(size=(6, 30))[seed, prompt] + random.normal(size=seed.size)
        estimates.append(list(variance_components(y, factors, effects).estimates.values()))
    error = 4 * np.std(estimates, axis=0) / np.sqrt(400)
    assert (np.abs(np.mean(estimates, axis=0) - [1, 0.25, 0.49, 1]) < error).all()


def test_single_levels_and_aliases_are_not_measured():
    y = np.array([0.0, 1, 1, 0, 1, 1])
    factors = {
        "prompt": np.array([0, 1, 2, 0, 1, 2]),
        "seed": np.array([0, 0, 0, 1, 1, 1]),
        "judge": np.array(["j"] * 6),
        "checkpoint": np.array([5, 5, 5, 9, 9, 9]),
    }
    effects = {
        "prompt": ("prompt",),
        "seed": ("seed",),
        "judge": ("judge",),
        "prompt:judge": ("prompt", "judge"),
        "checkpoint": ("checkpoint",),
        "prompt:seed": ("prompt", "seed"),
        "residual": ("prompt", "seed", "judge"),
    }
    result = variance_components(y, factors, effects)
    assert set(result.estimates) == {"prompt", "seed", "residual"}
    assert result.not_measured == {
        "judge": "judge has fewer than 2 levels",
        "prompt:judge": "judge has fewer than 2 levels",
        "checkpoint": "same cells as seed, whose estimate holds both",
        "prompt:seed": "one outcome in each cell: not to be told from the residual",
    }
    assert result.n_levels["judge"] == 1


def test_negative_estimates_are_kept_and_shares_clamped():
    y, factors = crossed(np.array([[1.0, 0.0, 1.0, 0.0], [0.0, 1.0, 0.0, 1.0]]))
    result = variance_components(y, factors, TWO_WAY)
    assert result.estimates["row"] < 0
    assert result.shares["row"] == 0
    assert sum(result.shares.values()) == pytest.approx(1)


def test_constant_outcomes():
    y, factors = crossed(np.full((3, 4), 0.3))
    result = variance_components(y, factors, TWO_WAY)
    assert list(result.estimates.values()) == pytest.approx([0, 0, 0], abs=1e-30)
    zeros = variance_components(np.ones(12), factors, TWO_WAY)
    assert zeros.shares == {"row": 0, "column": 0, "residual": 0}


def test_residual_alone_is_the_sample_variance():
    y = np.array([0.1, 0.4, 0.9])
    assert variance_components(y, {}, {"residual": ()}).estimates["residual"] == pytest.approx(
        y.var(ddof=1)
    )


def test_refusals():
    good = {"a": [0, 0, 1, 1], "b": [0, 1, 0, 1]}
    effects = {"a": ("a",), "b": ("b",), "residual": ("a", "b")}
    with pytest.raises(StatsError, match=r"y\[2\] is nan"):
        variance_components([0, 1, np.nan, 1], good, effects)
    with pytest.raises(StatsError, match=r"factors\['a'\] has shape \(3,\), not \(4,\)"):
        variance_components([0, 1, 0, 1], {**good, "a": [0, 0, 1]}, effects)
    with pytest.raises(StatsError, match=r"\['c'\], which factors"):
        variance_components([0, 1, 0, 1], good, {"c": ("c",), "residual": ()})
    with pytest.raises(StatsError, match=r"factors\['a'\]\[1\] is NaN"):
        variance_components([0, 1, 0, 1], {**good, "a": [0, np.nan, 1, 1]}, effects)
    with pytest.raises(StatsError, match="effects is empty"):
        variance_components([0, 1], {}, {})


def test_inseparable_effects_are_refused():
    factors = {"a": [0, 0, 1, 1], "b": [0, 1, 0, 1], "c": [0, 1, 1, 0]}  # no df left
    effects = {"a": ("a",), "b": ("b",), "c": ("c",), "residual": ()}
    with pytest.raises(StatsError, match="cannot be told apart"):
        variance_components([0.0, 1, 1, 0], factors, effects)


def anova_f(table, confidence=0.95):
    """The exact interval of the intraclass correlation, straight from Searle et al. (3.6)."""
    seeds, repeats = table.shape
    between = repeats * table.mean(axis=1).var(ddof=1)
    within = table.var(axis=1, ddof=1).mean()
    df = seeds - 1, seeds * (repeats - 1)
    f = between / within / special.fdtri(*df, np.array([1 + confidence, 1 - confidence]) / 2)
    return [(x - 1) / (x + repeats - 1) for x in f]


def two_level(table):
    seed, _ = (index.ravel() for index in np.indices(table.shape))
    return variance_components(table.ravel(), {"seed": seed}, {"seed": ("seed",), "residual": ()})


def test_share_of_a_two_level_table_is_the_exact_f_interval():
    table = np.random.default_rng(4).normal(size=(5, 3)) + 2 * np.arange(5)[:, None]
    result = two_level(table)
    share = result.share("seed", ("seed", "residual"))
    assert [share.lower, share.upper] == pytest.approx(anova_f(table), abs=1e-9)
    assert share.method == "F, exact for two levels"
    assert share.estimate == pytest.approx(result.shares["seed"])
    rest = result.share("residual")
    assert (rest.lower, rest.upper) == pytest.approx((1 - share.upper, 1 - share.lower), abs=1e-9)
    residual = result.component("residual")
    chi2 = 2 * special.gammaincinv(5, [0.975, 0.025])
    assert [residual.lower, residual.upper] == pytest.approx(10 * residual.estimate / chi2)
    assert (residual.df, residual.n, residual.method) == (pytest.approx(10), 15, "chi-square")


def test_component_bound_is_zero_where_the_f_test_just_rejects():
    """Ting's cross term makes the bound of a difference of mean squares exact at 0."""
    table = np.random.default_rng(0).normal(size=(6, 4))
    means = table.mean(axis=1, keepdims=True)
    within = table.var(axis=1, ddof=1).mean()
    wanted = within * special.fdtri(5, 18, 0.975) / 4  # variance of the seeds' means
    scale = np.sqrt(wanted / means.var(ddof=1))
    seed = two_level(table - means + scale * means).component("seed")
    assert seed.lower == pytest.approx(0, abs=1e-9)
    assert seed.upper > seed.estimate > 0


def test_balanced_nested_crossed_and_missing_designs_are_told_apart():
    seed, prompt, repeat = (index.ravel() for index in np.indices((3, 4, 2)))
    y = np.random.default_rng(1).normal(size=24)
    effects = {"seed": ("seed",), "prompt": ("prompt",), "sp": ("seed", "prompt"), "residual": ()}
    factors = {"seed": seed, "prompt": prompt}
    assert variance_components(y, factors, effects).balanced
    nested = {"seed": seed, "prompt": 4 * seed + prompt}  # other prompts for each seed
    assert variance_components(
        y, nested, {"seed": ("seed",), "p": ("seed", "prompt"), "residual": ()}
    ).balanced
    fewer = {name: codes[1:] for name, codes in factors.items()}
    missing = variance_components(y[1:], fewer, effects)
    assert not missing.balanced
    assert "approximate" in missing.component("seed").method
    assert "approximate" in missing.share("seed").method
    one = {"sp": ("seed", "prompt"), "sr": ("seed", "repeat"), "residual": ()}  # without seed
    assert not variance_components(y, {**factors, "repeat": repeat}, one).balanced


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 10**6))
def test_bounds_hold_their_estimate_and_shares_stay_in_range(seed):
    y, factors, effects = ragged(np.random.default_rng(seed))
    result = variance_components(y, factors, effects)
    for name in result.estimates:
        part = result.component(name)
        assert part.lower <= part.estimate == result.estimates[name] <= part.upper
        share = result.share(name)
        assert 0 <= share.lower <= share.estimate <= share.upper <= 1
        assert share.estimate == pytest.approx(result.shares[name])


def test_intervals_refuse_what_is_not_measured():
    result = two_level(np.zeros((2, 2)))
    assert result.share("seed").method.startswith("nothing varies")
    with pytest.raises(StatsError, match="no component of 'prompt': measured are"):
        result.component("prompt")
    with pytest.raises(StatsError, match="is asked among"):
        result.share("seed", ("residual",))


def slow(y, factors, effects):
    """Method I on codes of rows, in a few lines."""
    n = y.size

    def codes(facets):
        table = np.array([factors[f] for f in facets]).reshape(len(facets), n)
        return np.unique(table, axis=1, return_inverse=True)[1].ravel()

    main = [codes(facets) for facets in list(effects.values())[:-1]] + [np.arange(n)]
    t, k = [], []
    for a in main:
        size = np.bincount(a)
        t.append(np.sum(np.bincount(a, weights=y) ** 2 / size))
        row = []
        for e in main:
            pair, of = np.unique(np.stack([a, e]), axis=1, return_counts=True)
            row.append(np.sum(of**2 / size[pair[0]]))
        k.append(row)
    base = [np.sum(np.bincount(e) ** 2) / n for e in main]
    return np.linalg.solve(np.array(k) - base, np.array(t) - y.sum() ** 2 / n)


@pytest.mark.parametrize("kind", ["complete", "missing", "sparse"])
def test_every_kind_of_table_gives_the_same_estimates(kind):
    random = np.random.default_rng(8)
    prompt, seed, repeat = (index.ravel() for index in np.indices((20, 5, 3)))
    if kind != "complete":
        keep = random.random(prompt.size) < 0.8
        prompt, seed, repeat = prompt[keep], seed[keep], repeat[keep]
    if kind == "sparse":  # every repeat has a name of its own, every prompt a distant number
        repeat, prompt = 3 * seed + repeat, 977 * prompt
        prompt, seed = prompt * (1 + (seed > 2)), seed * 500
    factors = {"prompt": prompt, "seed": seed, "repeat": repeat}
    effects = {
        "prompt": ("prompt",),
        "seed": ("seed",),
        "prompt:seed": ("prompt", "seed"),
        "repeat": ("seed", "repeat"),
        "residual": ("prompt", "seed", "repeat"),
    }
    y = random.normal(size=prompt.size)
    result = variance_components(y, factors, effects)
    assert list(result.estimates.values()) == pytest.approx(slow(y, factors, effects), abs=1e-10)
    assert result.balanced == (kind == "complete")


def test_snedecor_and_cochrans_turnip_leaves():
    # Snedecor & Cochran (1967, p. 286), calcium: 4 plants, 3 leaves of each, 2 samples of each;
    # estimates as SAS's NESTED procedure documents them.
    text = (
        "3.28 3.09 3.52 3.48 2.88 2.80 2.46 2.44 1.87 1.92 2.19 2.19 "
        "2.77 2.66 3.74 3.44 2.55 2.55 3.78 3.87 4.07 4.12 3.31 3.31"
    )
    y, row = np.array(text.split(), dtype=float), np.arange(24)
    effects = {"plant": ("plant",), "leaf": ("plant", "leaf"), "residual": ("plant", "leaf")}
    found = variance_components(y, {"plant": row // 6, "leaf": row % 6 // 2}, effects)
    assert found.estimates == pytest.approx(
        {"plant": 0.365223, "leaf": 0.161060, "residual": 0.006655}, abs=1.1e-6
    )
    assert found.df == {"plant": 3, "leaf": 8, "residual": 12}


@pytest.mark.parametrize("tail", [0.025, 0.05])
def test_bounds_are_exact_where_a_sum_is_a_multiple_of_chi_square(tail):
    """Ting et al.: MS_1 df_1 + MS_2 df_2, of one variance, is chi-square with df_1 + df_2."""
    df = np.array([3.0, 5.0])
    reach, terms = Reach(df, tail), 0.7 * df
    whole = np.array([8.0])
    assert reach.below(terms) == pytest.approx(float(relative(whole, tail)[0]) * terms.sum())
    assert reach.above(-terms) == pytest.approx(reach.below(terms))
    chi2 = 2 * special.gammaincinv(4, 1 - tail)
    assert reach.below(terms) == pytest.approx((1 - 8 / chi2) * terms.sum())
    # one positive and one negative: the bound is 0 where the F test is at its quantile
    f = special.fdtri(3, 5, 1 - tail)
    terms = np.array([f, -1.0])
    assert terms.sum() == pytest.approx(reach.below(terms))


@pytest.mark.parametrize("shift", [-3, 0, 2**41])
def test_labels_are_names_and_not_numbers(shift):
    y, factors = crossed(np.random.default_rng(4).random((4, 6)))
    moved = {name: codes + shift for name, codes in factors.items()}
    assert variance_components(y, moved, TWO_WAY) == variance_components(y, factors, TWO_WAY)
