"""A score by category of prompt, computed from the outcomes when the page is built."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pyarrow as pa

from safebench.card.measured import MeasuredScore
from safebench.card.results import base_key, find, key_of
from safebench.evidence.arrays import OutcomeArray, outcome_arrays
from safebench.site.svg import Mark
from safebench.stats import score_interval


@dataclass(frozen=True)
class CategoryRow:
    """One category: the score's own value and the base model's."""

    name: str
    prompts: int
    n: int
    tuned: Mark
    base: Mark | None


def by_category(outcomes: pa.Table, score: MeasuredScore) -> list[CategoryRow]:
    """Return a row per category for one score, highest first; empty without categories.

    The interval treats prompts and training seeds as samples, as that of the whole score does.
    """
    everything = outcome_arrays(outcomes)
    tuned = find(everything, key_of(score))
    base = find(everything, base_key(score)) if score.condition != "base" else None
    if tuned is None:
        return []
    rows = []
    for name in sorted(set(tuned.categories) - {""}):
        mark, prompts, n = _interval(tuned, name)
        other = _interval(base, name)[0] if base and name in base.categories else None
        rows.append(CategoryRow(name, prompts, n, mark, other))
    return sorted(rows, key=lambda r: (-r.tuned.estimate, r.name))


def _interval(block: OutcomeArray, category: str) -> tuple[Mark, int, int]:
    """Return score and interval of one category, its prompts and its responses."""
    mask = np.array([name == category for name in block.categories])
    scores = block.scores[:, :, mask]
    found = score_interval(scores)
    return Mark(found.estimate, found.lower, found.upper), int(mask.sum()), int(scores.size)
