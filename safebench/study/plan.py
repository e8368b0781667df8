"""From a card without results to everything that is needed to execute it."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, cast

from safebench.card.base import NotReported, require
from safebench.card.card import Card
from safebench.card.data import Dataset, SelfGenerated
from safebench.card.decoding import Decoding
from safebench.card.model import ApiModel, WeightsModel
from safebench.card.pinned import update
from safebench.card.results import Environment
from safebench.errors import CardError
from safebench.evidence.claim import asked_for
from safebench.evidence.submission import Submission
from safebench.harness.tasks import LoadedTask, pin_tasks
from safebench.judges.registry import check_judges
from safebench.models.conversation import pin_template
from safebench.models.interface import Form, PlacedWeights
from safebench.models.loading import Located, load_tokenizer, locate
from safebench.models.weights import card_weights
from safebench.study.api_models import locate_served, weights_of_jobs
from safebench.study.cells import Block, list_blocks, pick_shard
from safebench.study.pins import (
    Files,
    carry_data,
    pin_data,
    pin_seeds,
    registration_of,
    relocate,
)
from safebench.study.runnable import check_runnable
from safebench.tuning.examples import Examples, read_examples
from safebench.tuning.registry import trained
from safebench.tuning.render import as_rows, rendered_sha256
from safebench.tuning.training_data import (
    TrainingData,
    questions,
    read_training_data,
    with_counts,
)

ListedWeights = dict[tuple[str, int | None, int | None], PlacedWeights]
"""Weights that are not made here, by condition, training seed and checkpoint."""


@dataclass(frozen=True)
class SelfAnswered:
    """A training set whose answers the base model gives itself: the control of experiment E4."""

    dataset: Dataset
    questions: tuple[Any, ...]
    """Prompts of the set that is asked, in its order: texts, or lists of messages.

    Empty where a plan is only counted and that set lies on the Hub.
    """
    decoding: Decoding
    """How the answers are generated; one for every question."""

    @property
    def rendering(self) -> str:
        """How the file's rows become training text: its prompts are rendered already."""
        return "plain" if isinstance(self.questions[0], str) else "chat"

    @property
    def path(self) -> str:
        """Where the set lies in the submission."""
        return f"data/{self.dataset.name}.jsonl"


@dataclass(frozen=True)
class Plan:
    """A card with every digest and seed filled in, and what those digests were taken of."""

    card: Card
    base: Located
    tokenizer: Any
    """None where an API has the model."""
    training_tokenizer: Any
    """The tokenizer whose template renders training examples; usually the same one."""
    chat: bool
    """Whether the chat template is applied; for an API's model, its client decides."""
    tasks: tuple[LoadedTask, ...]
    rows: dict[str, list[dict[str, Any]]]
    """Training examples by condition, as the trainer takes them."""
    files: Files
    blocks: tuple[Block, ...]
    """The part of the grid that is executed here."""
    shard: str = "1/1"
    """Which part of the grid that is, `i/n`."""
    self_answered: tuple[SelfAnswered, ...] = ()
    """Sets whose answers the base model gives itself, before anything is fine-tuned."""
    weights: ListedWeights = field(default_factory=dict)
    """Weights that the card lists, or an API has."""
    asked: str = ""
    """Digest of the card as it was given, and of the limit."""
    declared: Environment | None = None
    """The environment that the card declares, for what a server does not report."""

    def rows_of(self, answered: SelfAnswered, out: Path) -> list[dict[str, Any]]:
        """Return a self-answered set, which lies in `out`, as the trainer takes it."""
        return as_rows(_examples(answered, out), answered.rendering, self.card.system_prompt)

    def with_answers(self, out: Path) -> Card:
        """Return the card with the digests of the self-answered sets that lie in `out`."""
        written = {a.dataset.name: a for a in self.self_answered if (out / a.path).is_file()}
        if not written:
            return self.card

        def pinned(dataset: Dataset) -> Dataset:
            answered = written.get(dataset.name)
            if answered is None:
                return dataset
            rendered = rendered_sha256(self.rows_of(answered, out), self.training_tokenizer)
            sha256 = _examples(answered, out).sha256
            return dataset.model_copy(
                update={"path": answered.path, "sha256": sha256, "rendered_sha256": rendered}
            )

        data = tuple(pinned(dataset) for dataset in require(self.card.data, "data"))
        return self.card.model_copy(update={"data": data})

    def answered_set(self, name: str) -> SelfAnswered:
        """Return the self-answered set of a name."""
        return next(one for one in self.self_answered if one.dataset.name == name)

    @property
    def generation_seed(self) -> int:
        """Root of all generation noise, which a plan has filled in."""
        return int(require(require(self.card.seeds, "seeds").generation, "seeds.generation") or 0)

    @property
    def prompts(self) -> int:
        """Prompts over all tasks."""
        return sum(len(task.documents) for task in self.tasks)

    @property
    def responses(self) -> int:
        """Responses the whole grid makes."""
        return sum(block.repeats for block in self.blocks) * self.prompts


def _examples(answered: SelfAnswered, out: Path) -> Examples:
    return read_examples(out / answered.path, allow_empty=True)


