"""One JSON object for programs (spec/v1/report.schema.json)."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

from safebench.checks import Finding
from safebench.cli.reporters.interface import Checked

_MEMBERS = ("rule", "severity", "pointer", "line", "column", "message", "fix")


def render(checked: Sequence[Checked]) -> str:
    """Return the object, indented; pointers are JSON pointers (RFC 6901)."""
    files = [_file(one) for one in checked]
    return json.dumps({"files": files}, indent=2)  # in ASCII: cards are not trusted


def _file(one: Checked) -> dict[str, Any]:
    counts = one.completeness
    return {
        "path": one.path,
        "spec": one.spec,
        "level": one.level,
        "completeness": counts and {"reported": counts[0], "required": counts[1]},
        "missing_for_next": list(one.missing_for_next),
        "obstacles": list(one.obstacles),
        "findings": [_finding(finding) for finding in one.findings],
    }


def _finding(finding: Finding) -> dict[str, Any]:
    place = {"line": finding.line or None, "column": finding.column or None}
    patch = [edit.as_json() for edit in finding.patch]
    return {name: getattr(finding, name) for name in _MEMBERS} | place | {"patch": patch}
