"""Numbers of a report that contradict the protocol, or each other."""

from __future__ import annotations

from collections.abc import Iterator

from safebench.card.base import NotReported
from safebench.card.document import Pointer
from safebench.card.results import Change, PrimaryEstimand, Score, key_of
from safebench.checks.registry import (
    Hits,
    Rules,
    Subject,
    duplicates,
    items,
    lies_outside,
    reported,
)

rules = Rules("card.md#results")
TOLERANCE = 1e-9
"""Rounding error that a printed number may have."""

Number = Score | Change | PrimaryEstimand


def _numbers(subject: Subject) -> Iterator[tuple[Pointer, Number]]:
    for field in ("primary", "scores", "changes"):
        yield from subject.each(f"results.{field}")


@rules.error(
    "SB-RES-001",
    "Every number belongs to a declared task, decoding, judge and checkpoint.",
    condition="`task`, `decoding` or `judge` of a number is not the name of one, or its "
    "`checkpoint` is neither null nor among `hyperparameters.checkpoints`. Where there are "
    "none, checkpoints are not compared, except that an untuned card has null alone. Points "
    "to the field of the number.",
    why="A setting added after the protocol was fixed may have been added for its result.",
    fix="declare it before measuring, or remove the number",
)
def _declared(subject: Subject) -> Hits:
    names: dict[str, set[object]] = {}
    if not isinstance(subject.card.tasks, NotReported):
        names["task"] = {task.name for task in subject.card.task_list()}
    for section in ("decoding", "judge"):
        declared = subject.declared(section)
        if declared is not None:
            names[section] = set(declared)
    if subject.checkpoints or subject.is_untuned:
        names["checkpoint"] = {*subject.checkpoints, None}
    for at, item in _numbers(subject):
        for name, allowed in names.items():
            value = getattr(item, name)
            if value not in allowed:
                yield (*at, name), f"{name} {value} is not declared in the protocol"


@rules.error(
    "SB-RES-002",
    "An interval contains its estimate.",
    condition="`estimate` of a score or change is below `lower` or above `upper` by more than "
    f"{TOLERANCE:g}. Points to `estimate`.",
    why="An interval that excludes its own estimate belongs to another number.",
    fix="safebench score recomputes both from the evidence",
    each=_numbers,
)
def _interval_holds_point(item: Number) -> Hits:
    if isinstance(item, PrimaryEstimand):
        return
    if lies_outside(item.lower, item.estimate, item.upper, TOLERANCE):
        interval = f"its interval [{item.lower:g}, {item.upper:g}]"
        yield "estimate", f"estimate {item.estimate:g} lies outside {interval}"


@rules.error(
    "SB-RES-003",
    "The score of a run is its total divided by n.",
    condition=f"`score` of a run differs from `total` / `n` by more than {TOLERANCE:g}. Points to "
    "`score`.",
    why="Total and n are what was counted; the score is only their quotient.",
    fix="correct the count or the score",
    each="results.scores",
)
def _score_is_quotient(score: Score) -> Hits:
    for position, run in enumerate(items(score.runs)):
        total, n, value = reported(run.total), reported(run.n), reported(run.score)
        if None not in (total, n, value) and abs(total / n - value) > TOLERANCE:
            message = f"score is {value:g}, but {total:g} / {n} is {total / n:g}"
            yield ("runs", position, "score"), message


@rules.error(
    "SB-RES-004",
    "N counts the responses of all runs, one per prompt in each run.",
    condition="Every run of a score gives `n`, and there is one: `n` of the score is not "
    "their sum: points to `n`; else `n` of a run is not `prompts` of the score: points to "
    "`n` of the run.",
    why="A smaller n hides omitted responses.",
    each="results.scores",
)
def _n_adds_up(score: Score) -> Hits:
    counts, n, prompts = _counts(score), reported(score.n), reported(score.prompts)
    if counts is None:
        return
    if n is not None and sum(counts) != n:
        message = f"n is {n}, but its runs ({len(counts)}) judge {sum(counts)} responses"
        yield "n", message, "list every run with its n"
        return
    for position, judged in enumerate(counts):
        if prompts is not None and judged != prompts:
            message = f"the run has {judged} responses, but there are {prompts} prompts"
            yield ("runs", position, "n"), message, "every run answers every prompt once"


