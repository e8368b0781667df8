"""Text for people: each finding at its place, with the source line; a summary per card."""

from __future__ import annotations

from collections.abc import Sequence

import click

from safebench.checks import Finding, Report
from safebench.cli.reporters.base import Checked, Unreadable
from safebench.cli.reporters.missing import missing
from safebench.cli.reporters.words import (
    COLOURS,
    NO_CARDS,
    count,
    field,
    position,
    remedy,
    sentence,
    tally,
    visible,
)

_EXCERPT = 100  # columns of a source line that are shown


class TextReporter:
    """Each finding at its place, with the source line; a summary per card."""

    def render(self, checked: Sequence[Checked]) -> str:
        """Return the findings, then what they come to."""
        blocks: list[str] = []
        for one in checked:
            lines = one.lines if isinstance(one, Unreadable) else one.document.lines
            blocks.extend(_finding(one.path, finding, lines) for finding in one.findings)
            if isinstance(one, Report):
                blocks.append(_summary(one, name=len(checked) > 1))
        if len(checked) > 1:
            blocks.append(_total(checked))
        return "\n\n".join(blocks) or NO_CARDS


def _finding(path: str, finding: Finding, lines: tuple[str, ...]) -> str:
    place = field(finding)
    word = f"{finding.severity:<7}" if place else finding.severity
    severity = click.style(word, fg=COLOURS[finding.severity], bold=True)
    head = f"{position(visible(path), finding)}  {finding.rule}  {severity}" + (
        f"  {place}" if place else ""
    )
    return "\n".join(
        [
            head,
            *_source(finding, lines),
            f"   {visible(sentence(finding.message))}",
            f"   {remedy(finding)}",
        ]
    )


def _source(finding: Finding, lines: tuple[str, ...]) -> list[str]:
    """Return the line a finding is on, and a line that points at it."""
    if not 0 < finding.line <= len(lines):
        return []
    text = lines[finding.line - 1].rstrip()
    column, end = finding.column, max(finding.end_column, finding.column + 1)
    start = max(0, column - _EXCERPT // 2) if len(text) > _EXCERPT else 0
    # One character for one, so that the columns stay; a card cannot write to the terminal.
    shown = "".join(c if c.isprintable() or c == "\t" else "\ufffd" for c in text)
    shown = shown[start : start + _EXCERPT]
    width = min(end, start + len(shown) + 1) - column
    number = f"{finding.line:>5}"
    # Characters other than tabs are counted as one column wide, as editors' columns are.
    lead = "".join("\t" if c == "\t" else " " for c in shown[: column - 1 - start])
    return [f"{number} | {shown}", f"{'':>5} | {lead}{'^' * max(1, width)}"]


def _summary(report: Report, *, name: bool) -> str:
    line = f"{visible(report.path)}: " if name else ""
    line += tally(report, click.style(report.level, bold=True))
    return line + missing(report)


def _total(checked: Sequence[Checked]) -> str:
    reports = [one for one in checked if isinstance(one, Report)]
    failed = sum(report.errors > 0 for report in reports)
    parts = [count(len(checked), "file"), f"{failed} with errors"]
    if len(reports) < len(checked):
        parts.append(f"{len(checked) - len(reports)} unreadable")
    return ", ".join(parts) + "."
