"""One JSON object for programs (spec/v1/report.schema.json)."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

from safebench.checks import Finding
from safebench.cli.reporters.interface import Checked, Unreadable


class JsonReporter:
    """One object; pointers are JSON pointers (RFC 6901)."""

    def render(self, checked: Sequence[Checked]) -> str:
        """Return the object as indented JSON."""
        files = [_file(one) for one in checked]
        return json.dumps({"files": files}, indent=2)  # in ASCII: cards are not trusted


def _file(one: Checked) -> dict[str, Any]:
    if isinstance(one, Unreadable):
        return {
            "path": one.path,
            "spec": None,
            "level": None,
            "completeness": None,
            "missing_for_next": [],
            "findings": [_plain(one.finding)],
        }
    counts = one.completeness
    return {
        "path": one.path,
        "spec": one.spec,
        "level": one.level,
        "completeness": counts and {"reported": counts[0], "required": counts[1]},
        "missing_for_next": list(one.missing_for_next),
        "findings": [_plain(finding) for finding in one.findings],
    }


def _plain(finding: Finding) -> dict[str, Any]:
    return {
        "rule": finding.rule,
        "severity": finding.severity,
        "pointer": finding.pointer,
        "line": finding.line or None,
        "column": finding.column or None,
        "message": finding.message,
        "fix": finding.fix,
    }
