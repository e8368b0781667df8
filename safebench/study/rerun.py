"""A submission as a plan to repeat it: with its weights, or with new training seeds."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Final, Literal

from safebench.card.base import require
from safebench.card.card import Card
from safebench.card.data import RenderingTemplate
from safebench.card.digest import generation_seed, protocol_digest
from safebench.card.judge import FileTemplate, ModelJudge
from safebench.card.model import ApiModel, ChatTemplateFromFile
from safebench.card.pinned import update
from safebench.card.submission import Repeats, Submitter
from safebench.card.task import PromptSample, Task, drawn
from safebench.errors import CardError
from safebench.evidence.submission import Submission
from safebench.files import inside
from safebench.judges.registry import missing
from safebench.stats.arms import FEWEST_PROMPTS
from safebench.study.cells import BlockFilter, training_seeds
from safebench.tuning.registry import trained

Repetition = Literal["rejudge", "regenerate", "retrain"]
"""The kinds of rerun that make a submission of their own."""
_PACKAGES: Final = ("torch", "transformers", "lm_eval", "peft", "trl")
_FEWEST_SEEDS: Final = 3
"""Fewest training seeds that a sample draws, if there are as many."""


@dataclass(frozen=True)
class Extent:
    """How much of a submission is repeated."""

    seeds: int | None = None
    """Number of training seeds, new ones or some of the original's; None is as many as it has."""
    fraction: float | None = None
    """Share of the prompts and of the original's training seeds that is drawn; all where None."""
    nonce: str = ""
    """Random text that the draw follows from."""
    new_noise: bool = False
    """Whether sampled responses are generated with another generation seed."""

    @property
    def is_drawn(self) -> bool:
        """Whether prompts are drawn."""
        return self.fraction is not None


def rerun_card(
    submission: Submission,
    kind: Repetition,
    submitter: Submitter,
    extent: Extent,
    base: Path | None = None,
) -> Card:
    """Return the protocol of a submission as a plan to repeat it.

    A task's local file outside the submission is not read: the task's own source, or the local
    copy that its environment variable names, takes its place, and its digest is checked.

    Args:
        submission: What is repeated.
        kind: `retrain` takes new training seeds, `regenerate` the original's weights, `rejudge` its
            responses.
        submitter: Who repeats it.
        extent: How much of it.
        base: The folder of its base model on this machine, where the submission does not hold it.

    Raises:
        CardError: it cannot be repeated: nothing was trained, it has no results or no weights, or
            it names files outside the submission.
    """
    if base is not None:
        placed = update(submission.card, model={"base": {"id": str(base.resolve())}})
        submission = submission.with_card(placed)
    _check_repeatable(submission, kind, base_is_given=base is not None)
    original, folder = submission.card, submission.folder
    digest = protocol_digest(original)
    tasks = tuple(
        task.model_copy(update={"path": None})
        if isinstance(task.path, str) and inside(folder, task.path) is None
        else task
        for task in original.task_list()
    )
    if extent.fraction is not None:
        tasks = tuple(_drawn_task(task, digest, extent) for task in tasks)
    card = update(
        original,
        submission={
            "id": f"{original.submission.id[:57]}-rerun",  # a name has at most 64 characters
            "title": f"Rerun of: {original.submission.id}",
            "submitter": submitter,
            "supersedes": None,
            "repeats": Repeats(protocol=digest, kind=kind),
        },
    )
    measured = dict.fromkeys(("environment", "results", "evidence"))
    # People are not asked again.
    judges = tuple(entry for entry in require(card.judge, "judge") if entry.kind != "human")
    card = card.model_copy(update={"tasks": tasks, "judge": judges, **measured})
    return _trained_anew(card, extent) if kind == "retrain" else _same_weights(card, digest, extent)


def _drawn_task(task: Task, digest: str, extent: Extent) -> Task:
    """Return a task with a sample of its prompts; at least as many as a verdict needs."""
    whole = int(require(task.prompts, f"tasks ({task.name}).prompts") or 0)
    count = min(whole, max(FEWEST_PROMPTS, math.ceil(whole * (extent.fraction or 1))))
    sample = PromptSample(prompts=count, nonce=extent.nonce, protocol=digest)
    filled = ("dataset_sha256", "prompts", "available")  # of the drawn ones, by the run
    return task.model_copy(update={"sample": sample, **dict.fromkeys(filled)})


def _trained_anew(card: Card, extent: Extent) -> Card:
    data = tuple(
        # What the base model answers itself, it answers anew.
        d.model_copy(update={"path": None, "sha256": None, "rendered_sha256": None})
        if d.answers is not None
        else d
        for d in require(card.data, "data")
    )
    seeds = {
        "scheme": "derived",
        "training": extent.seeds or len(seeds_of(card)),
        "generation": None,
        "registration": None,
        "series": "rerun",
        "origin": None,
    }
    card = update(card, model={"weights": None}, seeds=seeds)
    return card.model_copy(update={"data": data})


def _same_weights(card: Card, digest: str, extent: Extent) -> Card:
    """Return a card with the original's training seeds and weights, or with some of them.

    A sample draws at least three seeds, if there are as many: fewer show no spread.
    """
    seeds = seeds_of(card)
    count = len(seeds) if extent.seeds is None else min(extent.seeds, len(seeds))
    if extent.fraction is not None:
        count = min(count, max(_FEWEST_SEEDS, math.ceil(len(seeds) * extent.fraction)))
    names = drawn(digest, extent.nonce, "run", map(str, seeds), count)
    kept = tuple(seed for seed in seeds if str(seed) in names) if extent.is_drawn else seeds[:count]
    generation = require(require(card.seeds, "seeds").generation, "seeds.generation")
    if extent.new_noise:
        generation = generation_seed(update(card, seeds={"series": "rerun"}))
    declared = {
        "scheme": "declared",
        "training": kept,
        "generation": generation,
        "nonce": "self_derived",
        "nonce_source": None,
        "registration": None,
        "series": "original",
        "origin": "those of the original",
    }
    card = update(card, seeds=declared)
    if isinstance(card.model, ApiModel) or not card.is_tuned:
        return card
    listed = require(card.model.weights, "model.weights") or ()
    return update(card, model={"weights": tuple(w for w in listed if w.training_seed in kept)})


