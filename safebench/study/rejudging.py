"""Judging another lab's responses anew, into a submission of one's own."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc

from safebench.card.base import NotReported, require
from safebench.card.card import Card
from safebench.card.task import Task
from safebench.errors import RunError
from safebench.evidence.manifest import MANIFEST_FILE, describe_files, write_manifest
from safebench.evidence.scoring import compute_results
from safebench.evidence.submission import CARD_FILE, Submission
from safebench.evidence.tables import OUTCOMES_FILE, RESPONSES, RESPONSES_FILE, write_table
from safebench.harness.tasks import file_of, read_task
from safebench.judges.cache import JudgementCache
from safebench.judges.registry import open_judges, try_judges
from safebench.progress import Progress
from safebench.study.calibrating import write_card
from safebench.study.judging import decide, documents_of
from safebench.study.rerun import seeds_of

_WORK = ".work"
"""Folder of the judgements made so far, from which an interrupted rerun resumes."""

_UNREAD = NotReported(not_reported="a sample of prompts whose source is not on this machine")


def rejudge(original: Submission, card: Card, out: Path, progress: Progress, device: str) -> Card:
    """Ask every judge of a submission again about its responses, and write a submission of it.

    `card` is `rerun_card(...)` of kind `rejudge`; `out` is a new folder, or that of a rejudgement
    that was cut short; `device` is where weights of judges compute.

    Raises:
        RunError: the submission carries no responses, or withholds them; or the folder holds
            something else.
        CardError, JudgeError, ModelError: a judge cannot judge; finished judgements are kept.
    """
    responses = original.responses
    if responses is None or responses.column("response").null_count == responses.num_rows:
        raise RunError(
            f"{original.folder}: carries no responses, and without them nothing can be judged",
            fix="ask its authors for responses.parquet, or generate them: --kind regenerate",
        )
    if out.is_dir() and any(path.name != _WORK for path in out.iterdir()):
        raise RunError(f"{out}: is not empty", fix="give another folder with --out")
    entries = require(card.judge, "judge")
    card = card.model_copy(update={"tasks": tuple(_filled(card, original.folder))})
    responses = _of_card(responses.select(RESPONSES.names), card)
    try_judges(entries, original.folder, device)
    judges = open_judges(entries, original.folder, device)
    documents = documents_of(original, responses, entries)
    cache = JudgementCache(out / _WORK / "judgements.jsonl")
    outcomes = decide(card, responses, documents, judges, progress, cache)
    asked = tuple(judge.recorded() for judge in judges.values())
    done = _write(original, card.model_copy(update={"judge": asked}), out, (responses, outcomes))
    shutil.rmtree(out / _WORK, ignore_errors=True)
    return done


def _filled(card: Card, folder: Path) -> Iterator[Task]:
    """Yield the tasks of a card, with the digest of the prompts that a sample drew."""
    for number, task in enumerate(card.task_list()):
        if task.sample is None:
            yield task
            continue
        found = read_task(task.name, file=file_of(task, number, folder), sample=task.sample)
        yield task.model_copy(
            update={"prompts": task.sample.prompts, "dataset_sha256": _UNREAD}
            if found is None
            else {
                "prompts": len(found.documents),
                "dataset_sha256": found.dataset_sha256,
                "available": found.available,
            }
        )


def _of_card(responses: pa.Table, card: Card) -> pa.Table:
    """Return the responses of the training seeds and prompts that are judged again."""
    seeds = responses.column("training_seed")
    of_card = pc.is_in(seeds, pa.array(seeds_of(card), pa.int64()))
    taken = pc.or_(pc.is_null(seeds), of_card)
    for task in card.task_list():
        if task.sample is not None:
            is_other = pc.not_equal(responses.column("task"), task.name)
            ids = responses.filter(pc.invert(is_other)).column("prompt_id").unique().to_pylist()
            drawn = pa.array(sorted(task.sample.taken(task.name, ids)), pa.string())
            is_drawn = pc.is_in(responses.column("prompt_id"), drawn)
            taken = pc.and_(taken, pc.or_(is_other, is_drawn))
    return responses.filter(taken)


def _write(original: Submission, card: Card, out: Path, tables: tuple[pa.Table, pa.Table]) -> Card:
    evidence = require(original.card.evidence, "evidence")
    if evidence is None:
        raise RunError(f"{original.folder}: the card lists no evidence")
    runs = tuple(
        run
        for run in require(evidence.runs, "evidence.runs")
        if run.training_seed is None or run.training_seed in seeds_of(card)
    )
    for table, name in zip(tables, (RESPONSES_FILE, OUTCOMES_FILE), strict=True):
        write_table(table, out / name)
    files = describe_files(out, [OUTCOMES_FILE, RESPONSES_FILE])
    write_manifest(out, files)
    changes = {
        # What was generated is the original's, and so is what generated it.
        "environment": original.card.environment,
        "evidence": evidence.model_copy(
            update={"manifest": MANIFEST_FILE, "files": files, "runs": runs}
        ),
    }
    card = card.model_copy(update=changes)
    card = card.model_copy(update={"results": compute_results(card, tables[1])})
    return write_card(card, out / CARD_FILE)
