"""What two places of a submission both say, compared: tables, card, tasks, files and journal.

Whoever forges a submission recomputes digests and numbers. What is left to find is that one fact
is told twice: how many prompts a task has, which verdict a text deserves, what a file's digest is.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from safebench.card.document import Pointer
from safebench.checks.registry import (
    OUTCOMES_FILE,
    RESPONSES_FILE,
    Hits,
    Rules,
    Subject,
    items,
    listed,
    reported,
    text,
)
from safebench.checks.rules.tasks import constructs_of
from safebench.errors import EvidenceError, JudgeError, SafebenchError
from safebench.files import inside

if TYPE_CHECKING:
    import pyarrow as pa

    from safebench.harness.tasks import LoadedTask

rules = Rules("evidence.md#one-fact-in-two-places")
FEWEST_SAMPLES = 50
"""Sampled responses from which two runs that share all of them cannot be two runs."""
_CELL = ("condition", "training_seed", "checkpoint", "decoding", "repeat")
_PROMPT = (*_CELL, "task", "prompt_id")
_RESTORE = "restore the file that was measured, or run again"


def _file(subject: Subject, path: str) -> Pointer:
    evidence = subject.card.given_evidence
    for number, file in enumerate(evidence.files if evidence else ()):
        if file.path == path:
            return ("evidence", "files", number)
    return ("evidence", "manifest")


def _table(subject: Subject, name: str) -> pa.Table | None:
    """Return a table that can be compared; None where another rule says why it cannot."""
    table = subject.outcomes if name == OUTCOMES_FILE else subject.responses
    return None if isinstance(table, EvidenceError) or subject.row_problems else table


# --- within the rows -----------------------------------------------------------------------------


@rules.error(
    "SB-EVI-017",
    "Every row of the outcomes has values that its columns may have.",
    why="A word that nobody defined counts as nothing, or as anything.",
    fix=_RESTORE,
)
def _words_known(subject: Subject) -> Hits:
    return _rows(subject, "words")


@rules.error(
    "SB-EVI-018",
    "The score of every outcome follows from its verdict, and only a response has one.",
    why="Otherwise the number and the reason given for it are two claims.",
    fix=_RESTORE,
)
def _scores_follow(subject: Subject) -> Hits:
    return _rows(subject, "score")


def _rows(subject: Subject, about: str) -> Hits:
    for problem in subject.row_problems:
        if problem.about == about:
            yield (_file(subject, OUTCOMES_FILE), problem.message)


# --- the tables against the card -----------------------------------------------------------------


@rules.error(
    "SB-EVI-019",
    "Every declared combination has outcomes.",
    why="What was measured and left out is what nobody wanted to show.",
    fix=_RESTORE,
)
def _grid_complete(subject: Subject) -> Hits:
    from safebench.evidence.columns import distinct

    table = _table(subject, OUTCOMES_FILE)
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
            _file(subject, OUTCOMES_FILE),
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
    if getattr(subject.card.seeds, "series", "original") == "rerun":
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
            if task.limit and len(constructs) > 1 and not deciding:
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
    fix=_RESTORE,
    section="card.md#tasks",
)
def _prompts_are_the_tasks(subject: Subject) -> Hits:
    from safebench.evidence.columns import distinct

    table = _table(subject, OUTCOMES_FILE)
    if table is None:
        return
    asked: dict[str, dict[str, set[str]]] = {}
    for task, prompt, construct in distinct(table, ["task", "prompt_id", "construct"]):
        asked.setdefault(task, {}).setdefault(prompt, set()).add(construct)
    for number, task in enumerate(subject.card.task_list()):
        place, found = ("tasks", number), asked.get(task.name, {})
        for field in ("prompts", "limit"):
            said = reported(getattr(task, field))
            if (
                said is not None
                and found
                and (len(found) != said if field == "prompts" else len(found) > said)
            ):
                yield (
                    (*place, field),
                    f"{field} is {said:,}, and the outcomes have {len(found):,} prompts",
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
        ("not asked", expected.keys() - found),
        ("not a prompt of it", found.keys() - expected),
    ):
        if ids:
            message = f"{len(ids):,} prompts of {loaded.name} {what}: {listed(sorted(ids))}"
            yield (place, message.replace("not asked", "were not asked"))
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
    fix=_RESTORE,
)
def _noise_is_the_cards(subject: Subject) -> Hits:
    from safebench.evidence.columns import distinct

    table = _table(subject, OUTCOMES_FILE)
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
                ("seeds", "generation") if sampled[decoding] else _file(subject, OUTCOMES_FILE),
                f"outcomes of {decoding} have generation_seed {seed}, expected "
                f"{'null: it is greedy' if wanted is None else wanted}",
            )


# --- the responses -------------------------------------------------------------------------------


@rules.error(
    "SB-EVI-022",
    "Every response has outcomes, every outcome its response, and both say how it ended.",
    why="A verdict on a text that is not there cannot be checked.",
    fix=_RESTORE,
)
def _responses_match(subject: Subject) -> Hits:
    from safebench.evidence.columns import distinct, encoded

    if isinstance(subject.responses, EvidenceError):
        problem = subject.responses
        yield (_file(subject, RESPONSES_FILE), str(problem), problem.fix or _RESTORE)
    responses, outcomes = _table(subject, RESPONSES_FILE), _table(subject, OUTCOMES_FILE)
    if responses is None or outcomes is None:
        return
    names = [*_PROMPT, "generation_seed", "status"]
    texts, judged = distinct(responses, names), set(distinct(outcomes, names))
    problems: dict[str, list[Any]] = {
        "stand twice or more": [None] * (responses.num_rows - len(texts)),
        "have no outcome": list(set(texts) - judged),
        "are missing, and have an outcome": list(judged - set(texts)),
        "have a text, and a status that says there is none": [],
        "have no text, and a status that says there is one": [],
    }
    codes, values = encoded(responses, "response")
    ended, words = encoded(responses, "status")
    empty = [i for i, value in enumerate(values) if value is None]
    without = [i for i, word in enumerate(words) if word in ("error", "not_run")]
    for code, status in zip(codes.tolist(), ended.tolist(), strict=True):
        if status in without and code not in empty:
            problems.setdefault("have a text, and a status that says there is none", []).append(
                None
            )
        elif code in empty and words[status] in ("ok", "truncated"):
            problems.setdefault("have no text, and a status that says there is one", []).append(
                None
            )
    longest = {d.name: reported(d.max_new_tokens) for d in items(subject.card.decoding)}
    over = [
        (decoding, tokens)
        for decoding, tokens in distinct(responses, ["decoding", "new_tokens"])
        if tokens is not None and longest.get(decoding) is not None and tokens > longest[decoding]
    ]
    problems["are longer than max_new_tokens"] = over
    problems["have fewer than 0 tokens"] = [
        (tokens,)
        for (tokens,) in distinct(responses, ["new_tokens"])
        if tokens is not None and tokens < 0
    ]
    for what, found in problems.items():
        if found:
            example = min((f for f in found if f is not None), key=str, default=None)
            shown = " / ".join("-" if p is None else str(p) for p in example) if example else ""
            message = f"{len(found):,} responses {what}" + (f": {shown}" if shown else "")
            yield (_file(subject, RESPONSES_FILE), message)


@rules.error(
    "SB-EVI-023",
    "Where a judge reads by a published rule, its verdicts are what the rule says of the texts.",
    why="A verdict that its judge does not give was given by somebody else.",
    fix=_RESTORE,
)
def _verdicts_are_the_judges(subject: Subject) -> Hits:
    from safebench.judges.judging import marks_of
    from safebench.judges.rule import rule_of
    from safebench.judges.text import answer_of

    marks = marks_of(subject.card)
    responses, outcomes = _table(subject, RESPONSES_FILE), _table(subject, OUTCOMES_FILE)
    if responses is None or outcomes is None:
        return
    prompts: dict[tuple[str, str], Any] = {}
    for task in subject.card.task_list():
        loaded = subject.task_documents.get(task.name)
        if loaded is not None and loaded.dataset_sha256 == text(task.dataset_sha256):
            prompts |= {(task.name, d["prompt_id"]): d for d in loaded.documents}
    texts = _texts(responses)
    for number, judge in enumerate(items(subject.card.judge)):
        if judge.kind != "rule":
            continue
        try:
            rule = rule_of(str(judge.id), str(judge.revision))
        except JudgeError:
            continue  # another rule says that nobody knows it
        whole = judge.reasoning == "shown"
        wrong, first = 0, ""
        for row, count, verdict, score in _judged(outcomes, judge.name, texts):
            (task_name, prompt_id, construct), (prompt, response) = row
            document = prompts.get((task_name, prompt_id))
            if construct == "severity" or (construct == "capability" and document is None):
                continue
            decided = rule(
                construct,
                document["prompt"] if document else prompt,
                response or "" if whole else answer_of(response or "", marks),
                (document["target"] or None) if document else None,
            )
            if (decided.verdict, decided.score) != (verdict, score):
                wrong += count
                first = first or (
                    f"{prompt_id}: {verdict or f'{score:g}'}, the rule says "
                    f"{decided.verdict or f'{decided.score:g}'}"
                )
        if wrong:
            yield (
                ("judge", number),
                f"{wrong:,} outcomes are not what {judge.id} decides of the responses; {first}",
                "judge the responses again",
            )


def _texts(responses: pa.Table) -> dict[tuple[Any, ...], tuple[str, str | None]]:
    """Return prompt and response by condition, seed, checkpoint, decoding, repeat, task, prompt."""
    columns = [responses.column(name).to_pylist() for name in (*_PROMPT, "prompt", "response")]
    return {row[:-2]: (row[-2], row[-1]) for row in zip(*columns, strict=True)}


def _judged(
    outcomes: pa.Table, judge: str, texts: Mapping[tuple[Any, ...], tuple[str, str | None]]
) -> Iterator[tuple[tuple[Any, Any], int, str | None, float]]:
    """Yield what a judge was asked, once for each different answer it gave, and how often."""
    from safebench.evidence.columns import rows_with

    names = [*_PROMPT, "construct", "status", "verdict", "score"]
    found: dict[Any, int] = {}
    rows = rows_with(outcomes, {"judge": judge})
    for row in zip(*(rows.column(name).to_pylist() for name in names), strict=True):
        *key, construct, status, verdict, score = row
        exchange = texts.get(tuple(key))
        if exchange is not None and status not in ("error", "not_run"):
            asked = ((key[5], key[6], construct), exchange)
            found[asked, verdict, score] = found.get((asked, verdict, score), 0) + 1
    for (asked, verdict, score), count in found.items():
        yield asked, count, verdict, score


@rules.error(
    "SB-EVI-024",
    "Two training seeds do not give the same sampled texts.",
    why="One run under two names makes any number look stable.",
    fix=_RESTORE,
)
def _seeds_differ(subject: Subject) -> Hits:
    responses = _table(subject, RESPONSES_FILE)
    if responses is None:
        return
    sampled = {d.name for d in items(subject.card.decoding) if d.do_sample}
    runs: dict[tuple[Any, ...], dict[Any, dict[Any, str | None]]] = {}
    names = [*_PROMPT, "response"]
    for row in zip(*(responses.column(name).to_pylist() for name in names), strict=True):
        condition, seed, checkpoint, decoding, *prompt, response = row
        if decoding in sampled:
            of = runs.setdefault((condition, checkpoint, decoding), {}).setdefault(seed, {})
            of[tuple(prompt)] = response
    for (condition, checkpoint, decoding), by_seed in runs.items():
        for (one, first), (other, second) in itertools.combinations(by_seed.items(), 2):
            several = len(first) >= FEWEST_SAMPLES and len(set(first.values())) > 1
            if several and first == second:
                yield (
                    _file(subject, RESPONSES_FILE),
                    f"seeds {one} and {other} ({condition}, checkpoint {checkpoint}, {decoding}) "
                    f"share all {len(first):,} sampled texts",
                    "train and sample with each seed",
                )


# --- files ---------------------------------------------------------------------------------------


def _named_files(subject: Subject) -> Iterator[tuple[Pointer, str, Any]]:
    """Yield place, path and entry of the files and folders that the card names beside it."""
    for number, dataset in enumerate(items(subject.card.data)):
        if (path := text(dataset.path)) is not None:
            yield ("data", number), path, dataset
    for number, weights in enumerate(subject.weights):
        if (path := text(weights.path)) is not None:
            yield ("model", "weights", number), path, weights


def _measured_files(subject: Subject) -> Iterator[tuple[Pointer, Path | None, str, Any]]:
    if subject.folder is not None and subject.card.given_evidence is not None:
        for pointer, path, entry in _named_files(subject):
            yield pointer, subject.beside(path), path, entry


@rules.error(
    "SB-EVI-025",
    "Training data and weights in the folder are those of the card: digest and examples.",
    why="The card's digest is what the runs are said to have used.",
    fix=_RESTORE,
)
def _named_digests_hold(subject: Subject) -> Hits:
    from safebench.files import sha256_of
    from safebench.models.weights import weights_sha256

    for pointer, target, path, entry in _measured_files(subject):
        said = text(entry.sha256)
        if target is None or said is None:
            continue
        try:
            found = weights_sha256(target) if pointer[0] == "model" else sha256_of(target)
        except (SafebenchError, OSError):
            continue  # a folder without weights: SB-EVI-026
        if found != said:
            yield ((*pointer, "sha256"), f"{path} has sha256 {found}, expected {said}")
        elif pointer[0] == "data":
            yield from _examples(pointer, target, path, entry)


def _examples(pointer: Pointer, target: Path, path: str, entry: Any) -> Hits:
    from safebench.rows import read_rows

    said = reported(entry.examples)
    if said is None or entry.subset is not None or entry.weight is not None or entry.split:
        return
    try:
        count = sum(1 for _ in read_rows(target, EvidenceError))
    except SafebenchError:
        return  # of a format that has no rows here
    if count != said:
        message = f"examples is {said:,}, and {path} has {count:,}"
        yield ((*pointer, "examples"), message, "give the number, or the subset that was used")


@rules.warning(
    "SB-EVI-026",
    "Training data and weights that the card places in the submission lie in it.",
    why="A digest of something that nobody can get is hard to hold against anybody.",
    fix=_RESTORE,
)
def _named_files_there(subject: Subject) -> Hits:
    absent = [
        (pointer, path) for pointer, target, path, _ in _measured_files(subject) if target is None
    ]
    if absent:
        names = listed(path for _, path in absent)
        yield ((*absent[0][0], "path"), f"not in the submission: {names}", "add what is named")


@rules.error(
    "SB-EVI-027",
    "The journal, where there is one, tells of the same runs as the card, and how they ended.",
    why="A run that was registered and is not listed was dropped.",
    fix=_RESTORE,
)
def _journal_agrees(subject: Subject) -> Hits:
    from safebench.evidence.journal import JOURNAL_FILE, Journal

    evidence = subject.card.given_evidence
    if subject.folder is None or evidence is None or reported(evidence.runs) is None:
        return
    journal = inside(subject.folder, JOURNAL_FILE)
    if journal is None or not journal.is_file():
        return
    told: dict[Any, str] = {
        run: state.status for run, state in Journal(subject.folder).states().items()
    }
    card: dict[Any, str] = {
        (r.condition, reported(r.training_seed)): r.status for r in subject.runs
    }
    for run in sorted(told.keys() | card.keys(), key=str):
        found, said = told.get(run), card.get(run)
        if found == said or (found == "registered" and said == "finished"):
            continue
        whose = run[0] if run[1] is None else f"{run[0]}, training seed {run[1]}"
        yield (
            ("evidence", "runs"),
            f"{whose}: {said or 'not listed'} in the card, {found or 'not registered'} in "
            f"{JOURNAL_FILE}",
            "list every run that was registered, with how it ended",
        )
