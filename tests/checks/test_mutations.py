"""Whatever happens to a valid card, checking it ends in a report that names the place."""

from __future__ import annotations

import copy
import datetime
import json
from collections.abc import Iterator
from functools import cache
from typing import Any

import jsonschema
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from safebench.card.digest import protocol_digest
from safebench.card.document import Pointer, json_pointer
from safebench.card.io import load_card, load_document, parse_document
from safebench.card.problems import WRONG
from safebench.card.schema import card_schema
from safebench.card.shape import models
from safebench.checks import CheckedCard, check_document, require
from tests.conformance.runner import VALID

TODAY = datetime.date(2026, 6, 1)
WHOLE = card_schema()
# Nothing at the root speaks of two sections: what holds of each, with their names, holds of a card.
assert WHOLE.keys() - {"$schema", "$id", "title", "description", "$defs"} == {
    "type", "required", "properties", "additionalProperties",
}  # fmt: skip
NAMES = jsonschema.Draft202012Validator(
    WHOLE | {"properties": dict.fromkeys(WHOLE["properties"], True)}
)
SECTION = jsonschema.Draft202012Validator(WHOLE | {"required": []})
PATHS = {
    "plan": VALID / "complete-plan.yaml",
    "stages": VALID / "stages-plan.yaml",
    "api": VALID / "api-plan.yaml",
    "paper": VALID / "paper-llama-dolly.yaml",
    "report": VALID / "submission" / "card.yaml",
}
DATA: dict[str, Any] = {name: load_document(path).data for name, path in PATHS.items()}
# Mappings whose keys are names that a person gives, not fields.
FREE = frozenset({"libraries", "extra", "optimizer_args", "lr_scheduler_args", "settings"})
# What decides which other fields there are: without it nobody knows the rest.
DECIDERS = frozenset({"spec", "kind", "method", "source", "access", "not_reported", "unpinnable"})
STRUCTURAL = frozenset({"SB-CARD-001", "SB-CARD-002", "SB-CARD-003", "SB-CARD-004"})
LEFT_OUT = "SB-CARD-010"  # a note, in a card without `unstated`: the schema does not ask for it
VERSIONS = frozenset({"SB-CARD-007", "SB-CARD-008", "SB-CARD-009"})


def nodes(data: Any, pointer: Pointer = ()) -> Iterator[Pointer]:
    """Every node below the root; of a list, the last item, and the first of a short one."""
    items: list[tuple[str | int, Any]] = []
    if isinstance(data, dict):
        items = list(data.items())
    elif isinstance(data, list) and data:
        items = [(n, data[n]) for n in sorted({0 if len(data) < 4 else -1, len(data) - 1} - {-1})]
    for key, value in items:
        yield (*pointer, key)
        yield from nodes(value, (*pointer, key))


# Sections of the report that plans do not have; the others are those of `plan`.
_OF_REPORTS = ("model", "environment", "results", "evidence")


def places(name: str) -> list[Pointer]:
    """The nodes of an example that are changed one by one; none that an earlier one has alike."""
    return _PLACES[name]


def _new_places() -> dict[str, list[Pointer]]:
    found: dict[str, list[Pointer]] = {}
    seen: set[Any] = set()
    for name, data in DATA.items():
        found[name] = []
        for pointer in nodes(data):
            holder = parent(data, pointer)
            fields = holder if isinstance(holder, dict) else {}
            way = tuple("*" if isinstance(part, int) else part for part in pointer)
            decided = tuple(str(fields.get(key)) for key in sorted(DECIDERS))
            alike = (way, type(holder[pointer[-1]]), decided)
            if alike not in seen and (name != "report" or pointer[0] in _OF_REPORTS):
                seen.add(alike)
                found[name].append(pointer)
    return found


def parent(data: Any, pointer: Pointer) -> Any:
    for part in pointer[:-1]:
        data = data[part]
    return data


_PLACES = _new_places()


