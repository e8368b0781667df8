"""What a card may leave out: in a plan of one's own it follows, of a paper it is not reported."""

from __future__ import annotations

import copy
from pathlib import Path
from typing import Any

import pytest
import yaml

from safebench.card.base import LEFT_OUT, NotReported
from safebench.card.card import Card
from safebench.card.conventions import RULE_JUDGE
from safebench.card.digest import protocol_digest
from safebench.card.document import Problem
from safebench.card.io import load_card, load_document, parse_card, parse_document
from safebench.card.write import card_text, plain
from tests.conformance.runner import VALID

SHORT, PAPER = VALID / "short-plan.yaml", VALID / "two-numbers.yaml"
MINIMAL: dict[str, Any] = load_document(VALID / "minimal-plan.yaml").data
THIRD = {"submission.relationship": "third_party"}


def parsed(data: Any) -> tuple[Card | None, list[Problem]]:
    return parse_card(parse_document(yaml.safe_dump(data, allow_unicode=True).encode(), "card"))


def changed(edits: dict[str, Any], drop: tuple[str, ...] = ()) -> dict[str, Any]:
    data = copy.deepcopy(MINIMAL)
    for place, value in [*edits.items(), *((name, None) for name in drop)]:
        *path, last = place.split(".")
        here: Any = data
        for part in path:
            here = here[int(part)] if part.isdecimal() else here[part]
        if place in drop:
            del here[last]
        else:
            here[last] = value
    return data


def at(card: Card, place: str) -> Any:
    found: Any = card
    for part in place.split("."):
        found = found[int(part)] if part.isdecimal() else getattr(found, part)
    return found


def test_the_shortest_cards_are_as_short_as_promised() -> None:
    assert len([x for x in SHORT.read_text().splitlines() if not x.startswith("#")]) <= 12
    assert len(PAPER.read_text().splitlines()) <= 40


@pytest.mark.parametrize(
    ("edits", "drop", "place", "value"),
    [
        ({}, ("data.0.name",), "data.0.name", "household"),
        ({"data.0.path": "sets/My Set v2.jsonl"}, ("data.0.name",), "data.0.name", "my-set-v2"),
        ({"data.0.id": "builtin:household"}, ("data.0.name", "data.0.path"), "data.0.name",
         "household"),
        ({"data.0.id": "tatsu-lab/alpaca"}, ("data.0.name", "data.0.path"), "data.0.name",
         "alpaca"),
        ({}, ("data.0.examples",), "data.0.examples", None),
        ({}, ("hyperparameters.checkpoints",), "hyperparameters.checkpoints", (2,)),
        ({"hyperparameters.steps": 40}, ("hyperparameters.checkpoints", "hyperparameters.epochs"),
         "hyperparameters.checkpoint_unit", "step"),
        ({}, ("hyperparameters.lr_scheduler",), "hyperparameters.lr_scheduler", "linear"),
        ({}, ("hyperparameters.weight_decay",), "hyperparameters.weight_decay", 0.0),
        ({}, ("hyperparameters.warmup_steps",), "hyperparameters.warmup_steps", 0),
        ({"hyperparameters.warmup_ratio": 0.1}, ("hyperparameters.warmup_steps",),
         "hyperparameters.warmup_steps", None),
        ({}, ("seeds.scheme",), "seeds.scheme", "derived"),
        ({}, ("seeds.controls",), "seeds.controls", ("adapter_init", "data_order", "dropout")),
        ({"hyperparameters.method": "full"}, ("seeds.controls", "hyperparameters.lora"),
         "seeds.controls", ("data_order", "dropout")),
        ({"model.chat_template": "tokenizer"}, (), "model.chat_template.source", "tokenizer"),
        ({"model.chat_template": "none"}, (), "model.chat_template.source", "none"),
        ({}, ("judge.0.primary",), "judge.0.primary", True),
        ({"judge.0.primary": False}, (), "judge.0.primary", False),
        ({}, ("judge",), "judge.0.id", RULE_JUDGE["id"]),
    ],
)  # fmt: skip
def test_what_follows_is_filled_in(
    edits: dict[str, Any], drop: tuple[str, ...], place: str, value: Any
) -> None:
    card, problems = parsed(changed(edits, drop))
    assert card is not None
    assert problems == []
    assert at(card, place) == value


