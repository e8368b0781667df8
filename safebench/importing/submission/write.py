"""From responses that were sampled elsewhere to a submission: checked, judged, scored, written."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pyarrow as pa

from safebench.card.base import NotReported
from safebench.card.card import Card
from safebench.card.io import load_card
from safebench.card.results import Condition, Evidence, RegisteredRun
from safebench.card.task import Estimand, Task
from safebench.card.write import plain
from safebench.checks.registry import items
from safebench.checks.report import CheckedCard, check
from safebench.errors import InteropError, RunError
from safebench.evidence.manifest import MANIFEST_FILE, describe_files, write_manifest
from safebench.evidence.scoring import compute_results
from safebench.evidence.submission import CARD_FILE
from safebench.evidence.tables import (
    OUTCOMES_FILE,
    RESPONSES,
    RESPONSES_FILE,
    sort_table,
    write_table,
)
from safebench.files import folder_at_once, replace_file
from safebench.harness.tasks import LoadedTask, documents_by_prompt, pinned_task
from safebench.importing.draft.draft import Draft, draft_card, make_draft
from safebench.importing.draft.gather import Gathered
from safebench.importing.draft.settle import FieldValue, settle
from safebench.importing.facts import Fact
from safebench.importing.submission.models import copy_adapters
from safebench.importing.submission.request import Request, without_judges
from safebench.importing.submission.state import (
    ImportState,
    collected_facts,
    rendered_facts,
    settle_facts,
)
from safebench.importing.submission.tasks import (
    MatchedResponse,
    check_complete,
    match_prompts,
    tasks_of,
)
from safebench.importing.submission.verdicts import (
    judge_facts,
    primary_judge,
    reported_outcomes,
    silent_judges,
    to_judge_here,
)
from safebench.judges.judging import judge_responses
from safebench.judges.registry import open_judges
from safebench.progress import Progress

EXTRA_FILE = "extra.json"
"""What the files hold that neither the card nor the evidence has a field for."""
_TAKEN_OVER = ("construct", "primary", "limit")
"""Fields of a task's entry that are taken over before it is completed."""
_NOTES = {
    "primary": "chosen after the fact: no plan declares it",
    "prompts": "counted",
    "dataset_sha256": "of the prompts that were answered",
}
_NO_COMMIT = NotReported(not_reported="the sampler did not record which commit it loaded")


@dataclass(frozen=True)
class Imported:
    """A submission that has been written."""

    card: Card
    report: CheckedCard
    """What `safebench validate` finds in its card."""
    to_name: tuple[str, ...]
    """Fields that still have no value of their own."""
    gathered: Gathered
    responses: int
    kept: int
    """Fields of other programs that are kept in extra.json."""


def import_runs(request: Request, progress: Progress) -> Imported:
    """Write a submission of responses that were sampled elsewhere; all of it or nothing.

    Raises:
        InteropError: a response is missing, is there twice, or answers another prompt; a field is
            open that has to be known; two sources contradict each other.
        RunError: the folder is not empty.
        SafebenchError: a task cannot be loaded, or a judge cannot judge.
    """
    out = request.out
    if out.exists() and (not out.is_dir() or any(out.iterdir())):
        what = "is not empty" if out.is_dir() else "is a file"
        raise RunError(f"{out}: {what}", fix="give --out a new folder")
    if not request.collected.samples:
        raise InteropError("no responses were read", fix="give the files that hold them")
    request = replace(request, collected=without_judges(request.collected, request.left_out))
    facts = collected_facts(request)
    tasks = tasks_of(request, facts)
    whole = {("tasks", task.name, "limit") for task in tasks if task.is_whole}
    facts = [fact for fact in facts if fact.place not in whole]
    matched = match_prompts(request.collected.samples, tasks, request)
    facts, remarks = silent_judges(facts, matched)
    facts += judge_facts(facts, matched, request.labels)
    state = settle_facts(request, tasks, facts, remarks)
    matched = [one.with_(model=state.models[one.sample.model]) for one in matched]
    check_complete(matched, tasks, state.names)
    # Not before: two settings under one name are still two cells that each model has to answer.
    matched = [one.with_(decoding=state.names[one.sample.decoding]) for one in matched]
    with folder_at_once(out) as folder:
        for name, file in state.files.items():
            replace_file(folder / name, file.read_bytes())
        adapters = copy_adapters(state.gathered, folder)
        writer = _Writer(request, state, tasks, matched, facts, folder)
        draft = writer.write([*state.files, *adapters], progress)
    extra = request.collected.extra.values()
    return Imported(
        card=load_card(out / CARD_FILE),
        report=check(out / CARD_FILE),
        to_name=draft.to_name,
        gathered=state.gathered,
        responses=len(matched),
        kept=sum(len(fields) for fields in extra if hasattr(fields, "__len__")),
    )


