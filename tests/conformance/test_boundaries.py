"""The examples on either side of what each rule decides do what their names say."""

from __future__ import annotations

from collections import defaultdict

from safebench.checks import LEVELS, all_rules
from tests.conformance.test_manifest import ENTRIES

BOUNDARIES = [entry for entry in ENTRIES if entry["file"].startswith("boundary/")]


def rules_of(entry: dict[str, list[dict[str, str]]]) -> set[str]:
    return {finding["rule"] for finding in entry["findings"]}


def test_a_boundary_breaks_or_keeps_the_rule_that_its_name_says() -> None:
    wrong = []
    for entry in BOUNDARIES:
        _, rule, name, *_ = entry["file"].split("/")
        if rule != "levels" and (rule in rules_of(entry)) != name.startswith("breaks-"):
            wrong.append((entry["file"], rules_of(entry)))
    assert wrong == []
    assert len(BOUNDARIES) > 500


def test_a_card_has_the_level_that_its_name_says() -> None:
    seen = set()
    for entry in BOUNDARIES:
        _, folder, name, *_ = entry["file"].split("/")
        if folder == "levels":
            assert name.startswith(entry["level"]), entry["file"]
            seen.add(entry["level"])
    assert seen == set(LEVELS) - {"reproduced"}, "a board alone computes the last one"


def test_every_rule_is_broken_by_two_cards() -> None:
    broken = defaultdict(set)
    for entry in ENTRIES:
        for rule in rules_of(entry):
            broken[rule].add(entry["file"])
    assert {rule for rule in all_rules() if len(broken[rule]) < 2} == set()
