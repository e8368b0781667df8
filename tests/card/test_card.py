"""What is asked of a card as a whole: whose verdict answers, which numbers are complete."""

from __future__ import annotations

import copy
import json
from typing import Any

import pytest

from safebench.card.base import NotReported
from safebench.card.card import Card
from safebench.card.io import load_document
from safebench.card.measured import MeasuredResults, complete_results
from safebench.card.task import Construct
from tests.conformance.runner import VALID
from tests.plans import plan_data

REPORT: dict[str, Any] = load_document(VALID / "submission" / "card.yaml").data
GONE = {"not_reported": "the paper does not say"}


def card(data: dict[str, Any]) -> Card:
    return Card.model_validate_json(json.dumps(data))


# --- whose verdict answers ------------------------------------------------------------------------


def judges(*entries: dict[str, Any]) -> Card:
    common = {"kind": "rule", "id": "x", "revision": "1"}
    return card(plan_data(judge=[{**common, **entry} for entry in entries]))


@pytest.mark.parametrize(
    ("named", "construct", "answers"),
    [
        ("general", "harm", "general"),
        ("general", "severity", "degrees"),  # the primary one of those that decide it
        ("other", "severity", "other"),  # named, and decides it
        ("general", "capability", "sums"),
        ("sums", "capability", "sums"),
        ("degrees", "harm", "degrees"),  # nobody says that he decides it: the one named
    ],
)
def test_a_judge_answers_for_what_it_decides(
    named: str, construct: Construct, answers: str
) -> None:
    found = judges(
        {"name": "general", "primary": True},
        {"name": "other", "constructs": ["severity"]},
        {"name": "degrees", "constructs": ["severity"], "primary": True},
        {"name": "sums", "constructs": ["capability"]},
    )
    assert found.answering_judge(named, construct) == answers


def test_where_no_judge_is_reported_the_one_named_answers() -> None:
    assert card(plan_data(judge=GONE)).answering_judge("rule", "harm") == "rule"


# --- which numbers are complete -------------------------------------------------------------------


def test_complete_numbers_are_all_there() -> None:
    results = complete_results(card(REPORT))
    assert isinstance(results, MeasuredResults)
    assert results.model_dump(mode="json") == card(REPORT).results.model_dump(mode="json")
    assert complete_results(card(REPORT).model_copy(update={"results": results})) is results


@pytest.mark.parametrize(
    "path",
    ["estimate", "lower", "n", "runs", "runs.0.score", "bound", "stability",
     "stability.lower", "method"],
)  # fmt: skip
def test_a_number_of_which_a_part_is_not_reported_is_left_out(path: str) -> None:
    data = copy.deepcopy(REPORT)
    at = next(n for n, s in enumerate(data["results"]["scores"]) if s["stability"])
    here: Any = data["results"]["scores"][at]
    *parts, last = path.split(".")
    for part in parts:
        here = here[int(part)] if part.isdecimal() else here[part]
    here[last] = GONE
    changed = card(data)
    results = complete_results(changed)
    assert results is not None
    kept = [s.model_dump() for n, s in enumerate(changed.results.scores) if n != at]
    assert [s.model_dump() for s in results.scores] == kept
    assert len(results.changes) == len(changed.results.changes)
    assert results.primary == changed.results.primary


@pytest.mark.parametrize("part", ["truncated", "blocked"])
def test_how_responses_ended_may_be_unknown_of_a_complete_number(part: str) -> None:
    data = copy.deepcopy(REPORT)
    data["results"]["scores"][0][part] = GONE
    results = complete_results(card(data))
    assert results is not None
    assert len(results.scores) == len(REPORT["results"]["scores"])
    assert getattr(results.scores[0], part) == NotReported(**GONE)


@pytest.mark.parametrize("part", ["estimate", "upper", "prompts", "seeds_up"])
def test_a_change_of_which_a_part_is_not_reported_is_left_out(part: str) -> None:
    data = copy.deepcopy(REPORT)
    data["results"]["changes"][1][part] = GONE
    results = complete_results(card(data))
    assert results is not None
    assert len(results.changes) == len(REPORT["results"]["changes"]) - 1
    assert len(results.scores) == len(REPORT["results"]["scores"])


def test_a_plan_and_a_card_that_does_not_say_have_no_numbers() -> None:
    assert complete_results(card(plan_data())) is None
    untold = card(plan_data(results=GONE, evidence=GONE))
    assert complete_results(untold) is None
    assert (untold.given_results, untold.given_evidence) == (None, None)
