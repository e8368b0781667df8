"""Pictures of a report that stand alone, in a paper or on a page: SVG with its own style.

No script, no fonts or style sheets from elsewhere; plain colours, since not every program that
draws SVG knows variables. Dark where a viewer asks for it, on a ground of its own.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from pathlib import Path

from markupsafe import Markup

from safebench.analysis.measures import Measure, NotMeasured, Number
from safebench.analysis.primaries import Primary
from safebench.analysis.report import ScoreReport
from safebench.analysis.spread import POWER, SeedsNeeded, seeds_at
from safebench.analysis.variation import Variation
from safebench.card.results import MARGIN
from safebench.files import replace_file
from safebench.site.charts import Chart, charts
from safebench.site.svg import TEMPLATES, draw
from safebench.stats import margin_points
from safebench.words import (
    construct_name,
    count,
    interval,
    number,
    percent_interval,
    points,
    proportion,
    setting,
    source_name,
)

_PAD = 24
_STYLE = Markup("\n" + (TEMPLATES / "plots.css").read_text(encoding="utf-8"))  # noqa: S704 - ours
_SMALL = 0.01  # share below which an interaction is left out


def write_plots(report: ScoreReport, folder: Path) -> list[Path]:
    """Write every picture of a report into a folder; return their paths, in order."""
    written = []
    for name, drawn in pictures(report):
        path = folder / f"{name}.svg"
        replace_file(path, f"{drawn}\n".encode())
        written.append(path)
    return written


def pictures(report: ScoreReport) -> Iterator[tuple[str, Markup]]:
    """Yield name and picture: what varies, the run scores, the seeds needed, of every task."""
    trials = report.card.trials
    for one in report.variations:
        if any(_rows(one, of_runs) for of_runs in (True, False)):
            yield f"{one.task}-{one.construct}-variance", variance(one, trials.get(one.task))
    for chart in charts(report.card, report.results):
        yield f"{chart.task}-{chart.construct}-runs", run_scores(chart)
    for primary in report.primaries:
        if isinstance(primary.seeds_needed, SeedsNeeded):
            place = primary.estimand
            name = f"{place.task}-{place.construct}-seeds"
            yield name, seeds_against_margin(primary, trials.get(place.task))


def _title(what: str, construct: str, task: str, trial: str | None) -> str:
    """Return what a picture shows of which task, and that it is a trial where it is one."""
    return f"{what}: {construct_name(construct)}, {task}" + (f", trial: {trial}" if trial else "")


# What varies: bars of shares.
_LABELS, _SCALE, _ROW, _VALUES = 216, 300, 22, 120


def variance(one: Variation, trial: str | None = None) -> Markup:
    """Draw the shares of every source of variation, between runs and of single answers."""
    sections = []
    y = 94
    for what, of_runs in (("between runs", True), ("of single answers", False)):
        if rows := _rows(one, of_runs):
            sections.append((f"Share of the variance {what}", y, rows))
            y += 50 + _ROW * len(rows)
    described = (
        f"{heading}: {'; '.join(f'{name} {shown}' for name, _, shown in rows)}"
        for heading, _, rows in sections
    )
    return draw(
        "variance",
        width=2 * _PAD + _LABELS + _SCALE + _VALUES,
        height=y,
        title=_title("What varies", one.construct, one.task, trial),
        lines=[
            "Bars are estimates, lines 95 % intervals; interactions below 1 % are left out.",
            "* of the whole variance; others of what remains at one checkpoint and decoding.",
        ],
        desc=". ".join(described),
        style=_STYLE,
        sections=sections,
        left=_PAD + _LABELS,
        scale=_SCALE,
        row_height=_ROW,
    )


def _rows(one: Variation, of_runs: bool) -> list[tuple[str, Number, str]]:
    """Return name, share and the share as text of every source that is not minor."""
    found = []
    for effect in one.effects:
        value: Measure = effect.of_runs if of_runs else effect.of_answers
        if isinstance(value, NotMeasured) or (":" in effect.name and value.estimate < _SMALL):
            continue
        name = source_name(effect.name, " \u00d7 ") + (" *" if effect.fixed else "")
        shown = percent_interval(value.estimate, value.lower, value.upper)
        found.append((name, value, shown))
    return found


def run_scores(chart: Chart) -> Markup:
    """Draw the scores of every run of a task, by checkpoint and seed, a panel per decoding."""
    panels = []
    y = 96.0
    for panel in chart.panels:
        panels.append((panel, y))
        y += panel.size[1] + 34
    title = _title("Run scores", chart.construct, chart.task, chart.trial)
    return draw(
        "runs",
        width=max(480.0, *(panel.size[0] for panel in chart.panels)) + 2 * _PAD,
        height=y,
        title=title,
        lines=[
            "A dot is a run, a column of dots a training seed.",
            "Diamonds: means with 95 % intervals. Band: the base model.",
        ],
        desc=f"{title}, a panel for each decoding: {', '.join(p.heading for p in chart.panels)}",
        style=_STYLE,
        panels=panels,
    )


# Seeds needed: curves over the margin.
_PLOT_W, _PLOT_H, _PLOT_X, _PLOT_Y = 520, 270, 76, 88
_MARGINS = tuple(i / 100 for i in range(5, 31))
_TICKS = tuple(n * 10**power for power in range(7) for n in (1, 2, 5))
_TOP = 1000
"""Seeds at the top of the scale, where no more are needed at the standard's margin."""


