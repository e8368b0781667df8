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
from safebench.analysis.variation import Effect, Variation
from safebench.card.results import MARGIN
from safebench.files import replace_file
from safebench.site.charts import Chart, charts
from safebench.site.svg import picture, tag
from safebench.stats import margin_points
from safebench.words import (
    construct_name,
    count,
    interval,
    number,
    percent,
    percent_interval,
    points,
    proportion,
    setting,
    source_name,
)

_STYLE = (Path(__file__).resolve().parent / "templates" / "plots.css").read_text(encoding="utf-8")
_PAD = 24
_LETTER = 7.6  # width of a letter of the title
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


def _figure(
    width: float, height: float, title: str, lines: Sequence[str], desc: str, *body: str
) -> Markup:
    """Return a picture with a heading, lines below it, and a ground of its own."""
    return picture(
        width,
        height,
        title,
        desc,
        tag("style", Markup("\n" + _STYLE)),  # noqa: S704 - ours
        tag("rect", width=width, height=height, cls="paper"),
        _heading(title, width),
        *(tag("text", line, x=_PAD, y=49 + 16 * i, cls="soft") for i, line in enumerate(lines)),
        *body,
        xmlns="http://www.w3.org/2000/svg",
    )


def _heading(title: str, width: float) -> Markup:
    """Return the title, whole: one that is too long for the picture is set closer."""
    close: dict[str, str | float] = {}
    if len(title) * _LETTER > width - 2 * _PAD:
        close = {"textLength": width - 2 * _PAD, "lengthAdjust": "spacingAndGlyphs"}
    return tag("text", title, x=_PAD, y=30, cls="title", **close)


def _title(what: str, construct: str, task: str, trial: str | None) -> str:
    """Return what a picture shows of which task, and that it is a trial where it is one."""
    return f"{what}: {construct_name(construct)}, {task}" + (f", trial: {trial}" if trial else "")


# What varies: bars of shares.
_LABELS, _SCALE, _ROW, _VALUES = 216, 300, 22, 120


def variance(one: Variation, trial: str | None = None) -> Markup:
    """Draw the shares of every source of variation, between runs and of single answers."""
    sections = [
        ("Share of the variance between runs", _rows(one, of_runs=True)),
        ("Share of the variance of single answers", _rows(one, of_runs=False)),
    ]
    body: list[Markup] = []
    described: list[str] = []
    y = 94.0
    for heading, rows in sections:
        if rows:
            body += _bars(heading, rows, y)
            y += 50 + _ROW * len(rows)
            described += [heading + ": " + "; ".join(f"{_effect(n)} {_share(v)}" for n, v in rows)]
    width = 2 * _PAD + _LABELS + _SCALE + _VALUES
    title = _title("What varies", one.construct, one.task, trial)
    lines = [
        "Bars are estimates, lines 95 % intervals; interactions below 1 % are left out.",
        "* of the whole variance; others of what remains at one checkpoint and decoding.",
    ]
    return _figure(width, y, title, lines, ". ".join(described), *body)


def _rows(one: Variation, of_runs: bool) -> list[tuple[Effect, Number]]:
    found = []
    for effect in one.effects:
        value: Measure = effect.of_runs if of_runs else effect.of_answers
        if isinstance(value, NotMeasured) or (":" in effect.name and value.estimate < _SMALL):
            continue
        found.append((effect, value))
    return found


def _effect(effect: Effect) -> str:
    return source_name(effect.name, " \u00d7 ") + (" *" if effect.fixed else "")


def _share(value: Number) -> str:
    return percent_interval(value.estimate, value.lower, value.upper)


def _bars(heading: str, rows: Sequence[tuple[Effect, Number]], y: float) -> list[Markup]:
    left = _PAD + _LABELS
    bottom = y + 14 + _ROW * len(rows)
    parts = [tag("text", heading, x=_PAD, y=y, cls="head")]
    for share in (0, 0.25, 0.5, 0.75, 1):
        x = left + _SCALE * share
        kind = "axis" if share == 0 else "grid"
        parts.append(tag("path", d=f"M{x:g} {y + 10:g}V{bottom:g}", cls=kind))
        parts.append(tag("text", percent(share), x=x, y=bottom + 14, cls="tick middle"))
    for i, (effect, value) in enumerate(rows):
        middle = y + 14 + _ROW * (i + 0.5)
        low = left + _SCALE * (value.lower or 0.0)
        high = left + _SCALE * (1.0 if value.upper is None else value.upper)
        length = _SCALE * value.estimate
        parts += [
            tag("text", _effect(effect), x=left - 10, y=middle + 4, cls="end"),
            tag("rect", x=left, y=middle - 6, width=length, height=12, cls="bar"),
            tag("path", d=f"M{low:.1f} {middle:g}H{max(high, low + 0.5):.1f}", cls="ci"),
            tag("circle", cx=left + length, cy=middle, r=3, cls="dot"),
            tag("text", _share(value), x=left + _SCALE + 14, y=middle + 4),
        ]
    return parts


