"""Text for people: each finding at its place, with the source line; a summary per card."""

from __future__ import annotations

import textwrap
from collections.abc import Iterator, Sequence

import click

from safebench.checks import CheckedCard, Finding
from safebench.checks.levels import missing_fields
from safebench.cli.reporters.interface import Checked, Unreadable
from safebench.cli.reporters.words import COLOURS, NO_CARDS, field, position, remedy, tally
from safebench.errors import visible
from safebench.words import count, sentence

_WIDTH = 100
_EXCERPT = 100  # columns of a source line that are shown
_SHOWN = 100  # findings of a card that a person is shown, the worst first
_WORST = ("error", "warning", "note")


def render(checked: Sequence[Checked]) -> str:
    """Return each finding with its source line, a summary per card, and a total for several."""
    blocks: list[str] = []
    for one in checked:
        lines = one.lines if isinstance(one, Unreadable) else one.document.lines
        shown = _worst(one.findings)
        blocks.extend(_blocks(one.path, shown, lines))
        if len(shown) < len(one.findings):
            more = count(len(one.findings) - len(shown), "more finding")
            blocks.append(f"{visible(one.path)}: {more}; --format json lists every one.")
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


def _blocks(path: str, findings: Sequence[Finding], lines: tuple[str, ...]) -> Iterator[str]:
    """Yield a block for each error; notes, and warnings about the same field, share one."""
    alike: dict[tuple[str, str], list[Finding]] = {}
    for number, finding in enumerate(findings):
        name = "".join(part for part in finding.pointer.split("/") if not part.isdecimal())
        one = {"error": str(number), "warning": name, "note": ""}[finding.severity]
        alike.setdefault((finding.rule, one), []).append(finding)
    for first, *others in alike.values():
        block = _finding(path, first, lines)
        if others:
            where = ", ".join(f"{field(other)} (line {other.line})" for other in others)
            block += "\n" + _filled(f"The same of {where}.", "   ")
        yield block


def _filled(text: str, indent: str, first: str | None = None) -> str:
    return textwrap.fill(
        text,
        _WIDTH,
        initial_indent=indent if first is None else first,
        subsequent_indent=indent,
        break_long_words=False,
        break_on_hyphens=False,
    )


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
    for obstacle in report.obstacles:
        line += "\n" + _filled(visible(sentence(f"A run here would stop: {obstacle}")), "  ", "")
    return line + _missing(report)


def _missing(report: CheckedCard) -> str:
    """Return what the next level asks for; fields with the same reason share an entry."""
    items = [visible(item) for item in _items(report)]
    if not items:
        return ""
    if len(items) == 1:
        return "\n" + _filled(f"For `{report.next_level}`: {sentence(items[0])}", "  ", "")
    lines = [_filled(item, "    ", "  - ") for item in items]
    return "\n".join([f"\nFor `{report.next_level}`:", *lines])


def _items(report: CheckedCard) -> Iterator[str]:
    if report.next_level != "declared":
        yield from report.missing_for_next
        return
    fields = missing_fields(report.findings, report.fields)
    yield from report.missing_for_next[: len(report.missing_for_next) - len(fields)]
    reasons: dict[str | None, list[str]] = {}
    for place, reason in fields.items():
        reasons.setdefault(reason, []).append(place)
    for reason, places in reasons.items():
        why = f" (not reported: {reason})" if reason else ""
        yield f"report {', '.join(_by_section(places))}{why}"
    if report.card is not None and report.card.is_described and report.card.unstated is None:
        yield 'or say once for all of them, at the top: unstated: "the paper does not say"'


def _by_section(places: Sequence[str]) -> list[str]:
    """Return fields as people name them, those of one section together: `model: dtype, weights`."""
    sections: dict[str, list[str]] = {}
    for place in places:
        section, _, name = place.rpartition(".")
        sections.setdefault(section, []).append(name)
    found = []
    for section, names in sections.items():
        if section and len(names) > 2:
            found.append(f"{section} ({', '.join(names)})")
        else:
            found += [f"{section}.{name}".lstrip(".") for name in names]
    return found


def _total(checked: Sequence[Checked]) -> str:
    reports = [one for one in checked if isinstance(one, CheckedCard)]
    failed = sum(report.errors > 0 for report in reports)
    parts = [count(len(checked), "file"), f"{failed} with errors"]
    if len(reports) < len(checked):
        parts.append(f"{len(checked) - len(reports)} unreadable")
    return ", ".join(parts) + "."
