"""Judges: one of them is primary, all are told apart, none can move."""

from __future__ import annotations

from collections.abc import Iterator
from typing import get_args

from safebench.card.base import NotReported
from safebench.card.judge import EnsembleJudge, Judge, ModelJudge, ModerationJudge, RuleJudge
from safebench.card.task import Construct
from safebench.checks.registry import (
    Hit,
    Rules,
    Subject,
    duplicates,
    items,
    lies_outside,
    listed,
    reported,
    same_names,
    text,
)
from safebench.checks.rules.model import moves

rules = Rules("card.md#judge")


@rules.error("SB-JUD-001")
def one_primary(subject: Subject) -> Iterator[Hit]:
    """Exactly one judge is primary for each thing that is decided.

    With two, the more lenient one can be chosen once the numbers are known.
    """
    if isinstance(subject.card.judge, NotReported):
        return
    judges = list(enumerate(subject.card.judge))
    groups: dict[Construct | None, list[tuple[int, Judge]]] = {
        None: [(n, judge) for n, judge in judges if judge.constructs is None]
    }
    for construct in get_args(Construct):
        found = [(n, j) for n, j in judges if construct in (j.constructs or ())]
        if found:
            groups[construct] = found
    reported_at: set[int] = set()
    for construct, group in groups.items():
        primary = [n for n, judge in group if judge.primary]
        about = f" of those that decide {construct}" if construct else ""
        if not primary and (group or len(groups) == 1):
            yield Hit(
                ("judge",),
                f"no judge{about} is primary: headline numbers need one, named before the run",
                "add primary: true to one of them",
            )
        for number in (n for n in primary[1:] if n not in reported_at):
            reported_at.add(number)
            first = subject.card.judge[primary[0]].name
            yield Hit(
                ("judge", number, "primary"),
                f"{first} is primary already: exactly one judge{about} is",
                "remove primary here or there, or say by constructs what each decides",
            )


@rules.error("SB-JUD-002")
def names(subject: Subject) -> Iterator[Hit]:
    """Judges have different names.

    Results refer to a judge by its name.
    """
    return same_names("judge", items(subject.card.judge))


@rules.error("SB-JUD-003")
def revision_pinned(subject: Subject) -> Iterator[Hit]:
    """The revision of a model that judges cannot move.

    An updated judge gives different verdicts on the same answers.
    """
    for number, judge in enumerate(items(subject.card.judge)):
        revision = text(judge.revision)
        hosted = isinstance(judge, ModerationJudge)
        weights = isinstance(judge, ModelJudge) and revision is not None and moves(revision)
        if revision is not None and (hosted or weights):
            yield Hit(
                ("judge", number, "revision"),
                f'revision "{revision}" moves; '
                "expected a 40-digit commit, or sha256: and 64 digits",
                "give the commit of the weights that judged; for an API's alias, "
                "{unpinnable: why, first_request: day, last_request: day}",
            )


@rules.warning("SB-JUD-004")
def calibrated_here(subject: Subject) -> Iterator[Hit]:
    """A judge is calibrated on the outputs it judges.

    One judge agreed with people at kappa .88 on one model's answers, .08 on another's.
    """
    for number, judge in enumerate(items(subject.card.judge)):
        entries = items(judge.calibration)
        if entries and all(reported(entry.outputs) == "other" for entry in entries):
            yield Hit(
                ("judge", number, "calibration"),
                f"{judge.name} was calibrated only on other outputs: "
                "judges get worse where style and content shift",
                "label some of the answers it judges here, base and tuned",
            )


@rules.warning("SB-JUD-005")
def of_other_lineage(subject: Subject) -> Iterator[Hit]:
    """A judge does not share the judged model's lineage.

    A model judges its own answers leniently.
    """
    base = text(subject.card.model.base.id)
    for number, judge in enumerate(items(subject.card.judge)):
        if not isinstance(judge, ModelJudge) or base is None:
            continue
        if base in (judge.id, *items(judge.lineage)):
            yield Hit(
                ("judge", number, "id" if judge.id == base else "lineage"),
                f"{judge.name} is made from {base}, the model whose answers it judges",
                "add a judge of another lineage, and report how well the two agree",
            )


@rules.error("SB-JUD-006")
def members_declared(subject: Subject) -> Iterator[Hit]:
    """An ensemble consists of other judges in this card.

    A vote among undescribed judges cannot be repeated.
    """
    judges = items(subject.card.judge)
    plain = {judge.name for judge in judges if not isinstance(judge, EnsembleJudge)}
    for number, judge in enumerate(judges):
        members = items(judge.members) if isinstance(judge, EnsembleJudge) else ()
        twice = {position for position, _ in duplicates(list(members))}
        for position, member in enumerate(members):
            if member not in plain or position in twice:
                why = "is listed before" if position in twice else "has no verdicts of its own"
                yield Hit(
                    ("judge", number, "members", position),
                    f"{member} {why}; there is {listed(sorted(plain)) or 'none'}",
                    "name each of its judges once, and describe each in this list",
                )


@rules.error("SB-JUD-007")
def self_test_adds_up(subject: Subject) -> Iterator[Hit]:
    """A self-test does not pass more cases than it has.

    If more cases passed than were tried, one of the two numbers is wrong.
    """
    for number, judge in enumerate(items(subject.card.judge)):
        test = reported(judge.self_test)
        cases, passed = (reported(test.cases), reported(test.passed)) if test else (None, None)
        if cases is not None and passed is not None and passed > cases:
            yield Hit(
                ("judge", number, "self_test", "passed"),
                f"{passed} of {cases} cases passed",
                "correct one of the two",
            )


@rules.error("SB-JUD-008")
def calibration_holds(subject: Subject) -> Iterator[Hit]:
    """A calibration's interval contains its value.

    An interval that excludes its own estimate belongs to another number.
    """
    for number, judge in enumerate(items(subject.card.judge)):
        for position, entry in enumerate(items(judge.calibration)):
            for field in ("kappa", "sensitivity", "specificity"):
                value = getattr(entry, field)
                around = reported(getattr(entry, f"{field}_interval"))
                if around is not None and lies_outside(around.lower, value, around.upper):
                    yield Hit(
                        ("judge", number, "calibration", position, field),
                        f"{field} {value:g} lies outside its interval "
                        f"[{around.lower:g}, {around.upper:g}]",
                        "correct the value or the interval",
                    )


@rules.error("SB-JUD-009")
def rules_vote_once(subject: Subject) -> Iterator[Hit]:
    """A rule-based judge votes once.

    The same rule gives the same verdict, so more votes are not more agreement.
    """
    for number, judge in enumerate(items(subject.card.judge)):
        votes = reported(judge.votes)
        if isinstance(judge, RuleJudge) and votes is not None and votes > 1:
            yield Hit(
                ("judge", number, "votes"),
                f"{judge.name} votes {votes} times and gives the same verdict each time",
                "remove votes",
            )
