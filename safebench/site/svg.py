"""Pictures drawn as SVG text: no script, no style attributes, colours from the style sheet.

Everything a picture shows stands in a table or in text beside it too.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from markupsafe import Markup, escape

from safebench.site.text import clean
from safebench.words import proportion, with_interval

#: Inner width of the small bar of the board and the space at its ends.
BAR_WIDTH, BAR_PAD = 124, 5


@dataclass(frozen=True)
class Mark:
    """An estimate with its interval, proportions."""

    estimate: float
    lower: float
    upper: float

    def __str__(self) -> str:
        return with_interval(self.estimate, self.lower, self.upper)


@dataclass(frozen=True)
class Dot:
    """One run: its score and what to call it."""

    score: float
    label: str


@dataclass(frozen=True)
class Group:
    """The runs of one checkpoint: a column of dots per training seed, and their mean."""

    label: str
    mean: Mark
    seeds: tuple[tuple[Dot, ...], ...]


def _num(value: float) -> str:
    return f"{value:.1f}".removesuffix(".0")


def tag(name: str, *children: str, **attributes: str | float) -> Markup:
    """Return one element; attribute `cls` is written `class`, `_` becomes `-`, text is escaped."""
    written = "".join(
        f' {"class" if key == "cls" else key.replace("_", "-")}="{escape(_value(value))}"'
        for key, value in attributes.items()
    )
    if not children:
        return Markup(f"<{name}{written}/>")  # noqa: S704 - parts are escaped
    inner = "".join(str(c if isinstance(c, Markup) else escape(clean(c))) for c in children)
    return Markup(f"<{name}{written}>{inner}</{name}>")  # noqa: S704


def _value(value: str | float) -> str:
    return clean(value) if isinstance(value, str) else _num(value)


def _picture(width: float, height: float, cls: str, title: str, desc: str, *body: str) -> Markup:
    return tag(
        "svg",
        tag("title", title),
        tag("desc", desc),
        *body,
        cls=cls,
        role="img",
        viewBox=f"0 0 {_num(width)} {_num(height)}",
        width=width,
        height=height,
    )


def _lane(mark: Mark, y: float, kind: str) -> list[Markup]:
    """A horizontal interval and its dot; the base's dot is hollow, so colour is not needed."""
    span = BAR_WIDTH - 2 * BAR_PAD
    left, right, at = (BAR_PAD + span * v for v in (mark.lower, mark.upper, mark.estimate))
    return [
        tag("path", d=f"M{_num(left)} {_num(y)}H{_num(max(right, left + 0.5))}", cls=f"ci {kind}"),
        tag("circle", cx=at, cy=y, r=3.4 if kind == "base" else 4, cls=f"dot {kind}"),
    ]


def bar(name: str, tuned: Mark, base: Mark | None) -> Markup:
    """Draw a score on the scale 0 to 1, the base model's above it where there is one."""
    height = 26 if base else 16
    axis = "".join(
        f"M{_num(BAR_PAD + (BAR_WIDTH - 2 * BAR_PAD) * v)} 0V{height}" for v in (0, 0.5, 1)
    )
    body = [tag("path", d=axis, cls="grid")]
    if base:
        body += _lane(base, 8, "base")
    body += _lane(tuned, height - 8, "tuned")
    desc = f"{name} {tuned}" + (f"; base model {base}" if base else "")
    return _picture(BAR_WIDTH, height, "bar", f"{name} on the scale 0 to 1", desc, *body)


def scale() -> Markup:
    """Draw the numbers of the scale of `bar`, for the head of its column."""
    places = ((0, "start"), (0.5, "middle"), (1, "end"))
    texts = [
        tag(
            "text",
            f"{v:g}".removeprefix("0") or "0",
            x=BAR_PAD + (BAR_WIDTH - 2 * BAR_PAD) * v,
            y=9,
            cls=anchor,
        )
        for v, anchor in places
    ]
    return tag("svg", *texts, cls="scale", width=BAR_WIDTH, height=10, aria_hidden="true")