def seeds_of(card: Card) -> tuple[int, ...]:
    """Return the training seeds of a card that was executed; an untuned model has none."""
    given = training_seeds(card)
    if isinstance(given, int):
        raise CardError(
            "the card gives the number of its training seeds, and not the seeds",
            fix="retrain, with --kind retrain and --seeds N",
        )
    return given


def _check_repeatable(submission: Submission, kind: Repetition, *, base_is_given: bool) -> None:
    """Check that a submission can be repeated here; raises CardError with all that is missing."""
    if submission.card.given_results is None:
        raise CardError(
            "the card has no results to compare with", fix="execute it first: safebench run"
        )
    require(submission.card.seeds, "seeds")
    found = list(_obstacles(submission, kind, base_is_given=base_is_given))
    if found:
        raise CardError(
            "; ".join(what for what, _ in found), fix="; ".join(dict.fromkeys(f for _, f in found))
        )


def _obstacles(
    submission: Submission, kind: Repetition, *, base_is_given: bool
) -> Iterator[tuple[str, str]]:
    """Yield what prevents a rerun, each with a remedy; nothing is loaded, nobody is asked."""
    card, folder = submission.card, submission.folder
    yield from _outside(folder, _judge_files(card))
    judges = [e for e in require(card.judge, "judge") if e.kind != "human"]
    yield from ((one.what, one.how) for one in missing(judges, folder))
    results = card.given_results
    named = {estimand.judge for estimand in results.primary} if results is not None else set()
    people = sorted(named - {entry.name for entry in judges})
    if people:
        yield (
            f"primary estimands are decided by people ({', '.join(people)})",
            "let people label a sample of it: safebench judge audit",
        )
    if kind == "rejudge":
        return
    absent = [name for name in _PACKAGES if find_spec(name) is None]
    if absent:
        yield f"needs {', '.join(absent)}, not installed", "pip install 'safebench[run]'"
    if isinstance(card.model, ApiModel):
        if kind == "retrain" and card.is_tuned:
            yield (
                "model.access is `api`: what its provider fine-tuned cannot be retrained here",
                "have the provider fine-tune with new seeds, execute that card (safebench run), "
                "and compare the two: safebench compare DIR DIR",
            )
        return
    if kind == "retrain" and trained(card) is None:
        yield (
            "nothing was fine-tuned, so there is nothing to retrain",
            "repeat the generation: --kind regenerate",
        )
    elif kind == "regenerate" and card.is_tuned:
        yield from _absent_weights(submission)
    yield from _outside(folder, _files(card))
    if kind == "retrain":
        for pointer, path, what in _files(card):
            if inside(folder, path) is not None and not submission.path(path).is_file():
                yield (
                    f"{pointer}: {path}, the {what}, is not there",
                    "ask the submission's authors for its files",
                )
    name = require(card.model.base.id, "model.base.id")
    if not (base_is_given or name.startswith("builtin:") or inside(folder, name)):
        yield (
            f"model.base.id {name!r} leaves the submission",
            "say where the base model is on this machine, with --model; its digest is checked",
        )


def _absent_weights(submission: Submission) -> Iterator[tuple[str, str]]:
    listed = require(submission.card.loadable_model.weights, "model.weights") or ()
    paths = [weights.path for weights in listed if isinstance(weights.path, str)]
    absent = [
        path
        for path in paths
        if inside(submission.folder, path) is None or not submission.path(path).is_dir()
    ]
    if absent or not listed:
        what = f"{len(absent)} of {len(listed)}, the first {absent[0]}" if absent else "none listed"
        yield (
            f"the weights are not in the submission ({what})",
            "ask its authors for adapters/, or fine-tune anew: --kind retrain",
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


def _judge_files(card: Card) -> Iterator[tuple[str, str, str]]:
    """Yield every local file of the judges in the same form; a Hub name counts as inside."""
    for number, judge in enumerate(require(card.judge, "judge")):
        if isinstance(judge, ModelJudge):
            yield f"judge[{number}].id", require(judge.id, f"judge[{number}].id"), "judges"
            if isinstance(judge.template, FileTemplate):
                yield f"judge[{number}].template.path", judge.template.path, "templates"


def _outside(folder: Path, files: Iterable[tuple[str, str, str]]) -> Iterator[tuple[str, str]]:
    """Yield the files outside of the submission, which are never opened."""
    for pointer, path, what in files:
        if inside(folder, path) is None:
            yield (
                f"{pointer} {path!r} leaves the submission",
                f"a submission carries its {what} inside its folder",
            )


def primary_blocks(original: Card) -> BlockFilter:
    """Return a function that tells whether a block is needed for the primary estimands."""
    results = original.given_results
    needed: set[tuple[str, int | None, str]] = set()
    scores = results.scores if results is not None else ()
    for estimand in (results.primary if results is not None else ()) or scores:
        needed.add((estimand.condition, estimand.checkpoint, estimand.decoding))
        needed.add(("base", None, estimand.decoding))
    return lambda block: (block.condition, block.checkpoint, block.decoding) in needed
