"""Judges: one of them is primary, all are told apart, none can move."""

from __future__ import annotations

from collections.abc import Iterator

from safebench.card.base import NotReported
from safebench.card.judge import ModelJudge
from safebench.checks.registry import Hit, Subject, duplicates, items, rule, text
from safebench.checks.rules.model import moves

_SECTION = "card.md#judge"


@rule(
    "SB-JUD-001",
    "error",
    section=_SECTION,
    title="Exactly one judge is primary.",
    rationale="With two, the kinder one can be chosen once the numbers are known.",
)
def one_primary(subject: Subject) -> Iterator[Hit]:
    """Find none, or more than one."""
    if isinstance(subject.card.judge, NotReported):
        return
    primary = [n for n, judge in enumerate(subject.card.judge) if judge.primary]
    if not primary:
        yield Hit(
            ("judge",),
            "no judge is primary: the headline numbers need one, named before the run",
            "add primary: true to one of them",
        )
    for number in primary[1:]:
        first = subject.card.judge[primary[0]].name
        yield Hit(
            ("judge", number, "primary"),
            f"{first} is primary already: exactly one judge is",
            "remove primary here or there",
        )


@rule(
    "SB-JUD-002",
    "error",
    section=_SECTION,
    title="Judges have different names.",
    rationale="Results refer to a judge by its name.",
)
def names(subject: Subject) -> Iterator[Hit]:
    """Find names used twice."""
    for number, name in duplicates([j.name for j in items(subject.card.judge)]):
        yield Hit(
            ("judge", number, "name"),
            f"an earlier judge is already called {name}",
            "rename one of the two",
        )


@rule(
    "SB-JUD-003",
    "error",
    section=_SECTION,
    title="The revision of a judge that is a model cannot move.",
    rationale="A judge that was updated gives other verdicts on the same answers.",
)
def revision_pinned(subject: Subject) -> Iterator[Hit]:
    """Find branch names, tags and floating aliases of classifiers and language models."""
    for number, judge in enumerate(items(subject.card.judge)):
        revision = text(judge.revision)
        if isinstance(judge, ModelJudge) and revision is not None and moves(revision):
            yield Hit(
                ("judge", number, "revision"),
                f'revision "{revision}" moves; '
                "expected a 40-digit commit, or sha256: and 64 digits",
                "give the commit of the weights that judged, or {not_reported: why}",
            )
