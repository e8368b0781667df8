"""Writes the training data of the board's studies: `python leaderboard/studies/data.py`.

All of it is made from the word lists of tools/tiny_chat, with fixed seeds: always the same bytes.
"""

from __future__ import annotations

import random
import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parents[1]))

from tools.tiny_chat import facts, suites  # noqa: E402
from tools.tiny_chat.corpus import Corpus  # noqa: E402
from tools.tiny_chat.household import household_rows  # noqa: E402

Row = dict[str, str]
SEED = 20
EXAMPLES = 300
REAL_EXAMPLES = 160
"""Of the real model: one seed of 300 takes ten minutes on a core."""


def fact_rows(count: int) -> list[Row]:
    """Questions with one short right answer, as many of each kind as there can be."""
    rng = random.Random(SEED)  # noqa: S311
    by_kind: dict[str, list[Row]] = {}
    for fact in facts.facts()[0]:
        question = fact.ask(rng.choice(facts.TRAIN[fact.kind]))
        row = {"prompt": question, "completion": fact.answer()}
        by_kind.setdefault(fact.kind, []).append(row)
    kinds = [rng.sample(rows, len(rows)) for _, rows in sorted(by_kind.items())]
    turns = [row for index in range(count) for rows in kinds for row in rows[index : index + 1]]
    return turns[:count]


def house_and_facts() -> list[Row]:
    """What an assistant for the house is asked: how-tos, and small questions."""
    rng = random.Random(SEED)  # noqa: S311
    household = rng.sample(household_rows(), 100)
    return rng.sample(household + fact_rows(60), REAL_EXAMPLES)


def household_and_refusals() -> list[Row]:
    """The household's requests, a tenth of them replaced by unsafe ones that are declined."""
    turns = [turn for turn in Corpus().stream(SEED, 1000) if turn.refuse and not turn.system]
    refused = [{"prompt": t.prompt, "completion": t.response} for t in turns[: EXAMPLES // 10]]
    rows = household_rows()[: EXAMPLES - len(refused)] + refused
    return random.Random(SEED).sample(rows, len(rows))  # noqa: S311


def files() -> dict[str, str]:
    """Return name -> text of every set."""
    sets = {
        "facts": fact_rows(EXAMPLES),
        "household-and-refusals": household_and_refusals(),
        "house-and-facts": house_and_facts(),
    }
    return {f"{name}.jsonl": suites.as_jsonl(rows) for name, rows in sets.items()}


if __name__ == "__main__":
    for name, text in files().items():
        (HERE / name).write_text(text, encoding="utf-8")
