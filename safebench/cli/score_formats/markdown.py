"""Markdown: tables and a methods section."""

from __future__ import annotations

import re

from safebench.analysis.report import ScoreReport
from safebench.cli.score_formats.paper import Grid, paper
from safebench.errors import visible

_SPECIAL = re.compile(r"([\\`*_<>|~$&]|\](?=[\[(:])|!(?=\[)|^(?=[#+-]))")
"""What Markdown reads as markup; brackets around numbers are none."""


def render(report: ScoreReport) -> str:
    """Return the report in GitHub's Markdown; what a card says is escaped."""
    found = paper(report)
    parts = [f"## {_text(found.title)}"]
    parts += [_table(grid) for grid in found.grids]
    parts.append("### Methods")
    parts += [f"**{_text(one.heading)}.** {_text(one.text)}" for one in found.paragraphs]
    return "\n\n".join(parts)


def _table(grid: Grid) -> str:
    lines = [
        _row(grid.head),
        "|" + " --- |" + " ---: |" * (len(grid.head) - 1),
        *(_row(row) for row in grid.rows),
    ]
    return f"{_text(grid.caption)}\n\n" + "\n".join(lines)


def _row(cells: tuple[str, ...]) -> str:
    return "| " + " | ".join(_text(cell) for cell in cells) + " |"


def _text(text: str) -> str:
    """Return text that Markdown prints as it stands, on one line."""
    line = visible(" ".join(text.split()))
    return _SPECIAL.sub(r"\\\1", line)
