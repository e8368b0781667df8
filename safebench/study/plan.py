"""From a card without results to everything that is needed to execute it."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from safebench.card.base import NotReported, require
from safebench.card.card import Card
from safebench.card.data import Dataset
from safebench.card.environment import Environment
from safebench.card.judge import ModelJudge
from safebench.card.model import ApiModel, ChatTemplateFromFile, WeightsModel
from safebench.card.pinned import update
from safebench.errors import CardError
from safebench.harness.pinning import pin_tasks
from safebench.harness.tasks import LoadedTask
from safebench.judges.opening import check_judges
from safebench.models.conversation import pin_template
from safebench.models.interface import Form, PlacedWeights
from safebench.models.loading import Located, load_tokenizer, locate
from safebench.models.weights import card_weights
from safebench.study.api_models import locate_served, placed_jobs
from safebench.study.cells import Block, list_blocks, pick_shard
from safebench.study.pins import (
    carry_data,
    pin_data,
    pin_seeds,
    read_data,
)
from safebench.study.runnable import check_runnable
from safebench.tuning.data import Examples, read_examples
from safebench.tuning.recipe import trained
from safebench.tuning.render import as_rows, rendered_sha256
from safebench.tuning.training_data import TrainingData, questions

if TYPE_CHECKING:
    from safebench.study.answers import SelfAnswered


@dataclass(frozen=True)
class Plan:
    """A card with every digest and seed filled in, and what those digests were taken of."""

    card: Card
    base: Located
    tokenizer: Any
    """None where an API has the model."""
    training_tokenizer: Any
    """The tokenizer whose template renders training examples; mostly the same."""
    chat: bool
    """Whether the chat template is applied; of an API's model its client decides."""
    system_prompt: str | None
    tasks: tuple[LoadedTask, ...]
    rows: dict[str, list[dict[str, Any]]]
    """Training examples by condition, as the trainer takes them."""
    files: dict[str, Path | bytes]
    """Files, or their content, that become part of the submission, by their path in it."""
    blocks: tuple[Block, ...]
    """The part of the grid that is executed here."""
    shard: str = "1/1"
    """Which part of the grid that is, `i/n`."""
    self_answered: tuple[SelfAnswered, ...] = ()
    """Sets whose answers the base model gives itself, before anything is fine-tuned."""
    weights: dict[tuple[str, int | None, int | None], PlacedWeights] = field(default_factory=dict)
    """Weights that the card gives, or an API has, by condition, training seed and checkpoint."""
    told: Environment | None = None
    """What the card says beforehand of its environment, for what a server does not say."""

    def rows_of(self, asked: SelfAnswered, out: Path) -> list[dict[str, Any]]:
        """Return a self-answered set, which lies in `out`, as the trainer takes it."""
        return as_rows(self._read(asked, out), asked.rendering, self.system_prompt)

    def with_answers(self, out: Path) -> Card:
        """Return the card with the digests of the self-answered sets that lie in `out`."""
        if not self.self_answered:
            return self.card
        pinned = []
        found = {a.dataset.name: a for a in self.self_answered if (out / a.path).is_file()}
        for dataset in require(self.card.data, "data"):
            asked = found.get(dataset.name)
            if asked is None:
                pinned.append(dataset)
                continue
            rendered = rendered_sha256(self.rows_of(asked, out), self.training_tokenizer)
            sha256 = self._read(asked, out).sha256
            pinned.append(
                dataset.model_copy(
                    update={"path": asked.path, "sha256": sha256, "rendered_sha256": rendered}
                )
            )
        return self.card.model_copy(update={"data": tuple(pinned)})

    def _read(self, asked: SelfAnswered, out: Path) -> Examples:
        return read_examples(out / asked.path, allow_empty=True)

    @property
    def prompts(self) -> int:
        """Prompts over all tasks."""
        return sum(len(task.documents) for task in self.tasks)

    @property
    def responses(self) -> int:
        """Responses the whole grid makes."""
        return sum(block.repeats for block in self.blocks) * self.prompts


def make_plan(
    card: Card,
    folder: Path,
    out: Path,
    wanted: Callable[[Block], bool] | None = None,
    *,
    shard: str = "1/1",
    limit: int | None = None,
    elsewhere: bool = False,
) -> Plan:
    """Find and pin everything a card names.

    The card's relative paths start at `folder`; those of the plan's card start at `out`. `wanted`
    keeps some of the blocks; all by default. `shard` is the part `i/n` of the grid that is made.
    `limit` takes the first prompts of every task alone, which the card then says. `elsewhere`:
    another backend generates, which takes settings that ours does not have.

    Raises:
        SafebenchError: something is missing, is not what the card says, or cannot be run.
    """
    part = pick_shard(shard)
    found = draft(card, folder, limit=limit, elsewhere=elsewhere, hub=True)
    check_judges(require(card.judge, "judge"), folder)
    told = None if isinstance(card.environment, NotReported) else card.environment
    card, chat, tokenizer, training = found.card, True, None, None
    files: dict[str, Path | bytes] = {}
    if isinstance(card.model, ApiModel):
        card, files = carry_data(card, folder)
    else:
        tokenizer = training = load_tokenizer(found.base)
        card, chat = pin_template(card, folder, tokenizer)
        if not card.is_trained_elsewhere:
            card, training, files = pin_data(card, found.data, folder, tokenizer)
    card, tasks = pin_tasks(card, folder)
    card = pin_seeds(card)
    blocks = [b for b in list_blocks(card) if wanted is None or wanted(b)]
    return Plan(
        _relocate(card, folder, out), found.base, tokenizer, training, chat,
        card.system_prompt, tasks, found.data.rows, files, tuple(part(blocks)), shard,
        tuple(_self_answered(found)), given_models(card, folder, blocks, hub=True), told,
    )  # fmt: skip


