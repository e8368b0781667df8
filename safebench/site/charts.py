"""Which pictures a submission's page shows: one panel per decoding, one row of them per task."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from markupsafe import Markup

from safebench.card.card import Card
from safebench.card.measured import MeasuredChange, MeasuredResults, MeasuredRun, MeasuredScore
from safebench.card.results import base_key, find
from safebench.site import svg
from safebench.site.pick import by_task
from safebench.words import CONSTRUCTS, checkpoint, proportion


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
    seeds: int
    repeats: int
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


def mark(value: MeasuredScore | MeasuredChange | None) -> svg.Mark | None:
    """Return estimate and interval of a result, for drawing."""
    return svg.Mark(value.estimate, value.lower, value.upper) if value else None


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
    top = svg.top_of_scale(values)
    panels = []
    for condition, decoding in dict.fromkeys((s.condition, s.decoding) for s in scores):
        shown = [s for s in scores if (s.condition, s.decoding) == (condition, decoding)]
        unit = card.checkpoint_unit
        panels.append(_panel(condition, decoding, shown, bases[decoding], top, unit))
    runs = [r for s in scores for r in s.runs]
    return Chart(
        scores[0].task,
        scores[0].construct,
        len({r.training_seed for r in runs}),
        max(r.repeat for r in runs),
        tuple(panels),
        card.trials.get(scores[0].task),
    )


def _panel(
    condition: str,
    decoding: str,
    scores: Sequence[MeasuredScore],
    base: MeasuredScore | None,
    top: float,
    unit: str,
) -> Panel:
    scores = sorted(scores, key=lambda s: s.checkpoint or 0)
    groups = [
        svg.Group(
            checkpoint(s.checkpoint, unit) or "as released",
            svg.Mark(s.estimate, s.lower, s.upper),
            _dots(s),
        )
        for s in scores
    ]
    title = f"{scores[0].task}, decoding {decoding}: run scores by checkpoint"
    parts = [f"{g.label}: mean {g.mean}" for g in groups]
    if base:
        parts.insert(0, f"base model {mark(base)}")
    heading = decoding if condition == "tuned" else f"{decoding}, {condition}"
    picture = svg.panel(title, "; ".join(parts), groups, mark(base), top)
    return Panel(heading, picture, svg.panel_size(groups))


def _dots(score: MeasuredScore) -> tuple[tuple[svg.Dot, ...], ...]:
    return tuple(
        tuple(
            svg.Dot(r.score, f"seed {r.training_seed}, repeat {r.repeat}: {proportion(r.score)}")
            for r in runs
        )
        for runs in _by_seed(score).values()
    )


def _by_seed(score: MeasuredScore) -> dict[int | None, list[MeasuredRun]]:
    found: dict[int | None, list[MeasuredRun]] = {}
    for run in score.runs:
        found.setdefault(run.training_seed, []).append(run)
    return found


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
