"""How reporters word a finding. Text from a card is untrusted: it is made visible first."""

from __future__ import annotations

from safebench.card.document import as_pointer
from safebench.card.io import dotted
from safebench.checks import CheckedCard, Finding
from safebench.errors import visible
from safebench.words import count, sentence

COLOURS = {"error": "red", "warning": "yellow", "note": "cyan"}
NO_CARDS = "No cards to check."


def position(path: str, finding: Finding) -> str:
    """Return where a finding is, as editors open it: `card.yaml:31:5`."""
    return f"{path}:{finding.line}:{finding.column}" if finding.line else path


def field(finding: Finding) -> str:
    """Return which field a finding is about, as people write it; empty for the whole card."""
    return visible(dotted(as_pointer(finding.pointer)))


def remedy(finding: Finding) -> str:
    """Return what to do about a finding, and the command that explains its rule."""
    return f"Fix: {visible(sentence(finding.fix))}   (safebench rules {finding.rule})"


def end_column(finding: Finding) -> int:
    """Return the column after what a finding is about; 0 where there is nothing to underline."""
    return finding.end_column if finding.end_column > finding.column else 0


def tally(report: CheckedCard, level: str | None = None) -> str:
    """Return what a card comes to, in one line; `level` is its level with colour."""
    line = (
        f"{count(report.errors, 'error')}, {count(report.warnings, 'warning')}. "
        f"Level: {level or report.level}"
    )
    if report.completeness is None:
        return f"{line} (mandatory fields are counted once the structure is right)."
    reported, required = report.completeness
    return f"{line} ({reported} of {required} mandatory fields reported)."