def changed(name: str, pointer: Pointer) -> tuple[Any, Any]:
    """A copy of an example, and in it the mapping or list that holds a node."""
    data = copy.deepcopy(DATA[name])
    return data, parent(data, pointer)


def is_valid(data: Any) -> bool:
    """Whether a card is as the schema says; a section that is as before is looked at once."""
    return NAMES.is_valid(data) and all(
        _is_valid_section(name, json.dumps(section)) for name, section in data.items()
    )


@cache
def _is_valid_section(name: str, content: str) -> bool:
    return SECTION.is_valid({name: json.loads(content)})


def checked(data: Any) -> CheckedCard:
    document = parse_document(json.dumps(data).encode(), "card.json")
    return check_document(document, None, today=TODAY)


def rules_at(report: CheckedCard, pointer: Pointer) -> set[str]:
    """Rules found at a place or below it."""
    place = json_pointer(pointer)
    return {
        f.rule for f in report.findings if f.pointer == place or f.pointer.startswith(f"{place}/")
    }


def structural(report: CheckedCard) -> set[str]:
    return {finding.pointer for finding in report.findings if finding.rule in STRUCTURAL}


def is_free(pointer: Pointer) -> bool:
    return len(pointer) > 1 and pointer[-2] in FREE


def is_absence(pointer: Pointer) -> bool:
    return pointer[-1] == "not_reported"


@pytest.mark.parametrize("name", PATHS)
def test_the_examples_are_structurally_valid(name: str) -> None:
    report = checked(DATA[name])
    assert structural(report) == set()
    assert report.errors == 0
    assert report.card == load_card(PATHS[name])


@pytest.mark.parametrize("name", PATHS)
def test_every_retyped_node_is_found_at_its_place(name: str) -> None:
    for pointer in places(name):
        data, here = changed(name, pointer)
        container = isinstance(here[pointer[-1]], dict | list)
        here[pointer[-1]] = [{"x": 1}] if container else {"x": 1}
        report = checked(data)
        assert rules_at(report, pointer) & {*STRUCTURAL, "SB-CARD-007"}, pointer
        assert not is_valid(data), pointer
        assert report.level == "incomplete", pointer


@pytest.mark.parametrize("name", PATHS)
def test_every_renamed_field_is_found_at_its_place(name: str) -> None:
    for pointer in places(name):
        if not isinstance(pointer[-1], str) or is_free(pointer):
            continue
        data, here = changed(name, pointer)
        new = f"{pointer[-1]}_x"
        here[new] = here.pop(pointer[-1])
        report = checked(data)
        if pointer[-1] in DECIDERS:
            assert rules_at(report, pointer[:-1]) & {*STRUCTURAL, "SB-CARD-007"}, pointer
        else:
            assert "SB-CARD-002" in rules_at(report, (*pointer[:-1], new)), pointer
        assert not is_valid(data), pointer


@pytest.mark.parametrize("name", PATHS)
def test_every_deleted_node_is_found_where_it_is_needed(name: str) -> None:
    """By the schema: a finding at its place. By the table of mandatory fields: so too."""
    before = {state.pointer for state in checked(DATA[name]).fields if state.lost_at is None}
    mandatory = 0
    for pointer in places(name):
        data, here = changed(name, pointer)
        del here[pointer[-1]]
        report = checked(data)
        found = structural(report)
        missing = bool(found) or "SB-CARD-007" in {f.rule for f in report.findings}
        assert missing == (not is_valid(data)), pointer
        found |= {f.pointer for f in report.findings if f.rule == LEFT_OUT}
        if found and pointer[-1] not in DECIDERS:
            assert found == {json_pointer(pointer)}, pointer
        lost = [
            state
            for state in report.fields
            if state.pointer in before and state.lost_at is not None and state.reason != WRONG
        ]
        asked = {f.pointer for f in require(report, "declared").findings if f.severity == "error"}
        for state in lost:
            mandatory += 1
            assert json_pointer(state.lost_at or ()) in asked, (pointer, state)
        if missing or lost:
            assert report.level == "incomplete", pointer
    assert mandatory > (0 if name in ("paper", "api") else 10)


