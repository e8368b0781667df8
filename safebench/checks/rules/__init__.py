"""The rules of spec/v1/rules.md: one file per section of a card, and one line here for each."""

from __future__ import annotations

from collections.abc import Iterable
from functools import cache

from safebench.checks.registry import Rule
from safebench.checks.rules import (
    agreement,
    data,
    decoding,
    evidence,
    hyperparameters,
    judge,
    model,
    named_files,
    numbers,
    responses,
    results,
    runs,
    seeds,
    structure,
    submission,
    tasks,
)

_FILES = (
    structure,
    submission,
    model,
    data,
    hyperparameters,
    seeds,
    decoding,
    judge,
    tasks,
    results,
    numbers,
    evidence,
    runs,
    agreement,
    responses,
    named_files,
)


def by_id(rules: Iterable[Rule]) -> dict[str, Rule]:
    """Return rules by id, in the order of ids; raises ValueError where an id is used twice."""
    found: dict[str, Rule] = {}
    for rule in rules:
        if rule.id in found:
            raise ValueError(f"two rules have the id {rule.id}")
        found[rule.id] = rule
    return dict(sorted(found.items()))


@cache
def all_rules() -> dict[str, Rule]:
    """Return every rule of the standard by id, in the order of ids."""
    return by_id(rule for file in _FILES for rule in file.rules)
