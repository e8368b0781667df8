"""What an import computes for the card: entries of tasks, digests of rendered examples."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any, cast

from safebench.card.base import NotReported
from safebench.card.card import Card
from safebench.card.decoding import Prompting
from safebench.card.model import WeightsModel
from safebench.card.task import Estimand, Task
from safebench.harness.pinning import pinned_task
from safebench.harness.tasks import LoadedTask
from safebench.importing.draft.facts import Absent, Fact
from safebench.importing.submission.tasks import Answered
from safebench.importing.submission.verdicts import primary_judge
from safebench.models.conversation import pin_template

_STATED = ("construct", "primary", "limit")
_NOTES = {
    "primary": "chosen after the fact: no plan declares it",
    "prompts": "counted",
    "dataset_sha256": "of the prompts that were answered",
}
_NO_COMMIT = NotReported(not_reported="the sampler did not record which commit it loaded")


def task_facts(
    tasks: Sequence[LoadedTask],
    card: Card,
    facts: Iterable[Fact],
    found: Sequence[Answered],
    names: dict[str, str],
) -> Iterator[Fact]:
    """Yield what is computed of every task: its prompts, and the estimand that answers for it.

    Args:
        tasks: The tasks that were answered.
        card: The draft without them, whose decodings and judges are known.
        facts: What files and a person say.
        found: The responses.
        names: Decodings' names by their keys.
    """
    facts = list(facts)
    stated: dict[str, dict[str, Any]] = {}
    for fact in facts:
        if fact.place[0] == "tasks":
            stated.setdefault(fact.place[1], {})[fact.place[-1]] = fact.value
    judges = card.judge if isinstance(card.judge, tuple) else ()
    for task in tasks:
        said = stated.get(task.name, {})
        mine = {k: said[k] for k in _STATED if k in said}
        used = [one.sample.decoding for one in found if one.sample.task == task.name]
        default = Estimand(
            checkpoint=max((one.sample.model.checkpoint or 0 for one in found), default=0) or None,
            decoding=names[used[0]],
            judge=primary_judge(judges, task, found),
        )
        entry = Task.model_validate_json(json.dumps({"name": task.name, **mine}))
        pinned = pinned_task(entry, task, default)
        if task.task is None and task.dataset_revision is None:
            pinned = pinned.model_copy(update={"dataset_revision": _NO_COMMIT})
        plain = json.loads(pinned.model_dump_json(exclude_none=True, exclude_defaults=True))
        for field, value in plain.items():
            if field in mine or (
                field in said and (field == "name" or (task.task is None and field != "prompts"))
            ):
                continue
            note = _NOTES.get(field, "the task's own" if task.task is not None else "")
            yield Fact(("tasks", task.name, field), value, None, note=note)
    if all(task.task is not None for task in tasks):
        place = ("prompting", "attack")
        if place not in {fact.place for fact in facts}:
            note = "the prompts are the tasks' own, word for word"
            yield Fact(place, "none", None, note=note)
            yield Fact(("prompting", "language"), "en", None, note="that of the tasks")


def rendered_facts(card: Card, folder: Path, base: Path | None) -> Iterator[Fact]:
    """Yield the digests of the rendered examples, where card and base model say how they render.

    Args:
        card: The draft.
        folder: Where its training files lie.
        base: Folder of the base model, whose tokenizer renders; None where it is not here.

    Raises:
        CardError: its chat template is not the one that was applied.
    """
    from safebench.models.loading import load_tokenizer, locate
    from safebench.tuning.render import as_rows, rendered_sha256, training_tokenizer
    from safebench.tuning.sets import load_set

    if isinstance(card.data, NotReported):
        return
    open_ = list(_open(card, base))
    for number, dataset in enumerate(card.data):
        place = ("data", dataset.name, "rendered_sha256")
        parts = {"path": dataset.path, "template": dataset.template, "subset": dataset.subset,
                 "weight": dataset.weight}  # fmt: skip
        left = [f"data.{name}" for name, v in parts.items() if isinstance(v, NotReported)]
        left += open_ + (["a file of it"] if dataset.path is None else [])
        if left or base is None:
            why = f"computed by the import once these are known: {', '.join(left)}"
            yield Fact(place, Absent(why), None)
            continue
        tokenizer = load_tokenizer(locate(str(base), None, Path()))
        card, _ = pin_template(card, folder, tokenizer)
        tokenizer, _ = training_tokenizer(cast("WeightsModel", card.model), folder, tokenizer)
        loaded = load_set(dataset, folder, number)
        system = cast("Prompting", card.prompting).system_prompt
        rows = as_rows(loaded.examples.examples, loaded.template, cast("str | None", system))
        digest = rendered_sha256(rows, tokenizer)
        yield Fact(place, digest, None, note="rendered here with the base model's tokenizer")


def _open(card: Card, base: Path | None) -> Iterator[str]:
    """Yield what is not known, of what decides how examples are rendered."""
    if base is None or not isinstance(card.model, WeightsModel):
        yield "--model"
    elif isinstance(card.model.chat_template, NotReported):
        yield "model.chat_template"
    prompting = card.prompting
    if isinstance(prompting, NotReported) or isinstance(prompting.system_prompt, NotReported):
        yield "prompting.system_prompt"
