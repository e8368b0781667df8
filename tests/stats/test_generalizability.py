"""D-studies against published ones, and the rules for fixed facets."""

import json

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from safebench.errors import StatsError
from safebench.stats import d_study, variance_components


@pytest.fixture
def cases(shared_data):
    return json.loads((shared_data / "stats" / "cases.json").read_text())


def g_study(table, names):
    indices = dict(zip(names, (i.ravel() for i in np.indices(table.shape)), strict=True))
    effects = {"a": (names[0],), "b": (names[1],), "residual": names}
    return variance_components(table.ravel(), indices, effects)


def test_brennan_synthetic_1(cases):
    case = cases["brennan_synthetic_1"]
    table = np.array(case["data_rows_person_cols_item"], dtype=float)
    result = g_study(table, ("person", "item"))
    for n, published in case["d_study"].items():
        found = d_study(result, {"item": int(n)}, "person")
        assert {"erho2": round(found.erho2, 3), "phi": round(found.phi, 3)} == published


def test_brennan_synthetic_3(cases):
    case = cases["brennan_synthetic_3"]
    found = d_study(case["variance_components"], {"item": 4, "occasion": 2}, "person")
    published = case["d_study"]["item=4,occasion=2"]
    assert {"erho2": round(found.erho2, 2), "phi": round(found.phi, 2)} == published


def test_shrout_and_fleiss(cases):
    case = cases["shrout_fleiss_1979"]
    result = g_study(np.array(case["data"], dtype=float), ("target", "judge"))
    one, four = (d_study(result, {"judge": k}, "target") for k in (1, 4))
    icc = {"ICC(2,1)": one.phi, "ICC(3,1)": one.erho2, "ICC(2,k)": four.phi, "ICC(3,k)": four.erho2}
    assert {name: round(value, 2) for name, value in icc.items()} == case["icc"]


PARTS = {
    "p": 0.5,
    "h": 0.2,
    "i:h": 0.3,
    "p:h": 0.1,
    "residual": 0.8,
}


def test_a_fixed_facet_moves_its_interaction_into_the_universe():
    """Brennan (2001), section 4.4: p x (i:h) with h fixed."""
    levels = {"i": 4, "h": 2}
    mixed = d_study(PARTS, levels, "p", fixed=("h",))
    assert mixed.universe == pytest.approx(0.5 + 0.1 / 2)
    assert mixed.se_relative**2 == pytest.approx(0.8 / 8)
    assert mixed.se**2 == pytest.approx(0.3 / 8 + 0.8 / 8)
    assert mixed.contributions == pytest.approx({"i:h": 0.3 / 8, "residual": 0.1})
    assert mixed.in_universe == pytest.approx({"p": 0.5, "p:h": 0.05})
    random = d_study(PARTS, levels, "p")
    assert random.se_relative**2 == pytest.approx(0.1 / 2 + 0.8 / 8)
    assert random.se**2 == pytest.approx(0.2 / 2 + 0.3 / 8 + 0.1 / 2 + 0.8 / 8)
    assert random.universe == 0.5


def test_the_grand_mean_of_one_model():
    found = d_study({"seed": 0.3, "prompt": 2.0, "residual": 1.0}, {"seed": 5, "prompt": 100}, None)
    assert found.se == pytest.approx(np.sqrt(0.3 / 5 + 2 / 100 + 1 / 500))
    assert (found.phi, found.erho2, found.universe, found.se_relative) == (None,) * 4
    fixed = d_study(
        {"seed": 0.3, "prompt": 2.0, "residual": 1.0}, {"seed": 5, "prompt": 100}, None, ("prompt",)
    )
    assert fixed.se == pytest.approx(np.sqrt(0.3 / 5 + 1 / 500))
    assert fixed.method == "Brennan (2001), fixed: prompt"


def test_the_se_of_a_mean_is_that_of_the_anova():
    """MS_p/(SP) + MS_s/(SP) - MS_ps/(SP): negative components are kept in the sum."""
    table = np.random.default_rng(3).normal(size=(4, 6))
    result = g_study(table, ("seed", "prompt"))
    seed, prompt, both = result.mean_squares.values()
    found = d_study(result, {"seed": 4, "prompt": 6})
    assert found.se**2 == pytest.approx((seed + prompt - both) / 24)


@settings(max_examples=40, deadline=None)
@given(st.lists(st.floats(-1, 1), min_size=5, max_size=5), st.integers(1, 50), st.integers(1, 50))
def test_coefficients_stay_in_range(values, items, halves):
    found = d_study(dict(zip(PARTS, values, strict=True)), {"i": items, "h": halves}, "p")
    assert 0 <= found.phi <= 1
    assert 0 <= found.erho2 <= 1
    assert found.se >= 0
    assert sum(found.contributions.values()) <= found.se**2 + 1e-12


def test_no_variance_between_objects_is_zero():
    found = d_study({"p": 0.0, "residual": 0.0}, {"i": 3}, "p")
    assert (found.phi, found.erho2, found.se) == (0, 0, 0)


def test_facets_of_one_level_need_no_number():
    factors = {"seed": [0, 0, 1, 1], "prompt": [0, 1, 0, 1], "judge": [0] * 4}
    effects = {"seed": ("seed",), "judge": ("judge",), "prompt": ("prompt",), "residual": ()}
    found = d_study(variance_components([0.0, 1, 1, 1], factors, effects), {"seed": 2, "prompt": 2})
    assert found.method == "Brennan (2001), all random; not measured: judge"


def test_refusals():
    with pytest.raises(StatsError, match=r"n_levels lacks \['h'\]"):
        d_study(PARTS, {"i": 2}, "p")
    with pytest.raises(StatsError, match="object 'x' is no facet"):
        d_study(PARTS, {"i": 2, "h": 2}, "x")
    with pytest.raises(StatsError, match="fixed 'x' is no facet"):
        d_study(PARTS, {"i": 2, "h": 2}, "p", ("x",))
    with pytest.raises(StatsError, match="object 'p' is among the fixed"):
        d_study(PARTS, {"i": 2, "h": 2}, "p", ("p",))
    with pytest.raises(StatsError, match=r"n_levels\['i'\] is 0"):
        d_study(PARTS, {"i": 0, "h": 2}, "p")
    with pytest.raises(StatsError, match=r"components\['p'\] is nan"):
        d_study({"p": float("nan")}, {}, "p")
    with pytest.raises(StatsError, match="components is empty"):
        d_study({}, {}, None)
