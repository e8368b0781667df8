"""Numbers of a report that contradict the protocol, or each other."""

from __future__ import annotations

from collections.abc import Iterator

from safebench.card.base import NotReported
from safebench.card.results import Change, PrimaryEstimand, Score, key_of
from safebench.card.training import NoTraining
from safebench.checks.registry import Hit, Subject, duplicates, items, known, rule

_SECTION = "card.md#results"
TOLERANCE = 1e-9
"""Rounding that a written number may carry."""

Number = Score | Change | PrimaryEstimand


def _numbers(subject: Subject) -> Iterator[tuple[str, int, Number]]:
    results = subject.card.given_results
    if results is not None:
        for field in ("primary", "scores", "changes"):
            for number, item in enumerate(getattr(results, field)):
                yield field, number, item


def scores_of(subject: Subject) -> tuple[Score, ...]:
    """Return the scores of a card; none in a plan."""
    return subject.card.given_results.scores if subject.card.given_results is not None else ()


@rule(
    "SB-RES-001",
    "error",
    section=_SECTION,
    title="Every number belongs to a task, decoding, judge and checkpoint that is declared.",
    rationale="A setting that was added after the protocol was fixed was added for its result.",
)
def declared(subject: Subject) -> Iterator[Hit]:
    """Find numbers for settings that the protocol does not have."""
    card = subject.card
    names: dict[str, set[object]] = {"task": {task.name for task in card.task_list()}}
    if isinstance(card.tasks, NotReported):
        del names["task"]
    for field in ("decoding", "judge"):
        section = getattr(card, field)
        if not isinstance(section, NotReported):
            names[field] = {item.name for item in section}
    checkpoints = items(getattr(card.hyperparameters, "checkpoints", None))
    if checkpoints or isinstance(card.hyperparameters, NoTraining):
        names["checkpoint"] = {*checkpoints, None}
    for field, number, item in _numbers(subject):
        for name, known_names in names.items():
            value = getattr(item, name)
            if value not in known_names:
                yield Hit(
                    ("results", field, number, name),
                    f"{name} {value} is not declared in the protocol",
                    "declare it before measuring, or remove the number",
                )


@rule(
    "SB-RES-002",
    "error",
    section=_SECTION,
    title="An interval holds its estimate.",
    rationale="An interval that excludes its own point belongs to another number.",
)
def interval_holds_point(subject: Subject) -> Iterator[Hit]:
    """Find lower > estimate or estimate > upper."""
    for field, number, item in _numbers(subject):
        if isinstance(item, PrimaryEstimand):
            continue
        lower, estimate, upper = known(item.lower), known(item.estimate), known(item.upper)
        if None in (lower, estimate, upper):
            continue
        if not lower - TOLERANCE <= estimate <= upper + TOLERANCE:
            yield Hit(
                ("results", field, number, "estimate"),
                f"estimate {estimate:g} lies outside its interval [{lower:g}, {upper:g}]",
                "safebench score recomputes both from the evidence",
            )


@rule(
    "SB-RES-003",
    "error",
    section=_SECTION,
    title="The score of a run is its total over n.",
    rationale="Total and n are the counts; the score is only their quotient.",
)
def score_is_quotient(subject: Subject) -> Iterator[Hit]:
    """Find run scores that are not total / n."""
    for number, score in enumerate(scores_of(subject)):
        for position, run in enumerate(items(score.runs)):
            total, n, stated = known(run.total), known(run.n), known(run.score)
            if None not in (total, n, stated) and abs(total / n - stated) > TOLERANCE:
                yield Hit(
                    ("results", "scores", number, "runs", position, "score"),
                    f"score is {stated:g}, but {total:g} / {n} is {total / n:g}",
                    "correct the count or the score",
                )


@rule(
    "SB-RES-004",
    "error",
    section=_SECTION,
    title="The n of a number counts the responses of all runs, one per prompt in each.",
    rationale="A smaller n hides responses that were left out.",
)
def n_adds_up(subject: Subject) -> Iterator[Hit]:
    """Find n that its runs do not make, and runs that skipped prompts."""
    for number, score in enumerate(scores_of(subject)):
        counts = _counts(score)
        n, prompts = known(score.n), known(score.prompts)
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
    counts = [known(run.n) for run in items(score.runs)]
    return counts if counts and None not in counts else None


@rule(
    "SB-RES-005",
    "error",
    section=_SECTION,
    title="Every run has a training seed that is declared.",
    rationale="An undeclared seed is one that was added to, or left out of, the plan.",
)
def seeds_declared(subject: Subject) -> Iterator[Hit]:
    """Find runs with a seed that the protocol does not list, or without one."""
    training = known(getattr(subject.card.seeds, "training", None))
    listed = set(training) if isinstance(training, tuple) else None
    for number, score in enumerate(scores_of(subject)):
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


@rule(
    "SB-RES-006",
    "error",
    section=_SECTION,
    title="An estimate is the mean of its runs.",
    rationale="Run scores are printed so that a reader can add them up.",
)
def estimate_is_mean(subject: Subject) -> Iterator[Hit]:
    """Find estimates that their runs do not make; 12 decimals of each run are kept."""
    for number, score in enumerate(scores_of(subject)):
        counts, estimate = _counts(score), known(score.estimate)
        totals = [known(run.total) for run in items(score.runs)]
        if counts is None or estimate is None or None in totals:
            continue
        mean = sum(totals) / sum(counts)
        if abs(mean - estimate) > TOLERANCE:
            yield Hit(
                ("results", "scores", number, "estimate"),
                f"estimate is {estimate:g}, but the runs make {mean:g}",
                "safebench score recomputes it from the evidence",
            )


@rule(
    "SB-RES-007",
    "error",
    section=_SECTION,
    title="The primary estimand is the one that was declared.",
    rationale="A headline chosen after the numbers are known is chosen for its number.",
)
def primary_declared(subject: Subject) -> Iterator[Hit]:
    """Find primary estimands that differ from the task's declaration."""
    results = subject.card.given_results
    tasks = {task.name: task for task in subject.card.task_list()}
    for number, item in enumerate(results.primary if results else ()):
        plan = known(tasks[item.task].primary) if item.task in tasks else None
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


@rule(
    "SB-RES-008",
    "error",
    section=_SECTION,
    title="A number is reported once.",
    rationale="Of two numbers for one thing, a reader cannot know which holds.",
)
def once(subject: Subject) -> Iterator[Hit]:
    """Find a second score or change for the same combination."""
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


@rule(
    "SB-RES-009",
    "error",
    section=_SECTION,
    title="A construct that is reported as primary has its score.",
    rationale="The headline has to be among the numbers.",
)
def primary_measured(subject: Subject) -> Iterator[Hit]:
    """Find primary estimands without a score."""
    measured = {key_of(score) for score in scores_of(subject)}
    for field, number, item in _numbers(subject):
        if field == "primary" and key_of(item) not in measured:
            yield Hit(
                ("results", "primary", number),
                f"no score of {item.task} answers to this estimand",
                "report the score, or run the cells that are missing",
            )
