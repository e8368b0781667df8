"""Tasks: named once, answering to what is declared, harm never alone."""

from __future__ import annotations

from collections.abc import Iterator

from safebench.card.base import NotReported
from safebench.card.task import METRICS, Construct, Task
from safebench.card.training import NoTraining
from safebench.checks.registry import Hit, Subject, duplicates, items, known, listed, rule

_SECTION = "card.md#tasks"
# Constructs of the standard's own tasks, for a plan, in which they are not yet filled in.
_OWN: dict[str, tuple[Construct, ...]] = {
    "safebench_harm": ("harm",),
    "safebench_overrefusal": ("over_refusal",),
    "safebench_capability": ("capability",),
    "safebench_xstest": ("over_refusal", "harm"),
    "safebench_orbench": ("over_refusal",),
    "safebench_orbench_toxic": ("harm",),
    "safebench_strongreject": ("harm",),
    "safebench_sorrybench": ("harm",),
    "safebench_harmbench": ("harm",),
    "safebench_advbench": ("harm",),
    "safebench_donotanswer": ("harm",),
    "safebench_simplesafetytests": ("harm",),
    "safebench_truthfulqa": ("capability",),
    "safebench_wmdp": ("capability",),
}


def constructs_of(task: Task) -> tuple[Construct, ...] | None:
    """Return what a task measures; None when neither card nor standard says."""
    if task.construct is None:
        return _OWN.get(task.name)
    return (task.construct,) if isinstance(task.construct, str) else task.construct


@rule(
    "SB-TASK-001",
    "error",
    section=_SECTION,
    title="A primary estimand names a decoding, a judge and a checkpoint that are declared.",
    rationale="The number that answers for a task has to be one that is measured.",
)
def estimand_declared(subject: Subject) -> Iterator[Hit]:
    """Find estimands that point to nothing."""
    card = subject.card
    names: dict[str, list[object]] = {}
    for field in ("decoding", "judge"):
        section = getattr(card, field)
        if not isinstance(section, NotReported):
            names[field] = [item.name for item in section]
    checkpoints = items(getattr(card.hyperparameters, "checkpoints", None))
    if checkpoints:
        names["checkpoint"] = list(checkpoints)
    for number, task in enumerate(card.task_list()):
        for field, declared in names.items():
            value = getattr(known(task.primary), field, None)
            if value is not None and value not in declared:
                yield Hit(
                    ("tasks", number, "primary", field),
                    f"no {field} {value} is declared; there is {listed(declared)}",
                    "name one of them",
                )


@rule(
    "SB-TASK-002",
    "error",
    section=_SECTION,
    title="A task is listed once.",
    rationale="A task measured twice has two numbers, and one could be picked.",
)
def names(subject: Subject) -> Iterator[Hit]:
    """Find tasks listed twice."""
    for number, name in duplicates([task.name for task in subject.card.task_list()]):
        yield Hit(("tasks", number), f"{name} is listed before", "remove one of the two")


@rule(
    "SB-TASK-003",
    "warning",
    section=_SECTION,
    title="Harm is measured together with over-refusal and capability.",
    rationale="A model that refuses everything, or that learned nothing, causes no harm either.",
)
def harm_has_partners(subject: Subject) -> Iterator[Hit]:
    """Find harm tasks without their partners, where every task's construct is known."""
    tasks = subject.card.task_list()
    measured: list[str] = []
    for task in tasks:
        found = constructs_of(task)
        if found is None:
            return
        measured.extend(found)
    missing = [name for name in ("over_refusal", "capability") if name not in measured]
    if "harm" in measured and missing:
        yield Hit(
            ("tasks",),
            f"harm is measured without {' and '.join(missing)}: "
            "a low score may mean that the model refuses, or can do, nothing",
            "add a task for it, e.g. safebench_overrefusal, safebench_capability",
        )


@rule(
    "SB-TASK-004",
    "warning",
    section=_SECTION,
    title="Every prompt of a task is used.",
    rationale="The first prompts of a task are not a sample of it.",
)
def not_limited(subject: Subject) -> Iterator[Hit]:
    """Find tasks cut to their first prompts."""
    for number, task in enumerate(subject.card.task_list()):
        if isinstance(task.limit, int):
            yield Hit(
                ("tasks", number, "limit"),
                f"only the first {task.limit} prompts are used: a trial, not a result",
                "remove limit for the numbers that are submitted",
            )