def seeds_against_margin(one: Primary, trial: str | None = None) -> Markup:
    """Draw the seeds an equivalence verdict needs against its margin, at sigma and its bounds."""
    needed = one.seeds_needed
    if isinstance(needed, NotMeasured):
        raise ValueError(needed.reason)
    sigma = needed.sigma
    top = next((t for t in _TICKS if t >= max(needed.seeds_upper, _TOP)), _TICKS[-1])
    lower, upper, middle = (
        _curve(one, spread, needed.floor, top)
        for spread in (sigma.lower or 0.0, sigma.upper or sigma.estimate, sigma.estimate)
    )
    at = [(n, _y(n, top)) for n in (needed.seeds_upper, needed.seeds, needed.seeds_lower)]
    place, score = one.estimand, one.score.estimate
    spread = interval(sigma.lower or 0, sigma.upper or 0, 3)
    seeds = count(sigma.n["seeds"], "seed")
    text = f"Spread over seeds {proportion(sigma.estimate, 3)} {spread} from {seeds}"
    return draw(
        "seeds",
        width=_PLOT_X + _PLOT_W + _PAD + 20,
        height=_PLOT_Y + _PLOT_H + 62,
        title=_title("Seeds needed", place.construct, place.task, trial),
        lines=[
            f"{text} (SD of 2 asin sqrt score).",
            f"Curve: at the estimate; shaded: between its bounds. Power {proportion(POWER)}.",
        ],
        desc="Training seeds in each arm for an equivalence verdict with power "
        f"{proportion(POWER, 1)}. {text}. At the margin of {setting(MARGIN)}: "
        f"{number(needed.seeds)}, from {number(needed.seeds_lower)} to "
        f"{number(needed.seeds_upper)}.",
        style=_STYLE,
        left=_PLOT_X,
        right=_PLOT_X + _PLOT_W,
        head=_PLOT_Y,
        bottom=_PLOT_Y + _PLOT_H,
        levels=[n for n in _TICKS if 2 <= n <= top],
        margins=[(m, points(margin_points(score, m))) for m in _MARGINS[::5]],
        score=score,
        standard=MARGIN,
        zone="M" + "L".join((*upper, *reversed(lower))) + "Z",
        upper="M" + "L".join(upper),
        lower="M" + "L".join(lower),
        middle="M" + "L".join(middle),
        needed=[n for n, _ in at],
        labels=_apart(at),
        x=_x,
        y=lambda seeds: _y(seeds, top),
    )


def _apart(labels: Sequence[tuple[int, float]]) -> list[tuple[int, float]]:
    """Return labels from the top down, none nearer than a line to the one above it."""
    placed: list[tuple[int, float]] = []
    for n, y in labels:
        if placed and n == placed[-1][0]:
            continue
        placed.append((n, max(y, placed[-1][1] + 15) if placed else max(y, _PLOT_Y + 4)))
    return placed


def _x(margin: float) -> float:
    return _PLOT_X + _PLOT_W * (margin - _MARGINS[0]) / (_MARGINS[-1] - _MARGINS[0])


def _y(seeds: float, top: int) -> float:
    share = math.log(min(max(seeds, 2), top) / 2) / math.log(top / 2)
    return _PLOT_Y + _PLOT_H * (1 - share)


def _curve(one: Primary, sigma: float, floor: float, top: int) -> list[str]:
    needed = ((m, seeds_at(sigma, one.score.estimate, floor, m)) for m in _MARGINS)
    return [f"{_x(margin):.1f} {_y(seeds, top):.1f}" for margin, seeds in needed]
