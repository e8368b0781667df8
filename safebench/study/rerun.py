"""Repeating a submission with new training seeds, and the verdict on what came out."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from safebench.card.base import require
from safebench.card.card import Card
from safebench.card.data import RenderingTemplate
from safebench.card.model import ApiModel, ChatTemplateFromFile
from safebench.card.pinned import update
from safebench.card.submission import Submitter
from safebench.errors import CardError
from safebench.evidence.submission import Submission
from safebench.files import inside
from safebench.study.cells import BlockFilter
from safebench.tuning.registry import trained


def rerun_card(
    submission: Submission, seeds: int, submitter: Submitter, base: Path | None = None
) -> Card:
    """Return the protocol of a submission as a plan with new training seeds.

    A task's local file outside the submission is not read: the task's own source, or the local
    copy that its environment variable names, takes its place, and its digest is checked.

    Args:
        submission: What is repeated.
        seeds: How many.
        submitter: Who repeats it.
        base: The folder of its base model on this machine, where the submission does not hold it.

    Raises:
        CardError: it cannot be repeated: nothing was trained, it has no results, or it names files
            outside the submission.
    """
    if base is not None:
        placed = update(submission.card, model={"base": {"id": str(base.resolve())}})
        submission = submission.with_card(placed)
    _check_repeatable(submission, base_is_given=base is not None)
    original, folder = submission.card, submission.folder
    tasks = tuple(
        task.model_copy(update={"path": None})
        if isinstance(task.path, str) and inside(folder, task.path) is None
        else task
        for task in original.task_list()
    )
    data = tuple(
        # What the base model answers itself, it answers anew.
        d.model_copy(update={"path": None, "sha256": None, "rendered_sha256": None})
        if d.answers is not None
        else d
        for d in require(original.data, "data")
    )
    card = update(
        original,
        submission={
            "id": f"{original.submission.id[:57]}-rerun",
            "title": f"Rerun of: {original.submission.id}",
            "submitter": submitter,
            "supersedes": None,
        },
        model={"weights": None},
        seeds={
            "scheme": "derived",
            "training": seeds,
            "generation": None,
            "registration": None,
            "series": "rerun",
            "origin": None,
        },
    )
    measured = dict.fromkeys(("environment", "results", "evidence"))
    return card.model_copy(update={"data": data, "tasks": tasks, **measured})


def _check_repeatable(submission: Submission, *, base_is_given: bool) -> None:
    """Check that a submission can be repeated here; raises CardError."""
    original, folder = submission.card, submission.folder
    if isinstance(original.model, ApiModel) and original.is_tuned:
        raise CardError(
            "model.access is `api`: what its provider fine-tuned cannot be retrained here",
            fix="have the provider fine-tune with new seeds, execute that card (safebench run), "
            "and compare the two: safebench compare DIR DIR",
        )
    if trained(original) is None:
        raise CardError("nothing was fine-tuned, so there is nothing to retrain")
    if original.given_results is None:
        raise CardError(
            "the card has no results to compare with", fix="execute it first: safebench run"
        )
    require(original.seeds, "seeds")
    for pointer, path, what in _files(original):
        if inside(folder, path) is None:
            raise CardError(
                f"{pointer} {path!r} leaves the submission",
                fix=f"a submission carries its {what} inside its folder",
            )
    name = require(original.model.base.id, "model.base.id")
    if not (base_is_given or name.startswith("builtin:") or inside(folder, name)):
        raise CardError(
            f"model.base.id {name!r} leaves the submission",
            fix="say where the base model is on this machine, with --model; its digest is checked",
        )


def _files(card: Card) -> Iterator[tuple[str, str, str]]:
    """Yield every local file of a recipe: its field in the card, its path, what it is."""
    for number, dataset in enumerate(require(card.data, "data")):
        pointer = f"data[{number}]"
        if isinstance(dataset.template, RenderingTemplate):
            path = require(dataset.template.path, f"{pointer}.template.path")
            yield f"{pointer}.template.path", path, "rendering template"
        data = require(dataset.path, f"{pointer}.path")
        if data is not None:
            yield f"{pointer}.path", data, "training data"
    model = card.loadable_model
    for name in ("chat_template", "training_chat_template"):
        template = getattr(model, name)
        if isinstance(template, ChatTemplateFromFile):
            path = require(template.path, f"model.{name}.path")
            yield f"model.{name}.path", path, "chat template"
    for number, judge in enumerate(require(card.judge, "judge")):
        if judge.kind == "classifier":
            yield f"judge[{number}].id", require(judge.id, f"judge[{number}].id"), "classifiers"


def primary_blocks(original: Card) -> BlockFilter:
    """Return a function that tells whether a block is needed for the primary estimands."""
    results = original.given_results
    needed: set[tuple[str, int | None, str]] = set()
    for estimand in results.primary if results is not None else ():
        needed.add((estimand.condition, estimand.checkpoint, estimand.decoding))
        needed.add(("base", None, estimand.decoding))
    return lambda block: (block.condition, block.checkpoint, block.decoding) in needed
