"""What an import computes for the card: entries of tasks, digests of rendered examples."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, cast

from safebench.card.base import NotReported
from safebench.card.card import Card
from safebench.card.decoding import Prompting
from safebench.card.model import WeightsModel
from safebench.card.task import Estimand, Task
from safebench.harness.tasks import LoadedTask, pinned_task
from safebench.importing.facts import Absent, Fact
from safebench.importing.submission.tasks import MatchedResponse
from safebench.importing.submission.verdicts import primary_judge

_BY_PERSON = ("construct", "primary", "limit")
"""Fields of a task's entry that are taken over before it is completed."""
_NOTES = {
    "primary": "chosen after the fact: no plan declares it",
    "prompts": "counted",
    "dataset_sha256": "of the prompts that were answered",
}
_NO_COMMIT = NotReported(not_reported="the sampler did not record which commit it loaded")


def task_facts(
    tasks: Sequence[LoadedTask],
    card: Card,
    facts: Sequence[Fact],
    matched: Sequence[MatchedResponse],
    names: dict[str, str],
) -> Iterator[Fact]:
    """Yield what is computed of every task: its prompts, and the estimand that answers for it.

    Args:
        tasks: The tasks that were answered.
        card: The draft without them, whose decodings and judges are known.
        facts: What files and a person say.
        matched: The responses.
        names: Decodings' names by their keys.
    """
    judges = card.judge if isinstance(card.judge, tuple) else ()
    last = max((one.sample.model.checkpoint or 0 for one in matched), default=0) or None
    for task in tasks:
        known = {f.place[-1]: f.value for f in facts if f.place[:2] == ("tasks", task.name)}
        kept = {name: known[name] for name in _BY_PERSON if name in known}
        first = next(one.sample.decoding for one in matched if one.sample.task == task.name)
        judge = primary_judge(judges, task, matched)
        estimand = Estimand(checkpoint=last, decoding=names[first], judge=judge)
        entry = Task.model_validate_json(json.dumps({"name": task.name, **kept}))
        pinned = pinned_task(entry, task, estimand)
        if task.task is None and task.dataset_revision is None:
            pinned = pinned.model_copy(update={"dataset_revision": _NO_COMMIT})
        plain = json.loads(pinned.model_dump_json(exclude_none=True, exclude_defaults=True))
        # of another lab's task the files know more than its prompts show
        of_files = {"name"} if task.task is not None else set(known) - {"prompts"}
        for field, value in plain.items():
            if field not in kept and not (field in known and field in of_files):
                note = _NOTES.get(field, "the task's own" if task.task is not None else "")
                yield Fact(("tasks", task.name, field), value, None, note=note)
    place = ("prompting", "attack")
    if all(task.task is not None for task in tasks) and all(fact.place != place for fact in facts):
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
    if isinstance(card.data, NotReported):
        return
    missing = list(_missing(card, base))
    for number, dataset in enumerate(card.data):
        open_ = [
            f"data.{name}"
            for name in ("path", "template", "subset", "weight")
            if isinstance(getattr(dataset, name), NotReported)
        ]
        open_ += missing + (["a file of it"] if dataset.path is None else [])
        value: Any
        if open_ or base is None:
            value, note = (
                Absent(f"computed by the import once these are known: {', '.join(open_)}"),
                "",
            )
        else:
            value = _rendered(card, folder, base, number)
            note = "rendered here with the base model's tokenizer"
        yield Fact(("data", dataset.name, "rendered_sha256"), value, None, note=note)


def _rendered(card: Card, folder: Path, base: Path, number: int) -> str:
    """Return the digest of a data set's examples as the base model's tokenizer renders them."""
    from safebench.models.conversation import pin_template
    from safebench.models.loading import load_tokenizer, locate
    from safebench.tuning.render import as_rows, rendered_sha256, training_tokenizer
    from safebench.tuning.sets import load_set

    tokenizer = load_tokenizer(locate(str(base), None, Path()))
    card, _ = pin_template(card, folder, tokenizer)
    tokenizer, _ = training_tokenizer(cast("WeightsModel", card.model), folder, tokenizer)
    dataset = cast("tuple[Any, ...]", card.data)[number]
    loaded = load_set(dataset, folder, number)
    system = cast("Prompting", card.prompting).system_prompt
    rows = as_rows(loaded.examples.examples, loaded.template, cast("str | None", system))
    return rendered_sha256(rows, tokenizer)


def _missing(card: Card, base: Path | None) -> Iterator[str]:
    """Yield what is not known, of what decides how examples are rendered."""
    if base is None or not isinstance(card.model, WeightsModel):
        yield "--model"
    elif isinstance(card.model.chat_template, NotReported):
        yield "model.chat_template"
    prompting = card.prompting
    if isinstance(prompting, NotReported) or isinstance(prompting.system_prompt, NotReported):
        yield "prompting.system_prompt"
