"""Check one card: read it, apply every rule, compute its level. Nothing is changed, ever."""

from __future__ import annotations

import datetime
from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

from safebench.card.card import Card
from safebench.card.completeness import State, absences, states
from safebench.card.document import Document, Place, Problem, ReadError, dotted, json_pointer
from safebench.card.io import parse_card
from safebench.card.problems import NOT_GIVEN
from safebench.card.read import load_document
from safebench.card.versions import migrate
from safebench.checks.findings import Finding
from safebench.checks.levels import LEVELS, Level, level_of
from safebench.checks.obstacles import obstacles
from safebench.checks.registry import Rule, Subject
from safebench.checks.rules import all_rules
from safebench.files import leads_out

_OF_THE_DIGEST = ("SB-SEED-002", "SB-SEED-003")
"""Rules that recompute from the protocol digest, which covers what is not known here too."""
_OF_THE_NUMBERS = ("SB-RES-", "SB-EVI-")
"""Rules that compare numbers, tasks and evidence, and so need to have read all three."""
_COMPARED = ("tasks", "results", "evidence")


@dataclass(frozen=True)
class CheckedCard:
    """What is known about a card after checking it."""

    path: str
    """File, as it was given; `<stdin>` for standard input."""
    spec: str | None
    """Version that the card declares."""
    level: Level
    """Conformance level, computed."""
    missing_for_next: tuple[str, ...]
    """What the next level asks for, in words."""
    completeness: tuple[int, int] | None
    """Mandatory fields reported, and mandatory fields; None when too little can be read."""
    findings: tuple[Finding, ...]
    """Everything found, in the order of the document."""
    card: Card | None
    """The card; None when too little can be read. What is missing or wrong is held as not
    reported, so this card is for looking at, not for running."""
    fields: tuple[State, ...]
    """Every mandatory field and whether it is reported."""
    document: Document
    """What was read, for whoever shows findings at their place."""
    obstacles: tuple[str, ...] = ()
    """What keeps a plan without errors from being run here, in words."""

    @property
    def errors(self) -> int:
        """Findings of severity error."""
        return sum(finding.severity == "error" for finding in self.findings)

    @property
    def warnings(self) -> int:
        """Findings of severity warning."""
        return sum(finding.severity == "warning" for finding in self.findings)

    @property
    def next_level(self) -> Level | None:
        """The level after this one."""
        position = LEVELS.index(self.level) + 1
        return LEVELS[position] if position < len(LEVELS) else None


def check(
    path: Path | Literal["-"],
    *,
    today: datetime.date | None = None,
    only: Collection[str] | None = None,
    subject: type[Subject] = Subject,
) -> CheckedCard:
    """Check a card and the evidence beside it.

    `only`: the ids of the rules that are applied, all by default; `subject`: how the evidence is
    read for them.

    Raises:
        CardError: the file cannot be read, lies elsewhere, or is not YAML; problems of its content
            are findings.
    """
    folder = None if path == "-" else Path(path).parent
    if path != "-" and leads_out(Path(path)):
        what = "a symbolic link that leads out of its folder"
        raise ReadError(str(path), what, "copy the file there")
    document = load_document(path)
    return check_document(document, folder, today=today, only=only, subject=subject)