@pytest.mark.parametrize("name", PATHS)
def test_every_duplicated_key_is_found_at_its_place(name: str) -> None:
    for pointer in places(name):
        if not isinstance(pointer[-1], str):
            continue
        data, here = changed(name, pointer)
        mark = "@duplicate@"
        copied = dict(here)
        here.clear()
        here.update({mark: 1, **copied})
        text = json.dumps(data).replace(json.dumps(mark), json.dumps(pointer[-1]), 1)
        report = check_document(parse_document(text.encode(), "card.json"), None, today=TODAY)
        assert "SB-CARD-005" in rules_at(report, pointer), pointer
        assert report.errors


@pytest.mark.parametrize("name", PATHS)
def test_every_duplicated_item_ends_in_a_report(name: str) -> None:
    for pointer in places(name):
        if isinstance(pointer[-1], int):
            data, here = changed(name, pointer)
            here.append(copy.deepcopy(here[pointer[-1]]))
            assert checked(data).path == "card.json"
            if pointer[0] in ("data", "decoding", "judge", "tasks") and len(pointer) == 2:
                assert checked(data).errors, pointer


FLOATS = st.floats(allow_nan=False, allow_infinity=False)
KEYS = st.sampled_from(["not_reported", "unpinnable", "name", "x", "kind"])
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | FLOATS
    | st.text(st.characters(exclude_categories=["Cs"]), max_size=20),
    lambda inner: st.lists(inner, max_size=3)
    | st.dictionaries(KEYS, inner, max_size=3),
    max_leaves=5,
)  # fmt: skip


@pytest.mark.parametrize("number", [2.0, 0.0, -0.0, 2.5, 1e300, 10**30, 10**309, -(10**30)])
def test_a_number_is_whole_by_its_value(number: float) -> None:
    """As JSON Schema has it, and without a traceback however large it is."""
    for pointer in (("hyperparameters", "epochs"), ("seeds", "training"), ("seeds", "generation")):
        card = copy.deepcopy(DATA["plan"])
        parent(card, pointer)[pointer[-1]] = number
        report = checked(card)
        refused = {f.rule for f in report.findings} & (STRUCTURAL | {"SB-CARD-006"})
        assert bool(refused) == (number == 10**309 or not is_valid(card)), pointer


def test_a_whole_number_has_one_digest() -> None:
    digests = set()
    for number in (5, 5.0):
        card = copy.deepcopy(DATA["plan"])
        card["hyperparameters"]["epochs"] = number
        found = checked(card).card
        assert found is not None
        digests.add(protocol_digest(found))
    assert len(digests) == 1


@settings(deadline=None, max_examples=200)
@given(data=st.data())
def test_any_mutation_ends_in_a_report(data: st.DataObject) -> None:
    card = copy.deepcopy(DATA[data.draw(st.sampled_from(sorted(DATA)))])
    for _ in range(data.draw(st.integers(1, 3))):
        pointer = data.draw(st.sampled_from(list(nodes(card)) or [()]))
        if not pointer:
            break
        here, key = parent(card, pointer), pointer[-1]
        action = data.draw(st.sampled_from(["delete", "replace", "absence", "double", "rename"]))
        if action == "delete":
            del here[key]
        elif action == "replace":
            here[key] = data.draw(JSON)
        elif action == "absence":
            here[key] = {"not_reported": "nobody wrote it down"}
        elif action == "rename" and isinstance(here, dict):
            names = st.sampled_from(sorted(here)) | st.text(max_size=8)
            here[data.draw(names)] = here.pop(key)
        elif isinstance(here, list):
            here.append(copy.deepcopy(here[key]))
    before = json.dumps(card)
    report = checked(card)
    assert json.dumps(card) == before
    for finding in report.findings:
        assert finding.line >= 1
        assert finding.column >= 1
        assert finding.message
        assert finding.fix
    found = {finding.rule for finding in report.findings}
    if not found & VERSIONS:
        assert bool(found & STRUCTURAL) == (not is_valid(card))


