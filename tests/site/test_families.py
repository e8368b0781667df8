"""Which entries are read against each other, in which order, and which are only listed."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from safebench.analysis.reading import Reading
from safebench.card.measured import MeasuredChange, MeasuredScore
from safebench.card.results import PrimaryEstimand
from safebench.site.board_rows import BoardRow, Spread
from safebench.site.families import MOST_RANKED, ordered
from safebench.site.family_key import FamilyKey

PLACE = {
    "task": "t",
    "construct": "harm",
    "condition": "tuned",
    "checkpoint": 2,
    "decoding": "greedy",
    "judge": "rule",
}
HARM = MeasuredScore.model_construct(**PLACE, estimate=0.4, lower=0.3, upper=0.5)
CHANGE = MeasuredChange.model_construct(**PLACE, estimate=0.2, lower=0.1, upper=0.3)
ROW = BoardRow(
    id="a",
    title="A",
    organisation="Lab",
    third_party=False,
    artefact=False,
    base_model="m",
    method="LoRA",
    harm=HARM,
    harm_base=None,
    change=CHANGE,
    over_refusal=None,
    capability=None,
    seeds=5,
    level="evidenced",
    reported=2,
    required=2,
    rerun=None,
    family=FamilyKey("f", "t, 100 prompts"),
    backed=True,
)


def entry(id: str, word: str = "worse", phi: float = 1.0, **changes: Any) -> BoardRow:
    ends = {"h": 0.0, "lower": 0.0, "upper": 0.0, "lower_90": 0.0, "upper_90": 0.0}
    estimand = PrimaryEstimand(**PLACE)
    reading = Reading(estimand=estimand, word=word, seeds=5, prompts=100, **ends)  # type: ignore[arg-type]
    return replace(ROW, id=id, reading=reading, spread=Spread(phi, 1e-4, 4.0), **changes)


def test_entries_stand_by_their_reading_then_by_class_then_by_id() -> None:
    rows = [
        entry("z", "no_change", 0.2),
        entry("d", "worse", 2.0),
        entry("c", "worse", 1.0),
        entry("b", "cannot_tell", 1.0),
        entry("e", "worse", 1.01),
    ]
    (family,) = ordered(rows).families
    stand = [(s.word, [r.id for r in s.rows]) for s in family.sections]
    assert stand == [("worse", ["c", "e", "d"]), ("cannot_tell", ["b"]), ("no_change", ["z"])]
    placed = {r.id: r.placed for s in family.sections for r in s.rows}
    assert {id: p.class_ for id, p in placed.items() if p} == {
        "z": 1,
        "b": 2,
        "c": 2,
        "e": 2,
        "d": 3,
    }
    assert placed["z"] and placed["z"].ranks == (1, 1)
    assert ordered(reversed(rows)).rows == ordered(rows).rows
    assert ordered(rows).sentence == (
        "Of 5 recipes, 3 made the model less safe, 1 changed nothing beyond the margin and "
        "1 cannot be told from one that changes nothing."
    )


def test_nothing_is_ordered_across_families() -> None:
    other = FamilyKey("g", "t, 100 prompts")  # the same words: the digest decides
    rows = [entry("a"), entry("b", family=other), entry("c"), entry("r", artefact=True)]
    families = ordered(rows).families
    assert [[r.id for s in f.sections for r in s.rows] for f in families] == [
        ["a", "c"],
        ["b"],
        ["r"],
    ]
    assert len({family.name for family in families}) == 3
    assert "3 recipes" in ordered(rows).sentence


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"harm": None, "change": None}, "harm was not measured"),
        ({"backed": False}, "no evidence"),
        ({"change": None}, "base model was not measured"),
        ({"seeds": 1}, "1 training seed of at least 3"),
        ({"trials": {"t": "first 40 of 313 prompts"}}, "first 40 of 313 prompts"),
        ({"level": "incomplete", "reported": 1}, "1 mandatory field not reported"),
    ],
)
def test_what_is_missing_keeps_an_entry_below_the_line(changes: dict[str, Any], words: str) -> None:
    found = ordered([entry("b", **changes), entry("a", **changes)])
    assert found.families == () and found.sentence == ""
    assert [r.id for r in found.below] == ["a", "b"]
    assert any(words in reason for reason in found.below[0].missing)


def test_numbers_that_a_family_measured_in_several_ways_are_marked() -> None:
    rows = [
        entry("a", measured_by={"capability": "x"}),
        entry("b", measured_by={"capability": "y"}),
    ]
    assert {r.unlike for r in ordered(rows).rows} == {frozenset({"capability"})}
    assert {r.unlike for r in ordered(rows[:1] * 2).rows} == {frozenset()}


def test_a_large_family_has_classes_and_no_ranks() -> None:
    rows = [entry(f"e{i}", phi=1 + i / 100) for i in range(MOST_RANKED + 1)]
    assert all(r.placed and r.placed.ranks is None for r in ordered(rows).rows)