def run_scores(chart: Chart) -> Markup:
    """Draw the scores of every run of a task, by checkpoint and seed, a panel per decoding."""
    body: list[Markup] = []
    y = 96.0
    for panel in chart.panels:
        body.append(tag("text", panel.heading, x=_PAD, y=y, cls="head"))
        body.append(tag("g", panel.picture, transform=f"translate({_PAD} {y + 6:g})"))
        y += panel.size[1] + 34
    width = max(480.0, *(panel.size[0] for panel in chart.panels)) + 2 * _PAD
    title = _title("Run scores", chart.construct, chart.task, chart.trial)
    return _figure(
        width,
        y,
        title,
        [
            "A dot is a run, a column of dots a training seed.",
            "Diamonds: means with 95 % intervals. Band: the base model.",
        ],
        f"{title}, a panel for each decoding: {', '.join(p.heading for p in chart.panels)}",
        *body,
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
    zone = "M" + "L".join((*upper, *reversed(lower))) + "Z"
    at = [(n, _y(n, top)) for n in (needed.seeds_upper, needed.seeds, needed.seeds_lower)]
    x = _x(MARGIN)
    body = [
        *_frame(one, top),
        tag("path", d=zone, cls="zone"),
        *(tag("path", d="M" + "L".join(c), cls="edge") for c in (upper, lower)),
        tag("path", d="M" + "L".join(middle), cls="curve"),
        tag("path", d=f"M{x:.1f} {_PLOT_Y}V{_PLOT_Y + _PLOT_H}", cls="mark"),
        tag(
            "text",
            f"the standard\u2019s margin, h = {setting(MARGIN)}",
            x=x + 7,
            y=_PLOT_Y + 12,
            cls="soft halo",
        ),
        *(tag("circle", cx=x, cy=y, r=3.5, cls="dot") for _, y in at),
        *(tag("text", count(n, "seed"), x=x - 8, y=y + 11, cls="end halo") for n, y in _apart(at)),
    ]
    place = one.estimand
    title = _title("Seeds needed", place.construct, place.task, trial)
    spread = interval(sigma.lower or 0, sigma.upper or 0, 3)
    seeds = count(sigma.n["seeds"], "seed")
    text = f"Spread over seeds {proportion(sigma.estimate, 3)} {spread} from {seeds}"
    desc = (
        "Training seeds in each arm for an equivalence verdict with power "
        f"{proportion(POWER, 1)}. {text}. At the margin of {setting(MARGIN)}: "
        f"{number(needed.seeds)}, from {number(needed.seeds_lower)} to "
        f"{number(needed.seeds_upper)}."
    )
    lines = [
        f"{text} (SD of 2 asin sqrt score).",
        f"Curve: at the estimate; shaded: between its bounds. Power {proportion(POWER)}.",
    ]
    return _figure(_PLOT_X + _PLOT_W + _PAD + 20, _PLOT_Y + _PLOT_H + 62, title, lines, desc, *body)


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


def _frame(one: Primary, top: int) -> list[Markup]:
    parts: list[Markup] = []
    bottom, right = _PLOT_Y + _PLOT_H, _PLOT_X + _PLOT_W
    for seeds in (n for n in _TICKS if 2 <= n <= top):
        y = _y(seeds, top)
        kind = "axis" if seeds == 2 else "grid"
        parts.append(tag("path", d=f"M{_PLOT_X} {y:.1f}H{right}", cls=kind))
        parts.append(tag("text", number(seeds), x=_PLOT_X - 9, y=y + 4, cls="tick end"))
    score = one.score.estimate
    for margin in (0.05, 0.1, 0.15, 0.2, 0.25, 0.3):
        x = _x(margin)
        shown = f"{points(margin_points(score, margin))} points"
        parts.append(tag("text", setting(margin), x=x, y=bottom + 18, cls="tick middle"))
        parts.append(tag("text", shown, x=x, y=bottom + 33, cls="tick middle"))
    label = f"margin h, and what it is at the score of {proportion(score)}"
    parts.append(tag("text", label, x=_PLOT_X + _PLOT_W / 2, y=bottom + 52, cls="soft middle"))
    middle = _PLOT_Y + _PLOT_H / 2
    parts.append(
        tag(
            "text",
            "training seeds in each arm",
            x=0,
            y=0,
            cls="soft middle",
            transform=f"translate({_PAD} {middle:g}) rotate(-90)",
        )
    )
    return parts
