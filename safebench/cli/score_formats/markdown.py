"""Markdown: tables and a methods section."""

from __future__ import annotations

import re

from safebench.analysis.report import ScoreReport
from safebench.cli.score_formats.paper import fill
from safebench.errors import visible

_SPECIAL = re.compile(r"([\\`*_<>|~$&]|\](?=[\[(:])|!(?=\[)|^(?=[#+-]))")
"""What Markdown reads as markup; brackets around numbers are none."""


def render(report: ScoreReport) -> str:
    """Return the report in GitHub's Markdown; what a card says is escaped."""
    return fill("markdown.md", report, {"text": _text})


def _text(text: str) -> str:
    """Return text that Markdown prints as it stands, on one line."""
    line = visible(" ".join(text.split()))
    return _SPECIAL.sub(r"\\\1", line)
