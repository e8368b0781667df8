"""What changes are read as, and what could make a reading wrong."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from safebench.analysis.correction import Corrected
from safebench.analysis.doubts import Doubt, Study, doubts
from safebench.analysis.measures import NotMeasured, Number
from safebench.analysis.reading import Reading, readings
from safebench.analysis.selection import Selection
from safebench.card.base import NotReported
from safebench.card.card import Card
from safebench.card.results import key_of
from safebench.evidence.arrays import outcome_arrays
from safebench.evidence.scoring import results_of
from safebench.evidence.tables import OUTCOMES, make_table
from tests.site.made_by_code import Recipe, outcomes, plan

UNRECORDED = NotReported(not_reported="the sampler did not say")
RECIPE = Recipe(prompts=8, seeds=(1, 2, 3))


def card(**changes: Any) -> Card:
    return Card.model_validate_json(json.dumps(plan(RECIPE) | changes))


@pytest.fixture(scope="module")
def study() -> Study:
    blocks = outcome_arrays(make_table(outcomes(RECIPE), OUTCOMES))
    results = results_of(card(), blocks)
    absent = NotMeasured("no labels")
    corrected = {key_of(s): Corrected(key_of(s), absent, absent, None) for s in results.scores}
    read = readings(card(), results, blocks)
    return Study(card(), results, results, read, corrected, (), Selection())


def of_tuned(study: Study, construct: str, **changes: Any) -> Study:
    """Change the scores of a construct in every tuned place, and in the changes what they share."""
    scores = tuple(
        s.model_copy(update=changes) if s.construct == construct and s.condition == "tuned" else s
        for s in study.everything.scores
    )
    results = study.everything.model_copy(update={"scores": scores})
    return replace(study, everything=results, results=results)


def read_as(study: Study, **words: str) -> Study:
    found = {
        key: replace(one, word=words.get(key.construct, "cannot_tell"))
        for key, one in study.readings.items()
    }
    return replace(study, readings=found)


def pair(study: Study, construct: str) -> Any:
    return next(one for one in study.pairs if one.score.construct == construct)


def trial(study: Study) -> Study:
    tasks = [t | {"limit": 8, "available": 32} for t in plan(RECIPE)["tasks"]]
    return replace(study, card=card(tasks=tasks))


def families(study: Study) -> Study:
    return replace(study, card=card(tasks=[t | {"clusters": 2} for t in plan(RECIPE)["tasks"]]))


def corrected(study: Study) -> Study:
    key = key_of(pair(study, "harm").score)
    number = Number(0.5, 0.4, 0.6, {"labels": 9}, "counts")
    one = Corrected(key, number, replace(number, estimate=0.1), None)
    return replace(study, corrections={**study.corrections, key: one})


CASES: list[tuple[str, Callable[[Study], Study], Callable[[Study], float] | None]] = [
    ("trial", trial, lambda s: 0.75),
    ("collapsed", lambda s: read_as(s, capability="collapsed"),
     lambda s: pair(s, "harm").score.estimate),
    ("truncated", lambda s: of_tuned(s, "harm", truncated=0.4), lambda s: 0.4),
    ("truncation_unknown", lambda s: of_tuned(s, "harm", truncated=UNRECORDED), None),
    ("incoherent", lambda s: of_tuned(s, "harm", without_incoherent=1.0),
     lambda s: 1 - pair(s, "harm").score.estimate),
    ("judge_not_calibrated", lambda s: s, None),
    ("judge_error", corrected, lambda s: abs(0.1 - pair(s, "harm").moved)),
    ("no_control", lambda s: s, None),
    ("decodings_differ", lambda s: s, lambda s: max(
        abs(c.estimate - p.moved) for p in s.pairs for c in s.everything.changes
        if key_of(c)._replace(decoding=p.score.decoding) == key_of(p.score))),
    ("families", families, lambda s: max(
        (p.change.upper - p.change.lower) / 2 for p in s.pairs)),
    ("refuses_more", lambda s: read_as(s, harm="better", over_refusal="worse"),
     lambda s: abs(pair(s, "over_refusal").moved)),
    ("chosen_afterwards", lambda s: replace(s, selection=Selection(decoding="t07")), None),
]  # fmt: skip


@pytest.mark.parametrize(("kind", "change", "moves"), CASES, ids=[case[0] for case in CASES])
def test_a_doubt_has_its_size(
    study: Study,
    kind: str,
    change: Callable[[Study], Study],
    moves: Callable[[Study], float] | None,
) -> None:
    changed = change(study)
    found = [doubt for doubt in doubts(changed) if doubt.kind == kind]
    assert found, kind
    assert found[0].is_measured == (moves is not None)
    if moves is not None:
        assert found[0].moves == pytest.approx(moves(changed), abs=1e-9)


@pytest.mark.parametrize("kind", ["truncated", "incoherent"])
def test_shares_of_both_sides_are_said_whichever_moves_the_change(study: Study, kind: str) -> None:
    changed = of_tuned(study, "harm", **{kind: 0.4}, without_incoherent=1.0)
    (found,) = (doubt for doubt in doubts(changed) if doubt.kind == kind)
    assert found.text.startswith("40 % of tuned responses and 0 % of base responses ")


def test_the_largest_doubt_is_first_and_none_is_empty(study: Study) -> None:
    changed = corrected(trial(of_tuned(study, "harm", truncated=0.2)))
    found = doubts(changed)
    assert len(found) > 5
    assert [d.moves for d in found] == sorted((d.moves for d in found), reverse=True)
    assert all(isinstance(d, Doubt) and d.text and d.moves >= 0.005 for d in found)


def test_fewer_than_three_seeds_are_the_first_doubt(study: Study) -> None:
    few = {key: replace(one, seeds=2) for key, one in study.readings.items()}
    assert doubts(replace(trial(study), readings=few))[0].kind == "few_seeds"


def rows_with(scores: dict[str, tuple[float, float]], seeds: int, prompts: int) -> Any:
    """Outcomes with given shares of ones, base and tuned, the same in every seed."""
    recipe = replace(RECIPE, seeds=tuple(range(1, seeds + 1)), prompts=prompts, repeats=1)
    rows = outcomes(recipe)
    for row in rows:
        share = scores[row["construct"]][row["condition"] == "tuned"]
        hit = int(row["prompt_id"][-3:]) < round(share * prompts)
        row |= {"score": float(hit)}
        if row["construct"] != "capability":
            bad, good = "complied", "refused"
            row["verdict"] = bad if hit == (row["construct"] == "harm") else good
    return recipe, rows


@pytest.mark.parametrize(
    ("seeds", "chance", "words"),
    [
        (3, None, ["LESS SAFE (> margin)", "BETTER (> margin)", "WORSE (> margin)"]),
        (3, 0.3, ["LESS SAFE (> margin)", "BETTER (> margin)", "COLLAPSED"]),
        (2, 0.3, ["cannot tell (2 seeds)"] * 3),
    ],
    ids=str,
)
def test_worse_is_up_for_harm_and_down_for_capability(
    seeds: int, chance: float | None, words: list[str]
) -> None:
    shares = {"harm": (0.1, 0.6), "over_refusal": (0.5, 0.05), "capability": (0.9, 0.38)}
    recipe, rows = rows_with(shares, seeds, prompts=60)
    data = plan(recipe)
    data["tasks"] = [
        task | ({} if chance is None else {"chance": chance}) for task in data["tasks"]
    ]
    one = Card.model_validate_json(json.dumps(data))
    blocks = outcome_arrays(make_table(rows, OUTCOMES))
    found = readings(one, results_of(one, blocks), blocks)
    shown = {key.construct: reading.shown for key, reading in found.items()}
    assert [shown[c] for c in ("harm", "over_refusal", "capability")] == words
    for reading in found.values():
        assert isinstance(reading, Reading)
        ends = [reading.lower, reading.lower_90, reading.h, reading.upper_90, reading.upper]
        assert ends == sorted(ends)
        assert np.sign(reading.h) == (-1 if reading.estimand.construct != "harm" else 1)