# What says which thing is meant, what decides other fields, and what makes a file evidence.
NEVER_ABSENT = {
    "Card": {"spec", "submission", "unstated", "model"},
    "SubmissionInfo": {"id", "relationship", "object", "repeats"},
    "Repeats": {"protocol", "kind"},
    "WeightsModel": {"access", "base"},
    "ApiModel": {"access", "base"},
    "Weights": {"condition"},
    "Dataset": {"name", "role"},
    "SelfGenerated": {"questions_of", "decoding"},
    "Seeds": {"scheme", "series"},
    "Decoding": {"name", "do_sample"},
    "Task": {"name", "construct", "purpose", "sample"},
    "PromptSample": {"prompts", "nonce", "protocol"},
    "LabelSheet": {"path"},
    "Estimand": {"checkpoint", "decoding", "judge"},
    "Results": {"primary", "scores", "changes"},
    "Interval": {"lower", "upper"},
    "Evidence": {"manifest", "files"},
    "EvidenceFile": {"path", "sha256"},
    "RegisteredRun": {"condition", "status"},
    "RerunEntry": {"id", "kind"},
    "NotReported": {"not_reported"},
    "Unpinnable": {"unpinnable"},
    **{
        name: {"task", "construct", "condition", "checkpoint", "decoding", "judge"}
        for name in ("Score", "Change", "PrimaryEstimand")
    },
    **{
        f"{name}Judge": {"name", "primary", "constructs", "kind"}
        for name in ("Rule", "Model", "Moderation", "Human", "Ensemble")
    },
    **{f"{name}Training": {"method"} for name in ("Lora", "Qlora", "Prompt", "Full")},
    "NoTraining": {"method"},
    **{f"{name}Objective": {"kind"} for name in ("Dpo", "Kto", "Ppo", "Grpo", "Other")},
    "ChatTemplateFromTokenizer": {"source"},
    "ChatTemplateFromFile": {"source"},
    "NoChatTemplate": {"source"},
    # What a program measures and writes whole.
    "SelfTestPart": {"name", "cases", "passed", "interval"},
    "JudgeSampling": {"max_new_tokens", "temperature", "top_p", "seed"},
    **{
        name: {"prompt", "response", "system", "chat", "date", "source"} | more
        for name, more in (
            ("FileTemplate", {"path"}),
            ("DistributionTemplate", {"distribution", "version", "file", "symbol"}),
            ("OwnTemplate", {"arguments"}),
        )
    },
}


def test_absence_is_accepted_at_every_field_but_these() -> None:
    schema = card_schema()
    for name in models():
        node = schema if name == "Card" else schema["$defs"][name]
        refused = {
            field
            for field, value in node["properties"].items()
            if {"$ref": "#/$defs/NotReported"} not in value.get("anyOf", ())
        }
        assert refused == NEVER_ABSENT.get(name, set()), name


@pytest.mark.parametrize("name", PATHS)
def test_models_and_schema_agree_on_an_absence_at_every_node(name: str) -> None:
    for pointer in places(name):
        data, here = changed(name, pointer)
        here[pointer[-1]] = {"not_reported": "nobody wrote it down"}
        report = checked(data)
        if "SB-CARD-007" not in {finding.rule for finding in report.findings}:
            assert bool(structural(report)) == (not is_valid(data)), pointer
        if name in ("report", "paper"):
            continue  # the same models, at many more nodes
        for broken in ({"not_reported": ""}, {"not_reported": "x", "n": 1}, {"not_reported": 5}):
            here[pointer[-1]] = broken
            assert rules_at(checked(data), pointer), (pointer, broken)
            assert not is_valid(data), (pointer, broken)