def make_plan(
    submission: Submission,
    out: Path,
    keep: Callable[[Block], bool] = lambda block: True,
    *,
    shard: str = "1/1",
    limit: int | None = None,
    elsewhere: bool = False,
) -> Plan:
    """Find and pin everything a card names.

    Args:
        submission: The card, in the folder at which its relative paths start.
        out: Where it is executed; relative paths of the plan's card start there.
        keep: Tells which blocks are made; all by default.
        shard: The part `i/n` of the grid that is made.
        limit: Use only the first prompts of every task; the card then says so.
        elsewhere: Another backend generates, which takes settings that ours does not have.

    Raises:
        SafebenchError: something is missing, is not what the card says, or cannot be run.
    """
    part = pick_shard(shard)
    draft = make_draft(submission, limit=limit, elsewhere=elsewhere, hub=True)
    check_judges(require(submission.card.judge, "judge"), submission.folder)
    # Of the card as it was given: everything below fills something in.
    asked, reported = asked_for(submission.card, limit), submission.card.environment
    chat, tokenizer, training = True, None, None
    submission, files = draft.submission, Files()
    if isinstance(submission.card.model, ApiModel):
        card, files = carry_data(submission)
    else:
        tokenizer = training = load_tokenizer(draft.base)
        card, chat = pin_template(submission.card, submission.folder, tokenizer)
        if not card.is_trained_elsewhere:
            card, training, files = pin_data(submission.with_card(card), draft.data, tokenizer)
    card, tasks = pin_tasks(submission.with_card(card))
    # Seeds last: they are derived from the digests that were filled in above.
    submission = submission.with_card(pin_seeds(card))
    files |= registration_of(submission)
    blocks = [block for block in list_blocks(submission.card) if keep(block)]
    return Plan(
        card=relocate(submission, out),
        base=draft.base,
        tokenizer=tokenizer,
        training_tokenizer=training,
        chat=chat,
        tasks=tasks,
        rows=draft.data.rows,
        files=files,
        blocks=tuple(part(blocks)),
        shard=shard,
        self_answered=draft.self_answered,
        weights=listed_weights(submission, blocks, hub=True),
        asked=asked,
        declared=None if isinstance(reported, NotReported) else reported,
    )


@dataclass(frozen=True)
class Draft:
    """What a card names, as far as it can be found and read without a model library."""

    submission: Submission
    """Its card is without an environment, cut to the limit, with the base model's revision."""
    base: Located
    data: TrainingData
    self_answered: tuple[SelfAnswered, ...] = ()


def make_draft(submission: Submission, *, limit: int | None, elsewhere: bool, hub: bool) -> Draft:
    """Check that a card can be run, and read what needs no model library.

    `limit` and `elsewhere` are those of `make_plan`. With `hub`, data sets on the Hub are read too;
    without it, the plan is only counted.

    Raises:
        SafebenchError: something is missing, is not what the card says, or cannot be run.
    """
    check_runnable(submission.card, elsewhere=elsewhere, dry=not hub)
    card = _limited(submission.card.model_copy(update={"environment": None}), limit)
    if isinstance(card.model, ApiModel):
        base, is_here = locate_served(card.model, submission.folder)
    else:
        name, revision = require(card.model.base.id, "model.base.id"), _revision(card.model)
        base, is_here = locate(name, revision, submission.folder), True
    if is_here:
        card = update(card, model={"base": {"revision": base.revision}})
    submission = submission.with_card(card)
    recipe = None if card.is_trained_elsewhere else trained(card)
    if recipe is None:
        return Draft(submission, base, TrainingData())
    card = with_counts(submission)
    submission = submission.with_card(card)
    found = read_training_data(submission, recipe, hub=hub)
    decodings = {d.name: d for d in require(card.decoding, "decoding")}
    answered = tuple(
        # A rule of the standard has checked that the decoding is one of the card's.
        SelfAnswered(
            dataset,
            tuple(questions(submission, number, found) or ()),
            decodings[dataset.answers.decoding],
        )
        for number, dataset in enumerate(require(card.data, "data"))
        if isinstance(dataset.answers, SelfGenerated)
    )
    return Draft(submission, base, found, answered)


def _limited(card: Card, limit: int | None) -> Card:
    """Return a card that measures only the first prompts of every task."""
    if limit is None:
        return card
    tasks = tuple(
        task.model_copy(
            update={
                "limit": limit if task.limit is None else min(limit, require(task.limit, "limit"))
            }
        )
        for task in card.task_list()
    )
    return card.model_copy(update={"tasks": tasks})


def listed_weights(submission: Submission, blocks: Iterable[Block], *, hub: bool) -> ListedWeights:
    """Find the weights that a card lists, or an API has, and check their digests.

    With `hub`, weights on the Hub are fetched; their folder is None otherwise.

    Raises:
        CardError: it lists some, but not all that its cells need.
        ModelError: they are not there, or have another digest.
    """
    card = submission.card
    if isinstance(card.model, ApiModel):
        return weights_of_jobs(card, card.model)
    found: ListedWeights = {}
    listed = require(card.model.weights, "model.weights") or ()
    for number, entry in enumerate(listed):
        place = f"model.weights[{number}]"
        key = (
            entry.condition,
            int(require(entry.training_seed, f"{place}.training_seed")),
            int(require(entry.checkpoint, f"{place}.checkpoint")),
        )
        form = cast("Form", require(entry.form, f"{place}.form"))
        is_read = hub or require(entry.path, f"{place}.path") is not None
        folder = card_weights(entry, submission.folder) if is_read else None
        found[key] = PlacedWeights(*key, form, folder, card.checkpoint_unit)
    for block in blocks if found else ():
        if block.training_seed is not None and block.weights not in found:
            raise CardError(
                f"model.weights lists {len(found)} sets of weights, but none for "
                f"{block.condition}, training seed {block.training_seed}, "
                f"{block.unit} {block.checkpoint}",
                fix="list the weights of every cell, or leave model.weights out to fine-tune",
            )
    return found


def _revision(model: WeightsModel) -> str | None:
    revision = require(model.base.revision, "model.base.revision")
    if revision is None or isinstance(revision, str):
        return revision
    raise CardError(
        "model.base.revision is `unpinnable`, and weights are loaded by a commit",
        fix="give the 40-digit commit, or leave it out for a local folder",
    )
