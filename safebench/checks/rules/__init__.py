"""The rules of spec/v1/rules.md, one file per section of a card; every file here is read."""

from __future__ import annotations

from collections.abc import Iterable
from functools import cache
from importlib import import_module
from pkgutil import iter_modules

from safebench.checks.registry import Rule


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
    files = [import_module(f"{__name__}.{file.name}") for file in iter_modules(__path__)]
    return by_id(rule for file in files for rule in file.rules)
