"""What two places of a submission both say, compared: tables, card, tasks.

Whoever forges a submission recomputes digests and numbers. What is left to find is that one fact
is told twice: how many prompts a task has, which verdict a text deserves, what a file's digest is.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from safebench.card.document import Pointer
from safebench.checks.registry import (
    OUTCOMES_FILE,
    Hits,
    Rules,
    Subject,
    items,
    listed,
    reported,
    text,
)
from safebench.checks.rules.tasks import constructs_of
from safebench.errors import EvidenceError

if TYPE_CHECKING:
    import pyarrow as pa

    from safebench.harness.tasks import LoadedTask

rules = Rules("evidence.md#one-fact-in-two-places")
_CELL = ("condition", "training_seed", "checkpoint", "decoding", "repeat")
PROMPT = (*_CELL, "task", "prompt_id")
RESTORE = "restore the file that was measured, or run again"


def comparable(subject: Subject, name: str) -> pa.Table | None:
    """Return a table that can be compared; None where another rule says why it cannot."""
    table = getattr(subject, name.removesuffix(".parquet"))
    return None if isinstance(table, EvidenceError) or subject.row_problems else table


# --- within the rows -----------------------------------------------------------------------------


@rules.error(
    "SB-EVI-017",
    "Every row of the outcomes has values that its columns may have.",
    why="A word that nobody defined counts as nothing, or as anything.",
    fix=RESTORE,
)
def _words_known(subject: Subject) -> Hits:
    return _rows(subject, "words")


@rules.error(
    "SB-EVI-018",
    "The score of every outcome follows from its verdict, and only a response has one.",
    why="Otherwise the number and the reason given for it are two claims.",
    fix=RESTORE,
)
def _scores_follow(subject: Subject) -> Hits:
    return _rows(subject, "score")


def _rows(subject: Subject, about: str) -> Hits:
    for problem in subject.row_problems:
        if problem.about == about:
            yield (subject.file_place(OUTCOMES_FILE), problem.message)


# --- the tables against the card -----------------------------------------------------------------


@rules.error(
    "SB-EVI-019",
    "Every declared combination has outcomes.",
    why="What was measured and left out is what nobody wanted to show.",
    fix=RESTORE,
)
def _grid_complete(subject: Subject) -> Hits:
    from safebench.evidence.columns import distinct

    table = comparable(subject, OUTCOMES_FILE)
    if table is None:
        return
    there = set(distinct(table, [*_CELL, "task", "construct", "judge"]))
    measured = {cell[5:] for cell in there}
    expected = [
        (*cell, *what)
        for cell in _declared_cells(subject, bases=any(cell[0] == "base" for cell in there))
        for what in _declared_judgements(subject, measured)
    ]
    missing = [cell for cell in expected if cell not in there]
    if missing:
        first = " / ".join("-" if part is None else str(part) for part in missing[0])
        yield (
            subject.file_place(OUTCOMES_FILE),
            f"{len(missing):,} of {len(expected):,} declared combinations have no outcomes, "
            f"the first: {first}",
            "measure them, or declare what was measured",
        )


def _declared_cells(subject: Subject, *, bases: bool) -> Iterator[tuple[Any, ...]]:
    """Yield condition, seed, checkpoint, decoding and repeat of every run that is declared.

    A rerun repeats the primary estimands, and nothing else.
    """
    checkpoints: Sequence[int] = subject.checkpoints
    decodings = [
        (d.name, repeat)
        for d in items(subject.card.decoding)
        for repeat in range(1, (reported(d.repeats) or 0) + 1)
    ]
    is_rerun = getattr(subject.card.seeds, "series", "original") == "rerun"
    if is_rerun or subject.card.submission.repeats is not None:
        primaries = [reported(task.primary) for task in subject.card.task_list()]
        named = {(p.decoding, p.checkpoint) for p in primaries if p is not None}
        decodings = [d for d in decodings if any(d[0] == name for name, _ in named)]
        checkpoints = [c for c in checkpoints if any(c == number for _, number in named)]
    if bases:
        yield from (("base", None, None, *decoding) for decoding in decodings)
    runs = [(r.condition, reported(r.training_seed), r.status) for r in subject.runs]
    lost = {run[:2] for run in runs} - {run[:2] for run in runs if run[2] == "finished"}
    roles = {dataset.role for dataset in items(subject.card.data)}
    conditions = (
        [] if subject.is_untuned else ["tuned", *(["control"] if "control" in roles else [])]
    )
    for condition, seed in itertools.product(conditions, subject.training_seeds or ()):
        if (condition, seed) not in lost:
            yield from (
                (condition, seed, checkpoint, *decoding)
                for checkpoint in checkpoints
                for decoding in decodings
            )


def _declared_judgements(
    subject: Subject, measured: set[tuple[Any, ...]]
) -> Iterator[tuple[str, str, str]]:
    """Yield task, construct and judge of everything that is to be decided of every response.

    `measured` holds those that occur. A judge that decided a task decided all of it; one that has
    no row at all was to decide everything. A limited task may have no prompt of one of its
    constructs, and people need not read everything.
    """
    from safebench.judges.interface import DEFAULT_CONSTRUCTS

    idle = {judge.name for judge in items(subject.card.judge)} - {row[2] for row in measured}
    for task in subject.card.task_list():
        constructs = constructs_of(task) or ()
        for construct in constructs:
            deciding = [name for *what, name in measured if what == [task.name, construct]]
            if task.trial and len(constructs) > 1 and not deciding:
                continue
            for judge in items(subject.card.judge):
                decides = DEFAULT_CONSTRUCTS if judge.constructs is None else judge.constructs
                expected = judge.name in deciding or not deciding or judge.name in idle
                if expected and judge.kind != "human" and construct in decides:
                    yield task.name, construct, judge.name


@rules.error(
    "SB-EVI-020",
    "The prompts of the outcomes are those of the task: as many, the same ids and constructs.",
    why="Of a benchmark's prompts, the easy ones alone give any number one likes.",
    fix=RESTORE,
    section="card.md#tasks",
)
def _prompts_are_the_tasks(subject: Subject) -> Hits:
    from safebench.evidence.columns import distinct

    table = comparable(subject, OUTCOMES_FILE)
    if table is None:
        return
    asked: dict[str, dict[str, set[str]]] = {}
    for task, prompt, construct in distinct(table, ["task", "prompt_id", "construct"]):
        asked.setdefault(task, {}).setdefault(prompt, set()).add(construct)
    for number, task in enumerate(subject.card.task_list()):
        place, found = ("tasks", number), asked.get(task.name, {})
        for field in ("prompts", "limit"):
            declared = reported(getattr(task, field))
            if (
                declared is not None
                and found
                and (len(found) != declared if field == "prompts" else len(found) > declared)
            ):
                yield (
                    (*place, field),
                    f"{field} is {declared:,}, and the outcomes have {len(found):,} prompts",
                )
        loaded = subject.task_documents.get(task.name)
        if loaded is None or not found:
            continue
        said_digest = text(task.dataset_sha256)
        if said_digest is not None and said_digest != loaded.dataset_sha256:
            if not loaded.is_published and loaded.version == reported(task.version):
                yield (
                    (*place, "dataset_sha256"),
                    f"found {said_digest}; version {loaded.version} of {task.name} has "
                    f"{loaded.dataset_sha256}",
                    "run the task as it is, or give yours another name",
                )
            continue
        yield from _other_prompts(place, found, loaded)


def _other_prompts(place: Pointer, found: Mapping[str, set[str]], loaded: LoadedTask) -> Hits:
    expected = {d["prompt_id"]: d["construct"] for d in loaded.documents}
    for what, ids in (
        (f"of {loaded.name} were not asked", expected.keys() - found),
        (f"are not prompts of {loaded.name}", found.keys() - expected),
    ):
        if ids:
            yield (place, f"{len(ids):,} prompts {what}: {listed(sorted(ids))}")
    for prompt, construct in sorted(expected.items()):
        other = found.get(prompt, {construct}) - ({"severity"} if construct == "harm" else set())
        if other != {construct}:
            yield (
                place,
                f"{prompt} measures {construct}, and the outcomes say {listed(sorted(other))}",
            )
            return


@rules.error(
    "SB-EVI-021",
    "Sampled responses were drawn with the card's generation seed, and greedy ones with none.",
    why="A seed that was tried until the numbers pleased stands in the rows.",
    fix=RESTORE,
)
def _noise_is_the_cards(subject: Subject) -> Hits:
    from safebench.evidence.columns import distinct

    table = comparable(subject, OUTCOMES_FILE)
    if table is None:
        return
    expected = reported(getattr(subject.card.seeds, "generation", None))
    sampled = {d.name: d.do_sample for d in items(subject.card.decoding)}
    for decoding, seed in sorted(distinct(table, ["decoding", "generation_seed"]), key=str):
        if decoding not in sampled or (sampled[decoding] and (expected is None or seed is None)):
            continue
        wanted = expected if sampled[decoding] else None
        if seed != wanted:
            yield (
                ("seeds", "generation") if sampled[decoding] else subject.file_place(OUTCOMES_FILE),
                f"outcomes of {decoding} have generation_seed {seed}, expected "
                f"{'null: it is greedy' if wanted is None else wanted}",
            )
