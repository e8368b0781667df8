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
from safebench.card.io import load_card, parse_card
from safebench.card.read import parse_document
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
from safebench.importing.draft.draft import Draft, make_draft
from safebench.importing.draft.facts import Fact
from safebench.importing.draft.gather import Gathered
from safebench.importing.draft.merge import Filled, merge
from safebench.importing.submission.entries import rendered_facts, task_facts
from safebench.importing.submission.models import copy_adapters
from safebench.importing.submission.request import Request
from safebench.importing.submission.said import Known, gather_said, said_facts
from safebench.importing.submission.tasks import Answered, check_complete, placed, tasks_of
from safebench.importing.submission.verdicts import (
    came_along,
    check_described,
    judge_facts,
    needs_here,
    their_outcomes,
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
    facts = said_facts(request)
    tasks = tasks_of(request, facts)
    whole = {("tasks", task.name, "limit") for task in tasks if task.is_whole}
    facts = [fact for fact in facts if fact.place not in whole]
    found = placed(request.collected.samples, tasks, request)
    facts += judge_facts(facts, found)
    check_described(facts, found)
    known = gather_said(request, tasks, facts)
    found = [
        replace(one, sample=replace(one.sample, model=known.models[one.sample.model]))
        for one in found
    ]
    check_complete(found, tasks, known.names)
    with folder_at_once(request.out) as folder:
        for name, file in known.files.items():
            replace_file(folder / name, file.read_bytes())
        adapters = copy_adapters(known.gathered, folder)
        work = _Work(request, known, tuple(tasks), found, facts, folder)
        draft = work.write([*known.files, *adapters], progress)
    report = check(request.out / CARD_FILE)
    kept = sum(len(said) for said in request.collected.extra.values() if hasattr(said, "__len__"))
    card = load_card(request.out / CARD_FILE)
    return Imported(card, report, draft.to_name, known.gathered, len(found), kept)


@dataclass(frozen=True)
class _Work:
    """What is needed to write a submission."""

    request: Request
    known: Known
    tasks: tuple[LoadedTask, ...]
    found: list[Answered]
    facts: Sequence[Fact]
    folder: Path

    def write(self, files: list[str], progress: Progress) -> Draft:
        """Judge, write the evidence and the card; `files` are there already."""
        self._add(rendered_facts(self._card(), self.folder, self.request.model))
        self._add(task_facts(self.tasks, self._card(), self.facts, self.found, self.known.names))
        card = self._card()
        responses = self._responses()
        write_table(responses, self.folder / RESPONSES_FILE)
        outcomes = self._judged(card, responses, progress)
        write_table(outcomes, self.folder / OUTCOMES_FILE)
        extra = self.request.collected.extra
        if extra:
            text = json.dumps(extra, indent=1, ensure_ascii=False, sort_keys=True) + "\n"
            replace_file(self.folder / EXTRA_FILE, text.encode(errors="backslashreplace"))
        listed = describe_files(
            self.folder,
            [OUTCOMES_FILE, RESPONSES_FILE, *([EXTRA_FILE] if extra else []), *sorted(files)],
        )
        write_manifest(self.folder, listed)
        evidence = Evidence(
            manifest=MANIFEST_FILE,
            files=listed,
            response_policy="redacted",
            runs=tuple(self._runs()),
        )
        card = card.model_copy(update={"evidence": evidence})
        results = compute_results(card, outcomes)
        filled = self.known.gathered.filled
        for name, section in (("results", results), ("evidence", evidence)):
            filled[name,] = Filled(plain(section), (Fact((name,), None, None),))
        final = make_draft(self.known.gathered, self.folder, CARD_FILE)
        replace_file(self.folder / CARD_FILE, final.text.encode())
        return final

    def _add(self, facts: Iterable[Fact]) -> None:
        """Take facts into what is known; raises InteropError where they contradict it."""
        for fact in facts:
            before = self.known.gathered.filled.get(fact.place)
            said = [*(before.facts if before else ()), fact]
            self.known.gathered.filled.update(merge(said, []))

    def _card(self) -> Card:
        return _parsed(make_draft(self.known.gathered, self.folder, CARD_FILE))

    def _responses(self) -> pa.Table:
        rows = [self._row(one) for one in self.found]
        schema = RESPONSES
        if any(row["extra"] for row in rows):
            schema = schema.append(pa.field("extra", pa.string()))
        return sort_table(pa.Table.from_pylist(rows, schema=schema))

    def _row(self, one: Answered) -> dict[str, Any]:
        sample = one.sample
        extra = dict(sample.extra)
        return {
            "condition": sample.model.condition,
            "training_seed": sample.model.training_seed,
            "checkpoint": sample.model.checkpoint,
            "decoding": self.known.names[sample.decoding],
            "repeat": sample.repeat,
            "generation_seed": sample.generation_seed,
            "task": sample.task,
            "prompt_id": one.document["prompt_id"],
            "prompt": one.document["prompt"],
            "response": sample.response,
            "status": sample.status,
            "new_tokens": sample.new_tokens,
            "extra": json.dumps(extra, ensure_ascii=False, sort_keys=True) if extra else None,
        }

    def _judged(self, card: Card, responses: pa.Table, progress: Progress) -> pa.Table:
        """Return the outcomes: verdicts that came along, and those of judges asked here."""
        labels = self.request.labels
        parts = [their_outcomes(self.found, self.known.names, card, labels)]
        names = needs_here(self.found, card)
        theirs = came_along(self.found)
        judges = card.judge if not isinstance(card.judge, NotReported) else ()
        if names:
            mine = [judge for judge in judges if judge.name not in theirs]
            asked = open_judges(mine, self.folder)
            documents = documents_by_prompt(self.tasks)
            graded = {task.name for task in card.task_list() if task.measures_severity}
            wanted = pa.compute.is_in(responses.column("task"), pa.array(names))
            table = responses.select(RESPONSES.names).filter(wanted)
            progress.start("judge", table.num_rows * len(asked))
            parts.append(judge_responses(table, documents, asked, progress, graded=graded))
            progress.stop()
        return sort_table(pa.concat_tables(parts))

    def _runs(self) -> Iterator[RegisteredRun]:
        """List every run there was; of runs made elsewhere, after the fact."""
        runs: dict[tuple[Condition, int | None], None] = {}
        for one in self.found:
            runs[one.sample.model.condition, one.sample.model.training_seed] = None
        for condition, seed in sorted(runs, key=lambda run: (run[0], run[1] or 0)):
            yield RegisteredRun(condition=condition, training_seed=seed, status="finished")
        for lost in self.request.lost:
            yield RegisteredRun(
                condition=lost.condition, training_seed=lost.seed, status="failed",
                reason=lost.reason,
            )  # fmt: skip


def _parsed(draft: Draft) -> Card:
    card, problems = parse_card(parse_document(draft.text.encode(), CARD_FILE))
    if card is None:
        raise InteropError(f"the card cannot be read: {problems[0].message}", fix=problems[0].fix)
    return card


def _check_free(out: Path) -> None:
    if out.exists() and (not out.is_dir() or any(out.iterdir())):
        what = "is not empty" if out.is_dir() else "is a file"
        raise RunError(f"{out}: {what}", fix="give --out a new folder")


__all__ = ["Imported", "import_runs"]