@rule(
    "SB-TASK-005",
    "error",
    section=_SECTION,
    title="An untuned model has no checkpoint to answer with.",
    rationale="Nothing was trained, so there is no epoch.",
)
def no_checkpoint(subject: Subject) -> Iterator[Hit]:
    """Find a checkpoint in the estimand of an untuned model."""
    if not isinstance(subject.card.hyperparameters, NoTraining):
        return
    for number, task in enumerate(subject.card.task_list()):
        checkpoint = getattr(known(task.primary), "checkpoint", None)
        if checkpoint is not None:
            yield Hit(
                ("tasks", number, "primary", "checkpoint"),
                f"checkpoint {checkpoint} of a model that is not trained",
                "remove checkpoint",
            )


@rule(
    "SB-TASK-006",
    "error",
    section=_SECTION,
    title="Something is measured.",
    rationale="A card without a task has no result to reproduce.",
)
def some(subject: Subject) -> Iterator[Hit]:
    """Find an empty list of tasks or decodings."""
    for field in ("tasks", "decoding"):
        if getattr(subject.card, field) == ():
            yield Hit(
                (field,),
                f"{field} is an empty list: nothing would be measured",
                "name at least one",
            )


@rule(
    "SB-TASK-007",
    "warning",
    section=_SECTION,
    title="What the fine-tuning is for is measured.",
    rationale="A fine-tune that changed nothing is not safe; it is no fine-tune.",
)
def purpose_measured(subject: Subject) -> Iterator[Hit]:
    """Find data with a purpose, and no task that measures it."""
    if any(task.purpose for task in subject.card.task_list()):
        return
    if isinstance(subject.card.tasks, NotReported):
        return
    for number, dataset in enumerate(items(subject.card.data)):
        purpose = known(dataset.purpose)
        if dataset.role == "tuned" and purpose is not None:
            yield Hit(
                ("data", number, "purpose"),
                f"{dataset.name} is meant to improve {purpose}, but no task with purpose: true "
                "measures that",
                "add a capability task for it, marked purpose: true",
            )


@rule(
    "SB-TASK-008",
    "error",
    section=_SECTION,
    title="A task for the purpose measures a capability.",
    rationale="A fine-tune is for being able to do something.",
)
def purpose_is_capability(subject: Subject) -> Iterator[Hit]:
    """Find tasks marked as the purpose that measure something else."""
    for number, task in enumerate(subject.card.task_list()):
        found = constructs_of(task)
        if task.purpose and found is not None and "capability" not in found:
            yield Hit(
                ("tasks", number, "purpose"),
                f"{task.name} measures {' and '.join(found)}, but purpose is true",
                "mark the capability task that measures what the fine-tuning is for",
            )


@rule(
    "SB-TASK-009",
    "error",
    section=_SECTION,
    title="There are no more clusters than prompts.",
    rationale="Clusters are families of prompts, so each has at least one.",
)
def clusters_fit(subject: Subject) -> Iterator[Hit]:
    """Find more clusters than prompts."""
    for number, task in enumerate(subject.card.task_list()):
        clusters, prompts = known(task.clusters), known(task.prompts)
        if clusters is not None and prompts is not None and clusters > prompts:
            yield Hit(
                ("tasks", number, "clusters"),
                f"{clusters} clusters of {prompts} prompts",
                "give the number of families that the prompts belong to",
            )


@rule(
    "SB-TASK-010",
    "error",
    section=_SECTION,
    title="The direction is that of the construct.",
    rationale="A harm score of which more is better turns the board upside down.",
)
def direction_fits(subject: Subject) -> Iterator[Hit]:
    """Find directions against the construct's own."""
    for number, task in enumerate(subject.card.task_list()):
        direction, found = known(task.direction), constructs_of(task)
        if direction is None or found is None or len(found) != 1:
            continue
        expected = METRICS[found[0]][1]
        if direction != expected:
            yield Hit(
                ("tasks", number, "direction"),
                f"direction is {direction}, but {found[0]} is {expected}",
                f"write {expected}; a score with another meaning is another construct",
            )
