"""Judges: one of them is primary, all are told apart, none can move."""

from __future__ import annotations

from collections.abc import Iterator
from typing import get_args

from safebench.card.base import NotReported
from safebench.card.judge import EnsembleJudge, Judge, ModelJudge, ModerationJudge, RuleJudge
from safebench.card.task import Construct
from safebench.checks.registry import Hit, Subject, duplicates, items, known, listed, rule, text
from safebench.checks.rules.model import moves

_SECTION = "card.md#judge"


@rule(
    "SB-JUD-001",
    "error",
    section=_SECTION,
    title="Exactly one judge is primary for what it decides.",
    rationale="With two, the kinder one can be chosen once the numbers are known.",
)
def one_primary(subject: Subject) -> Iterator[Hit]:
    """Find none, or more than one, among those that decide the same things."""
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
    said: set[int] = set()
    for construct, group in groups.items():
        primary = [n for n, judge in group if judge.primary]
        about = f" of those that decide {construct}" if construct else ""
        if not primary and (group or len(groups) == 1):
            yield Hit(
                ("judge",),
                f"no judge{about} is primary: the headline numbers need one, named before the run",
                "add primary: true to one of them",
            )
        for number in (n for n in primary[1:] if n not in said):
            said.add(number)
            first = subject.card.judge[primary[0]].name
            yield Hit(
                ("judge", number, "primary"),
                f"{first} is primary already: exactly one judge{about} is",
                "remove primary here or there, or say by constructs what each decides",
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
    """Find branch names, tags and floating aliases of models and of moderation endpoints."""
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


@rule(
    "SB-JUD-004",
    "warning",
    section=_SECTION,
    title="A judge is calibrated on the outputs that it judges.",
    rationale="One judge agreed with people at kappa .88 on one model's answers, .08 on another's.",
)
def calibrated_here(subject: Subject) -> Iterator[Hit]:
    """Find primary judges whose only calibration is on other models' outputs."""
    for number, judge in enumerate(items(subject.card.judge)):
        entries = items(judge.calibration)
        if entries and all(known(entry.outputs) == "other" for entry in entries):
            yield Hit(
                ("judge", number, "calibration"),
                f"{judge.name} was calibrated on other outputs alone: "
                "judges get worse where style and content shift",
                "label some of the answers it judges here, base and tuned",
            )


@rule(
    "SB-JUD-005",
    "warning",
    section=_SECTION,
    title="A judge is not of the judged model's own lineage.",
    rationale="A model is a mild judge of its own answers.",
)
def of_other_lineage(subject: Subject) -> Iterator[Hit]:
    """Find judges made from the base model, or that are the base model."""
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


@rule(
    "SB-JUD-006",
    "error",
    section=_SECTION,
    title="An ensemble is made of other judges of this card.",
    rationale="A vote of judges that nobody describes is a judge that nobody can repeat.",
)
def members_declared(subject: Subject) -> Iterator[Hit]:
    """Find members that are not declared, that are ensembles, or that are listed twice."""
    judges = items(subject.card.judge)
    plain = {judge.name for judge in judges if not isinstance(judge, EnsembleJudge)}
    for number, judge in enumerate(judges):
        members = items(judge.members) if isinstance(judge, EnsembleJudge) else ()
        twice = {position for position, _ in duplicates(list(members))}
        for position, member in enumerate(members):
            if member not in plain or position in twice:
                said = "is listed before" if position in twice else "is no judge with own verdicts"
                yield Hit(
                    ("judge", number, "members", position),
                    f"{member} {said}; there is {listed(sorted(plain)) or 'none'}",
                    "name each of its judges once, and describe each in this list",
                )


@rule(
    "SB-JUD-007",
    "error",
    section=_SECTION,
    title="A self-test passes no more cases than it has.",
    rationale="More passed than tried is a mistake in one of the two.",
)
def self_test_adds_up(subject: Subject) -> Iterator[Hit]:
    """Find self-tests with passed > cases."""
    for number, judge in enumerate(items(subject.card.judge)):
        test = known(judge.self_test)
        cases, passed = (known(test.cases), known(test.passed)) if test else (None, None)
        if cases is not None and passed is not None and passed > cases:
            yield Hit(
                ("judge", number, "self_test", "passed"),
                f"{passed} of {cases} cases passed",
                "correct one of the two",
            )


@rule(
    "SB-JUD-008",
    "error",
    section=_SECTION,
    title="An interval of a calibration holds its value.",
    rationale="An interval that excludes its own point belongs to another number.",
)
def calibration_holds(subject: Subject) -> Iterator[Hit]:
    """Find kappa, sensitivity or specificity outside its interval."""
    for number, judge in enumerate(items(subject.card.judge)):
        for position, entry in enumerate(items(judge.calibration)):
            for field in ("kappa", "sensitivity", "specificity"):
                value = known(getattr(entry, field))
                around = known(getattr(entry, f"{field}_interval"))
                if value is None or around is None or around.lower <= value <= around.upper:
                    continue
                yield Hit(
                    ("judge", number, "calibration", position, field),
                    f"{field} {value:g} lies outside its interval "
                    f"[{around.lower:g}, {around.upper:g}]",
                    "correct the value or the interval",
                )


@rule(
    "SB-JUD-009",
    "error",
    section=_SECTION,
    title="A judge that reads by fixed rules votes once.",
    rationale="The same rule gives the same verdict: more votes are not more agreement.",
)
def rules_vote_once(subject: Subject) -> Iterator[Hit]:
    """Find rule judges with several votes."""
    for number, judge in enumerate(items(subject.card.judge)):
        votes = known(judge.votes)
        if isinstance(judge, RuleJudge) and votes is not None and votes > 1:
            yield Hit(
                ("judge", number, "votes"),
                f"{judge.name} votes {votes} times, and gives the same verdict each time",
                "remove votes",
            )