@dataclass(frozen=True)
class _Writer:
    """What is needed to write a submission."""

    request: Request
    state: ImportState
    tasks: Sequence[LoadedTask]
    matched: list[MatchedResponse]
    facts: Sequence[Fact]
    folder: Path

    def write(self, files: list[str], progress: Progress) -> Draft:
        """Judge, write the evidence and the card; `files` have been copied already."""
        filled = self.state.gathered.filled
        draft = draft_card(self.state.gathered, self.folder)
        self._add(rendered_facts(draft, self.folder, self.request.model))
        self._add(_task_facts(self.tasks, draft, self.facts, self.matched))
        card = draft_card(self.state.gathered, self.folder)
        responses = self._responses()
        write_table(responses, self.folder / RESPONSES_FILE)
        outcomes = self._outcomes(card, responses, progress)
        write_table(outcomes, self.folder / OUTCOMES_FILE)
        tables = [OUTCOMES_FILE, RESPONSES_FILE]
        extra = self.request.collected.extra
        if extra:
            replace_file(self.folder / EXTRA_FILE, _json(extra, indent=1) + b"\n")
            tables.append(EXTRA_FILE)
        listed = describe_files(self.folder, [*tables, *sorted(files)])
        write_manifest(self.folder, listed)
        evidence = Evidence(
            manifest=MANIFEST_FILE,
            files=listed,
            response_policy="redacted",
            runs=tuple(self._runs()),
        )
        results = compute_results(card.model_copy(update={"evidence": evidence}), outcomes)
        for name, section in (("results", results), ("evidence", evidence)):
            filled[name,] = FieldValue(plain(section), (Fact((name,), None, None),))
        final = make_draft(self.state.gathered, self.folder, CARD_FILE)
        replace_file(self.folder / CARD_FILE, final.text.encode())
        return final

    def _add(self, facts: Iterable[Fact]) -> None:
        """Add facts to what is known; raises InteropError where they contradict it."""
        filled = self.state.gathered.filled
        for fact in facts:
            before = filled[fact.place].facts if fact.place in filled else ()
            filled.update(settle([*before, fact], []))

    def _responses(self) -> pa.Table:
        rows = []
        for one in self.matched:
            extra = one.sample.extra
            more = {"extra": _json(dict(extra)).decode() if extra else None}
            rows.append(one.row(one.document["prompt"]) | more)
        schema = RESPONSES
        if any(row["extra"] for row in rows):
            schema = schema.append(pa.field("extra", pa.string()))
        return sort_table(pa.Table.from_pylist(rows, schema=schema))

    def _outcomes(self, card: Card, responses: pa.Table, progress: Progress) -> pa.Table:
        """Return the outcomes: verdicts that were reported, and those of judges asked here."""
        parts = [reported_outcomes(self.matched, card, self.request.labels)]
        asked, tasks = to_judge_here(self.matched, card)
        if tasks:
            judges = open_judges(asked, self.folder)
            graded = {task.name for task in card.task_list() if task.measures_severity}
            selected = pa.compute.is_in(responses.column("task"), pa.array(tasks))
            table = responses.select(RESPONSES.names).filter(selected)
            documents = documents_by_prompt(self.tasks)
            progress.start("judge", table.num_rows * len(judges))
            parts.append(judge_responses(table, documents, judges, progress, graded=graded))
            progress.stop()
        return sort_table(pa.concat_tables(parts))

    def _runs(self) -> Iterator[RegisteredRun]:
        """Yield every run there was; of runs made elsewhere, after the fact."""
        runs: set[tuple[Condition, int | None]] = {
            (one.sample.model.condition, one.sample.model.training_seed) for one in self.matched
        }
        for condition, seed in sorted(runs, key=lambda run: (run[0], run[1] or 0)):
            yield RegisteredRun(condition=condition, training_seed=seed, status="finished")
        for lost in self.request.lost:
            yield RegisteredRun(
                condition=lost.condition,
                training_seed=lost.seed,
                status="failed",
                reason=lost.reason,
            )


def _json(data: Any, indent: int | None = None) -> bytes:
    """Return data as JSON; half of a character, which UTF-8 cannot hold, stays an escape."""
    text = json.dumps(data, indent=indent, ensure_ascii=False, sort_keys=True)
    return text.encode(errors="backslashreplace")


def _task_facts(
    tasks: Sequence[LoadedTask],
    card: Card,
    facts: Sequence[Fact],
    matched: Sequence[MatchedResponse],
) -> Iterator[Fact]:
    """Yield what is computed for every task: its prompts, and its primary estimand.

    `card` is the draft, whose decodings and judges are known, and `facts` are those of files and
    a person.
    """
    judges = items(card.judge)
    last = max((one.sample.model.checkpoint or 0 for one in matched), default=0) or None
    for task in tasks:
        known = {f.place[-1]: f.value for f in facts if f.place[:2] == ("tasks", task.name)}
        kept = {name: known[name] for name in _TAKEN_OVER if name in known}
        decoding = next(one.sample.decoding for one in matched if one.sample.task == task.name)
        judge = primary_judge(judges, task, matched)
        estimand = Estimand(checkpoint=last, decoding=decoding, judge=judge)
        # through JSON, because the models are strict: in Python a list is not a tuple
        entry = Task.model_validate_json(json.dumps({"name": task.name, **kept}))
        pinned = pinned_task(entry, task, estimand)
        if task.task is None and task.dataset_revision is None:
            pinned = pinned.model_copy(update={"dataset_revision": _NO_COMMIT})
        fields = json.loads(pinned.model_dump_json(exclude_none=True, exclude_defaults=True))
        # The files know more about another lab's task than its prompts show.
        of_files = {"name"} if task.task is not None else set(known) - {"prompts"}
        for field, value in fields.items():
            if field not in kept and not (field in known and field in of_files):
                note = _NOTES.get(field, "the task's own" if task.task is not None else "")
                yield Fact(("tasks", task.name, field), value, None, note=note)
    place = ("prompting", "attack")
    if all(task.task is not None for task in tasks) and all(fact.place != place for fact in facts):
        note = "the prompts are the tasks' own, word for word"
        yield Fact(place, "none", None, note=note)
        yield Fact(("prompting", "language"), "en", None, note="that of the tasks")
