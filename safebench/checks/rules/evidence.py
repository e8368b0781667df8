"""Evidence: the files are those the card lists, and give the numbers the card prints."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from safebench.card.base import NotReported, Section
from safebench.card.document import Pointer
from safebench.card.results import Results, key_of
from safebench.checks.registry import Check, Hit, Subject, rule
from safebench.errors import EvidenceError

_SECTION = "card.md#evidence"
_OUTCOMES = "outcomes.parquet"


def _place(subject: Subject, path: str) -> Pointer:
    evidence = subject.card.given_evidence
    for number, file in enumerate(evidence.files if evidence else ()):
        if file.path == path:
            return ("evidence", "files", number)
    return ("evidence", "manifest")


def _file_rule(id: str, problem: tuple[str, ...], *, title: str, rationale: str, fix: str) -> Check:
    """Make the rule that reports one sort of problem with files."""

    @rule(id, "error", section=_SECTION, title=title, rationale=rationale)
    def check(subject: Subject) -> Iterator[Hit]:
        """Find files with this sort of problem."""
        for found in subject.file_problems:
            if found.problem in problem:
                message = f"{found.path} {found.problem}"
                if found.problem.startswith("has another"):
                    message += f": found {found.found}, expected {found.expected}"
                elif found.problem.startswith("differs"):
                    message += f" in: {found.found}"
                yield Hit(_place(subject, found.path), message, fix)

    return check


@rule(
    "SB-EVI-001",
    "error",
    section=_SECTION,
    title="Evidence comes with the results it is evidence for.",
    rationale="Files without a claim prove nothing.",
)
def results_given(subject: Subject) -> Iterator[Hit]:
    """Find evidence without results."""
    if subject.card.given_evidence is not None and subject.card.given_results is None:
        yield Hit(
            ("evidence",),
            "evidence is attached, but results is missing",
            "safebench score FOLDER computes them",
        )


@rule(
    "SB-EVI-002",
    "warning",
    section=_SECTION,
    title="A first party gives the evidence with its results.",
    rationale="A number that cannot be recomputed has to be believed.",
)
def evidence_given(subject: Subject) -> Iterator[Hit]:
    """Find results of a first party without evidence; a third party may have none to give."""
    card = subject.card
    own = card.submission.relationship == "first_party"
    if own and card.given_results is not None and card.given_evidence is None:
        yield Hit(
            ("results",),
            "results are given without evidence: nobody can recompute them",
            "attach outcomes.parquet and list it in evidence.files",
        )


path_outside = _file_rule(
    "SB-EVI-003",
    ("lies outside the submission",),
    title="Every file lies inside the submission.",
    rationale="A path that leads out of the folder reads something else on every machine.",
    fix="copy the file into the submission; no .., no absolute path, no link that leads out",
)
file_there = _file_rule(
    "SB-EVI-004",
    ("is missing",),
    title="Every file that is listed exists.",
    rationale="Evidence that is not there is none.",
    fix="add the file, or remove it from evidence.files and from the manifest",
)
digest_matches = _file_rule(
    "SB-EVI-005",
    ("has another sha256",),
    title="Every file has the digest that the card gives.",
    rationale="A changed file is not the one that the numbers came from.",
    fix="restore the file that was measured; if it was meant to change, score and list it anew",
)
rows_match = _file_rule(
    "SB-EVI-006",
    ("has another number of rows",),
    title="Every table has the rows that the card gives.",
    rationale="Rows left out are the cheapest way to a better number.",
    fix="correct evidence.files, or restore the table",
)
manifest_agrees = _file_rule(
    "SB-EVI-007",
    ("is not a manifest", "differs from the card"),
    title="The manifest lists the same files and digests as the card.",
    rationale="Two lists that differ leave open which one was signed.",
    fix="list the same files with the same digests in both, as a run does",
)


@rule(
    "SB-EVI-008",
    "error",
    section=_SECTION,
    title="Every number is the one that the outcomes give.",
    rationale="Recomputing is the cheapest reproduction there is, so everybody may expect it.",
)
def numbers_hold(subject: Subject) -> Iterator[Hit]:
    """Recompute the results from outcomes.parquet and compare number by number."""
    results = subject.card.given_results
    if results is None or not _usable(subject):
        return
    try:
        computed = _computed(subject)
    except EvidenceError:
        return  # SB-EVI-009 reports it
    for pointer, found, expected in differences(results, computed):
        yield Hit(
            ("results", *pointer),
            f"the card says {_shown(found)}, the outcomes give {_shown(expected)}",
            "safebench score FOLDER computes every number anew",
        )


@rule(
    "SB-EVI-009",
    "error",
    section=_SECTION,
    title="The outcomes are complete and readable.",
    rationale="A response without an outcome is a number that was left out.",
)
def outcomes_complete(subject: Subject) -> Iterator[Hit]:
    """Find outcome tables from which nothing can be computed."""
    if subject.card.given_results is None or not _usable(subject):
        return
    try:
        _computed(subject)
    except EvidenceError as problem:
        yield Hit(
            _place(subject, _OUTCOMES),
            str(problem),
            problem.fix or "write the table as spec/v1/card.md#evidence says",
        )


@rule(
    "SB-EVI-010",
    "error",
    section=_SECTION,
    title="The outcomes are among the files that are listed.",
    rationale="A table without a digest can be exchanged unseen.",
)
def outcomes_listed(subject: Subject) -> Iterator[Hit]:
    """Find evidence without outcomes.parquet."""
    evidence = subject.card.given_evidence
    if evidence is not None and _OUTCOMES not in {file.path for file in evidence.files}:
        yield Hit(
            ("evidence", "files"),
            f"{_OUTCOMES} is not listed: the numbers cannot be recomputed",
            "list it with its sha256 and rows",
        )


def _usable(subject: Subject) -> bool:
    """Whether the outcomes are the file that the card lists; if not, another rule says so."""
    evidence = subject.card.given_evidence
    if subject.folder is None or evidence is None:
        return False
    listed = {file.path for file in evidence.files}
    broken = {problem.path for problem in subject.file_problems}
    return _OUTCOMES in listed - broken


def _computed(subject: Subject) -> Results:
    from safebench.evidence.scoring import compute_results
    from safebench.evidence.tables import read_outcomes

    if subject.folder is None:
        raise EvidenceError("a card on standard input has no files beside it")
    return compute_results(subject.card, read_outcomes(subject.folder))


def differences(found: Results, computed: Results) -> Iterator[tuple[Pointer, Any, Any]]:
    """Yield pointer, stated and computed value of every number that is not the same.

    Numbers are matched by what they measure, not by their order; texts are not compared.
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
    elif isinstance(found, str | NotReported) and isinstance(computed, str):
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
