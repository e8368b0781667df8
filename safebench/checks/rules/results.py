"""Numbers of a report that contradict the protocol, or each other."""

from __future__ import annotations

from collections.abc import Iterator

from safebench.card.base import NotReported
from safebench.card.results import Change, PrimaryEstimand, Score, key_of
from safebench.checks.registry import Hit, Rules, Subject, duplicates, items, lies_outside, reported

rules = Rules("card.md#results")
TOLERANCE = 1e-9
"""Rounding error that a printed number may have."""

Number = Score | Change | PrimaryEstimand


def _numbers(subject: Subject) -> Iterator[tuple[str, int, Number]]:
    results = subject.card.given_results
    if results is not None:
        for field in ("primary", "scores", "changes"):
            for number, item in enumerate(getattr(results, field)):
                yield field, number, item


@rules.error("SB-RES-001")
def declared(subject: Subject) -> Iterator[Hit]:
    """Every number belongs to a declared task, decoding, judge and checkpoint.

    A setting added after the protocol was fixed may have been added for its result.
    """
    card = subject.card
    names: dict[str, set[object]] = {"task": {task.name for task in card.task_list()}}
    if isinstance(card.tasks, NotReported):
        del names["task"]
    for section in ("decoding", "judge"):
        declared_names = subject.declared(section)
        if declared_names is not None:
            names[section] = set(declared_names)
    if subject.checkpoints or subject.is_untuned:
        names["checkpoint"] = {*subject.checkpoints, None}
    for field, number, item in _numbers(subject):
        for name, allowed in names.items():
            value = getattr(item, name)
            if value not in allowed:
                yield Hit(
                    ("results", field, number, name),
                    f"{name} {value} is not declared in the protocol",
                    "declare it before measuring, or remove the number",
                )


@rules.error("SB-RES-002")
def interval_holds_point(subject: Subject) -> Iterator[Hit]:
    """An interval contains its estimate.

    An interval that excludes its own estimate belongs to another number.
    """
    for field, number, item in _numbers(subject):
        if isinstance(item, PrimaryEstimand):
            continue
        if lies_outside(item.lower, item.estimate, item.upper, TOLERANCE):
            yield Hit(
                ("results", field, number, "estimate"),
                f"estimate {item.estimate:g} lies outside its interval "
                f"[{item.lower:g}, {item.upper:g}]",
                "safebench score recomputes both from the evidence",
            )


@rules.error("SB-RES-003")
def score_is_quotient(subject: Subject) -> Iterator[Hit]:
    """The score of a run is its total divided by n.

    Total and n are what was counted; the score is only their quotient.
    """
    for number, score in enumerate(subject.scores):
        for position, run in enumerate(items(score.runs)):
            total, n, stated = reported(run.total), reported(run.n), reported(run.score)
            if None not in (total, n, stated) and abs(total / n - stated) > TOLERANCE:
                yield Hit(
                    ("results", "scores", number, "runs", position, "score"),
                    f"score is {stated:g}, but {total:g} / {n} is {total / n:g}",
                    "correct the count or the score",
                )


@rules.error("SB-RES-004")
def n_adds_up(subject: Subject) -> Iterator[Hit]:
    """N counts the responses of all runs, one per prompt in each run.

    A smaller n hides omitted responses.
    """
    for number, score in enumerate(subject.scores):
        counts = _counts(score)
        n, prompts = reported(score.n), reported(score.prompts)
        if counts is None:
            continue
        if n is not None and sum(counts) != n:
            yield Hit(
                ("results", "scores", number, "n"),
                f"n is {n}, but its runs ({len(counts)}) judge {sum(counts)} responses",
                "list every run with its n",
            )
            continue
        for position, judged in enumerate(counts):
            if prompts is not None and judged != prompts:
                yield Hit(
                    ("results", "scores", number, "runs", position, "n"),
                    f"the run has {judged} responses, but there are {prompts} prompts",
                    "every run answers every prompt once",
                )


def _counts(score: Score) -> list[int] | None:
    """Return the responses of every run; None unless all of them are known."""
    counts = [reported(run.n) for run in items(score.runs)]
    return counts if counts and None not in counts else None


@rules.error("SB-RES-005")
def seeds_declared(subject: Subject) -> Iterator[Hit]:
    """Every run has a declared training seed.

    An undeclared seed was not part of the plan.
    """
    listed = subject.training_seeds
    for number, score in enumerate(subject.scores):
        for position, run in enumerate(items(score.runs)):
            place = ("results", "scores", number, "runs", position, "training_seed")
            if isinstance(run.training_seed, NotReported):
                continue
            if score.condition == "base" and run.training_seed is not None:
                yield Hit(
                    place,
                    f"training seed {run.training_seed} of the base model, which has none",
                    "write null",
                )
            tuned = score.condition != "base"
            if tuned and listed is not None and run.training_seed not in listed:
                yield Hit(
                    place,
                    f"training seed {run.training_seed} is not in seeds.training",
                    "list every seed that was run in seeds.training",
                )


@rules.error("SB-RES-006")
def estimate_is_mean(subject: Subject) -> Iterator[Hit]:
    """An estimate is the mean of its runs.

    Run scores are published so that readers can check the mean.
    """
    for number, score in enumerate(subject.scores):
        counts, estimate = _counts(score), reported(score.estimate)
        totals = [reported(run.total) for run in items(score.runs)]
        if counts is None or estimate is None or None in totals:
            continue
        mean = sum(totals) / sum(counts)
        if abs(mean - estimate) > TOLERANCE:
            yield Hit(
                ("results", "scores", number, "estimate"),
                f"estimate is {estimate:g}, but the runs make {mean:g}",
                "safebench score recomputes it from the evidence",
            )


@rules.error("SB-RES-007")
def primary_declared(subject: Subject) -> Iterator[Hit]:
    """The primary estimand is the declared one.

    A headline chosen after the numbers are known is chosen for its result.
    """
    results = subject.card.given_results
    tasks = {task.name: task for task in subject.card.task_list()}
    for number, item in enumerate(results.primary if results else ()):
        plan = reported(tasks[item.task].primary) if item.task in tasks else None
        if plan is None:
            continue
        for field in ("checkpoint", "decoding", "judge"):
            stated, planned = getattr(item, field), getattr(plan, field)
            if field == "judge":
                planned = subject.card.answering_judge(planned, item.construct)
            if stated != planned:
                yield Hit(
                    ("results", "primary", number, field),
                    f"{field} is {stated}, but task {item.task} declared {planned}",
                    "report the estimand that was declared",
                )


@rules.error("SB-RES-008")
def once(subject: Subject) -> Iterator[Hit]:
    """A number is reported once.

    If one quantity has two numbers, a reader cannot know which is right.
    """
    keys: dict[str, list[tuple[object, ...]]] = {}
    for field, _, item in _numbers(subject):
        keys.setdefault(field, []).append(key_of(item))
    for field, found in keys.items():
        for number, key in duplicates(found):
            yield Hit(
                ("results", field, number),
                f"{' / '.join('-' if part is None else str(part) for part in key)} "
                "is reported a second time",
                "keep the one that the evidence gives",
            )


@rules.error("SB-RES-009")
def primary_measured(subject: Subject) -> Iterator[Hit]:
    """Every primary estimand has a score.

    The headline must be among the numbers.
    """
    measured = {key_of(score) for score in subject.scores}
    for field, number, item in _numbers(subject):
        if field == "primary" and key_of(item) not in measured:
            yield Hit(
                ("results", "primary", number),
                f"no score of {item.task} answers to this estimand",
                "report the score, or run the cells that are missing",
            )
