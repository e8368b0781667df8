"""What keeps a plan from being run here, as far as it is seen without running anything.

These are no findings: a plan is as good a plan on a machine that lacks its files. Whoever is about
to run it hears of all of them at once.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterator
from pathlib import Path

from safebench.card.card import Card
from safebench.card.document import Pointer, dotted
from safebench.card.model import ApiModel, ChatTemplateFromFile
from safebench.checks.registry import items, text
from safebench.files import inside
from safebench.harness.task_yaml import shipped_file
from safebench.resources import tasks_dir


def obstacles(card: Card, folder: Path | None) -> tuple[str, ...]:
    """Return, in words, what a run of a plan would be refused for; nothing for a report."""
    info = card.submission
    if card.results is not None or card.evidence is not None or card.unstated is not None:
        return ()
    if not card.is_to_be_run:
        mine = "what you run is your own submission, whoever made the model"
        what = f"submission.relationship is {info.relationship}, and {mine}: first_party"
        return (f"{what} (or object: artefact, for a released model that is not trained here)",)
    found = [*_tasks(card)]
    if folder is not None:
        found += _files(card, folder)
    return tuple(found)


def _tasks(card: Card) -> Iterator[str]:
    for number, task in enumerate(card.task_list()):
        if shipped_file(task.name) is None:
            names = [path.name for path in tasks_dir().iterdir() if (path / "README.md").is_file()]
            near = difflib.get_close_matches(task.name, names, n=1, cutoff=0.7)
            fix = f"did you mean {near[0]}?" if near else "`safebench tasks` lists them"
            yield f"tasks[{number}]: there is no task {task.name} here; {fix}"


def _files(card: Card, folder: Path) -> Iterator[str]:
    for pointer, path in _named(card):
        target = inside(folder, path)  # what lies elsewhere is for the run to look for
        if target is not None and not target.exists():
            yield f"{dotted(pointer)}: {path} is not beside the card; put it there"
    base = card.model.base
    if isinstance(card.model, ApiModel) or not isinstance(base.id, str):
        return
    if base.revision is None and not base.id.startswith("builtin:"):
        beside = inside(folder, base.id)
        if beside is not None and not beside.exists():
            fix = "put it there, or give the 40-digit commit of the Hub as revision"
            yield f"model.base.id: there is no folder {base.id} beside the card; {fix}"


def _named(card: Card) -> Iterator[tuple[Pointer, str]]:
    for name in ("chat_template", "training_chat_template"):
        template = getattr(card.model, name, None)
        if isinstance(template, ChatTemplateFromFile) and isinstance(template.path, str):
            yield ("model", name, "path"), template.path
    for section, entries in (("data", items(card.data)), ("tasks", card.task_list())):
        for number, entry in enumerate(entries):
            if (path := text(entry.path)) is not None:
                yield (section, number, "path"), path
