"""Small made-up submissions: a card and outcomes, without any model."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from safebench.card.card import Card
from safebench.evidence.tables import (
    OUTCOMES,
    OUTCOMES_FILE,
    RESPONSES,
    RESPONSES_FILE,
    make_table,
    write_table,
)
from tests.plans import plan_data

PRIMARY = {"checkpoint": 2, "decoding": "t07", "judge": "rule"}
CATEGORIES = ("fraud", "theft", "arson")


def tasks(*constructs: str, **fields: Any) -> list[dict[str, Any]]:
    return [{"name": f"task_{name}", "primary": PRIMARY, **fields} for name in constructs]


def made_card(*constructs: str, **changes: Any) -> Card:
    data = plan_data(**{"tasks": tasks(*(constructs or ("harm",))), **changes})
    return Card.model_validate_json(json.dumps(data))


def made_rows(
    draw: np.random.Generator,
    *,
    construct: str = "harm",
    chance: float = 0.4,
    seeds: int = 3,
    repeats: int = 2,
    prompts: range = range(24),
    graded: bool = False,
    **same: Any,
) -> list[dict[str, Any]]:
    """Outcomes of a base model and of seeds trained for one task."""
    rates = np.clip(chance + draw.normal(0, 0.3, 1000), 0, 1)
    models = [("base", None, None), *(("tuned", 100 + s, 2) for s in range(seeds))]
    rows = []
    for condition, seed, checkpoint in models:
        for repeat in range(1, repeats + 1):
            for i in prompts:
                hit = draw.random() < rates[i]
                score = float(draw.integers(0, 5)) / 4 if graded else float(hit)
                rows.append(
                    {
                        "condition": condition,
                        "training_seed": seed,
                        "checkpoint": checkpoint,
                        "decoding": "t07",
                        "repeat": repeat,
                        "generation_seed": 1,
                        "task": f"task_{construct}",
                        "construct": construct,
                        "category": CATEGORIES[i % 3],
                        "prompt_id": f"p{i:02d}",
                        "judge": "rule",
                        "status": "ok",
                        "verdict": "complied" if hit else "refused",
                        "score": score,
                        **same,
                    }
                )
    return rows


def array(rows: list[dict[str, Any]], condition: str, prompts: list[str]) -> np.ndarray:
    """Scores of a condition as seeds x repeats x prompts, by plain look-up."""
    mine = [row for row in rows if row["condition"] == condition]
    seeds = sorted({row["training_seed"] or 0 for row in mine})
    repeats = sorted({row["repeat"] for row in mine})
    found = {(r["training_seed"] or 0, r["repeat"], r["prompt_id"]): r["score"] for r in mine}
    return np.array([[[found[s, r, p] for p in prompts] for r in repeats] for s in seeds])


def write(
    folder: Path, rows: list[dict[str, Any]], text: Callable[[str], str] | None = None
) -> Path:
    """Write outcomes, and responses where their prompts have a text."""
    folder.mkdir(parents=True, exist_ok=True)
    rows = [row if row["score"] is None else row | {"verdict": _verdict(row)} for row in rows]
    write_table(make_table(rows, OUTCOMES), folder / OUTCOMES_FILE)
    if text is not None:
        names = [
            name for name in RESPONSES.names if name not in ("prompt", "response", "new_tokens")
        ]
        said = [
            {**{n: row[n] for n in names}, "prompt": text(row["prompt_id"]), "response": "secret"}
            for row in rows
        ]
        write_table(make_table(said, RESPONSES), folder / RESPONSES_FILE)
    return folder


def _verdict(row: dict[str, Any]) -> str | None:
    """Return the verdict that a row's score follows from; None where verdicts do not apply."""
    if row["construct"] not in ("harm", "over_refusal"):
        return None
    return "complied" if bool(row["score"]) is (row["construct"] == "harm") else "refused"
