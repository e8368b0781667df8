"""Text for people: each finding at its place, with the source line; a summary per card."""

from __future__ import annotations

from collections.abc import Sequence

import click

from safebench.checks import CheckedCard, Finding
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
)
from safebench.errors import visible

_EXCERPT = 100  # columns of a source line that are shown
_SHOWN = 100  # findings of a card that a person is shown, the worst first
_WORST = ("error", "warning", "note")


class TextReporter:
    """Each finding at its place, with the source line; a summary per card."""

    def render(self, checked: Sequence[Checked]) -> str:
        """Return the findings, then what they come to."""
        blocks: list[str] = []
        for one in checked:
            lines = one.lines if isinstance(one, Unreadable) else one.document.lines
            shown = _worst(one.findings)
            blocks.extend(_finding(one.path, finding, lines) for finding in shown)
            if len(shown) < len(one.findings):
                blocks.append(_others(one.path, len(one.findings) - len(shown)))
            if isinstance(one, CheckedCard):
                blocks.append(_summary(one, name=len(checked) > 1))
        if len(checked) > 1:
            blocks.append(_total(checked))
        return "\n\n".join(blocks) or NO_CARDS


def _worst(findings: Sequence[Finding]) -> Sequence[Finding]:
    """Return as many findings as a person reads, in the order of the card."""
    if len(findings) <= _SHOWN:
        return findings
    numbered = sorted(enumerate(findings), key=lambda one: _WORST.index(one[1].severity))
    return [finding for _, finding in sorted(numbered[:_SHOWN], key=lambda one: one[0])]


def _others(path: str, number: int) -> str:
    return f"{visible(path)}: {count(number, 'more finding')}; --format json lists every one."


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
    text = lines[finding.line - 1]
    column, end = finding.column, max(finding.end_column, finding.column + 1)
    start = max(0, column - _EXCERPT // 2) if len(text) > _EXCERPT else 0
    # Cut first: a card may be one line of 4 MiB with a thousand findings.
    text = text[start : start + _EXCERPT].rstrip()
    # One character for one, so that the columns stay; a card cannot write to the terminal.
    shown = "".join(c if c.isprintable() or c == "\t" else "\ufffd" for c in text)
    width = min(end, start + len(shown) + 1) - column
    number = f"{finding.line:>5}"
    # Characters other than tabs are counted as one column wide, as editors' columns are.
    lead = "".join("\t" if c == "\t" else " " for c in shown[: column - 1 - start])
    return [f"{number} | {shown}", f"{'':>5} | {lead}{'^' * max(1, width)}"]


def _summary(report: CheckedCard, *, name: bool) -> str:
    line = f"{visible(report.path)}: " if name else ""
    line += tally(report, click.style(report.level, bold=True))
    return line + missing(report)


def _total(checked: Sequence[Checked]) -> str:
    reports = [one for one in checked if isinstance(one, CheckedCard)]
    failed = sum(report.errors > 0 for report in reports)
    parts = [count(len(checked), "file"), f"{failed} with errors"]
    if len(reports) < len(checked):
        parts.append(f"{len(checked) - len(reports)} unreadable")
    return ", ".join(parts) + "."
