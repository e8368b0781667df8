"""From a card without results to everything that is needed to execute it."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from safebench.card.base import known
from safebench.card.card import Card
from safebench.card.judge import ModelJudge
from safebench.card.model import ChatTemplateFromFile, WeightsModel
from safebench.errors import CardError
from safebench.harness.tasks import LoadedTask
from safebench.models.loading import Located, load_tokenizer, locate
from safebench.study.cells import Block, list_blocks
from safebench.study.open_judges import see_judges
from safebench.study.pins import pin_data, pin_seeds, pin_tasks, pin_template, update
from safebench.study.runnable import loadable, see_runnable


@dataclass(frozen=True)
class Plan:
    """A card with every digest and seed filled in, and what those digests were taken of."""

    card: Card
    base: Located
    tokenizer: Any
    chat: bool
    system_prompt: str | None
    tasks: tuple[LoadedTask, ...]
    rows: dict[str, list[dict[str, Any]]]
    """Training examples by condition, as the trainer takes them."""
    files: dict[str, Path]
    """Local files that become part of the submission, by their path in it."""
    blocks: tuple[Block, ...]

    @property
    def prompts(self) -> int:
        """Prompts over all tasks."""
        return sum(len(task.documents) for task in self.tasks)

    @property
    def responses(self) -> int:
        """Responses the whole grid makes."""
        return sum(block.repeats for block in self.blocks) * self.prompts


def make_plan(
    card: Card, folder: Path, out: Path, wanted: Callable[[Block], bool] | None = None
) -> Plan:
    """Find and pin everything a card names.

    The card's relative paths start at `folder`; those of the plan's card start at `out`. `wanted`
    keeps some of the blocks; all by default.

    Raises:
        SafebenchError: something is missing, is not what the card says, or cannot be run.
    """
    see_runnable(card)
    see_judges(card, folder)
    model = loadable(card)
    base = locate(known(model.base.id, "model.base.id"), _revision(model), folder)
    tokenizer = load_tokenizer(base)
    card, chat = pin_template(card, folder, tokenizer)
    card = update(card, model={"base": {"revision": base.revision}})
    card, tasks = pin_tasks(card, folder)
    prompting = known(card.prompting, "prompting")
    system_prompt = known(prompting.system_prompt, "prompting.system_prompt")
    card, rows, files = pin_data(card, folder, tokenizer, system_prompt)
    card = pin_seeds(card)
    blocks = tuple(b for b in list_blocks(card) if wanted is None or wanted(b))
    card = _relocate(card, folder, out)
    return Plan(card, base, tokenizer, chat, system_prompt, tasks, rows, files, blocks)


def _revision(model: WeightsModel) -> str | None:
    revision = known(model.base.revision, "model.base.revision")
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

    model = loadable(card)
    base = known(model.base.id, "model.base.id")
    if (old / base).is_dir():
        card = update(card, model={"base": {"id": moved(base)}})
    template = model.chat_template
    if isinstance(template, ChatTemplateFromFile):
        path = known(template.path, "model.chat_template.path")
        card = update(card, model={"chat_template": {"path": moved(path)}})
    tasks = tuple(
        task.model_copy(update={"path": moved(task.path)}) if isinstance(task.path, str) else task
        for task in card.task_list()
    )
    judges = tuple(
        judge.model_copy(update={"id": moved(judge.id)})
        if isinstance(judge, ModelJudge) and isinstance(judge.id, str) and (old / judge.id).is_dir()
        else judge
        for judge in known(card.judge, "judge")
    )
    return card.model_copy(update={"tasks": tasks, "judge": judges})
