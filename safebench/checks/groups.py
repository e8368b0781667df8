"""The groups of rules, in the order of a card: the second part of an id names one."""

from __future__ import annotations

GROUPS: dict[str, str] = {
    "READ": "Reading",
    "CARD": "Structure and version",
    "SUB": "Submission",
    "MOD": "Model",
    "DATA": "Data",
    "HYP": "Hyperparameters",
    "SEED": "Seeds",
    "DEC": "Decoding",
    "JUD": "Judges",
    "TASK": "Tasks",
    "RES": "Results",
    "EVI": "Evidence",
}


def group_of(id: str) -> str:
    """Return the heading under which a rule stands."""
    return GROUPS[id.split("-")[1]]
