"""From a pilot's outcomes to its spread, and from a spread to answers."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from safebench.analysis.measures import NotMeasured
from safebench.analysis.primaries import describe
from safebench.analysis.sizing import assumed_spread, size, spread_of
from safebench.card.results import PrimaryEstimand, key_of
from safebench.errors import EvidenceError, StatsError
from safebench.evidence.arrays import OutcomeArray
from safebench.evidence.scoring import measure
from safebench.stats import plan_verdict_seeds, score_interval, stability

COSTS = {"fine_tune": 100.0, "generation": 0.01}


def block(seeds: int = 5, repeats: int = 3, prompts: int = 80, **changes: Any) -> OutcomeArray:
    draw = np.random.default_rng(5)
    rate = draw.beta(0.6, 0.9, prompts) + draw.normal(0, 0.05, (seeds, 1, 1))
    shape = (seeds, repeats, prompts)
    scores = (draw.random(shape) < rate).astype(float)
    named: dict[str, Any] = {
        "judge": "rule",
        "condition": "tuned",
        "checkpoint": 2,
        "decoding": "t07",
        "task": "task_harm",
        "construct": "harm",
        "seeds": tuple(range(seeds)),
        "prompts": tuple(f"p{i}" for i in range(prompts)),
        "categories": ("",) * prompts,
        "scores": scores,
        "verdicts": np.full(shape, "refused"),
        "unread": np.zeros(shape, dtype=bool),
        "truncated": np.zeros(shape, dtype=bool),
        "blocked": np.zeros(shape, dtype=bool),
        "unrecorded": np.zeros(shape, dtype=bool),
    }
    return OutcomeArray(**{**named, **changes})


def test_two_seeds_are_a_pilot_though_their_stability_is_not_rated() -> None:
    pilot = block(seeds=2)
    assert measure(pilot).stability is not None and measure(pilot).stability.lower is None
    spread = spread_of(pilot)
    assert spread.sigma_run == stability(pilot.scores.mean(axis=2), 80).sigma_run > 0
    seeds = size(spread, target=0.1).here.stability
    assert all(needed is None or needed >= 9 for needed in seeds.values())


def test_a_pilot_measures_every_part() -> None:
    pilot = block()
    spread = spread_of(pilot)
    assert spread.source == "harm (tuned, epoch 2, t07), task_harm, judge rule"
    assert spread.score == pytest.approx(pilot.scores.mean())
    assert spread.sigma_run == stability(pilot.scores.mean(axis=2), 80).sigma_run
    for part in spread.parts:
        assert part.lower is not None and part.upper is not None and part.sd is not None
        assert part.lower <= part.sd <= part.upper
    assert spread.variances_upper["training_seed"] > spread.variances["training_seed"]


def test_one_repeat_is_not_taken_for_no_noise() -> None:
    spread = spread_of(block(repeats=1))
    notes = {part.effect: part.note for part in spread.parts}
    assert notes["residual"] == notes["training_seed:repeat"] == "not measured: one repeat"
    assert "residual" not in spread.variances
    found = size(spread, 0.1, COSTS)
    assert list(found.intervals[2]) == [1]
    assert found.cheapest.n_levels["repeat"] == 1


def sparse(hits: int) -> np.ndarray:
    scores = np.zeros((2, 1, 40))
    scores[0, 0, :hits] = 1
    return scores


PILOTS = {
    "as usual": lambda: block(),
    "one repeat": lambda: block(repeats=1),
    "two seeds": lambda: block(seeds=2),
    "one correct answer in 2 x 40": lambda: block(2, 1, 40, scores=sparse(1)),
    "all equal to 0": lambda: block(2, 1, 40, scores=sparse(0)),
    "all equal to 1": lambda: block(2, 1, 5, scores=np.ones((2, 1, 5))),
    "seeds that agree wholly": lambda: block(3, 2, 4, scores=np.tile([1.0, 0, 1, 1], (3, 2, 1))),
    "seeds that differ wholly": lambda: block(
        3, 2, 9, scores=np.repeat([0.0, 1.0, 1.0], 18).reshape(3, 2, 9)
    ),
    "graded": lambda: block(scores=np.random.default_rng(3).random((5, 3, 80))),
}


@pytest.mark.parametrize("name", PILOTS)
def test_score_plan_and_card_give_one_interval(name: str) -> None:
    pilot = PILOTS[name]()
    card = measure(pilot)
    wanted = pytest.approx((card.lower, card.upper), abs=1e-9)
    found = size(spread_of(pilot), 0.1, COSTS)
    assert found.pilot_interval == wanted
    seeds, repeats, _ = pilot.scores.shape
    if seeds in found.intervals and repeats in found.intervals[seeds]:
        assert found.intervals[seeds][repeats] == wanted
    primary = describe(_estimand(pilot), card, None, pilot, [pilot])
    assert not isinstance(primary.projections, NotMeasured)
    now = primary.projections[0]
    assert (now.lower, now.upper) == wanted


def _estimand(pilot: OutcomeArray) -> PrimaryEstimand:
    return PrimaryEstimand(**key_of(pilot)._asdict())


@given(st.integers(2, 4), st.integers(1, 3), st.integers(2, 12), st.integers(0, 2**32 - 1))
def test_any_table_has_one_interval(seeds: int, repeats: int, prompts: int, draw: int) -> None:
    rng = np.random.default_rng(draw)
    scores = (rng.random((seeds, repeats, prompts)) < rng.random((1, 1, prompts))).astype(float)
    pilot = block(seeds, repeats, prompts, scores=scores)
    card = measure(pilot)
    found = size(spread_of(pilot), 0.1)
    assert found.pilot_interval == pytest.approx((card.lower, card.upper), abs=1e-9)


def test_prompts_that_are_all_there_are_have_their_own_interval() -> None:
    pilot = block()
    fixed = score_interval(pilot.scores, prompts_fixed=True)
    found = size(spread_of(pilot), 0.1, COSTS, prompts_fixed=True)
    assert found.pilot_interval == pytest.approx((fixed.lower, fixed.upper), abs=1e-9)


def test_the_pilots_cost_counts_every_response() -> None:
    assert size(spread_of(block()), 0.1, COSTS).pilot_cost == 5 * 100 + 5 * 3 * 80 * 0.01


def test_answers_follow_the_spread() -> None:
    spread = spread_of(block())
    found = size(spread, 0.1, COSTS, budget=900)
    assert found.here.equality[0.8] == plan_verdict_seeds(
        spread.sigma_run, score=spread.score, floor=spread.floor**2
    )
    assert found.at_upper.equality[0.8] > found.here.equality[0.8]
    assert (found.cheapest.upper - found.cheapest.lower) / 2 <= 0.1
    assert found.cheapest_at_upper.cost >= found.cheapest.cost
    assert found.best_for_budget.cost <= 900
    assert not found.problems


def test_out_of_reach_is_said() -> None:
    found = size(spread_of(block()), 0.01, COSTS, max_prompts=50)
    assert found.cheapest is None
    assert "out of reach" in found.problems[0]


def test_fixed_prompts_keep_their_number() -> None:
    found = size(spread_of(block()), 0.1, COSTS, prompts_fixed=True)
    assert found.cheapest.n_levels["prompt"] == 80
    assert "prompt" not in found.cheapest.contributions


def test_assumed_spreads_make_up_the_variance_of_the_score() -> None:
    spread = assumed_spread(0.4, 0.04, 0.3, 0.2, from_seeds=3)
    assert math.fsum(spread.variances.values()) == pytest.approx(0.24)
    assert spread.sigma_upper / spread.sigma_run == pytest.approx(4.415, abs=1e-3)
    assert assumed_spread(0.4, 0.04).variances["prompt"] == pytest.approx(0.24 - 0.0016)
    with pytest.raises(StatsError, match=r"at most 0\.0900"):
        assumed_spread(0.1, 0.04, 0.3)


def test_one_prompt_is_refused() -> None:
    with pytest.raises(EvidenceError, match="one prompt"):
        spread_of(block(prompts=1))