def check_document(
    document: Document,
    folder: Path | None,
    *,
    today: datetime.date | None = None,
    only: Collection[str] | None = None,
    subject: type[Subject] = Subject,
) -> CheckedCard:
    """Check a card that was read before; `folder` is where its relative paths start."""
    rules = all_rules()
    card, problems = parse_card(document)
    current = migrate(document)
    findings = [
        replace(
            _finding(p.rule, rules[p.rule], json_pointer(p.pointer), p.place, p.message, p.fix),
            patch=() if isinstance(current, Document) and current.moves else p.patch,
        )
        for p in problems
    ]
    fields: list[State] = []
    if card is not None and isinstance(current, Document):
        day = today or datetime.datetime.now(datetime.UTC).date()
        asked = {id: rule for id, rule in rules.items() if only is None or id in only}
        seen = subject(card, folder, day)
        findings.extend(_apply(_applicable(asked, problems), seen, current))
        fields = [_written(state, current) for state in states(card)]
    findings.sort(key=lambda f: (f.line, f.column, f.rule))
    level, missing = level_of(card, findings, fields)
    return CheckedCard(
        path=document.path,
        spec=_spec(document),
        level=level,
        missing_for_next=missing,
        completeness=_completeness(fields) if card is not None else None,
        findings=tuple(findings),
        card=card,
        fields=tuple(fields),
        document=document,
        obstacles=() if card is None or _has_errors(findings) else obstacles(card, folder),
    )


def require(report: CheckedCard, level: Level) -> CheckedCard:
    """Return a report in which not having a level is an error.

    Each mandatory field that is absent becomes an error at its place; if what is missing is
    something else, there is one error for the whole card.
    """
    if LEVELS.index(report.level) >= LEVELS.index(level):
        return report
    findings = [replace(f, severity="error") if f.rule == NOT_GIVEN else f for f in report.findings]
    there = {finding.pointer for finding in findings if finding.rule == NOT_GIVEN}
    rule = all_rules()["SB-CARD-011"]
    for pointer, reason in absences(report.fields).items():
        if json_pointer(pointer) in there:
            continue
        why = f": {reason}" if reason else ""
        message = f"{dotted(pointer)} is not reported{why}; level {level} was asked for"
        place = report.document.place(pointer)
        findings.append(
            _finding(rule.id, rule, json_pointer(pointer), place, message, "give its value")
        )
    if not _has_errors(findings):
        message = f"the level is {report.level}, and {level} was asked for"
        fix = "; ".join(report.missing_for_next)
        findings.append(_finding(rule.id, rule, "", report.document.place(()), message, fix))
    findings.sort(key=lambda f: (f.line, f.column, f.rule))
    return replace(report, findings=tuple(findings))


def _applicable(rules: dict[str, Rule], problems: list[Problem]) -> dict[str, Rule]:
    """Return the rules that can be applied to a card of which something is wrong or unknown."""
    new = [p for p in problems if p.unknown or p.absence]
    left_out: tuple[str, ...] = _OF_THE_DIGEST if new else ()
    if any(p.absence and p.unknown != "field" and p.absence[0] in _COMPARED for p in new):
        left_out += _OF_THE_NUMBERS
    return {id: rule for id, rule in rules.items() if not id.startswith(left_out)}


def _apply(rules: dict[str, Rule], subject: Subject, document: Document) -> Iterator[Finding]:
    for id, rule in rules.items():
        for pointer, message, fix, patch in rule.hits(subject):
            place, written = document.place(pointer), document.written(pointer)
            found = _finding(id, rule, json_pointer(written), place, message, fix)
            yield replace(found, patch=() if document.moves else patch)


def _written(state: State, document: Document) -> State:
    """Return the state of a field under the name that it has in the text."""
    lost_at = None if state.lost_at is None else document.written(state.lost_at)
    return replace(state, pointer=document.written(state.pointer), lost_at=lost_at)


def _finding(id: str, rule: Rule, pointer: str, place: Place, message: str, fix: str) -> Finding:
    end = place.end_column if place.end_line == place.line else 0
    return Finding(id, rule.severity, pointer, place.line, place.column, message, fix, end)


def _has_errors(findings: Iterable[Finding]) -> bool:
    return any(finding.severity == "error" for finding in findings)


def _completeness(fields: list[State]) -> tuple[int, int]:
    return sum(state.lost_at is None for state in fields), len(fields)


def _spec(document: Document) -> str | None:
    data = document.data
    spec = data.get("spec") if isinstance(data, dict) else None
    return spec if isinstance(spec, str) else None
