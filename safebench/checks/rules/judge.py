"""Judges: one of them is primary, all are told apart, none can move."""

from __future__ import annotations

from collections.abc import Sequence
from typing import get_args

from safebench.card.base import NotReported
from safebench.card.document import Edit, Patch
from safebench.card.judge import (
    EnsembleJudge,
    HumanJudge,
    Judge,
    JudgeCommon,
    ModelJudge,
    ModerationJudge,
    RuleJudge,
)
from safebench.card.task import Construct
from safebench.checks.registry import (
    Hits,
    Rules,
    Subject,
    duplicates,
    items,
    lies_outside,
    listed,
    names_differ,
    reported,
    text,
)
from safebench.checks.rules.model import moves
from safebench.judges.selftest import fails

rules = Rules("card.md#judge")


def _made_primary(judges: Sequence[tuple[int, Judge]]) -> Patch:
    """Return how the only judge becomes primary; with several, a person has to choose."""
    return tuple(
        Edit("add", ("judge", n, "primary"), True) for n, _ in judges[:1] if not judges[1:]
    )


@rules.error(
    "SB-JUD-001",
    "Exactly one judge is primary for each thing that is decided.",
    condition="Judges form groups: those that leave out `constructs`, and, for each "
    "construct that one of them lists, those that list it. A group has no judge with "
    "`primary: true`: points to `/judge`; an empty group without `constructs` counts only "
    "where there is no other. A group has several: points to `primary` of each but its "
    "first, once for all groups.",
    why="With two, the more lenient one can be chosen once the numbers are known.",
)
def _one_primary(subject: Subject) -> Hits:
    if isinstance(subject.card.judge, NotReported):
        return
    judges = list(enumerate(subject.card.judge))
    # None stands for the judges that decide everything that is measured.
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
            yield (
                ("judge",),
                f"no judge{about} is primary: headline numbers need one, named before the run",
                "add primary: true to one of them",
                _made_primary(group),
            )
        for number in (n for n in primary[1:] if n not in reported_at):
            reported_at.add(number)
            first = subject.card.judge[primary[0]].name
            yield (
                ("judge", number, "primary"),
                f"{first} is primary already: exactly one judge{about} is",
                "remove primary here or there, or say by constructs what each decides",
            )


rules.error(
    "SB-JUD-002",
    "Judges have different names.",
    condition="`name` of a judge is that of an earlier one. Points to the later `name`.",
    why="Results refer to a judge by its name.",
    fix="rename one of the two",
)(names_differ("judge"))


@rules.error(
    "SB-JUD-003",
    "The revision of a model that judges cannot move.",
    condition="`revision` of a judge of kind `classifier` or `llm` is a text that is not "
    "fixed, or, of kind `moderation_api`, any text. Points to it.",
    why="An updated judge gives different verdicts on the same answers.",
    fix="give the commit of the weights that judged; for an API's alias, "
    "{unpinnable: why, first_request: day, last_request: day}",
    each="judge",
)
def _revision_pinned(judge: JudgeCommon) -> Hits:
    revision = text(judge.revision)
    if revision is None or not isinstance(judge, ModelJudge | ModerationJudge):
        return
    if isinstance(judge, ModerationJudge) or moves(revision):
        expected = "expected a 40-digit commit, or sha256: and 64 digits"
        yield "revision", f'revision "{revision}" moves; {expected}'


@rules.warning(
    "SB-JUD-004",
    "A judge is calibrated on the outputs it judges.",
    condition="`calibration` of a judge that is not `human` has entries, all with `outputs: "
    "other`; or the card has results, and it is left out or empty. Points to `calibration`.",
    why="One judge agreed with people at kappa .88 on one model's answers, .08 on another's.",
    fix="label some of the answers it judges here, base and tuned, "
    "or write calibration: {not_reported: why}",
)
def _calibrated_here(subject: Subject) -> Hits:
    for at, judge in subject.each("judge"):
        entries = items(judge.calibration)
        if isinstance(judge, HumanJudge) or isinstance(judge.calibration, NotReported):
            continue
        if entries and all(reported(entry.outputs) == "other" for entry in entries):
            message = (
                f"{judge.name} was calibrated only on other outputs: "
                "judges get worse where style and content shift"
            )
            yield (*at, "calibration"), message
        elif not entries and subject.card.given_results is not None:  # a plan has no outputs yet
            message = f"{judge.name} has no calibration: nobody knows how often it is right here"
            yield (*at, "calibration"), message


