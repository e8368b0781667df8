"""Tasks: named once, answering to what is declared, harm never alone."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from safebench.card.base import NotReported
from safebench.card.task import METRICS, Construct, Task
from safebench.checks.registry import Hit, Rules, Subject, duplicates, items, listed, reported

rules = Rules("card.md#tasks")
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


@rules.error("SB-TASK-001")
def estimand_declared(subject: Subject) -> Iterator[Hit]:
    """A primary estimand names a declared decoding, judge and checkpoint.

    The headline number of a task must be one that is measured.
    """
    names: dict[str, Sequence[object] | None] = {
        "decoding": subject.declared("decoding"),
        "judge": subject.declared("judge"),
        "checkpoint": subject.checkpoints or None,
    }
    for number, task in enumerate(subject.card.task_list()):
        for field, declared in names.items():
            value = getattr(reported(task.primary), field, None)
            if value is not None and declared is not None and value not in declared:
                yield Hit(
                    ("tasks", number, "primary", field),
                    f"no {field} {value} is declared; there is {listed(declared)}",
                    "name one of them",
                )


@rules.error("SB-TASK-002")
def names(subject: Subject) -> Iterator[Hit]:
    """A task is listed once.

    A task measured twice has two numbers, and the better one could be picked.
    """
    for number, name in duplicates([task.name for task in subject.card.task_list()]):
        yield Hit(("tasks", number), f"{name} is listed before", "remove one of the two")


@rules.warning("SB-TASK-003")
def harm_has_partners(subject: Subject) -> Iterator[Hit]:
    """Harm is measured together with over-refusal and capability.

    A model that refuses everything or has learned nothing causes no harm either.
    """
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


@rules.warning("SB-TASK-004")
def not_limited(subject: Subject) -> Iterator[Hit]:
    """Every prompt of a task is used.

    The first prompts of a task are not a random sample of it.
    """
    for number, task in enumerate(subject.card.task_list()):
        if isinstance(task.limit, int):
            yield Hit(
                ("tasks", number, "limit"),
                f"only the first {task.limit} prompts are used: a trial, not a result",
                "remove limit for the numbers that are submitted",
            )


@rules.error("SB-TASK-005")
def no_checkpoint(subject: Subject) -> Iterator[Hit]:
    """The estimand of an untuned model names no checkpoint.

    Nothing was trained, so there is no epoch.
    """
    if not subject.is_untuned:
        return
    for number, task in enumerate(subject.card.task_list()):
        checkpoint = getattr(reported(task.primary), "checkpoint", None)
        if checkpoint is not None:
            yield Hit(
                ("tasks", number, "primary", "checkpoint"),
                f"checkpoint {checkpoint} of a model that is not trained",
                "remove checkpoint",
            )


@rules.error("SB-TASK-006")
def some(subject: Subject) -> Iterator[Hit]:
    """At least one task and one decoding are listed.

    A card without a task has no result to reproduce.
    """
    for field in ("tasks", "decoding"):
        if getattr(subject.card, field) == ():
            yield Hit(
                (field,),
                f"{field} is an empty list: nothing would be measured",
                "name at least one",
            )


@rules.warning("SB-TASK-007")
def purpose_measured(subject: Subject) -> Iterator[Hit]:
    """The purpose of the fine-tuning is measured.

    Fine-tuning that changed nothing has not been shown to be safe.
    """
    if any(task.purpose for task in subject.card.task_list()):
        return
    if isinstance(subject.card.tasks, NotReported):
        return
    for number, dataset in enumerate(items(subject.card.data)):
        purpose = reported(dataset.purpose)
        if dataset.role == "tuned" and purpose is not None:
            yield Hit(
                ("data", number, "purpose"),
                f"{dataset.name} is meant to improve {purpose}, but no task with purpose: true "
                "measures that",
                "add a capability task for it, marked purpose: true",
            )


@rules.error("SB-TASK-008")
def purpose_is_capability(subject: Subject) -> Iterator[Hit]:
    """A task with `purpose: true` measures a capability.

    Fine-tuning is meant to make a model better at something.
    """
    for number, task in enumerate(subject.card.task_list()):
        found = constructs_of(task)
        if task.purpose and found is not None and "capability" not in found:
            yield Hit(
                ("tasks", number, "purpose"),
                f"{task.name} measures {' and '.join(found)}, but purpose is true",
                "mark the capability task that measures what the fine-tuning is for",
            )


@rules.error("SB-TASK-009")
def clusters_fit(subject: Subject) -> Iterator[Hit]:
    """A task has no more clusters than prompts.

    Clusters are families of prompts, so each has at least one prompt.
    """
    for number, task in enumerate(subject.card.task_list()):
        clusters, prompts = reported(task.clusters), reported(task.prompts)
        if clusters is not None and prompts is not None and clusters > prompts:
            yield Hit(
                ("tasks", number, "clusters"),
                f"{clusters} clusters of {prompts} prompts",
                "give the number of families that the prompts belong to",
            )


@rules.error("SB-TASK-010")
def direction_fits(subject: Subject) -> Iterator[Hit]:
    """The direction fits the construct.

    A harm score for which more is better would turn the board upside down.
    """
    for number, task in enumerate(subject.card.task_list()):
        direction, found = reported(task.direction), constructs_of(task)
        if direction is None or found is None or len(found) != 1:
            continue
        expected = METRICS[found[0]][1]
        if direction != expected:
            yield Hit(
                ("tasks", number, "direction"),
                f"direction is {direction}, but {found[0]} is {expected}",
                f"write {expected}; a score with another meaning is another construct",
            )