@dataclass(frozen=True)
class Draft:
    """What a card names, as far as it is found and read without a model library."""

    card: Card
    """Without its environment, cut to the limit, with the base model's revision."""
    base: Located
    data: TrainingData
    asked: tuple[tuple[Dataset, list[Any] | None], ...]
    """Sets that the base model answers itself, with their questions where those were read."""


def draft(card: Card, folder: Path, *, limit: int | None, elsewhere: bool, hub: bool) -> Draft:
    """See that a card can be run, and read what needs no model library.

    `limit` and `elsewhere` are those of `make_plan`. `hub`: data sets of the Hub are read, too.

    Raises:
        SafebenchError: something is missing, is not what the card says, or cannot be run.
    """
    check_runnable(card, elsewhere=elsewhere)
    card = _limited(card.model_copy(update={"environment": None}), limit)
    if isinstance(card.model, ApiModel):
        base, is_here = locate_served(card.model, folder)
    else:
        name, revision = require(card.model.base.id, "model.base.id"), _revision(card.model)
        base, is_here = locate(name, revision, folder), True
    if is_here:
        card = update(card, model={"base": {"revision": base.revision}})
    recipe = None if card.is_trained_elsewhere else trained(card)
    if recipe is None:
        return Draft(card, base, TrainingData(), ())
    found = read_data(card, recipe, folder, hub=hub)
    data = require(card.data, "data")
    prompt = card.system_prompt
    asked = tuple(
        (dataset, questions(data, number, found, folder, prompt))
        for number, dataset in enumerate(data)
        if dataset.answers is not None
    )
    return Draft(card, base, found, asked)


def _self_answered(found: Draft) -> Iterator[SelfAnswered]:
    # What answers them runs models, which a plan that is only counted does without.
    from safebench.study.answers import SelfAnswered, chosen_decoding

    decodings = require(found.card.decoding, "decoding")
    for dataset, asked in found.asked:
        yield SelfAnswered(dataset, tuple(asked or ()), chosen_decoding(dataset, decodings))


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


def given_models(
    card: Card, folder: Path, blocks: Iterable[Block], *, hub: bool
) -> dict[tuple[str, int | None, int | None], PlacedWeights]:
    """Find the weights that a card gives, or an API has, and see that they are the ones it means.

    `hub`: those of the Hub are fetched; their folder is None otherwise.

    Raises:
        CardError: it gives some, but not all that its cells need.
        ModelError: they are not there, or have another digest.
    """
    if isinstance(card.model, ApiModel):
        return placed_jobs(card, card.model)
    given = require(card.model.weights, "model.weights")
    if not given:
        return {}
    found: dict[tuple[str, int | None, int | None], PlacedWeights] = {}
    for number, entry in enumerate(given):
        place = f"model.weights[{number}]"
        key = (
            entry.condition,
            int(require(entry.training_seed, f"{place}.training_seed")),
            int(require(entry.checkpoint, f"{place}.checkpoint")),
        )
        form = cast("Form", require(entry.form, f"{place}.form"))
        is_read = hub or require(entry.path, f"{place}.path") is not None
        found[key] = PlacedWeights(*key, form, card_weights(entry, folder) if is_read else None,
                            card.checkpoint_unit)  # fmt: skip
    for block in blocks:
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


def _relocate(card: Card, old: Path, new: Path) -> Card:
    """Return a card whose local references still hold when it is written to another folder."""

    def moved(path: str) -> str:
        return Path(os.path.relpath((old / path).resolve(), new.resolve())).as_posix()

    model = card.model
    if isinstance(model, WeightsModel) and isinstance(model.weights, tuple):
        moved_weights = tuple(
            w.model_copy(update={"path": moved(w.path)}) if isinstance(w.path, str) else w
            for w in model.weights
        )
        card = update(card, model={"weights": moved_weights})
    base = require(model.base.id, "model.base.id")
    if (old / base).is_file() if isinstance(model, ApiModel) else (old / base).is_dir():
        card = update(card, model={"base": {"id": moved(base)}})
    for name in ("chat_template", "training_chat_template"):
        template = getattr(model, name, None)
        if isinstance(template, ChatTemplateFromFile):
            path = require(template.path, f"model.{name}.path")
            card = update(card, model={name: {"path": moved(path)}})
    tasks = tuple(
        task.model_copy(update={"path": moved(task.path)}) if isinstance(task.path, str) else task
        for task in card.task_list()
    )
    judges = tuple(
        judge.model_copy(update={"id": moved(judge.id)})
        if isinstance(judge, ModelJudge) and isinstance(judge.id, str) and (old / judge.id).is_dir()
        else judge
        for judge in require(card.judge, "judge")
    )
    return card.model_copy(update={"tasks": tasks, "judge": judges})
