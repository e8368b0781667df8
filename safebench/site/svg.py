"""Pictures drawn as SVG text: no script, no style attributes, colours from the style sheet.

Everything a picture shows stands in a table or in text beside it too.
"""

from __future__ import annotations

from markupsafe import Markup, escape

from safebench.card.measured import MeasuredScore
from safebench.site.text import clean
from safebench.stats.intervals import Interval
from safebench.words import with_interval

#: Inner width of the small bar of the board and the space at its ends.
BAR_WIDTH, BAR_PAD = 124, 5
Mark = MeasuredScore | Interval
"""What is drawn: an estimate with its interval, proportions."""


def num(value: float) -> str:
    """Return a coordinate, to a tenth of a pixel."""
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
    return clean(value) if isinstance(value, str) else num(value)


def picture(
    width: float, height: float, title: str, desc: str, *body: str, **attributes: str
) -> Markup:
    """Return a picture with what a screen reader says of it."""
    return tag(
        "svg",
        tag("title", title),
        tag("desc", desc),
        *body,
        **attributes,
        role="img",
        viewBox=f"0 0 {num(width)} {num(height)}",
        width=width,
        height=height,
    )


def read_out(mark: Mark) -> str:
    """Return an estimate with its interval, for the text of a picture."""
    return with_interval(mark.estimate, mark.lower, mark.upper)


def _lane(mark: Mark, y: float, kind: str) -> list[Markup]:
    """A horizontal interval and its dot; the base's dot is hollow, so colour is not needed."""
    span = BAR_WIDTH - 2 * BAR_PAD
    left, right, at = (BAR_PAD + span * v for v in (mark.lower, mark.upper, mark.estimate))
    return [
        tag("path", d=f"M{num(left)} {num(y)}H{num(max(right, left + 0.5))}", cls=f"ci {kind}"),
        tag("circle", cx=at, cy=y, r=3.4 if kind == "base" else 4, cls=f"dot {kind}"),
    ]


def bar(name: str, tuned: Mark, base: Mark | None) -> Markup:
    """Draw a score on the scale 0 to 1, the base model's above it where there is one."""
    height = 26 if base else 16
    axis = "".join(
        f"M{num(BAR_PAD + (BAR_WIDTH - 2 * BAR_PAD) * v)} 0V{height}" for v in (0, 0.5, 1)
    )
    body = [tag("path", d=axis, cls="grid")]
    if base:
        body += _lane(base, 8, "base")
    body += _lane(tuned, height - 8, "tuned")
    desc = f"{name} {read_out(tuned)}" + (f"; base model {read_out(base)}" if base else "")
    return picture(BAR_WIDTH, height, f"{name} on the scale 0 to 1", desc, *body, cls="bar")


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
    return picture(8 * total, 8, title, f"{reached} of {total}", *squares, cls="steps")
