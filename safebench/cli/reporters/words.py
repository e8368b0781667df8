"""How reporters name files and word findings.

Text from a card is untrusted: control characters are made visible first.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

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
    """Return the summary of a card in one line; `level` is its level with colour."""
    line = (
        f"{count(report.errors, 'error')}, {count(report.warnings, 'warning')}. "
        f"Level: {level or report.level}"
    )
    if report.completeness is None:
        return f"{line} (mandatory fields are counted once the structure is right)."
    reported, required = report.completeness
    return f"{line} ({reported} of {required} mandatory fields reported)."


def repository_path(path: str) -> str | None:
    """Return a path from the repository's root, with `/`; None for a file outside of it.

    The root is GITHUB_WORKSPACE where that is set and holds the file, else the current folder.
    """
    file = whole_path(path)
    for root in (os.environ.get("GITHUB_WORKSPACE"), "."):
        for name, folder in _spellings(file, Path(root).absolute()) if root else ():
            if name.is_relative_to(folder):
                return name.relative_to(folder).as_posix()
    return None


def whole_path(path: str) -> Path:
    """Return an absolute path without `..`; links are not followed."""
    return Path(os.path.abspath(path))  # noqa: PTH100 - resolve() would follow the link


def _spellings(file: Path, root: Path) -> Iterator[tuple[Path, Path]]:
    """Yield both as they are, then with links resolved: a working folder is often a link."""
    yield file, root
    yield file.parent.resolve() / file.name, root.resolve()
