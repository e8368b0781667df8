"""A rerun that adds seeds until it is settled: where it looks, and where it ends."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from safebench.errors import StatsError
from safebench.stats import sequential_design

WORDS = ("reproduced", "not_reproduced", "inconclusive", "no_verdict")


@given(st.integers(2, 40), st.booleans(), st.lists(st.sampled_from(WORDS), min_size=1))
def test_it_goes_on_by_looks_and_only_while_something_is_unsettled(original, paired, words):
    design = sequential_design(original, paired=paired)
    ends = "not_reproduced" in words or "inconclusive" not in words
    seen, look = [], design.looks[0]
    while look is not None:
        seen.append(look)
        look = design.next_look(look, words)
    assert seen == list(design.looks[: 1 if ends else None])
    assert seen == sorted(set(seen))
    assert max(design.looks) <= (original if paired else 12)
    assert 0.05 / len(design.looks) <= design.alpha <= 0.05  # stricter, but not Bonferroni's


def test_one_original_seed_and_a_number_that_is_no_look_are_refused():
    with pytest.raises(StatsError, match="one original seed") as caught:
        sequential_design(1)
    assert caught.value.fix
    with pytest.raises(StatsError, match=r"4 seeds .* 3, 5, 8, 12"):
        sequential_design(5).next_look(4, ["inconclusive"])
