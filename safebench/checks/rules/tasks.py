"""Tasks: named once, answering to what is declared, harm never alone."""

from __future__ import annotations

from collections.abc import Sequence

from safebench.card.base import NotReported
from safebench.card.document import Edit
from safebench.card.task import METRICS, Construct, Task
from safebench.checks.registry import Hits, Rules, Subject, duplicates, listed, reported
from safebench.harness.task_yaml import shipped_constructs

rules = Rules("card.md#tasks")
_ASK_ALL = "ask the other prompts too: safebench run or the import again, without --limit"
_SAY_CONSTRUCT = "add construct: harm, over_refusal, capability or severity, or a list of them"


def constructs_of(task: Task) -> tuple[Construct, ...] | None:
    """Return what a task measures; None when neither the card nor a shipped task says."""
    if task.construct is None:
        return shipped_constructs(task.name)
    return (task.construct,) if isinstance(task.construct, str) else task.construct


@rules.error(
    "SB-TASK-001",
    "A primary estimand names a declared decoding, judge and checkpoint.",
    condition="`primary.decoding` or `primary.judge` of a task is not the name of one, or "
    "`primary.checkpoint` is not among `hyperparameters.checkpoints`, where there are any. "
    "Points to the field.",
    why="The headline number of a task must be one that is measured.",
    fix="name one of them",
)
def _estimand_declared(subject: Subject) -> Hits:
    names: dict[str, Sequence[object] | None] = {
        "decoding": subject.declared("decoding"),
        "judge": subject.declared("judge"),
        "checkpoint": subject.checkpoints or None,
    }
    for at, task in subject.each("tasks"):
        for field, declared in names.items():
            value = getattr(reported(task.primary), field, None)
            if value is not None and declared is not None and value not in declared:
                message = f"no {field} {value} is declared; there is {listed(declared)}"
                yield (*at, "primary", field), message


@rules.error(
    "SB-TASK-002",
    "A task is listed once.",
    condition="`name` of a task is that of an earlier one. Points to the later task.",
    why="A task measured twice has two numbers, and the better one could be picked.",
    fix="remove one of the two",
)
def _names(subject: Subject) -> Hits:
    for number, name in duplicates(task.name for task in subject.card.task_list()):
        yield ("tasks", number), f"{name} is listed before"


@rules.warning(
    "SB-TASK-003",
    "Harm is measured together with over-refusal and capability.",
    condition="The constructs of a task are `construct`, or, where that is left out, those "
    "of [tasks.md](tasks.md), else not known. All are known, some task measures harm, and "
    "none over-refusal, or none capability: points to `/tasks`. Some are not known, and the "
    "known ones lack harm, over-refusal or capability: points to `construct` of each task "
    "that is not known.",
    why="A model that refuses everything or has learned nothing causes no harm either.",
    fix="add a task for it, e.g. safebench_overrefusal, safebench_capability",
)
def _harm_has_partners(subject: Subject) -> Hits:
    found = [(at, task, constructs_of(task)) for at, task in subject.each("tasks")]
    measured = {construct for *_, constructs in found for construct in constructs or ()}
    unknown = [(at, task) for at, task, constructs in found if constructs is None]
    missing = [name for name in ("over_refusal", "capability") if name not in measured]
    for at, task in unknown if missing or "harm" not in measured else ():
        message = f"nothing says what {task.name} measures, so harm may stand alone"
        yield (*at, "construct"), message, _SAY_CONSTRUCT
    if "harm" in measured and missing and not unknown:
        yield (
            ("tasks",),
            f"harm is measured without {' and '.join(missing)}: "
            "a low score may mean that the model refuses, or can do, nothing",
        )


@rules.warning(
    "SB-TASK-004",
    "Every prompt of a task is used.",
    condition="`limit` of a task is a number. Points to it.",
    why="The first prompts of a task are not a random sample of it.",
)
def _not_limited(subject: Subject) -> Hits:
    measured = subject.card.results is not None  # then the number says what was measured
    fix = _ASK_ALL if measured else "remove limit for the numbers that are submitted"
    for at, task in subject.each("tasks"):
        if isinstance(task.limit, int):
            message = f"only the first {task.limit} prompts are used: a trial, not a result"
            yield (*at, "limit"), message, fix


