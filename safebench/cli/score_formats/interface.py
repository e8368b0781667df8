"""What a score format is, and the registry of them.

A format is a module of this package with a function `render`, which turns a report into the whole
output. A new one is a new file and a line in `FORMATS`; `parts` has the tables and sentences
that formats share.
"""

from __future__ import annotations

import importlib

from safebench.analysis.report import ScoreReport

FORMATS = {
    "text": "for people at a terminal: one screen (`full` is the rest of it)",
    "json": "for programs: every number with its n, interval and method",
    "latex": "for a paper: tables and a methods section; needs the package booktabs alone",
    "markdown": "the same tables and methods section for a page",
}
"""The formats, each with whom it is for; the module of the same name is imported when needed."""
FULL = "full"
"""The text of `--full`."""


def render(report: ScoreReport, style: str) -> str:
    """Return a report in one of `FORMATS`, or `FULL`, without a line break at its end."""
    module = importlib.import_module(f"safebench.cli.score_formats.{style}")
    text: str = module.render(report)
    return text
