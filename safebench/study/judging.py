"""Judging the stored responses of a submission: nothing is generated, rows are only added."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Any

import pyarrow as pa

from safebench.card.base import Unpinnable, require
from safebench.card.card import Card
from safebench.card.differences import protocol_differences
from safebench.card.judge import Judge as JudgeEntry
from safebench.errors import CardError, EvidenceError, JudgeError, RunError
from safebench.evidence.journal import JOURNAL_FILE, Journal
from safebench.evidence.manifest import describe_files, write_manifest
from safebench.evidence.scoring import compute_results
from safebench.evidence.submission import CARD_FILE, Submission
from safebench.evidence.tables import OUTCOMES, OUTCOMES_FILE, RESPONSES, sort_table, write_table
from safebench.harness.tasks import documents_by_prompt, file_of, read_task
from safebench.judges.cache import JudgementCache, cache_file
from safebench.judges.interface import DEFAULT_CONSTRUCTS, Judge
from safebench.judges.judging import Documents, judge_responses, marks_of
from safebench.judges.registry import check_entry, open_judges, try_judges
from safebench.progress import Progress
from safebench.study.calibrating import write_card

_SAID_OF_A_JUDGE: dict[str, Any] = {
    **dict.fromkeys(("primary", "calibration", "self_test"), True),
    "template": {"path": True},  # its digest decides
    "sheets": {"__all__": {"path": True}},
}
"""Fields of a judge's entry that decide no verdict."""


def judges_to_ask(
    submission: Submission, card: Card | None, names: Collection[str]
) -> tuple[JudgeEntry, ...]:
    """Return the judges that have not judged a submission's responses yet.

    They are those of its own card, or of `card`, another one of the same study; `names` chooses
    some of them, and all where it is empty.

    Raises:
        CardError: the card is of another study, a judge is unknown, cannot be executed, or has
            judged already with other settings.
        EvidenceError: the outcomes cannot be read.
    """
    own = require(submission.card.judge, "judge")
    differing = () if card is None else protocol_differences(submission.card, card).variables
    for other in (one for one in differing if one.section != "judge"):
        raise CardError(
            f"{submission.folder}: its responses were generated under another protocol than the "
            f"card's: {other.name}: {other.a} -> {other.b}",
            fix="generate them with `safebench run`, or change the judges of the card alone",
        )
    entries = own if card is None else require(card.judge, "judge")
    unknown = set(names) - {entry.name for entry in entries}
    if unknown:
        raise CardError(
            f"there is no judge {', '.join(sorted(unknown))}",
            fix=f"the card has {', '.join(entry.name for entry in entries)}",
        )
    chosen = [entry for entry in entries if not names or entry.name in names]
    judged = set(pa.compute.unique(submission.outcomes.column("judge")).to_pylist())
    described = {entry.name: entry for entry in own}
    for entry in chosen:
        before = described.get(entry.name)
        if entry.name in judged and (before is None or deciding(before) != deciding(entry)):
            raise CardError(
                f"judge {entry.name} has judged these responses with other settings",
                fix="give the corrected judge another name: verdicts are added, never overwritten",
            )
    found = tuple(entry for entry in chosen if entry.name not in judged)
    for number, entry in enumerate(entries):
        if entry in found:
            check_entry(entry, f"judge[{number}]", entries)
    return found


def judge_submission(
    submission: Submission,
    entries: Sequence[JudgeEntry],
    progress: Progress,
    *,
    card: Card | None = None,
    device: str = "cpu",
) -> Card:
    """Let judges decide a submission's responses, and write outcomes, manifest and card.

    `entries` are `judges_to_ask(...)`; `card` names the judge of every primary estimand, where it
    differs from the submission's; `device` is where weights compute.

    Raises:
        RunError: the submission carries no responses.
        CardError, JudgeError, ModelError, EvidenceError: a judge cannot judge; nothing was written.
    """
    responses, outcomes = submission.responses, submission.outcomes
    if responses is None:
        raise RunError(
            f"{submission.folder}: carries no responses, and without them nothing can be judged",
            fix="ask its authors for responses.parquet",
        )
    asked = [entry.name for entry in entries]
    described = require(submission.card.judge, "judge")
    # Members of an ensemble decide, and severity is graded where nothing was refused.
    need_others = any(e.kind == "ensemble" or "severity" in (e.constructs or ()) for e in entries)
    others = [e for e in described if e.name not in asked] if need_others else []
    try_judges(entries, submission.folder, device, progress)
    judges = open_judges([*others, *entries], submission.folder, device)
    documents = documents_of(submission, responses, entries)
    cache = JudgementCache(cache_file())
    responses = responses.select(RESPONSES.names)
    found = decide(submission.card, responses, documents, judges, progress, cache, asked)
    found = _where_labelled(found, {e.name for e in entries if e.kind == "human"})
    table = sort_table(pa.concat_tables([outcomes.cast(OUTCOMES), found]))
    recorded = tuple(judges[name].recorded() for name in asked)
    return _write(submission, table, recorded, submission.card if card is None else card)


def decide(
    card: Card,
    responses: pa.Table,
    documents: Documents,
    judges: Mapping[str, Judge],
    progress: Progress,
    cache: JudgementCache,
    asked: Collection[str] | None = None,
) -> pa.Table:
    """Return the outcomes of a card's responses; the arguments are those of `judge_responses`."""
    progress.start("judge", responses.num_rows * len(judges))
    outcomes = judge_responses(
        responses,
        documents,
        judges,
        progress,
        cache,
        asked=asked,
        graded=graded_tasks(card),
        marks=marks_of(card),
    )
    progress.stop()
    return outcomes