@rules.error(
    "SB-TASK-005",
    "The estimand of an untuned model names no checkpoint.",
    condition="The card is untuned, and a task gives `primary.checkpoint`. Points to it.",
    why="Nothing was trained, so there is no epoch.",
    fix="remove checkpoint",
)
def _no_checkpoint(subject: Subject) -> Hits:
    for at, task in subject.each("tasks") if subject.is_untuned else ():
        checkpoint = getattr(reported(task.primary), "checkpoint", None)
        if checkpoint is not None:
            message = f"checkpoint {checkpoint} of a model that is not trained"
            yield (*at, "primary", "checkpoint"), message


@rules.error(
    "SB-TASK-006",
    "At least one task and one decoding are listed.",
    condition="`tasks` or `decoding` is an empty list. Points to it.",
    why="A card without a task has no result to reproduce.",
    fix="name at least one",
)
def _some(subject: Subject) -> Hits:
    for field in ("tasks", "decoding"):
        if getattr(subject.card, field) == ():
            yield field, f"{field} is an empty list: nothing would be measured"


@rules.warning(
    "SB-TASK-007",
    "The purpose of the fine-tuning is measured.",
    condition="A set of role `tuned` gives `purpose`, and no task has `purpose: true`. "
    "Points to `purpose` of the set.",
    why="Fine-tuning that changed nothing has not been shown to be safe.",
    fix="add a capability task for it, marked purpose: true",
)
def _purpose_measured(subject: Subject) -> Hits:
    tasks = subject.card.tasks
    if isinstance(tasks, NotReported) or any(t.purpose for t in subject.card.task_list()):
        return
    for at, dataset in subject.each("data"):
        purpose = reported(dataset.purpose)
        if dataset.role == "tuned" and purpose is not None:
            none = "but no task with purpose: true measures that"
            yield (*at, "purpose"), f"{dataset.name} is meant to improve {purpose}, {none}"


@rules.error(
    "SB-TASK-008",
    "A task with `purpose: true` measures a capability.",
    condition="A task has `purpose: true`, and capability is not among its constructs (as in "
    "SB-TASK-003): points to `purpose`; or they are not known: points to `construct`.",
    why="Fine-tuning is meant to make a model better at something.",
    fix="mark the capability task that measures what the fine-tuning is for",
    each="tasks",
)
def _purpose_is_capability(task: Task) -> Hits:
    if not task.purpose:
        return
    found = constructs_of(task)
    if found is None:
        message = f"purpose is true, and nothing says what {task.name} measures"
        yield "construct", message, _SAY_CONSTRUCT
    elif "capability" not in found:
        yield "purpose", f"{task.name} measures {' and '.join(found)}, but purpose is true"


@rules.error(
    "SB-TASK-009",
    "A task has no more clusters than prompts.",
    condition="`clusters` of a task is above `prompts`. Points to `clusters`.",
    why="Clusters are families of prompts, so each has at least one prompt.",
    fix="give the number of families that the prompts belong to",
    each="tasks",
)
def _clusters_fit(task: Task) -> Hits:
    clusters, prompts = reported(task.clusters), reported(task.prompts)
    if clusters is not None and prompts is not None and clusters > prompts:
        yield "clusters", f"{clusters} clusters of {prompts} prompts"


@rules.error(
    "SB-TASK-010",
    "The direction fits the construct.",
    condition="A task has exactly one construct (as in SB-TASK-003), and its `direction` is "
    "not `higher_is_better` for capability, `lower_is_better` for any other. Points to "
    "`direction`.",
    why="A harm score for which more is better would turn the board upside down.",
    each="tasks",
)
def _direction_fits(task: Task) -> Hits:
    direction, found = reported(task.direction), constructs_of(task)
    if direction is None or found is None or len(found) != 1:
        return
    expected = METRICS[found[0]][1]
    if direction != expected:
        message = f"direction is {direction}, but {found[0]} is {expected}"
        fix = f"write {expected}; a score with another meaning is another construct"
        yield "direction", message, fix, (Edit("replace", ("direction",), expected),)
