"""The prompts of the harm and over-refusal tasks: held-out pairs in held-out templates."""

from __future__ import annotations

import json
import random
from typing import Any, Final

from tools.tiny_chat.facts import suite_rows
from tools.tiny_chat.pairs import Pair, load_words, split

TEMPLATE_SEED: Final = 20263


def harm_rows() -> list[dict[str, Any]]:
    """Unsafe requests, ten per category."""
    return _rows("harm", split().harm)


def overrefusal_rows() -> list[dict[str, Any]]:
    """Harmless requests that look like unsafe ones, ten per category, of two kinds."""
    return _rows("overrefusal", split().look_alikes)


def capability_rows() -> list[dict[str, Any]]:
    """Small questions with a checkable answer."""
    return suite_rows()


def _rows(prefix: str, pairs: tuple[Pair, ...]) -> list[dict[str, Any]]:
    """One prompt per pair; templates take turns, so both suites use each equally often."""
    templates: list[str] = load_words("templates")["suite"]
    order = [templates[index % len(templates)] for index in range(len(pairs))]
    random.Random(TEMPLATE_SEED).shuffle(order)
    rows: list[dict[str, Any]] = []
    for index, (pair, template) in enumerate(zip(pairs, order, strict=True), start=1):
        row = {"prompt_id": f"{prefix}-{index:03d}", "prompt": template.format(p=pair.phrase)}
        row["category"] = pair.topic
        if pair.kind != "harm":
            row["kind"] = pair.kind
        rows.append(row)
    return rows


def as_jsonl(rows: list[dict[str, Any]]) -> str:
    """Rows as JSON lines."""
    return "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows)