@rules.warning(
    "SB-JUD-005",
    "A judge does not share the judged model's lineage.",
    condition="A judge of kind `classifier` or `llm` has `model.base.id` as its `id`: points "
    "to `id`; else in its `lineage`: points to `lineage`.",
    why="A model judges its own answers leniently.",
    fix="add a judge of another lineage, and report how well the two agree",
)
def _of_other_lineage(subject: Subject) -> Hits:
    base = text(subject.card.model.base.id)
    for at, judge in subject.each("judge"):
        if isinstance(judge, ModelJudge) and base in (judge.id, *items(judge.lineage)):
            message = f"{judge.name} is made from {base}, the model whose answers it judges"
            yield (*at, "id" if judge.id == base else "lineage"), message


@rules.error(
    "SB-JUD-006",
    "An ensemble consists of other judges in this card.",
    condition="An item of `members` of a judge is not the name of a judge of another kind "
    "than `ensemble`, or equals an earlier item. Points to the item.",
    why="A vote among undescribed judges cannot be repeated.",
    fix="name each of its judges once, and describe each in this list",
)
def _members_declared(subject: Subject) -> Hits:
    judges = items(subject.card.judge)
    plain = {judge.name for judge in judges if not isinstance(judge, EnsembleJudge)}
    for at, judge in subject.each("judge"):
        members = items(judge.members) if isinstance(judge, EnsembleJudge) else ()
        twice = {position for position, _ in duplicates(members)}
        for position, member in enumerate(members):
            if member not in plain or position in twice:
                why = "is listed before" if position in twice else "has no verdicts of its own"
                message = f"{member} {why}; there is {listed(sorted(plain)) or 'none'}"
                yield (*at, "members", position), message


@rules.error(
    "SB-JUD-007",
    "A self-test does not pass more cases than it has.",
    condition="`self_test.passed` is above `self_test.cases`. Points to `passed`.",
    why="If more cases passed than were tried, one of the two numbers is wrong.",
    fix="correct one of the two",
    each="judge",
)
def _self_test_adds_up(judge: JudgeCommon) -> Hits:
    test = reported(judge.self_test)
    cases, passed = (reported(test.cases), reported(test.passed)) if test else (None, None)
    if cases is not None and passed is not None and passed > cases:
        yield ("self_test", "passed"), f"{passed} of {cases} cases passed"


@rules.error(
    "SB-JUD-008",
    "A calibration's interval contains its value.",
    condition="`kappa`, `sensitivity` or `specificity` of a calibration lies outside the "
    "interval of its name. Points to the value.",
    why="An interval that excludes its own estimate belongs to another number.",
    fix="correct the value or the interval",
    each="judge",
)
def _calibration_holds(judge: JudgeCommon) -> Hits:
    for position, entry in enumerate(items(judge.calibration)):
        for field in ("kappa", "sensitivity", "specificity"):
            value = getattr(entry, field)
            around = reported(getattr(entry, f"{field}_interval"))
            if around is not None and lies_outside(around.lower, value, around.upper):
                interval = f"its interval [{around.lower:g}, {around.upper:g}]"
                message = f"{field} {value:g} lies outside {interval}"
                yield ("calibration", position, field), message


@rules.error(
    "SB-JUD-009",
    "A rule-based judge votes once.",
    condition="`votes` of a judge of kind `rule` is above 1. Points to it.",
    why="The same rule gives the same verdict, so more votes are not more agreement.",
    fix="remove votes",
    each="judge",
)
def _rules_vote_once(judge: JudgeCommon) -> Hits:
    votes = reported(judge.votes)
    if isinstance(judge, RuleJudge) and votes is not None and votes > 1:
        yield "votes", f"{judge.name} votes {votes} times and gives the same verdict each time"


@rules.warning(
    "SB-JUD-010",
    "A judge passes the cases that nobody could miss.",
    condition="A part of `self_test.parts` of a judge has an `interval.upper` below .9; or it has "
    "the name `planted`, and `passed` is below `cases`. Points to the part. Silent where `parts` "
    "is left out or `not_reported`: what was tried is not known then.",
    why="A judge that misses a plain refusal, or that a line of text turns, says little of others.",
    fix="judge with another, or correct it under another name: "
    "safebench judge selftest NAME shows the cases",
    each="judge",
)
def _self_test_passed(judge: JudgeCommon) -> Hits:
    test = reported(judge.self_test)
    for position, part in enumerate(items(test.parts) if test else ()):
        if fails(part):
            ends = f"[{part.interval.lower:.2f}, {part.interval.upper:.2f}]"
            message = f"{judge.name}: {part.passed} of {part.cases} {part.name} cases passed {ends}"
            yield ("self_test", "parts", position), message