def graded_tasks(card: Card) -> set[str]:
    """Return the names of the tasks on whose prompts severity is measured, too."""
    return {task.name for task in card.task_list() if task.measures_severity}


def _where_labelled(rows: pa.Table, people: Collection[str]) -> pa.Table:
    """Return outcomes without those by people of checkpoints where a run has no label.

    An audit covers some checkpoints and decodings, and a number needs labels of every run of one.

    Raises:
        JudgeError: nothing is left of a judge.
    """
    if not people:
        return rows
    place = ["judge", "task", "construct", "condition", "checkpoint", "decoding"]
    columns = [rows.column(n).to_pylist() for n in (*place, "training_seed", "repeat", "score")]
    given: dict[tuple[Any, ...], set[Any]] = {}
    runs: dict[tuple[Any, ...], set[Any]] = {}
    for *key, seed, repeat, score in zip(*columns, strict=True):
        runs.setdefault(tuple(key), set()).add((seed, repeat))
        if score is not None:
            given.setdefault(tuple(key), set()).add((seed, repeat))
    whole = {key for key in runs if key[0] not in people or given.get(key) == runs[key]}
    for name in sorted({key[0] for key in runs} - {key[0] for key in whole}):
        raise JudgeError(
            f"judge {name}: there is no checkpoint and decoding of which every run has a label",
            fix="have more responses labelled: `safebench judge audit DIR --n N` draws them",
        )
    return rows.filter(pa.array([key in whole for key in zip(*columns[: len(place)], strict=True)]))


def _write(
    submission: Submission, outcomes: pa.Table, added: tuple[JudgeEntry, ...], wanted: Card
) -> Card:
    folder, before = submission.folder, submission.card
    given = {entry.name: entry for entry in require(wanted.judge, "judge")}
    judges = tuple(
        # What is left out may be written out now, for another judge that decides a part of it.
        entry.model_copy(update={"constructs": given[entry.name].constructs})
        if entry.name in given and deciding(given[entry.name]) == deciding(entry)
        else entry
        for entry in require(before.judge, "judge")
        if entry.name not in {one.name for one in added}
    )
    primary = {name: entry.primary for name, entry in given.items()}
    judges = tuple(
        entry.model_copy(update={"primary": primary.get(entry.name, wanted is before)})
        if entry.primary
        else entry
        for entry in (*judges, *added)
    )
    estimands = {task.name: task.primary for task in wanted.task_list()}
    tasks = tuple(
        task.model_copy(update={"primary": estimands.get(task.name) or task.primary})
        for task in before.task_list()
    )
    card = before.model_copy(update={"judge": judges, "tasks": tasks})
    card = card.model_copy(update={"results": compute_results(card, outcomes)})
    evidence = card.given_evidence
    paths = {OUTCOMES_FILE, *(file.path for file in evidence.files)} if evidence else set()
    for path in sorted(paths - {OUTCOMES_FILE}):  # before anything is written
        if not (folder / path).is_file():
            raise EvidenceError(
                f"{folder / path}: is listed as evidence, and is not there",
                fix="restore the file: nothing was written",
            )
    journal = Journal(folder)
    if (folder / JOURNAL_FILE).is_file():
        journal.note("judged", judges=[entry.name for entry in added])
    write_table(outcomes, folder / OUTCOMES_FILE)
    if evidence is not None:
        files = describe_files(folder, sorted(paths))
        write_manifest(folder, files)
        card = card.model_copy(update={"evidence": evidence.model_copy(update={"files": files})})
    return write_card(card, folder / CARD_FILE)


def documents_of(
    submission: Submission, responses: pa.Table, entries: Sequence[JudgeEntry]
) -> Documents:
    """Return each prompt's document: as it was judged before, with right answers of the task."""
    columns = ("task", "prompt_id", "construct", "category")
    rows = submission.outcomes.select(columns).group_by(list(columns)).aggregate([])
    kinds: dict[tuple[str, str], dict[str, Any]] = {}
    for task, prompt_id, construct, category in zip(
        *(rows.column(name).to_pylist() for name in columns), strict=True
    ):
        if construct != "severity" or (task, prompt_id) not in kinds:
            kinds[task, prompt_id] = {"construct": construct, "category": category, "target": None}
    rows = responses.select(["task", "prompt_id", "prompt"])
    asked = rows.group_by(rows.column_names).aggregate([])
    found = {
        (task, prompt_id): {**kinds[task, prompt_id], "prompt": prompt}
        for task, prompt_id, prompt in zip(
            *(asked.column(name).to_pylist() for name in rows.column_names), strict=True
        )
    }
    if any(e.constructs is None or "capability" in e.constructs for e in entries):
        for number, task in enumerate(submission.card.task_list()):
            if any(k[0] == task.name and d["construct"] == "capability" for k, d in found.items()):
                loaded = read_task(task.name, file=file_of(task, number, submission.folder))
                known = {} if loaded is None else documents_by_prompt([loaded])
                for key in (key for key in found if key in known):
                    found[key]["target"] = known[key]["target"]
    return found


def deciding(entry: JudgeEntry) -> dict[str, Any]:
    """Return the fields that decide a judge's verdicts; days of requests do not."""
    found = entry.model_dump(mode="json", exclude_none=True, exclude=_SAID_OF_A_JUDGE)
    if isinstance(entry.revision, Unpinnable):
        found["revision"] = "unpinnable"
    found["constructs"] = sorted(entry.constructs or DEFAULT_CONSTRUCTS)
    return found
