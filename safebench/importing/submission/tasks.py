"""The prompts of imported responses: the task's own, and all of them for every model."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from difflib import get_close_matches
from itertools import product
from typing import Any

from safebench.card.task import Construct
from safebench.errors import InteropError, visible
from safebench.harness.tasks import LoadedTask, documents_sha256, load_task, task_names
from safebench.importing.facts import Fact, first_words, single_spaced
from safebench.importing.interface import At, ModelKey, Response, row_error
from safebench.importing.submission.request import Request

Document = dict[str, Any]


@dataclass(frozen=True)
class MatchedResponse:
    """A response and the document of its prompt."""

    sample: Response
    document: Document

    def with_(self, **changes: Any) -> MatchedResponse:
        """Return it with other fields of the response."""
        return MatchedResponse(replace(self.sample, **changes), self.document)

    @property
    def cell(self) -> dict[str, Any]:
        """The columns that tables of responses and of outcomes share."""
        sample = self.sample
        return {
            "condition": sample.model.condition,
            "training_seed": sample.model.training_seed,
            "checkpoint": sample.model.checkpoint,
            "decoding": sample.decoding,
            "repeat": sample.repeat,
            "generation_seed": sample.generation_seed,
            "task": sample.task,
            "prompt_id": self.document["prompt_id"],
            "status": sample.status,
        }

    def row(self, prompt: str) -> dict[str, Any]:
        """Return its row in a table of responses, with the text that stands for its prompt."""
        sample = self.sample
        given = {"response": sample.response, "new_tokens": sample.new_tokens}
        return {**self.cell, "prompt": prompt, **given}


def tasks_of(request: Request, facts: Sequence[Fact]) -> tuple[LoadedTask, ...]:
    """Return the tasks that were answered, with their documents.

    Those of safebench are loaded as a run loads them. Other tasks are made of the prompts that were
    answered.

    Raises:
        TaskError: the prompts of a task cannot be loaded.
        InteropError: nothing says what a task measures.
    """
    own = task_names()
    by_task: dict[str, list[Response]] = {}
    for sample in request.collected.samples:
        by_task.setdefault(sample.task, []).append(sample)
    unused = [t for t in (*request.constructs, *request.task_files) if t not in by_task]
    if unused:
        raise InteropError(
            f"task {visible(unused[0])} has no responses",
            fix=f"tasks with responses: {', '.join(by_task)}",
        )
    loaded = []
    for name, samples in by_task.items():
        if name in own:
            limits = (request.limit, _field(facts, name, "limit"))
            limit = min((n for n in limits if isinstance(n, int)), default=None)
            file, revision = request.task_files.get(name), _field(facts, name, "dataset_revision")
            task = load_task(name, file=file, revision=revision, limit=limit)
            _check_version(task, facts)
            loaded.append(task)
        else:
            loaded.append(_other_task(name, samples, request, facts))
    return tuple(loaded)


def _field(facts: Iterable[Fact], task: str, field: str) -> Any:
    return next((f.value for f in facts if f.place == ("tasks", task, field)), None)


def _check_version(task: LoadedTask, facts: Iterable[Fact]) -> None:
    for fact in facts:
        of_file = fact.place == ("tasks", task.name, "version") and fact.file is not None
        if of_file and str(fact.value) != task.version:
            raise InteropError(
                f"{visible(str(fact.file))}: {fact.key} is {fact.value}, but {task.name} here is "
                f"version {task.version}",
                fix="import with the release of safebench that has the version that was answered",
            )


def _other_task(
    name: str, samples: Sequence[Response], request: Request, facts: Iterable[Fact]
) -> LoadedTask:
    """Return another lab's task, made of the prompts that were answered."""
    documents: dict[str, tuple[Document, At]] = {}
    for sample in samples:
        prompt_id = sample.prompt_id or prompt_id_of(sample.prompt)
        construct = sample.construct or request.constructs.get(name)
        if construct is None:
            raise row_error(
                sample.at,
                f"task {name!r} is not one of safebench's, and nothing says what it measures",
                f"give --task {name}=harm, over_refusal or capability; "
                "`safebench tasks` lists safebench's own tasks",
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
            raise row_error(
                sample.at,
                f"{field} of prompt {prompt_id} differs from that at {at}",
                "every model has to answer the same prompts: import one version of the task",
            )
    found = tuple(document for document, _ in documents.values())[: request.limit]
    constructs: dict[Construct, None] = dict.fromkeys(d["construct"] for d in found)
    return LoadedTask(
        name=name,
        version=str(_field(facts, name, "version") or "unversioned"),
        constructs=tuple(constructs),
        is_published=True,
        dataset_id=str(_field(facts, name, "dataset_id") or name),
        dataset_revision=_field(facts, name, "dataset_revision"),
        dataset_sha256=documents_sha256(found),
        documents=found,
        task=None,
    )


def prompt_id_of(prompt: str) -> str:
    """Return the id of a prompt that has none of its own: its digest."""
    return hashlib.sha256(prompt.encode()).hexdigest()[:16]


def match_prompts(
    samples: Iterable[Response], tasks: Sequence[LoadedTask], request: Request
) -> list[MatchedResponse]:
    """Return every response with its document, without those beyond the first prompts.

    Raises:
        InteropError: a prompt is not the task's own, or no response is left.
    """
    limited = request.limit is not None
    indices = {task.name: _Documents(task) for task in tasks}
    pairs = ((one, indices[one.task].of(one, limited=limited)) for one in samples)
    found = [MatchedResponse(one, document) for one, document in pairs if document is not None]
    if not found:
        raise InteropError(
            f"no response is to one of the first {request.limit} prompts of its task",
            fix="give a larger --limit, or none",
        )
    return found


class _Documents:
    """The documents of a task, by id and by text."""

    def __init__(self, task: LoadedTask) -> None:
        self.task = task
        self.by_id = {str(d["prompt_id"]): d for d in task.documents}
        self.by_text: dict[str, list[Document]] = {}
        for document in task.documents:
            self.by_text.setdefault(single_spaced(document["prompt"]), []).append(document)

    def of(self, sample: Response, *, limited: bool) -> Document | None:
        """Return the document of a response; None for one beyond the first prompts."""
        prompt_id = sample.prompt_id
        if prompt_id is None and self.task.task is None:  # made of what was answered
            prompt_id = prompt_id_of(sample.prompt)
        document = self.by_id.get(prompt_id or "")
        if document is not None:
            if sample.prompt and single_spaced(sample.prompt) != single_spaced(document["prompt"]):
                raise row_error(
                    sample.at,
                    f"prompt {prompt_id} is {_short(sample.prompt)}, but in {self.task.name} it is "
                    f"{_short(document['prompt'])}",
                    "import responses to the task's own prompts, in its own words",
                )
            return document
        same = self.by_text.get(single_spaced(sample.prompt), []) if sample.prompt else []
        if len(same) > 1:
            ids = ", ".join(str(d["prompt_id"]) for d in same)
            raise row_error(
                sample.at,
                f"{self.task.name} has this prompt {len(same)} times: {ids}",
                "give each response its prompt's id: --column prompt_id=COLUMN",
            )
        if same:
            return same[0]
        if limited:
            return None
        named = f"prompt {prompt_id} " if prompt_id is not None else ""
        near = get_close_matches(single_spaced(sample.prompt), self.by_text, n=1, cutoff=0.8)
        other = f"; the closest is {_short(near[0])}" if near else ""
        raise row_error(
            sample.at,
            f"{named}{_short(sample.prompt)} is not a prompt of {self.task.name}{other}",
            "correct the name of the task, or import only its first prompts with --limit",
        )


def _short(text: str) -> str:
    shown = visible(single_spaced(text))
    return repr(shown if len(shown) <= 80 else f"{shown[:77]}...")


_Cell = tuple[str, str, int]
"""Decoding, task, repeat: what every model has to have answered."""


def check_complete(
    found: Sequence[MatchedResponse], tasks: Sequence[LoadedTask], names: Mapping[str, str]
) -> None:
    """Check that every model answered every prompt of every cell once.

    `names` are those of decodings, by their keys.

    Raises:
        InteropError: a response is missing, or there are two.
    """
    answered: dict[tuple[ModelKey, _Cell], dict[str, Response]] = {}
    for one in found:
        sample, prompt_id = one.sample, str(one.document["prompt_id"])
        cell = (sample.decoding, sample.task, sample.repeat)
        prompts = answered.setdefault((sample.model, cell), {})
        if prompt_id in prompts:
            raise row_error(
                sample.at,
                f"a second response of {sample.model} to {prompt_id} ({sample.task}, repeat "
                f"{sample.repeat}); the first is at {prompts[prompt_id].at}",
                "leave one out, or number repeats: repeat=2",
            )
        prompts[prompt_id] = sample
    documents = {task.name: [str(d["prompt_id"]) for d in task.documents] for task in tasks}
    models = dict.fromkeys(model for model, _ in answered)
    cells = dict.fromkeys(cell for _, cell in answered)
    for model, (decoding, task, repeat) in product(models, cells):
        present = answered.get((model, (decoding, task, repeat)), {})
        # where the sampler failed there is a row, and no response
        got = {p for p, one in present.items() if one.status not in ("error", "not_run")}
        missing = [p for p in documents[task] if p not in got]
        if missing:
            what = f"{model}, {names[decoding]}, {task}, repeat {repeat}"
            raise _incomplete(what, missing, present, len(documents[task]))


def _incomplete(
    what: str, missing: list[str], present: Mapping[str, Response], of: int
) -> InteropError:
    if not present:
        return InteropError(
            f"{what}: no responses, but another model has some",
            fix="import them too; every model answers every task under every decoding",
        )
    file = next(iter(present.values())).at.file
    return InteropError(
        f"{what}: {len(missing)} of {of} prompts have no response in {visible(str(file))}: "
        f"{first_words(missing)}",
        fix="sample the missing ones, or import only the first prompts with --limit",
    )