def _counts(score: Score) -> list[int] | None:
    """Return the responses of every run; None unless all of them are known."""
    counts = [reported(run.n) for run in items(score.runs)]
    return counts if counts and None not in counts else None


@rules.error(
    "SB-RES-005",
    "Every run has a declared training seed.",
    condition="The training seed of a run is another than null in a score of condition "
    "`base`, or, in one of another condition, is not in the list `seeds.training`, null "
    "included. Points to `training_seed` of the run.",
    why="An undeclared seed was not part of the plan.",
)
def _seeds_declared(subject: Subject) -> Hits:
    declared = subject.training_seeds
    for at, score in subject.each("results.scores"):
        for position, run in enumerate(items(score.runs)):
            place, seed = (*at, "runs", position, "training_seed"), run.training_seed
            if isinstance(seed, NotReported):
                continue
            if score.condition == "base" and seed is not None:
                message = f"training seed {seed} of the base model, which has none"
                yield place, message, "write null"
            if score.condition != "base" and declared is not None and seed not in declared:
                message = f"training seed {seed} is not in seeds.training"
                yield place, message, "list every seed that was run in seeds.training"


@rules.error(
    "SB-RES-006",
    "An estimate is the mean of its runs.",
    condition="Every run of a score gives `n` and `total`, and `estimate` differs from the "
    f"sum of totals / the sum of n by more than {TOLERANCE:g}. Points to `estimate`.",
    why="Run scores are published so that readers can check the mean.",
    fix="safebench score recomputes it from the evidence",
    each="results.scores",
)
def _estimate_is_mean(score: Score) -> Hits:
    counts, estimate = _counts(score), reported(score.estimate)
    totals = [reported(run.total) for run in items(score.runs)]
    if counts is None or estimate is None or None in totals:
        return
    mean = sum(totals) / sum(counts)
    if abs(mean - estimate) > TOLERANCE:
        yield "estimate", f"estimate is {estimate:g}, but the runs make {mean:g}"


@rules.error(
    "SB-RES-007",
    "The primary estimand is the declared one.",
    condition="The task of an entry of `results.primary` gives `primary` with another "
    "`checkpoint` (left out is null) or `decoding`, or the entry's `judge` is not the one "
    "that [answers](card.md#judge) for its construct. Points to the field of the entry.",
    why="A headline chosen after the numbers are known is chosen for its result.",
    fix="report the estimand that was declared",
)
def _primary_declared(subject: Subject) -> Hits:
    declared = {task.name: reported(task.primary) for task in subject.card.task_list()}
    for at, item in subject.each("results.primary"):
        plan = declared.get(item.task)
        for field in ("checkpoint", "decoding", "judge") if plan is not None else ():
            value, planned = getattr(item, field), getattr(plan, field)
            if field == "judge":
                planned = subject.card.answering_judge(planned, item.construct)
            if value != planned:
                yield (*at, field), f"{field} is {value}, but task {item.task} declared {planned}"


@rules.error(
    "SB-RES-008",
    "A number is reported once.",
    condition="A number has the key of an earlier one of its list. Points to the later number.",
    why="If one quantity has two numbers, a reader cannot know which is right.",
    fix="keep the one that the evidence gives",
)
def _once(subject: Subject) -> Hits:
    for field in ("primary", "scores", "changes"):
        keys = [key_of(item) for _, item in subject.each(f"results.{field}")]
        for number, key in duplicates(keys):
            what = " / ".join("-" if part is None else str(part) for part in key)
            yield ("results", field, number), f"{what} is reported a second time"


@rules.error(
    "SB-RES-009",
    "Every primary estimand has a score.",
    condition="No score has the key of an entry of `results.primary`. Points to the entry.",
    why="The headline must be among the numbers.",
    fix="report the score, or run the cells that are missing",
)
def _primary_measured(subject: Subject) -> Hits:
    measured = {key_of(score) for score in subject.scores}
    for at, item in subject.each("results.primary"):
        if key_of(item) not in measured:
            yield at, f"no score of {item.task} answers to this estimand"
