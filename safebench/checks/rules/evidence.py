"""Evidence: the files are those the card lists, and give the numbers the card prints."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from safebench.card.base import NotReported, Section
from safebench.card.document import Pointer
from safebench.card.results import Results, key_of
from safebench.checks.registry import OUTCOMES_FILE, Hit, Rules, Subject
from safebench.errors import EvidenceError

rules = Rules("card.md#evidence")


def _place(subject: Subject, path: str) -> Pointer:
    evidence = subject.card.given_evidence
    for number, file in enumerate(evidence.files if evidence else ()):
        if file.path == path:
            return ("evidence", "files", number)
    return ("evidence", "manifest")


def _files(subject: Subject, fix: str, *problems: str) -> Iterator[Hit]:
    """Yield the files that have one of these problems."""
    for found in subject.file_problems:
        if found.problem in problems:
            message = f"{found.path} {found.problem}"
            if found.problem.startswith("has another"):
                message += f": found {found.found}, expected {found.expected}"
            elif found.problem.startswith("differs"):
                message += f" in: {found.found}"
            yield Hit(_place(subject, found.path), message, fix)


@rules.error("SB-EVI-001")
def results_given(subject: Subject) -> Iterator[Hit]:
    """Evidence comes with the results that it supports.

    Files without a claim prove nothing.
    """
    if subject.card.given_evidence is not None and subject.card.given_results is None:
        yield Hit(
            ("evidence",),
            "evidence is attached, but results is missing",
            "safebench score FOLDER computes them",
        )


@rules.warning("SB-EVI-002")
def evidence_given(subject: Subject) -> Iterator[Hit]:
    """A first party provides evidence for its results.

    A number that cannot be recomputed has to be taken on trust.
    """
    card = subject.card
    own = card.submission.relationship == "first_party"
    if own and card.given_results is not None and card.given_evidence is None:
        yield Hit(
            ("results",),
            "results are given without evidence: nobody can recompute them",
            "attach outcomes.parquet and list it in evidence.files",
        )


@rules.error("SB-EVI-003")
def path_outside(subject: Subject) -> Iterator[Hit]:
    """Every file lies inside the submission.

    A path that leads out of the folder reads something else on every machine.
    """
    fix = "copy the file into the submission; no .., no absolute path, no link that leads out"
    return _files(subject, fix, "lies outside the submission")


@rules.error("SB-EVI-004")
def file_there(subject: Subject) -> Iterator[Hit]:
    """Every listed file exists.

    Evidence that is not there proves nothing.
    """
    fix = "add the file, or remove it from evidence.files and from the manifest"
    return _files(subject, fix, "is missing")


@rules.error("SB-EVI-005")
def digest_matches(subject: Subject) -> Iterator[Hit]:
    """Every file has the digest that the card gives.

    A changed file is not the one that the numbers came from.
    """
    fix = "restore the file that was measured; if it was meant to change, score and list it anew"
    return _files(subject, fix, "has another sha256")


@rules.error("SB-EVI-006")
def rows_match(subject: Subject) -> Iterator[Hit]:
    """Every table has the number of rows that the card gives.

    Leaving out rows is the cheapest way to a better number.
    """
    fix = "correct evidence.files, or restore the table"
    return _files(subject, fix, "has another number of rows")


@rules.error("SB-EVI-007")
def manifest_agrees(subject: Subject) -> Iterator[Hit]:
    """The manifest lists the same files and digests as the card.

    Where two lists differ, nobody can tell which one was meant.
    """
    fix = "list the same files with the same digests in both, as a run does"
    return _files(subject, fix, "is not a manifest", "differs from the card")


@rules.error("SB-EVI-008")
def numbers_hold(subject: Subject) -> Iterator[Hit]:
    """Every number follows from the outcomes.

    Recomputing is the cheapest reproduction, so every reader may expect it.
    """
    results = subject.card.given_results
    if results is None or subject.row_problems or not subject.is_intact(OUTCOMES_FILE):
        return
    try:
        computed = _computed(subject)
    except EvidenceError:
        return  # SB-EVI-009 reports it
    for pointer, found, expected in differences(results, computed):
        yield Hit(
            ("results", *pointer),
            f"the card says {_shown(found)}, the outcomes give {_shown(expected)}",
            "safebench score FOLDER recomputes every number",
        )


@rules.error("SB-EVI-009")
def outcomes_complete(subject: Subject) -> Iterator[Hit]:
    """The outcomes are complete and readable.

    A response without an outcome has been left out of the numbers.
    """
    if subject.row_problems or not subject.is_intact(OUTCOMES_FILE):
        return
    try:
        _computed(subject)
    except EvidenceError as problem:
        yield Hit(
            _place(subject, OUTCOMES_FILE),
            str(problem),
            problem.fix or "write the table as spec/v1/card.md#evidence says",
        )


@rules.error("SB-EVI-010")
def outcomes_listed(subject: Subject) -> Iterator[Hit]:
    """The outcomes are among the listed files.

    A table without a digest can be replaced without anyone noticing.
    """
    evidence = subject.card.given_evidence
    if evidence is not None and OUTCOMES_FILE not in {file.path for file in evidence.files}:
        yield Hit(
            ("evidence", "files"),
            f"{OUTCOMES_FILE} is not listed: the numbers cannot be recomputed",
            "list it with its sha256 and rows",
        )


def _computed(subject: Subject) -> Results:
    from safebench.evidence.scoring import compute_results

    table = subject.outcomes
    if isinstance(table, EvidenceError):
        raise table
    if table is None or not table.num_rows:
        raise EvidenceError("the table has no rows", fix="an empty table is no evidence")
    return compute_results(subject.card, table)


def differences(found: Results, computed: Results) -> Iterator[tuple[Pointer, Any, Any]]:
    """Yield pointer, stated and computed value of every number that is not the same.

    Numbers are matched by what they measure, not by their order. `method` and `note` are words of
    the computation and compared as numbers are; a field that is not reported claims nothing.
    """
    for field in ("primary", "scores", "changes"):
        stated = getattr(found, field)
        wanted = {key_of(item): item for item in getattr(computed, field)}
        for number, item in enumerate(stated):
            partner = wanted.pop(key_of(item), None)
            if partner is None:
                yield (field, number), "this number", "nothing for it"
            else:
                yield from _compare((field, number), item, partner)
        for key in wanted:
            what = " / ".join("-" if part is None else str(part) for part in key)
            yield (field,), "nothing", f"a number for {what}"


def _compare(pointer: Pointer, found: Any, computed: Any) -> Iterator[tuple[Pointer, Any, Any]]:
    if isinstance(found, Section) and isinstance(computed, type(found)):
        for name in type(found).model_fields:
            yield from _compare((*pointer, name), getattr(found, name), getattr(computed, name))
    elif isinstance(found, tuple) and isinstance(computed, tuple) and len(found) == len(computed):
        for number, (one, other) in enumerate(zip(found, computed, strict=True)):
            yield from _compare((*pointer, number), one, other)
    elif isinstance(found, NotReported) and isinstance(computed, str):
        return
    elif found != computed:
        yield pointer, found, computed


def _shown(value: Any) -> str:
    if value is None:
        return "null"
    if isinstance(value, tuple):
        return f"a list of {len(value)}"
    if isinstance(value, Section):
        return "not_reported" if isinstance(value, NotReported) else "a mapping"
    return value if isinstance(value, str) else repr(value)