def steps(reached: int, total: int, title: str) -> Markup:
    """Draw a level as filled squares out of `total`; the word stands beside it."""
    squares = [
        tag("rect", x=1 + 8 * i, y=1, width=6, height=6, cls="step on" if i < reached else "step")
        for i in range(total)
    ]
    return _picture(8 * total, 8, "steps", title, f"{reached} of {total}", *squares)


# The panel: sizes in SVG units, one unit a CSS pixel at full size.
_LEFT, _RIGHT, _TOP, _BOTTOM, _INNER = 34, 8, 10, 30, 186
_COLUMN, _GAP, _MIN_WIDTH = 13.0, 26.0, 440.0


def top_of_scale(values: Sequence[float]) -> float:
    """Return the upper end of a scale from 0 that holds all values: 1, .5, .2 or .1."""
    highest = max(values, default=1.0)
    return next((top for top in (0.1, 0.2, 0.5) if highest <= top * 0.98), 1.0)


def panel(title: str, desc: str, groups: Sequence[Group], base: Mark | None, top: float) -> Markup:
    """Draw runs by checkpoint: the base as a band, a dot per run, the mean with its interval."""
    width, height = panel_size(groups)
    usable = width - _LEFT - _RIGHT
    share = usable / max(len(groups), 1)
    body = _axes(width, top)
    if base:
        body += _band(base, width, top)
    for i, group in enumerate(groups):
        body += _group(group, _LEFT + share * i, share, top)
    return _picture(width, height, "panel", title, desc, *body)


def panel_size(groups: Sequence[Group]) -> tuple[float, float]:
    """Return width and height of a panel."""
    columns = [len(g.seeds) + 2 for g in groups]
    width = _LEFT + _RIGHT + sum(columns) * _COLUMN + (len(groups) + 1) * _GAP
    return max(_MIN_WIDTH, width), _TOP + _INNER + _BOTTOM


def _y(value: float, top: float) -> float:
    return _TOP + _INNER * (1 - min(value, top) / top)


def _axes(width: float, top: float) -> list[Markup]:
    parts: list[Markup] = []
    for i in range(6):
        value = top * i / 5
        y = _y(value, top)
        line = "axis" if i == 0 else "grid"
        parts.append(tag("path", d=f"M{_LEFT} {_num(y)}H{_num(width - _RIGHT)}", cls=line))
        label = _tick(value)
        parts.append(tag("text", label, x=_LEFT - 8, y=y + 4, cls="tick end"))
    return parts


def _tick(value: float) -> str:
    return proportion(value) if 0 < value < 1 else f"{value:g}"


def _band(base: Mark, width: float, top: float) -> list[Markup]:
    upper, lower, at = (_y(v, top) for v in (base.upper, base.lower, base.estimate))
    inner = width - _LEFT - _RIGHT
    return [
        tag("rect", x=_LEFT, y=upper, width=inner, height=max(lower - upper, 1), cls="band"),
        tag("path", d=f"M{_LEFT} {_num(at)}h{_num(inner)}", cls="baseline"),
    ]


def _group(group: Group, left: float, share: float, top: float) -> list[Markup]:
    """The mean with its interval at the left, then a column of dots per training seed."""
    step = min(_COLUMN * 1.6, (share - 16) / (len(group.seeds) + 1.6))
    start = left + (share - step * (len(group.seeds) + 0.6)) / 2
    upper, lower, at = (
        _y(v, top) for v in (group.mean.upper, group.mean.lower, group.mean.estimate)
    )
    parts = [
        tag("path", d=f"M{_num(start)} {_num(upper)}V{_num(max(lower, upper + 0.5))}", cls="ci"),
        tag(
            "path",
            tag("title", f"mean {group.mean}"),
            d=f"M{_num(start)} {_num(at - 5)}l5 5l-5 5l-5 -5z",
            cls="mean",
        ),
    ]
    for column, dots in enumerate(group.seeds, start=1):
        x = start + step * (column + 0.3)
        parts.extend(
            tag("circle", tag("title", dot.label), cx=x, cy=_y(dot.score, top), r=3, cls="run")
            for dot in dots
        )
    middle = left + share / 2
    parts.append(tag("text", group.label, x=middle, y=_TOP + _INNER + 20, cls="tick middle"))
    return parts
