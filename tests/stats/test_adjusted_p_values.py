import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from scipy import stats

from safebench.errors import StatsError
from safebench.stats import benjamini_hochberg, holm, mcnemar_exact

P = [0.013, 0.0004, 0.21, 0.047, 0.047, 0.9, 0.002, 0.031]


def test_as_statsmodels():
    # statsmodels 0.14 multipletests(P, method="holm" and "fdr_bh")[1]
    assert holm(P) == pytest.approx([0.078, 0.0032, 0.42, 0.188, 0.188, 0.9, 0.014, 0.155])
    assert benjamini_hochberg(P) == pytest.approx(
        [0.0346666667, 0.0032, 0.24, 0.0626666667, 0.0626666667, 0.9, 0.008, 0.062], abs=1e-10
    )


@given(hnp.arrays(np.float64, st.integers(1, 12), elements=st.floats(0, 1)), st.data())
def test_adjusted_values(p, data):
    order = np.array(data.draw(st.permutations(range(p.size))))
    for adjust in (holm, benjamini_hochberg):
        found = adjust(p)
        assert (p <= found + 1e-15).all() and (found <= 1).all()
        assert (np.diff(found[np.argsort(p, kind="stable")]) >= 0).all()
        assert (adjust(p[order]) == found[order]).all()
    assert (benjamini_hochberg(p) <= holm(p) + 1e-15).all()
    assert (holm(p) <= np.minimum(p * p.size, 1) + 1e-15).all()  # never worse than Bonferroni
    assert benjamini_hochberg(p) == pytest.approx(stats.false_discovery_control(p))


@given(st.integers(0, 60), st.integers(0, 60))
def test_mcnemar(b, c):
    p = mcnemar_exact(b, c)
    expected = stats.binomtest(min(b, c), b + c, 0.5).pvalue if b + c else 1.0
    assert p == pytest.approx(expected) and p == mcnemar_exact(c, b)


def test_mcnemar_by_hand():
    assert mcnemar_exact(3, 12) == pytest.approx(0.03515625)  # statsmodels 0.14
    assert mcnemar_exact(0, 0) == mcnemar_exact(4, 4) == 1
    assert mcnemar_exact(0, 5) == pytest.approx(1 / 16)


@pytest.mark.parametrize("adjust", [holm, benjamini_hochberg])
@pytest.mark.parametrize(
    ("p", "message"),
    [
        ([0.1, np.nan], r"p_values\[1\] is nan"),
        ([0.1, 1.5], r"p_values\[1\] is 1.5"),
        ([], "empty"),
        ([[0.1]], "2 dimensions"),
    ],
)
def test_refuses(adjust, p, message):
    with pytest.raises(StatsError, match=message):
        adjust(p)


def test_mcnemar_refuses():
    with pytest.raises(StatsError, match="c is -1"):
        mcnemar_exact(1, -1)
