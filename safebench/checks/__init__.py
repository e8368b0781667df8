"""Checking cards: rules, findings, levels."""

from safebench.checks.findings import Finding, Severity
from safebench.checks.levels import LEVELS, Level
from safebench.checks.registry import Rule
from safebench.checks.report import CheckedCard, check, check_document, require
from safebench.checks.rules import all_rules

__all__ = [
    "LEVELS",
    "CheckedCard",
    "Finding",
    "Level",
    "Rule",
    "Severity",
    "all_rules",
    "check",
    "check_document",
    "require",
]
