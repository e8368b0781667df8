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
from safebench.card.write import plain
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
from safebench.harness.tasks import LoadedTask, documents_by_prompt
from safebench.importing.draft.draft import Draft, draft_card, make_draft
from safebench.importing.draft.gather import Gathered
from safebench.importing.draft.settle import FieldValue, settle
from safebench.importing.facts import Fact
from safebench.importing.submission.entries import rendered_facts, task_facts
from safebench.importing.submission.models import copy_adapters
from safebench.importing.submission.request import Request
from safebench.importing.submission.state import ImportState, collected_facts, settle_facts
from safebench.importing.submission.tasks import (
    MatchedResponse,
    check_complete,
    match_prompts,
    tasks_of,
)
from safebench.importing.submission.verdicts import (
    check_described,
    judge_facts,
    reported_by,
    reported_outcomes,
    tasks_to_judge,
)
from safebench.judges.judging import judge_responses
from safebench.judges.registry import open_judges
from safebench.progress import Progress

EXTRA_FILE = "extra.json"
"""What the files say that neither the card nor the evidence has a field for."""


@dataclass(frozen=True)
class Imported:
    """A submission that was written."""

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
        InteropError: a response is missing, is there twice, or answers another prompt; something
            is open that has to be known; two sources contradict each other.
        RunError: the folder is not empty.
        SafebenchError: a task cannot be loaded, or a judge cannot judge.
    """
    _check_free(request.out)
    if not request.collected.samples:
        raise InteropError("no responses were read", fix="give the files that hold them")
    facts = collected_facts(request)
    tasks = tasks_of(request, facts)
    whole = {("tasks", task.name, "limit") for task in tasks if task.is_whole}
    facts = [fact for fact in facts if fact.place not in whole]
    matched = match_prompts(request.collected.samples, tasks, request)
    facts += judge_facts(facts, matched)
    check_described(facts, matched)
    state = settle_facts(request, tasks, facts)
    matched = [
        replace(one, sample=replace(one.sample, model=state.models[one.sample.model]))
        for one in matched
    ]
    check_complete(matched, tasks, state.names)
    with folder_at_once(request.out) as folder:
        for name, file in state.files.items():
            replace_file(folder / name, file.read_bytes())
        adapters = copy_adapters(state.gathered, folder)
        writer = _Writer(request, state, tasks, matched, facts, folder)
        draft = writer.write([*state.files, *adapters], progress)
    extra = request.collected.extra.values()
    return Imported(
        card=load_card(request.out / CARD_FILE),
        report=check(request.out / CARD_FILE),
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
        """Judge, write the evidence and the card; `files` are there already."""
        self._add(rendered_facts(self._card(), self.folder, self.request.model))
        names = self.state.names
        self._add(task_facts(self.tasks, self._card(), self.facts, self.matched, names))
        card = self._card()
        responses = self._responses()
        write_table(responses, self.folder / RESPONSES_FILE)
        outcomes = self._outcomes(card, responses, progress)
        write_table(outcomes, self.folder / OUTCOMES_FILE)
        tables = [OUTCOMES_FILE, RESPONSES_FILE]
        if self.request.collected.extra:
            extra = self.request.collected.extra
            text = json.dumps(extra, indent=1, ensure_ascii=False, sort_keys=True) + "\n"
            replace_file(self.folder / EXTRA_FILE, text.encode(errors="backslashreplace"))
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
            value = FieldValue(plain(section), (Fact((name,), None, None),))
            self.state.gathered.filled[name,] = value
        draft = make_draft(self.state.gathered, self.folder, CARD_FILE)
        replace_file(self.folder / CARD_FILE, draft.text.encode())
        return draft

    def _add(self, facts: Iterable[Fact]) -> None:
        """Add facts to what is known; raises InteropError where they contradict it."""
        filled = self.state.gathered.filled
        for fact in facts:
            before = filled[fact.place].facts if fact.place in filled else ()
            filled.update(settle([*before, fact], []))

    def _card(self) -> Card:
        return draft_card(self.state.gathered, self.folder)

    def _responses(self) -> pa.Table:
        rows = [self._row(one) for one in self.matched]
        schema = RESPONSES
        if any(row["extra"] for row in rows):
            schema = schema.append(pa.field("extra", pa.string()))
        return sort_table(pa.Table.from_pylist(rows, schema=schema))

    def _row(self, one: MatchedResponse) -> dict[str, Any]:
        extra = dict(one.sample.extra)
        return {
            **one.cell(self.state.names),
            "prompt": one.document["prompt"],
            "response": one.sample.response,
            "new_tokens": one.sample.new_tokens,
            "extra": json.dumps(extra, ensure_ascii=False, sort_keys=True) if extra else None,
        }

    def _outcomes(self, card: Card, responses: pa.Table, progress: Progress) -> pa.Table:
        """Return the outcomes: verdicts that were reported, and those of judges asked here."""
        parts = [reported_outcomes(self.matched, self.state.names, card, self.request.labels)]
        names = tasks_to_judge(self.matched, card)
        if names:
            elsewhere = reported_by(self.matched)
            listed = () if isinstance(card.judge, NotReported) else card.judge
            judges = open_judges([j for j in listed if j.name not in elsewhere], self.folder)
            documents = documents_by_prompt(self.tasks)
            graded = {task.name for task in card.task_list() if task.measures_severity}
            selected = pa.compute.is_in(responses.column("task"), pa.array(names))
            table = responses.select(RESPONSES.names).filter(selected)
            progress.start("judge", table.num_rows * len(judges))
            parts.append(judge_responses(table, documents, judges, progress, graded=graded))
            progress.stop()
        return sort_table(pa.concat_tables(parts))

    def _runs(self) -> Iterator[RegisteredRun]:
        """List every run there was; of runs made elsewhere, after the fact."""
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


def _check_free(out: Path) -> None:
    if out.exists() and (not out.is_dir() or any(out.iterdir())):
        what = "is not empty" if out.is_dir() else "is a file"
        raise RunError(f"{out}: {what}", fix="give --out a new folder")


__all__ = ["Imported", "import_runs"]
