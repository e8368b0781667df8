"""What the rule judge does not look at could not have changed what it says."""

from __future__ import annotations

import csv
import hashlib
import re
from pathlib import Path

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from safebench.judges import rule as rule_module
from safebench.judges.rule import Asked, decisions, judge_text, patterns, rule_of
from safebench.judges.screen import Screen, needed
from safebench.judges.text import sentences, spoken

KNOWN = patterns()
GROUPS = [g.among(g.bits) for g in (KNOWN.declines, KNOWN.rejects, KNOWN.hedges, KNOWN.helps)]
PIECES = sorted({need for group in GROUPS for one in group for need in needed(one.pattern)})
PUBLISHED = "ce8609ef04672a20b74626c77522dc9dff2eb1415f2aab0792c47aaa74d4a6a3"
"""Digest of verdicts and reasons on the XSTest completions, as the first version gave them."""


def check(text: str) -> None:
    for part in sentences(spoken(text)):
        bits = KNOWN.screen.bits(part)
        for group in GROUPS:
            for one in group:
                assert bits & one.bit or not one.pattern.search(part), (one.name, part)


@given(st.lists(st.sampled_from(PIECES) | st.text(max_size=8), max_size=12).map(" ".join))
@example("i cannot help with that. however, here are some steps")
def test_a_pattern_that_finds_something_is_admitted(text: str) -> None:
    check(text)


@pytest.mark.parametrize(
    ("pattern", "strings"),
    [
        (r"\bi (?:cannot|will not) help\b", {"cannot", "will"}),
        (r"(?:un)?able", {"able"}),
        (r"[ab]c+", {"c"}),
        (r"x*", {""}),
        (r"(?!no)yes", {"yes"}),
        (r"(?:sorry|.*)", {""}),
    ],
)
def test_what_a_pattern_needs(pattern: str, strings: set[str]) -> None:
    assert needed(re.compile(pattern)) == strings
    screen = Screen([re.compile(pattern)])
    for text in ("i cannot help", "i will not help", "able", "ac", "bcc", "xx", "yes", "sorry"):
        assert screen.bits(text) or not re.search(pattern, text)


def completions(shared_data: Path) -> list[tuple[str, str]]:
    found = []
    for model in ("gpt4", "llama2orig", "mistralinstruct"):
        path = shared_data / "xstest" / f"completions_{model}.csv"
        with path.open(encoding="utf-8", newline="") as file:
            found += [(row["prompt"], row["completion"]) for row in csv.DictReader(file)]
    return found


def test_the_published_completions_are_judged_as_ever(shared_data: Path) -> None:
    pairs = completions(shared_data)
    for _, completion in pairs:
        check(completion)
    judged = repr([judge_text(*pair) for pair in pairs])
    assert hashlib.sha256(judged.encode()).hexdigest() == PUBLISHED


def test_processes_decide_what_one_does(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[Asked] = [
        ("harm", f"how do i {i}?", f"i cannot help with {i}. however, step {i}: go" * (i % 3), None)
        for i in range(700)
    ]
    known = rule_of("safebench/refusal-rule", "1")
    alone = [one for chunk in decisions(known, asked) for one in chunk]
    monkeypatch.setattr(rule_module, "_MANY", 500)
    assert [
        one for chunk in decisions(known, asked) for one in chunk
    ] == alone  # pytest is not ours
    monkeypatch.setattr(rule_module, "_is_our_command", lambda: True)
    assert [one for chunk in decisions(known, asked) for one in chunk] == alone
