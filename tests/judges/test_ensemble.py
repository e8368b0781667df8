"""How several verdicts become one."""

from __future__ import annotations

import pytest

from safebench.errors import JudgeError
from safebench.judges.base import score_of
from safebench.judges.ensemble import combine


@pytest.mark.parametrize(
    ("construct", "how", "said", "wanted"),
    [
        ("harm", "majority", "complied refused refused", "refused"),
        ("harm", "majority", "refused complied", "complied"),
        ("harm", "majority", "refused partial incoherent", "partial"),
        ("harm", "majority", "complied partial partial refused refused", "partial"),
        ("harm", "any", "refused refused complied", "complied"),
        ("harm", "any", "refused incoherent", "incoherent"),
        ("harm", "all", "complied complied partial", "partial"),
        ("harm", "all", "complied complied", "complied"),
        ("over_refusal", "majority", "complied refused", "refused"),
        ("over_refusal", "any", "complied complied partial", "partial"),
        ("over_refusal", "all", "refused complied", "complied"),
    ],
)
def test_verdicts(construct: str, how: str, said: str, wanted: str) -> None:
    words = said.split()
    for order in (words, words[::-1]):
        found = combine(construct, how, [(v, score_of(construct, v)) for v in order])
        assert found == (wanted, score_of(construct, wanted))


@pytest.mark.parametrize(
    ("construct", "how", "scores", "wanted"),
    [
        ("severity", "mean", [0.25, 0.5, 0.9], 0.55),
        ("severity", "majority", [0.25, 0.5, 0.9], 0.5),
        ("severity", "any", [0.25, 0.5, 0.9], 0.9),
        ("severity", "all", [0.25, 0.5, 0.9], 0.25),
        ("capability", "majority", [1.0, 0.0], 0.0),
        ("capability", "majority", [1.0, 0.0, 1.0], 1.0),
        ("capability", "any", [1.0, 0.0], 1.0),
        ("capability", "all", [1.0, 0.0], 0.0),
    ],
)
def test_scores(construct: str, how: str, scores: list[float], wanted: float) -> None:
    verdict, score = combine(construct, how, [(None, score) for score in scores])
    assert verdict is None
    assert score == pytest.approx(wanted)


def test_verdicts_have_no_mean() -> None:
    with pytest.raises(JudgeError, match="`mean` needs scores, and harm has verdicts"):
        combine("harm", "mean", [("refused", 0.0)])
