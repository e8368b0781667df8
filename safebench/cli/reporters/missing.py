"""What a card lacks for its next level, as a list that stays short."""

from __future__ import annotations

import textwrap
from collections.abc import Iterator

from safebench.checks import CheckedCard
from safebench.checks.levels import missing_fields
from safebench.cli.reporters.words import sentence
from safebench.errors import visible

_WIDTH = 100


def missing(report: CheckedCard) -> str:
    """Return what the next level asks for; fields with the same reason share an entry."""
    items = [visible(item) for item in _items(report)]
    if not items:
        return ""
    if len(items) == 1:
        return f"\nFor `{report.next_level}`: {sentence(items[0])}"
    lines = [
        textwrap.fill(
            item,
            _WIDTH,
            initial_indent="  - ",
            subsequent_indent="    ",
            break_long_words=False,
            break_on_hyphens=False,
        )
        for item in items
    ]
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
        yield f"report {', '.join(places)}{why}"
