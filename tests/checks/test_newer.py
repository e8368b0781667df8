"""Cards of a newer minor version: what it may have added is a warning, wherever it stands."""

from __future__ import annotations

import copy
import datetime
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from safebench.card.document import Pointer, json_pointer
from safebench.card.io import load_document, parse_card, parse_document
from safebench.card.shape import get
from safebench.checks import CheckedCard, check_document, require
from safebench.cli.executing import load_sound_card
from safebench.errors import CardError
from tests.conformance.runner import VALID

TODAY = datetime.date(2026, 6, 1)
CARDS = {
    "plan": VALID / "complete-plan.yaml",
    "stages": VALID / "stages-plan.yaml",
    "api": VALID / "api-plan.yaml",
    "paper": VALID / "paper-llama-dolly.yaml",
    "report": VALID / "submission" / "card.yaml",
}
DATA: dict[str, Any] = {name: load_document(path).data for name, path in CARDS.items()}


def checked(name: str, data: Any, spec: str = "safebench/1.7") -> CheckedCard:
    raw = json.dumps({**data, "spec": spec}).encode()
    return check_document(parse_document(raw, "card.json"), CARDS[name].parent, today=TODAY)


def parts(data: Any, pointer: Pointer = ()) -> Iterator[tuple[Pointer, Any]]:
    yield pointer, data
    entries: Any = enumerate(data) if isinstance(data, list) else ()
    for part, value in data.items() if isinstance(data, dict) else entries:
        yield from parts(value, (*pointer, part))


def places(kind: type) -> list[Any]:
    """One place of each sort, in every card: `decoding[0]` stands for all of the list."""
    found: dict[tuple[str, ...], Any] = {}
    for name, data in DATA.items():
        for pointer, value in parts(data):
            sort = tuple("[]" if isinstance(part, int) else part for part in pointer)
            if isinstance(value, kind) and pointer != ("spec",):
                id = f"{name}{json_pointer(pointer)}"
                found.setdefault((name, *sort), pytest.param(name, pointer, id=id))
    return list(found.values())


def values(place: Any) -> tuple[str, Pointer]:
    """What a place of `places` is made of."""
    name, pointer = place.values
    return name, pointer


def new(report: CheckedCard, name: str) -> list[tuple[str, str, str]]:
    """What is found that is not found in the card as it was, but for its version."""
    before = {(f.rule, f.pointer) for f in checked(name, DATA[name]).findings}
    return [
        (f.rule, f.severity, f.pointer)
        for f in report.findings
        if (f.rule, f.pointer) not in before
    ]


@pytest.mark.parametrize(("name", "pointer"), places(dict))
def test_a_new_field_is_passed_over_in_every_mapping(name: str, pointer: Pointer) -> None:
    data = copy.deepcopy(DATA[name])
    holder = get(data, pointer)
    holder["field_of_tomorrow"] = "x"
    at = json_pointer((*pointer, "field_of_tomorrow"))
    report = checked(name, data)
    if "not_reported" in holder:  # an absence has nothing beside it, in any version
        assert ("SB-CARD-004", "error", json_pointer(pointer)) in new(report, name)
    elif not new(checked(name, data, "safebench/1.0"), name):  # names here are a person's own
        assert new(report, name) == []
    else:
        assert new(report, name) == [("SB-CARD-009", "warning", at)]
        assert report.level == checked(name, DATA[name]).level


FIXED = {  # words that are surely among those looked at, of every shape that the models have
    "plan": {("hyperparameters", "method"), ("judge", 0, "kind"), ("seeds", "controls", 0)},
    "stages": {("hyperparameters", "method"), ("submission", "relationship")},
    "api": {("model", "access"), ("submission", "relationship")},
    "paper": {("prompting", "attack"), ("judge", 1, "constructs", 0)},
    "report": {("results", "scores", 0, "construct"), ("tasks", 0, "construct"),
               ("evidence", "runs", 0, "status"), ("model", "chat_template", "source")},
}  # fmt: skip


@pytest.mark.parametrize("name", CARDS)
def test_a_new_word_is_a_warning_wherever_words_are_fixed(name: str) -> None:
    """Rules may have a warning or note about what is then absent; none may have an error."""
    seen: set[Pointer] = set()
    for pointer in (pointer for card, pointer in map(values, places(str)) if card == name):
        data = copy.deepcopy(DATA[name])
        get(data, pointer[:-1])[pointer[-1]] = "word_of_tomorrow"
        _, problems = parse_card(parse_document(json.dumps(data).encode(), "card.json"))
        if any(p.pointer == pointer and p.unknown == "word" for p in problems):
            seen.add(pointer)
            found = new(checked(name, data), name)
            assert ("SB-CARD-009", "warning", json_pointer(pointer)) in found
            assert [entry for entry in found if entry[1] == "error"] == []
    assert seen >= FIXED[name]


