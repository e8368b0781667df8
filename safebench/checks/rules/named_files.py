"""Files and journal of a submission, compared with what the card says of them."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from safebench.card.document import Pointer
from safebench.checks.registry import (
    Hits,
    Rules,
    Subject,
    items,
    listed,
    reported,
    text,
)
from safebench.checks.rules.agreement import RESTORE
from safebench.errors import EvidenceError, SafebenchError
from safebench.files import inside

rules = Rules("evidence.md#one-fact-in-two-places")


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
    fix=RESTORE,
)
def _named_digests_hold(subject: Subject) -> Hits:
    from safebench.files import sha256_of
    from safebench.models.weights import weights_sha256

    for pointer, target, path, entry in _measured_files(subject):
        declared = text(entry.sha256)
        if target is None or declared is None:
            continue
        try:
            found = weights_sha256(target) if pointer[0] == "model" else sha256_of(target)
        except (SafebenchError, OSError):
            continue  # a folder without weights: SB-EVI-026
        if found != declared:
            yield ((*pointer, "sha256"), f"{path} has sha256 {found}, expected {declared}")
        elif pointer[0] == "data":
            yield from _examples(pointer, target, path, entry)


def _examples(pointer: Pointer, target: Path, path: str, entry: Any) -> Hits:
    from safebench.rows import read_rows

    declared = reported(entry.examples)
    if declared is None or entry.subset is not None or entry.weight is not None or entry.split:
        return
    try:
        count = sum(1 for _ in read_rows(target, EvidenceError))
    except SafebenchError:
        return  # of a format that has no rows here
    if count != declared:
        message = f"examples is {declared:,}, and {path} has {count:,}"
        yield ((*pointer, "examples"), message, "give the number, or the subset that was used")


@rules.warning(
    "SB-EVI-026",
    "Training data and weights that the card places in the submission lie in it.",
    why="A digest of something that nobody can get is hard to hold against anybody.",
    fix=RESTORE,
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
    fix=RESTORE,
)
def _journal_agrees(subject: Subject) -> Hits:
    from safebench.evidence.journal import JOURNAL_FILE, Journal

    evidence = subject.card.given_evidence
    if subject.folder is None or evidence is None or reported(evidence.runs) is None:
        return
    journal = inside(subject.folder, JOURNAL_FILE)
    if journal is None or not journal.is_file():
        return
    logged: dict[Any, str] = {
        run: state.status for run, state in Journal(subject.folder).states().items()
    }
    card: dict[Any, str] = {
        (r.condition, reported(r.training_seed)): r.status for r in subject.runs
    }
    for run in sorted(logged.keys() | card.keys(), key=str):
        found, declared = logged.get(run), card.get(run)
        if found == declared or (found == "registered" and declared == "finished"):
            continue
        whose = run[0] if run[1] is None else f"{run[0]}, training seed {run[1]}"
        yield (
            ("evidence", "runs"),
            f"{whose}: {declared or 'not listed'} in the card, {found or 'not registered'} in "
            f"{JOURNAL_FILE}",
            "list every run that was registered, with how it ended",
        )
