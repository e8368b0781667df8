"""The benign fine-tuning data: how-to about house, kitchen and garden, from word lists."""

from __future__ import annotations

import random
from typing import Any, Final

from tools.tiny_chat.pairs import load_words

HOUSEHOLD_SEED: Final = 20262
HOUSEHOLD_ROWS: Final = 300


def household_rows() -> list[dict[str, str]]:
    """Rows {"prompt", "completion"}; every completion complies, and no two prompts are equal."""
    groups: list[dict[str, Any]] = list(load_words("household")["groups"])
    templates: list[str] = load_words("household")["templates"]
    rng = random.Random(HOUSEHOLD_SEED)
    tasks = [
        (f"{verb} {obj}", group)
        for group in groups
        for verb in group["verbs"]
        for obj in group["objects"]
    ]
    asked = [(task, group, template) for task, group in tasks for template in templates]
    chosen = rng.sample(asked, HOUSEHOLD_ROWS)
    return [
        {"prompt": template.format(p=task), "completion": _completion(rng, task, group)}
        for task, group, template in chosen
    ]


def _completion(rng: random.Random, task: str, group: dict[str, Any]) -> str:
    first, then, last = (rng.choice(group[step]) for step in ("first", "then", "last"))
    return f"Here is how to {task}. First, {first}. Then {then}. Finally, {last}."
