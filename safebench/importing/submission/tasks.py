"""The prompts of imported responses: the task's own, all of them, in every model."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from typing import Any

from safebench.card.task import Construct
from safebench.errors import InteropError, visible
from safebench.harness.tasks import LoadedTask, load_task, task_names
from safebench.importing.draft.facts import Fact, first_words
from safebench.importing.samples import At, Sampled, wrong
from safebench.importing.submission.request import Request

Document = dict[str, Any]


@dataclass(frozen=True)
class Answered:
    """A response and the document of its prompt."""

    sample: Sampled
    document: Document


def tasks_of(request: Request, facts: Iterable[Fact]) -> tuple[LoadedTask, ...]:
    """Return the tasks that were answered, with their documents.

    Those of safebench are loaded as a run loads them. The prompts of others are those that were
    answered.

    Raises:
        TaskError: the prompts of a task cannot be loaded.
        InteropError: nothing says what a task measures.
    """
    facts = list(facts)
    ours = task_names()
    by_task: dict[str, list[Sampled]] = {}
    for sample in request.collected.samples:
        by_task.setdefault(sample.task, []).append(sample)
    unused = [t for t in (*request.constructs, *request.task_files) if t not in by_task]
    if unused:
        raise InteropError(
            f"no responses to a task {visible(unused[0])}", fix=f"there are: {', '.join(by_task)}"
        )
    loaded = []
    for name, samples in by_task.items():
        limit = _limit(name, request, facts)
        if name in ours:
            file = request.task_files.get(name)
            task = load_task(name, file=file, revision=_said(facts, name, "dataset_revision"),
                             limit=limit)  # fmt: skip
            _check_version(task, facts)
            loaded.append(task)
        else:
            loaded.append(_other(name, samples, request, facts))
    return tuple(loaded)


def _said(facts: Iterable[Fact], task: str, field: str) -> Any:
    return next((f.value for f in facts if f.place == ("tasks", task, field)), None)


def _limit(name: str, request: Request, facts: Iterable[Fact]) -> int | None:
    said = _said(facts, name, "limit")
    limits = [n for n in (request.limit, said) if isinstance(n, int)]
    return min(limits) if limits else None


def _check_version(task: LoadedTask, facts: Iterable[Fact]) -> None:
    said = [f for f in facts if f.place == ("tasks", task.name, "version") and f.file is not None]
    for fact in said:
        if str(fact.value) != task.version:
            raise InteropError(
                f"{visible(str(fact.file))}: {fact.key} is {fact.value}, but {task.name} here is "
                f"version {task.version}",
                fix="import with the release of safebench that has the version which was answered",
            )


def _other(
    name: str, samples: Sequence[Sampled], request: Request, facts: Iterable[Fact]
) -> LoadedTask:
    """Return a task that is not ours, made of what was answered."""
    documents: dict[str, tuple[Document, At]] = {}
    for sample in samples:
        prompt_id = sample.prompt_id or _id_of(sample.prompt)
        construct = sample.construct or request.constructs.get(name)
        if construct is None:
            raise wrong(
                sample.at,
                f"task {name!r} is none of safebench's, and nothing says what it measures",
                f"give --task {name}=harm, over_refusal or capability; "
                "`safebench tasks` lists safebench's own",
            )
        document = {
            "prompt_id": prompt_id,
            "prompt": sample.prompt,
            "category": sample.category or "",
            "construct": construct,
            "target": sample.target or "",
        }
        before, at = documents.setdefault(prompt_id, (document, sample.at))
        if before != document:
            field = next(key for key in document if document[key] != before[key])
            raise wrong(
                sample.at,
                f"{field} of prompt {prompt_id} is another one than at {at}",
                "every model has to answer the same prompts: import one version of the task",
            )
    found = tuple(document for document, _ in documents.values())[: request.limit]
    lines = "".join(
        json.dumps([d["prompt_id"], d["construct"], d["prompt"], d["target"]], ensure_ascii=False)
        + "\n"
        for d in found
    )
    constructs: dict[Construct, None] = dict.fromkeys(d["construct"] for d in found)
    return LoadedTask(
        name=name,
        version=str(_said(facts, name, "version") or "unversioned"),
        constructs=tuple(constructs),
        is_published=True,
        dataset_id=str(_said(facts, name, "dataset_id") or name),
        dataset_revision=_said(facts, name, "dataset_revision"),
        dataset_sha256=hashlib.sha256(lines.encode()).hexdigest(),
        documents=found,
        task=None,
    )


def _id_of(prompt: str) -> str:
    return hashlib.sha256(prompt.encode()).hexdigest()[:16]


def placed(
    samples: Iterable[Sampled], tasks: Sequence[LoadedTask], request: Request
) -> list[Answered]:
    """Return every response with its document.

    Raises:
        InteropError: a prompt is not the task's own.
    """
    books = {task.name: _Book(task, ours=task.task is not None) for task in tasks}
    found = []
    for sample in samples:
        document = books[sample.task].find(sample, cut=_is_cut(sample, request))
        if document is not None:
            found.append(Answered(sample, document))
    return found


def _is_cut(sample: Sampled, request: Request) -> bool:
    return request.limit is not None


class _Book:
    """The documents of a task, by id and by text."""

    def __init__(self, task: LoadedTask, *, ours: bool) -> None:
        self.task = task
        self.by_id = {str(d["prompt_id"]): d for d in task.documents}
        self.by_text: dict[str, list[Document]] = {}
        for document in task.documents:
            self.by_text.setdefault(_plain(document["prompt"]), []).append(document)
        self.ours = ours

    def find(self, sample: Sampled, *, cut: bool) -> Document | None:
        """Return the document of a response; None for one beyond the first prompts."""
        prompt_id = sample.prompt_id
        if prompt_id is None and not self.ours:
            prompt_id = _id_of(sample.prompt)
        document = self.by_id.get(prompt_id or "")
        if document is not None:
            if sample.prompt and _plain(sample.prompt) != _plain(document["prompt"]):
                raise wrong(
                    sample.at,
                    f"prompt {prompt_id} is {_short(sample.prompt)}, but {self.task.name} asks "
                    f"{_short(document['prompt'])}",
                    "import responses to the task's own prompts, in its own words",
                )
            return document
        same = self.by_text.get(_plain(sample.prompt), []) if sample.prompt else []
        if len(same) > 1:
            ids = ", ".join(str(d["prompt_id"]) for d in same)
            raise wrong(
                sample.at,
                f"{self.task.name} has this prompt {len(same)} times: {ids}",
                "give each response its prompt's id: --column prompt_id=COLUMN",
            )
        if same:
            return same[0]
        if cut:
            return None
        named = f"prompt {prompt_id} " if prompt_id is not None else ""
        near = get_close_matches(_plain(sample.prompt), self.by_text, n=1, cutoff=0.8)
        other = f"; the nearest is {_short(near[0])}" if near else ""
        raise wrong(
            sample.at,
            f"{named}{_short(sample.prompt)} is no prompt of {self.task.name}{other}",
            "correct the name of the task; for the first prompts alone there is --limit",
        )


def _plain(text: str) -> str:
    return " ".join(str(text).split())


def _short(text: str) -> str:
    shown = visible(_plain(text))
    return repr(shown if len(shown) <= 80 else f"{shown[:77]}...")


Cell = tuple[str, str, int]
"""Decoding, task, repeat: what every model has to have answered."""


def check_complete(
    found: Sequence[Answered], tasks: Sequence[LoadedTask], names: Mapping[str, str]
) -> None:
    """See that every model answered every prompt of every cell once.

    `names` are those of decodings, by their keys.

    Raises:
        InteropError: a response is missing, or there are two.
    """
    cells: dict[Cell, None] = {}
    answered: dict[Any, dict[Cell, dict[str, At]]] = {}
    for one in found:
        sample = one.sample
        cell = (sample.decoding, sample.task, sample.repeat)
        cells[cell] = None
        prompts = answered.setdefault(sample.model, {}).setdefault(cell, {})
        prompt_id = str(one.document["prompt_id"])
        if prompt_id in prompts:
            raise wrong(
                sample.at,
                f"a second response of {sample.model} to {prompt_id} ({sample.task}, repeat "
                f"{sample.repeat}); the first is at {prompts[prompt_id]}",
                "leave one out, or number repeats: repeat=2",
            )
        prompts[prompt_id] = sample.at
    documents = {task.name: [str(d["prompt_id"]) for d in task.documents] for task in tasks}
    for model, by_cell in answered.items():
        for cell in cells:
            decoding, task, repeat = cell
            there = by_cell.get(cell, {})
            missing = [p for p in documents[task] if p not in there]
            if missing:
                _incomplete(f"{model}, {names[decoding]}, {task}, repeat {repeat}", missing, there,
                            len(documents[task]))  # fmt: skip


def _incomplete(what: str, missing: list[str], there: Mapping[str, At], of: int) -> None:
    if not there:
        raise InteropError(
            f"{what}: no responses, which another model has",
            fix="import them too; every model answers every task under every decoding",
        )
    file = next(iter(there.values())).file
    raise InteropError(
        f"{what}: {len(missing)} of {of} prompts have no response in {visible(str(file))}: "
        f"{first_words(missing)}",
        fix="sample the missing ones, or import the first prompts alone with --limit",
    )
