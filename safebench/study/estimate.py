"""The work of a plan, counted before anything is spent, without model libraries or the Hub."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, cast

import rfc8785

from safebench.card.base import require
from safebench.card.card import Card
from safebench.card.digest import causal_fields
from safebench.card.model import ApiModel, ChatTemplateFromFile
from safebench.card.task import Task
from safebench.card.training import Training
from safebench.errors import RunError, TaskError
from safebench.evidence.store import Store
from safebench.evidence.submission import Submission
from safebench.harness.catalogue import entry
from safebench.harness.tasks import check_task, file_of, measured_tasks, read_task, trial_of
from safebench.judges.interface import Missing
from safebench.judges.registry import kind_of, missing
from safebench.models.conversation import template_file
from safebench.study.cells import (
    Block,
    Nth,
    list_blocks,
    pick_shard,
    runs_of,
    training_seeds,
)
from safebench.study.pins import carry_data, pin_seeds
from safebench.study.plan import Draft, listed_weights, make_draft

_FILLED_IN = ("sha256", "rendered_sha256", "dataset_sha256", "version", "effective")
"""Causal fields that a run fills in where a card leaves them out."""


@dataclass(frozen=True)
class Grid:
    """The cells of a card, and the sizes of what it names."""

    card: Card
    blocks: tuple[Block, ...]
    """Training seeds that are not derived yet are given by their places."""
    shard: str
    prompts: Mapping[str, int]
    """Number of prompts by task."""
    examples: Mapping[str, int]
    """Number of training examples by condition."""
    answers: tuple[tuple[str, str, int], ...]
    """Sets that the base model answers itself: condition, decoding, number of questions."""
    uncounted: tuple[str, ...]
    """What only a run can look at, in words."""
    missing: tuple[Missing, ...] = ()
    """What the judges need and this machine lacks."""


@dataclass(frozen=True)
class Estimate:
    """What is to be fine-tuned and generated."""

    fine_tunings: int
    updates: int
    """Optimizer steps of one fine-tuning; fewer where examples are packed."""
    examples: int
    """Examples that one fine-tuning sees, counted once for each epoch."""
    responses: int
    """Responses that are judged."""
    answers: int
    """Answers that the base model gives to make training data."""
    new_tokens: int
    """Upper bound of the tokens that are generated."""
    given_weights: int
    """Sets of weights that the card lists; nothing is fine-tuned for them."""


def count_grid(submission: Submission, *, shard: str, limit: int | None, elsewhere: bool) -> Grid:
    """Count what a card asks for; takes the arguments of `make_plan`.

    Raises:
        SafebenchError: as `make_plan`, where it can be known without the Hub.
    """
    part = pick_shard(shard)
    draft = make_draft(submission, limit=limit, elsewhere=elsewhere, hub=False)
    _check_files(draft.submission)
    tasks, prompts, unread = _prompts(draft.submission)
    card = draft.submission.card.model_copy(update={"tasks": tasks})
    if require(card.seeds, "seeds").scheme == "declared":
        card = pin_seeds(card)
    blocks = list(list_blocks(card))
    seeded = [block for block in blocks if not isinstance(block.training_seed, Nth)]
    if len(seeded) == len(blocks) or not isinstance(card.model, ApiModel):
        listed_weights(submission.with_card(card), seeded, hub=False)
    answers = tuple(
        (
            one.dataset.role,
            one.decoding.name,
            int(require(one.dataset.examples, "data.examples") or 0),
        )
        for one in draft.self_answered
    )
    rest = (*unread, *_uncounted(draft, is_derived=len(seeded) < len(blocks)))
    lacking = tuple(missing(require(card.judge, "judge"), submission.folder))
    examples = draft.data.examples
    return Grid(card, tuple(part(blocks)), shard, prompts, examples, answers, rest, lacking)


def _check_files(submission: Submission) -> None:
    """Check that chat templates, and files that a provider has, are there."""
    model = submission.card.model
    if isinstance(model, ApiModel):
        carry_data(submission)
        return
    for name in ("chat_template", "training_chat_template"):
        template = getattr(model, name)
        if isinstance(template, ChatTemplateFromFile):
            template_file(template.path, submission.folder, f"model.{name}")


def _prompts(submission: Submission) -> tuple[tuple[Task, ...], dict[str, int], list[str]]:
    """Return the tasks, the number of prompts of each, and which of them were not counted."""
    tasks, counts, unread = [], {}, []
    for number, task in enumerate(measured_tasks(submission.card)):
        file = file_of(task, number, submission.folder)
        limit = require(task.limit, f"tasks[{number}].limit")
        found = read_task(task.name, file=file, limit=limit, sample=task.sample)
        if found is not None:
            check_task(number, task, found)
            tasks.append(task.model_copy(update=trial_of(task, found)))
            counts[task.name] = len(found.documents)
            continue
        tasks.append(task)
        listed = entry(task.name, file)
        if listed.problem is not None:
            raise TaskError(listed.problem)
        published = listed.prompts or 0
        counts[task.name] = published if limit is None else min(limit, published)
        if listed.prompts_from == "as_published":
            size = f"{published} prompts as published" if published else "of unknown number"
            unread.append(f"the prompts of {task.name}, which are on the Hub ({size})")
    return tuple(tasks), counts, unread


def _uncounted(draft: Draft, *, is_derived: bool) -> Iterator[str]:
    """Yield what a run reads and was not read here, in words."""
    card = draft.submission.card
    if is_derived:
        yield "the training seeds, derived from digests that the run takes (#1 is the first)"
    if draft.base.commit is not None:
        yield f"the base model on the Hub, {draft.base.source}"
    if draft.data.examples:
        for number, dataset in enumerate(require(card.data, "data")):
            if dataset.answers is None and number not in draft.data.sets:
                yield f"the set {dataset.name} on the Hub ({dataset.examples} examples by the card)"
    for weights in require(getattr(card.model, "weights", None), "model.weights") or ():
        if weights.path is None:
            yield f"the weights on the Hub, {weights.id}"
    for judge in require(card.judge, "judge"):
        is_asked = getattr(judge, "access", "weights") == "api"
        listed = missing([judge], draft.submission.folder)
        if any(one.thing == "weights" for one in listed):
            continue  # said with how to get them
        if kind_of(judge, f"judge {judge.name}").loads_weights and not is_asked:
            yield f"the weights of judge {judge.name}"


def grid_begun(grid: Grid, store: Store) -> Grid | None:
    """Return a grid with the seeds that its run in a folder has derived.

    None where the folder holds no run, or that of another protocol.
    """
    try:
        made = Submission.read(store.folder).card if store.is_finished else store.claim().card
    except RunError:  # nothing is there, or nothing that a run could go on with
        return None
    if _decided(causal_fields(made)) != _decided(causal_fields(grid.card)):
        return None
    seeds = cast("tuple[int, ...]", training_seeds(made))
    blocks = []
    for block in grid.blocks:
        place = block.training_seed
        if isinstance(place, Nth) and place <= len(seeds):
            block = replace(block, training_seed=seeds[place - 1])
        blocks.append(block)
    return replace(grid, blocks=tuple(blocks))


def _decided(fields: Any) -> Any:
    """Return the part of causal fields that a run does not fill in, lists in a canonical order."""
    if isinstance(fields, dict):
        return {name: _decided(value) for name, value in fields.items() if name not in _FILLED_IN}
    if isinstance(fields, list):
        return sorted(map(_decided, fields), key=rfc8785.dumps)
    return fields


def estimate(grid: Grid) -> Estimate:
    """Return what the cells of a grid take, as far as the card determines it."""
    longest = {
        d.name: int(require(d.max_new_tokens, "decoding.max_new_tokens"))
        for d in require(grid.card.decoding, "decoding")
    }
    prompts = sum(grid.prompts.values())
    conditions = {block.condition for block in grid.blocks}
    asked = [(name, count) for role, name, count in grid.answers if role in conditions]
    tokens = sum(b.repeats * prompts * longest[b.decoding] for b in grid.blocks)
    tokens += sum(count * longest[name] for name, count in asked)
    tuned = [block for block in grid.blocks if block.training_seed is not None]
    given = grid.card.is_trained_elsewhere
    updates, examples = _training(grid) if tuned and not given else (0, 0)
    return Estimate(
        fine_tunings=0 if given else len(runs_of(tuned)),
        updates=updates,
        examples=examples,
        responses=sum(b.repeats for b in grid.blocks) * prompts,
        answers=sum(count for _, count in asked),
        new_tokens=tokens,
        given_weights=len({b.weights for b in tuned}) if given else 0,
    )


def length_in_epochs(recipe: Training, rows: Sequence[Any]) -> float:
    """Return the epochs of a fine-tuning, also where its recipe counts steps."""
    epochs, steps = require(recipe.epochs, "epochs"), require(recipe.steps, "steps")
    if epochs is not None:
        return float(epochs)
    return int(steps or 0) / max(1, math.ceil(len(rows) / _batch(recipe)))


def _batch(recipe: Training) -> int:
    batch = require(recipe.batch_size, "hyperparameters.batch_size")
    factors = (batch.per_device, batch.gradient_accumulation)
    return math.prod(int(require(factor, "hyperparameters.batch_size")) for factor in factors)


def _training(grid: Grid) -> tuple[int, int]:
    """Return updates and examples of the longest fine-tuning."""
    recipe = require(grid.card.hyperparameters, "hyperparameters")
    if not isinstance(recipe, Training):
        return 0, 0
    rows = max(grid.examples.values(), default=0)
    size = _batch(recipe)
    steps, epochs = require(recipe.steps, "steps"), require(recipe.epochs, "epochs")
    if steps is not None:
        return int(steps), int(steps) * size
    return math.ceil(rows / size) * int(epochs or 0), rows * int(epochs or 0)
