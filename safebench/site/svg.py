"""Pictures drawn as SVG text: no script, no style attributes, colours from the style sheet.

Everything a picture shows stands in a table or in text beside it too.
"""

from __future__ import annotations

from markupsafe import Markup, escape

from safebench.card.measured import MeasuredScore
from safebench.site.text import clean
from safebench.stats.intervals import Interval
from safebench.words import with_interval

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
