"""How a report is shown: one module per format.

text      for people at a terminal
json      for programs: every number with its n, interval and method (keys in the module)
latex     for a paper: tables and a methods section; needs booktabs alone
markdown  the same for a page
"""

from __future__ import annotations

import importlib
from collections.abc import Callable
from typing import cast

from safebench.analysis.report import ScoreReport

Format = Callable[[ScoreReport], str]

FORMATS = ("text", "json", "latex", "markdown")
"""A format's module has its name, and a function `render`; it is imported when it is asked for."""


def render(report: ScoreReport, style: str) -> str:
    """Return a report in one of `FORMATS`."""
    module = importlib.import_module(f"safebench.cli.score_formats.{style}")
    return cast("Format", module.render)(report)