def test_a_short_plan_is_the_plan_that_says_it_all() -> None:
    short = load_card(SHORT)
    written = yaml.safe_load(card_text(short))
    whole, problems = parsed(written)
    assert problems == []
    assert whole == short
    assert protocol_digest(whole) == protocol_digest(short)
    assert {"lr_scheduler", "weight_decay", "checkpoints", "optimizer"} <= set(
        written["hyperparameters"]
    )


@pytest.mark.parametrize(
    "name",
    ["lr_scheduler", "weight_decay", "checkpoints"],
)
def test_nothing_is_filled_in_of_somebody_else(name: str) -> None:
    _, problems = parsed(changed(THIRD, (f"hyperparameters.{name}",)))
    assert [p.pointer for p in problems] == [("hyperparameters", name)]


def test_a_default_speaks_for_no_paper_and_for_ones_own_card() -> None:
    own, paper = parsed(MINIMAL)[0], parsed(changed(THIRD))[0]
    assert own is not None and paper is not None
    absent = NotReported(not_reported=LEFT_OUT)
    for place in ("model.dtype", "hyperparameters.optimizer", "judge.0.votes", "prompting"):
        assert at(paper, place) == absent
        assert not isinstance(at(own, place), NotReported)
    assert paper.hyperparameters.learning_rate == 3e-3  # type: ignore[union-attr]
    # What is left out takes part in the digest as left out, whatever it is taken for.
    assert protocol_digest(own) == protocol_digest(paper)


@pytest.mark.parametrize(
    ("prompting", "said"),
    [({}, False), ({"system_prompt": None}, True), ({"system_prompt": "Be brief."}, True)],
)
def test_a_paper_that_says_nothing_of_a_system_prompt(
    prompting: dict[str, Any], said: bool
) -> None:
    card, _ = parsed(changed({**THIRD, "prompting": {"turns": 1, **prompting}}))
    assert card is not None
    assert isinstance(at(card, "prompting.system_prompt"), NotReported) is not said
    own, _ = parsed(changed({"prompting": {"turns": 1, **prompting}}))
    assert own is not None
    assert not isinstance(at(own, "prompting.system_prompt"), NotReported)


def test_a_released_model_that_a_third_party_measures_keeps_its_defaults() -> None:
    card = load_card(VALID / "untuned-plan.yaml")
    assert card.submission.relationship == "third_party"
    assert card.model.dtype == "float32"  # type: ignore[union-attr]


def test_one_sentence_stands_for_all_that_a_paper_does_not_say() -> None:
    card, problems = parse_card(load_document(PAPER))
    assert card is not None
    assert problems == []
    for place in (
        *("model.dtype", "model.weights", "seeds", "prompting", "environment"),
        *("hyperparameters.lora", "tasks.0.version", "judge.0.lineage", "data.0.id"),
        *("results.scores.0.lower", "results.scores.0.stability", "submission.submitter.contact"),
    ):
        assert at(card, place) == NotReported(not_reported="the paper does not say"), place
    assert plain(card)["unstated"] == "the paper does not say"


def test_a_wrong_value_stays_wrong_under_it() -> None:
    data = load_document(PAPER).data
    data["hyperparameters"]["epochs"] = "five"
    _, problems = parsed(data)
    assert [(p.rule, p.pointer) for p in problems] == [
        ("SB-CARD-003", ("hyperparameters", "epochs"))
    ]


@pytest.mark.parametrize(
    "data",
    [
        {"data": 3}, {"data": [3, {"path": 7}]}, {"seeds": []}, {"hyperparameters": "lora"},
        {"judge": [3]}, {"submission": 7}, {"unstated": ["x"]}, {"unstated": ""},
        {"hyperparameters": {"method": ["lora"]}}, {"data": [{"path": "..."}]},
    ],
)  # fmt: skip
def test_what_is_no_card_is_said_to_be_none(data: dict[str, Any]) -> None:
    _, problems = parsed({**copy.deepcopy(MINIMAL), **data})
    assert problems


def test_a_card_with_a_missing_field_is_read_as_validate_reads_it(tmp_path: Path) -> None:
    path = tmp_path / "card.yaml"
    path.write_text(yaml.safe_dump(changed({}, ("submission.submitter.contact",))))
    contact = load_card(path).submission.submitter.contact  # type: ignore[union-attr]
    assert contact == NotReported(not_reported="missing from the card")
