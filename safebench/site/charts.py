"""What a submission's page shows of its results.

Run scores as pictures, one panel per decoding; run scores by seed; a score by category of prompt.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

import numpy as np
import pyarrow as pa
from markupsafe import Markup

from safebench.card.card import Card
from safebench.card.measured import MeasuredChange, MeasuredResults, MeasuredRun, MeasuredScore
from safebench.card.results import base_key, find, key_of
from safebench.evidence.arrays import outcome_arrays
from safebench.site import svg
from safebench.stats import score_interval
from safebench.stats.intervals import Interval
from safebench.words import CONSTRUCTS, checkpoint, proportion, setting

T = TypeVar("T", MeasuredScore, MeasuredChange)

# Sizes of a panel in SVG units, one unit a CSS pixel at full size.
_LEFT, _RIGHT, _TOP, _BOTTOM, _INNER = 34, 8, 10, 30, 186
_COLUMN, _GAP, _MIN_WIDTH = 13.0, 26.0, 440.0


@dataclass(frozen=True)
class Panel:
    """One picture and the line above it."""

    heading: str
    picture: Markup
    size: tuple[float, float]
    """Width and height."""


@dataclass(frozen=True)
class Chart:
    """The pictures of one task, on one scale."""

    task: str
    construct: str
    panels: tuple[Panel, ...]
    trial: str | None = None
    """The first prompts alone, and how many there are."""


@dataclass(frozen=True)
class SeedTable:
    """Run scores of a task: a row per checkpoint and decoding, a column per training seed."""

    task: str
    construct: str
    seeds: tuple[int, ...]
    rows: tuple[tuple[MeasuredScore, tuple[str, ...]], ...]


@dataclass(frozen=True)
class CategoryRow:
    """One category: the score's own value and the base model's."""

    name: str
    prompts: int
    n: int
    tuned: Interval
    base: Interval | None


def charts(card: Card, results: MeasuredResults) -> list[Chart]:
    """Return the pictures of every task that has runs of a tuned model, by its primary judge."""
    found: list[Chart] = []
    primary = sorted(results.primary, key=lambda p: CONSTRUCTS.index(p.construct))
    for estimand in primary:
        scores = [
            s
            for s in results.scores
            if (s.task, s.construct, s.judge) == (estimand.task, estimand.construct, estimand.judge)
            and s.condition != "base"
        ]
        if scores:
            found.append(_chart(card, results, scores))
    return found


def _chart(card: Card, results: MeasuredResults, scores: Sequence[MeasuredScore]) -> Chart:
    bases = {s.decoding: find(results.scores, base_key(s)) for s in scores}
    values = [r.score for s in scores for r in s.runs] + [s.upper for s in scores]
    values += [b.upper for b in bases.values() if b]
    top = top_of_scale(values)
    panels = []
    for condition, decoding in dict.fromkeys((s.condition, s.decoding) for s in scores):
        shown = [s for s in scores if (s.condition, s.decoding) == (condition, decoding)]
        panels.append(_panel(shown, bases[decoding], top, card.checkpoint_unit))
    first = scores[0]
    return Chart(first.task, first.construct, tuple(panels), card.trials.get(first.task))


def top_of_scale(values: Sequence[float]) -> float:
    """Return the upper end of a scale from 0 that holds all values: 1, .5, .2 or .1."""
    highest = max(values, default=1.0)
    return next((top for top in (0.1, 0.2, 0.5) if highest <= top * 0.98), 1.0)


def _panel(
    scores: Sequence[MeasuredScore], base: MeasuredScore | None, top: float, unit: str
) -> Panel:
    """Draw the scores of one condition and decoding, a group of runs per checkpoint."""
    task, condition, decoding = scores[0].task, scores[0].condition, scores[0].decoding
    columns = [len(_by_seed(score)) + 2 for score in scores]
    width = max(_MIN_WIDTH, _LEFT + _RIGHT + sum(columns) * _COLUMN + (len(scores) + 1) * _GAP)
    height = _TOP + _INNER + _BOTTOM
    share = (width - _LEFT - _RIGHT) / len(scores)
    ordered = sorted(scores, key=lambda score: score.checkpoint or 0)
    groups = [_group(score, unit, _LEFT + share * i, share) for i, score in enumerate(ordered)]
    desc = [f"base model {svg.read_out(base)}"] if base else []
    desc += [f"{group['label']}: mean {svg.read_out(group['score'])}" for group in groups]
    values = [top * i / 5 for i in range(6)]
    picture = svg.draw(
        "panel",
        width=width,
        height=height,
        left=_LEFT,
        right=width - _RIGHT,
        title=f"{task}, decoding {decoding}: run scores by checkpoint",
        desc="; ".join(desc),
        ticks=[(v, proportion(v) if 0 < v < 1 else setting(v)) for v in values],
        base=base,
        groups=groups,
        y=lambda value: _TOP + _INNER * (1 - min(value, top) / top),
    )
    heading = decoding if condition == "tuned" else f"{decoding}, {condition}"
    return Panel(heading, picture, (width, height))


def _group(score: MeasuredScore, unit: str, left: float, share: float) -> dict[str, Any]:
    """Place a mean at the left, then a column of dots per training seed."""
    seeds = _by_seed(score)
    step = min(_COLUMN * 1.6, (share - 16) / (len(seeds) + 1.6))
    start = left + (share - step * (len(seeds) + 0.6)) / 2
    return {
        "label": checkpoint(score.checkpoint, unit) or "as released",
        "score": score,
        "x": start,
        "middle": left + share / 2,
        "dots": [
            (start + step * (column + 0.3), run)
            for column, runs in enumerate(seeds.values(), start=1)
            for run in runs
        ],
    }


def _by_seed(score: MeasuredScore) -> dict[int | None, list[MeasuredRun]]:
    found: dict[int | None, list[MeasuredRun]] = {}
    for run in score.runs:
        found.setdefault(run.training_seed, []).append(run)
    return found


def by_task(results: Iterable[T]) -> list[list[T]]:
    """Return results grouped by task and construct, harm first, each group in the card's order."""
    groups: dict[tuple[str, str], list[T]] = {}
    for result in sorted(results, key=lambda r: (CONSTRUCTS.index(r.construct), r.task)):
        groups.setdefault((result.task, result.construct), []).append(result)
    return list(groups.values())


def seed_tables(results: MeasuredResults) -> list[SeedTable]:
    """Return the run scores of every task, a column per training seed in the card's order."""
    tables: list[SeedTable] = []
    for everything in by_task(results.scores):
        scores = [s for s in everything if s.condition != "base"]
        seeds = tuple(
            dict.fromkeys(
                r.training_seed for s in scores for r in s.runs if r.training_seed is not None
            )
        )
        if not seeds:
            continue
        rows = tuple((s, tuple(_cell(s, seed) for seed in seeds)) for s in scores)
        tables.append(SeedTable(scores[0].task, scores[0].construct, seeds, rows))
    return tables


def _cell(score: MeasuredScore, seed: int) -> str:
    runs = _by_seed(score).get(seed, [])
    return " ".join(proportion(r.score) for r in runs) or "not run"


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
        of_category = np.array([category == name for category in tuned.categories])
        scores = tuned.scores[:, :, of_category]
        other = None
        if base and name in base.categories:
            other = score_interval(base.scores[:, :, [one == name for one in base.categories]])
        prompts, n = int(of_category.sum()), int(scores.size)
        rows.append(CategoryRow(name, prompts, n, score_interval(scores), other))
    return sorted(rows, key=lambda row: (-row.tuned.estimate, row.name))