def edited(pointer: Pointer, value: Any, name: str = "plan") -> CheckedCard:
    data = copy.deepcopy(DATA[name])
    get(data, pointer[:-1])[pointer[-1]] = value
    return checked(name, data)


def test_what_holds_a_new_word_counts_as_not_reported() -> None:
    report = edited(("hyperparameters", "loss_on"), "answers")
    assert report.card is not None
    assert report.level == "incomplete"
    (missing,) = report.missing_for_next
    assert missing == (
        "report hyperparameters.loss_on (not reported: "
        'safebench/1.0 does not know the text "answers")'
    )
    gate = require(report, "declared")
    assert ("SB-CARD-011", "/hyperparameters/loss_on") in {
        (f.rule, f.pointer) for f in gate.findings
    }


def test_a_new_kind_leaves_its_list_unread_and_the_rest_is_checked() -> None:
    data = copy.deepcopy(DATA["plan"])
    data["judge"][0] = {"name": "several", "kind": "panel", "chair": {"vote": 2}}
    data["decoding"][0]["name"] = data["decoding"][1]["name"]
    report = checked("plan", data)
    assert {(f.rule, f.pointer) for f in report.findings if f.severity == "error"} == {
        ("SB-DEC-001", "/decoding/1/name"),
        ("SB-TASK-001", "/tasks/2/primary/decoding"),  # it names the decoding that is gone
    }
    assert ("SB-CARD-009", "/judge/0/kind") in {(f.rule, f.pointer) for f in report.findings}


def test_what_decides_all_the_rest_leaves_the_structure_to_check() -> None:
    data = copy.deepcopy(DATA["plan"])
    data["submission"]["relationship"] = "second_party"
    report = checked("plan", data)
    assert (report.card, report.errors, report.level) == (None, 0, "incomplete")
    assert report.completeness is None
    assert report.missing_for_next[0].startswith("check it with a newer release")
    data["decoding"][0]["max_new_tokens"] = "many"
    assert [f.rule for f in checked("plan", data).findings if f.severity == "error"] == [
        "SB-CARD-003"
    ]


@pytest.mark.parametrize(
    ("pointer", "value", "rule"),
    [
        (("hyperparameters", "loss_on"), 3, "SB-CARD-003"),
        (("hyperparameters", "epochs"), "two", "SB-CARD-003"),
        (("decoding", 0, "max_new_tokens"), 0, "SB-CARD-004"),
        (("submission", "id"), "Not A Name", "SB-CARD-004"),
        (("judge", 0, "kind"), None, "SB-CARD-003"),
        (("submission",), {}, "SB-CARD-001"),
    ],
)  # fmt: skip
def test_what_a_minor_version_may_not_change_is_an_error(
    pointer: Pointer, value: Any, rule: str
) -> None:
    assert rule in {f.rule for f in edited(pointer, value).findings if f.severity == "error"}


def test_absences_inside_what_is_unread_do_not_matter() -> None:
    data = copy.deepcopy(DATA["plan"])
    data["judge"][0]["kind"] = "panel"
    data["judge"].append({"name": "other", "kind": "rule"})  # id and revision are missing
    data["hyperparameters"]["x"] = {"y": 1}
    report = checked("plan", data)
    assert report.card is not None
    assert {f.rule for f in report.findings} >= {"SB-CARD-009", "SB-CARD-010"}
    assert report.errors == 0


def test_derived_seeds_are_not_held_against_a_protocol_that_is_not_known() -> None:
    data = copy.deepcopy(DATA["report"])
    data["seeds"]["training"][0] += 1
    wrong = {f.rule for f in checked("report", data).findings}
    assert "SB-SEED-002" in wrong
    data["decoding"][0]["sharpness"] = 0.9
    assert "SB-SEED-002" not in {f.rule for f in checked("report", data).findings}


def test_only_a_newer_card_that_is_known_whole_is_executed(tmp_path: Path) -> None:
    path = tmp_path / "card.yaml"
    text = (VALID / "minimal-plan.yaml").read_text().replace("safebench/1.0", "safebench/1.7")
    path.write_text(text)
    assert load_sound_card(path).spec == "safebench/1.7"
    path.write_text(text.replace("min_p: 0.1", "min_p: 0.1, sharpness: 0.9"))
    with pytest.raises(CardError, match=r"card\.yaml:\d+:\d+: `sharpness` is not a field"):
        load_sound_card(path)
    path.write_text(text.replace("loss_on: completion", "loss_on: answers"))
    with pytest.raises(CardError, match='does not know the text "answers"'):
        load_sound_card(path)
