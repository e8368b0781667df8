"""Pictures as SVG text, from templates: no script, no style attributes.

The colours of a page's pictures come from its style sheet. Everything a picture shows stands in a
table or in text beside it too.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from jinja2 import Environment, FunctionLoader, StrictUndefined
from markupsafe import Markup

from safebench import words
from safebench.card.measured import MeasuredScore
from safebench.site.text import finalize
from safebench.stats.intervals import Interval

TEMPLATES = Path(__file__).resolve().parent / "templates"


def num(value: float) -> str:
    """Return a coordinate, to a tenth of a pixel."""
    return f"{value:.1f}".removesuffix(".0")


def read_out(mark: MeasuredScore | Interval) -> str:
    """Return an estimate with its interval, for the text of a picture."""
    return words.with_interval(mark.estimate, mark.lower, mark.upper)


def draw(name: str, **content: Any) -> Markup:
    """Return the picture of a template, `NAME.svg`; every text in it is escaped."""
    return Markup(_ENVIRONMENT.get_template(f"{name}.svg").render(**content))  # noqa: S704


def _dense(name: str) -> str:
    """Return a template without the line breaks between its tags."""
    text = (TEMPLATES / name).read_text(encoding="utf-8")
    return "".join(line.strip() for line in text.splitlines())


_ENVIRONMENT = Environment(
    loader=FunctionLoader(_dense), autoescape=True, undefined=StrictUndefined, finalize=finalize
)
_ENVIRONMENT.filters.update(
    num=num, read_out=read_out, proportion=words.proportion, percent=words.percent
)
_ENVIRONMENT.filters.update(count=words.count, number=words.number, setting=words.setting)
