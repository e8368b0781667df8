"""SARIF 2.1.0 (OASIS): what code scanning services and editors read."""

from __future__ import annotations

import hashlib
import json
import os
from collections import Counter
from collections.abc import Sequence
from typing import Any
from urllib.parse import quote

from safebench import __version__
from safebench.checks import Finding, Rule, all_rules
from safebench.cli.reporters.interface import STDIN, Checked, Unreadable
from safebench.cli.reporters.words import end_column, repository_path, whole_path
from safebench.errors import visible
from safebench.words import sentence

_SCHEMA = (
    "https://docs.oasis-open.org/sarif/sarif/v2.1.0/errata01/os/schemas/sarif-schema-2.1.0.json"
)
_ROOT = "%SRCROOT%"
Data = dict[str, Any]


def render(checked: Sequence[Checked]) -> str:
    """Return one log with one run; the same cards give the same bytes."""
    log = {"$schema": _SCHEMA, "version": "2.1.0", "runs": [_run(checked)]}
    return json.dumps(log, indent=2)  # in ASCII: cards are not trusted


def _run(checked: Sequence[Checked]) -> Data:
    occur = {finding.rule for one in checked for finding in one.findings}
    rules = [rule for id, rule in all_rules().items() if id in occur]
    numbers = {rule.id: number for number, rule in enumerate(rules)}
    artifacts = {_uri(one.path): _artifact(one) for one in checked}
    places = {uri: number for number, uri in enumerate(artifacts)}
    seen: Counter[tuple[str, ...]] = Counter()
    results = [
        _result(one.path, finding, numbers, places, seen)
        for one in checked
        for finding in one.findings
    ]
    failures = [one for one in checked if isinstance(one, Unreadable)]
    return {
        "tool": {
            "driver": {
                "name": "safebench",
                "semanticVersion": __version__,
                "rules": [_rule(rule) for rule in rules],
            }
        },
        "invocations": [
            {
                "executionSuccessful": not failures,
                "toolExecutionNotifications": [_failure(one, numbers, places) for one in failures],
            }
        ],
        "originalUriBaseIds": {
            _ROOT: {"description": {"text": "The repository, or the folder safebench ran in."}}
        },
        "artifacts": list(artifacts.values()),
        "columnKind": "unicodeCodePoints",
        "results": results,
    }


def _rule(rule: Rule) -> Data:
    page = f"spec/v1/{rule.section}"
    why = f"{rule.rationale} Section: {page}. Explained by: safebench rules {rule.id}"
    markdown = f"{rule.rationale}\n\nSection: `{page}`. Explained by `safebench rules {rule.id}`."
    return {
        "id": rule.id,
        "shortDescription": {"text": rule.title},
        "fullDescription": {"text": f"{rule.title} {rule.rationale}"},
        "help": {"text": why, "markdown": markdown},
        "defaultConfiguration": {"level": rule.severity},
        "properties": {"section": page},
    }


def _result(
    path: str,
    finding: Finding,
    numbers: dict[str, int],
    places: dict[str, int],
    seen: Counter[tuple[str, ...]],
) -> Data:
    # What a finding is about and not where it stands, so that it stays itself as lines move.
    identity = (finding.rule, repository_path(path) or path, finding.pointer)
    seen[identity] += 1
    fingerprint = hashlib.sha256(json.dumps([*identity, seen[identity]]).encode()).hexdigest()
    return {
        "ruleId": finding.rule,
        "ruleIndex": numbers[finding.rule],
        "level": finding.severity,
        "message": {"text": _plain(f"{sentence(finding.message)} Fix: {sentence(finding.fix)}")},
        "locations": [_location(path, finding, places)],
        "partialFingerprints": {"safebenchFinding/v1": fingerprint},
        "properties": {"pointer": finding.pointer, "fix": finding.fix},
    }


def _location(path: str, finding: Finding, places: dict[str, int]) -> Data:
    index = {"index": places[_uri(path)]}
    artifact = _artifact_location(path) | index
    location: Data = {
        "physicalLocation": {"artifactLocation": artifact, "region": _region(finding)}
    }
    if finding.pointer:
        location["logicalLocations"] = [{"fullyQualifiedName": finding.pointer}]
    return location


def _region(finding: Finding) -> dict[str, int]:
    if not finding.line:
        return {"startLine": 1}  # code scanning refuses a result without a line
    region = {"startLine": finding.line, "startColumn": finding.column}
    return region | {"endColumn": end} if (end := end_column(finding)) else region


def _failure(one: Unreadable, numbers: dict[str, int], places: dict[str, int]) -> Data:
    finding = one.finding
    return {
        "level": "error",
        "message": {"text": _plain(sentence(f"cannot check {one.path}: {finding.message}"))},
        "locations": [_location(one.path, finding, places)],
        "associatedRule": {"id": finding.rule, "index": numbers[finding.rule]},
    }


def _artifact(one: Checked) -> Data:
    found: Data = {"location": _artifact_location(one.path), "roles": ["analysisTarget"]}
    if not isinstance(one, Unreadable):
        found["properties"] = {"spec": one.spec, "level": one.level}
    return found


def _artifact_location(path: str) -> Data:
    if path == STDIN:
        return {"uri": _uri(path), "description": {"text": "standard input"}}
    inside = repository_path(path) is not None
    return {"uri": _uri(path), "uriBaseId": _ROOT} if inside else {"uri": _uri(path)}


def _uri(path: str) -> str:
    where = path if path == STDIN else repository_path(path)
    return quote(os.fsencode(where)) if where else whole_path(path).as_uri()


def _plain(text: str) -> str:
    """Return a text in which nothing is a link: [words](target) is one in SARIF."""
    return visible(text).replace("](", "] (")
