import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from safebench.errors import StatsError
from safebench.stats import d_study, variance_components

BRENNAN_3 = {
    "person": 0.5528, "item": 0.4417, "occasion": 0.0074, "person:item": 0.5750,
    "person:occasion": 0.1009, "item:occasion": 0.1565, "residual": 0.9352,
}  # fmt: skip


@pytest.fixture
def cases(shared_data):
    return json.loads((shared_data / "stats" / "cases.json").read_text())


def two_way(table):
    rows, columns = (index.ravel() for index in np.indices(table.shape))
    return variance_components(
        table.ravel(),
        {"object": rows, "rater": columns},
        {"object": ("object",), "rater": ("rater",), "residual": ("object", "rater")},
    )


def test_brennan_synthetic_1(cases):
    case = cases["brennan_synthetic_1"]
    found = two_way(np.array(case["data_rows_person_cols_item"], dtype=float))
    for items, published in case["d_study"].items():
        study = d_study(found, {"rater": int(items)}, "object")
        assert round(study.erho2, 3) == published["erho2"]
        assert round(study.phi, 3) == published["phi"]


def test_brennan_synthetic_3(cases):
    case = cases["brennan_synthetic_3"]
    published = case["d_study"]["item=4,occasion=2"]
    study = d_study(BRENNAN_3, {"item": 4, "occasion": 2}, "person")
    assert study.erho2 == pytest.approx(published["erho2"], abs=0.005)
    assert study.phi == pytest.approx(published["phi"], abs=0.005)
    assert set(study.contributions) == set(BRENNAN_3) - {"person"}


def test_intraclass_correlations_of_shrout_and_fleiss(cases):
    case = cases["shrout_fleiss_1979"]
    found = two_way(np.array(case["data"], dtype=float))
    one, four = (d_study(found, {"rater": k}, "object") for k in (1, 4))
    published = case["icc"]
    assert round(one.phi, 2) == published["ICC(2,1)"]
    assert round(one.erho2, 2) == published["ICC(3,1)"]
    assert round(four.phi, 2) == published["ICC(2,k)"]
    assert round(four.erho2, 2) == published["ICC(3,k)"]


def test_a_fixed_facet_joins_the_universe_score():
    # Brennan (2001), 4.4.2: with items fixed sigma2(tau) = sigma2_p + sigma2_pi/n_i, and effects
    # of items alone are no error.
    study = d_study(BRENNAN_3, {"item": 4, "occasion": 2}, "person", fixed=("item",))
    assert study.universe == pytest.approx(0.5528 + 0.5750 / 4)
    assert study.se_relative**2 == pytest.approx(0.1009 / 2 + 0.9352 / 8)
    assert study.se**2 == pytest.approx(0.1009 / 2 + 0.9352 / 8 + 0.0074 / 2 + 0.1565 / 8)
    assert "item" not in study.contributions


def test_nested_facets_divide_by_all_they_lie_in():
    study = d_study({"t": 0.3, "t:r": 0.2, "residual": 0.5}, {"t": 3, "r": 4}, None)
    assert study.se**2 == pytest.approx(0.3 / 3 + 0.2 / 12 + 0.5 / 12)
    assert (study.phi, study.erho2, study.universe) == (None, None, None)


def test_negative_components_stay_in_sums_and_no_error_is_imaginary():
    study = d_study({"p": 0.5, "i": -0.1, "residual": 0.05}, {"i": 1}, "p")
    assert study.contributions["i"] == -0.1
    assert study.se == 0.0
    assert study.phi == pytest.approx(0.5 / 0.45)


def test_nothing_that_varies_has_no_coefficient():
    study = d_study({"p": 0.0, "residual": 0.0, "i": 0.0}, {"i": 3}, "p")
    assert (study.phi, study.erho2, study.se) == (None, None, 0.0)


def test_more_levels_of_a_facet_never_measured_change_nothing():
    seed, repeat, prompt = (index.ravel() for index in np.indices((4, 1, 9)))
    y = np.random.default_rng(1).random(36)
    found = variance_components(
        y,
        {"seed": seed, "repeat": repeat, "prompt": prompt},
        {"seed": ("seed",), "prompt": ("prompt",), "residual": ("seed", "prompt", "repeat")},
    )
    few, many = (
        d_study(found, {"seed": 4, "prompt": 9, "repeat": repeats}, None) for repeats in (1, 50)
    )
    assert few.se == many.se


@given(st.integers(1, 50), st.integers(1, 50))
def test_more_levels_never_harm(items, occasions):
    less = d_study(BRENNAN_3, {"item": items, "occasion": occasions}, "person")
    more = d_study(BRENNAN_3, {"item": items + 1, "occasion": occasions + 1}, "person")
    assert more.se < less.se
    assert more.phi > less.phi
    assert less.phi <= less.erho2


@pytest.mark.parametrize(
    ("levels", "thing", "fixed", "words"),
    [
        ({"item": 4}, "person", (), "n_levels lacks 'occasion'"),
        ({"item": 0, "occasion": 2}, "person", (), r"n_levels\['item'\] is 0"),
        ({"item": 4, "occasion": 2}, "nobody", (), "'nobody' cannot be object or fixed"),
        ({"item": 4, "occasion": 2}, "person", ("person",), "'person' cannot be object or fixed"),
        ({"item": 4, "occasion": 2}, "person", ("judge",), "'judge' cannot be object or fixed"),
    ],
)
def test_what_does_not_fit_is_refused(levels, thing, fixed, words):
    with pytest.raises(StatsError, match=words):
        d_study(BRENNAN_3, levels, thing, fixed)


def test_an_object_of_one_level_was_not_measured():
    found = variance_components(
        [0.0, 1.0, 1.0],
        {"model": [0, 0, 0], "seed": [0, 1, 2]},
        {"model": ("model",), "residual": ("model", "seed")},
    )
    with pytest.raises(StatsError, match="'model' was not measured: model has fewer than 2 levels"):
        d_study(found, {"seed": 3}, "model")


def test_a_variance_must_be_a_number():
    with pytest.raises(StatsError, match=r"components\['p'\] is nan"):
        d_study({"p": float("nan"), "residual": 1.0}, {}, "p")
