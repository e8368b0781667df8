"""Evidence: the files are those the card lists, and give the numbers the card prints."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from safebench.card.base import NotReported, Section
from safebench.card.document import Pointer
from safebench.card.results import Results, key_of
from safebench.checks.registry import OUTCOMES_FILE, Check, Hits, Rules, Subject
from safebench.errors import EvidenceError, MissingDependencyError

rules = Rules("card.md#evidence")


@rules.error(
    "SB-EVI-001",
    "Evidence comes with the results that it supports.",
    condition="`evidence` is given, and `results` is left out or `not_reported`. Points to "
    "`/results`.",
    why="Files without a claim prove nothing.",
    fix="safebench score FOLDER computes them",
)
def _results_given(subject: Subject) -> Hits:
    if subject.card.given_evidence is not None and subject.card.given_results is None:
        yield "results", "evidence is attached, but results is missing"


@rules.warning(
    "SB-EVI-002",
    "A first party provides evidence for its results.",
    condition="`submission.relationship` is `first_party`, `results` is given, and `evidence` is "
    "not. Points to `/evidence`.",
    why="A number that cannot be recomputed has to be taken on trust.",
    fix="attach outcomes.parquet and list it in evidence.files",
)
def _evidence_given(subject: Subject) -> Hits:
    card = subject.card
    own = card.submission.relationship == "first_party"
    if own and card.given_results is not None and card.given_evidence is None:
        yield "evidence", "results are given without evidence: nobody can recompute them"


def _no_file(*problems: str) -> Check:
    """Return a check that no file of the submission has one of these problems."""

    def check(subject: Subject) -> Hits:
        for found in subject.file_problems:
            if found.problem in problems:
                message = f"{found.path} {found.problem}"
                if found.problem.startswith("has another"):
                    message += f": found {found.found}, expected {found.expected}"
                elif found.problem.startswith("differs"):
                    message += f" in: {found.found}"
                yield subject.file_place(found.path), message

    return check


rules.error(
    "SB-EVI-003",
    "Every file lies inside the submission.",
    condition="The path of a file is absolute, has a part `..`, a `\\`, a `:` or a null "
    "character, or leads out of the card's folder once links are followed. It is then not "
    "opened. Points to the file.",
    why="A path that leads out of the folder reads something else on every machine.",
    fix="copy the file into the submission; no .., no absolute path, no link that leads out",
)(_no_file("lies outside the submission"))

rules.error(
    "SB-EVI-004",
    "Every listed file exists.",
    condition="The path of a file, inside the folder, leads to no regular file. Points to "
    "the file.",
    why="Evidence that is not there proves nothing.",
    fix="add the file, or remove it from evidence.files and from the manifest",
)(_no_file("is missing"))

rules.error(
    "SB-EVI-005",
    "Every file has the digest that the card gives.",
    condition="The SHA-256 of a file is not the one listed. It is then not read. Points to "
    "the file.",
    why="A changed file is not the one that the numbers came from.",
    fix="restore the file that was measured; if it was meant to change, score and list it anew",
)(_no_file("has another sha256"))

rules.error(
    "SB-EVI-006",
    "Every table has the number of rows that the card gives.",
    condition="A file that ends in `.parquet` and has its digest has another number of rows, "
    "by its footer, than `rows`. Silent where the footer cannot be read. Points to the file.",
    why="Leaving out rows is the cheapest way to a better number.",
    fix="correct evidence.files, or restore the table",
)(_no_file("has another number of rows"))

rules.error(
    "SB-EVI-007",
    "The manifest lists the same files and digests as the card.",
    condition="`evidence.manifest` leads to a file that is not of "
    "[files.schema.json](files.schema.json), or above 4 MiB; or its pairs of path and sha256 "
    "are not those of `evidence.files`, or it lists a path twice, or gives other `rows` "
    "where both give them. Points to `/evidence/manifest`, once. Silent where SB-EVI-003 or "
    "004 speaks of it.",
    why="Where two lists differ, nobody can tell which one was meant.",
    fix="list the same files with the same digests in both, as a run does",
)(_no_file("is not a manifest", "differs from the card"))


@rules.error(
    "SB-EVI-008",
    "Every number follows from the outcomes.",
    condition="An entry of `results` is not the one of its key that the outcomes give "
    "([evidence.md](evidence.md#from-outcomes-to-numbers)). Every field has to be equal: "
    "numbers after rounding to 12 decimals, `method` and `note` letter by letter, runs by "
    "position. Points to the field that differs, inside `runs[]` and `stability` too; to the "
    "list `runs` where its length differs; to the entry where the outcomes give none of its "
    "key; to the list (`/results/scores`) where the card lacks one. A text that is "
    "`not_reported` claims nothing; a number that is, and can be computed, differs. Silent "
    "where SB-EVI-009, 017 or 018 speaks, or the table is not listed with its digest.",
    why="Recomputing is the cheapest reproduction, so every reader may expect it.",
    fix="safebench score FOLDER recomputes every number",
)
def _numbers_hold(subject: Subject) -> Hits:
    results = subject.card.given_results
    if results is None or not isinstance(computed := subject.computed, Results):
        return
    for pointer, found, expected in differences(results, computed):
        message = f"the card says {_shown(found)}, the outcomes give {_shown(expected)}"
        yield ("results", *pointer), message


@rules.error(
    "SB-EVI-009",
    "The outcomes are complete and readable.",
    condition="In a card with results, `outcomes.parquet` is listed and has its digest, and "
    "numbers cannot be computed from it: it is no Parquet file, is above the "
    "[bounds](evidence.md#bounds), lacks a column, names one twice or has one of another "
    "type, has no rows; a number has a prompt twice or not at all in one of its seeds and "
    "repeats, or a response without a score; base and tuned have other prompts; or a task "
    "gives no `primary`. Points to the file, once. Silent where SB-EVI-017 or 018 speaks.",
    why="A response without an outcome has been left out of the numbers.",
)
def _outcomes_complete(subject: Subject) -> Hits:
    problem = subject.computed if subject.card.given_results is not None else None
    if isinstance(problem, EvidenceError):
        fix = problem.fix or "write the table as spec/v1/card.md#evidence says"
        yield subject.file_place(OUTCOMES_FILE), str(problem), fix


@rules.error(
    "SB-EVI-010",
    "The outcomes are among the listed files.",
    condition="No entry of `evidence.files` has the path `outcomes.parquet`. Points to "
    "`/evidence/files`.",
    why="A table without a digest can be replaced without anyone noticing.",
    fix="list it with its sha256 and rows",
)
def _outcomes_listed(subject: Subject) -> Hits:
    evidence = subject.card.given_evidence
    if evidence is not None and OUTCOMES_FILE not in {file.path for file in evidence.files}:
        message = f"{OUTCOMES_FILE} is not listed: the numbers cannot be recomputed"
        yield ("evidence", "files"), message


def differences(found: Results, computed: Results) -> Iterator[tuple[Pointer, Any, Any]]:
    """Yield pointer, printed and computed value of every number that is not the same.

    Numbers are matched by what they measure, not by their order. `method` and `note` are words of
    the computation and compared as numbers are; a field that is not reported claims nothing.
    """
    for field in ("primary", "scores", "changes"):
        expected = {key_of(item): item for item in getattr(computed, field)}
        for number, item in enumerate(getattr(found, field)):
            partner = expected.pop(key_of(item), None)
            if partner is None:
                yield (field, number), "this number", "nothing for it"
            else:
                yield from _compare((field, number), item, partner)
        for key in expected:
            what = " / ".join("-" if part is None else str(part) for part in key)
            yield (field,), "nothing", f"a number for {what}"


def _compare(pointer: Pointer, found: Any, computed: Any) -> Iterator[tuple[Pointer, Any, Any]]:
    if isinstance(found, Section) and isinstance(computed, type(found)):
        for name in type(found).model_fields:
            yield from _compare((*pointer, name), getattr(found, name), getattr(computed, name))
    elif isinstance(found, tuple) and len(found) == len(computed):
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


@rules.error(
    "SB-EVI-028",
    "A signature is of these files.",
    condition="`signature.json` beside a card with `evidence` is not of "
    "[signature.schema.json](signature.schema.json), or names another digest of `card.yaml`, "
    "`manifest.json` or `verdict.json` than that of the file, or is not that of its key or "
    "identity. A signature of sigstore is passed over where it cannot be checked. Points to "
    "`/evidence/manifest`.",
    why="A signature over other bytes says that somebody changed them.",
    fix="restore the files that were signed, or have whoever answers for them sign again",
    section="signatures.md#signaturejson",
)
def _signature_holds(subject: Subject) -> Hits:
    from safebench.evidence.signature import check_signature

    if subject.folder is None or subject.card.given_evidence is None:
        return
    try:
        check_signature(subject.folder)
    except MissingDependencyError:
        return
    except EvidenceError as problem:
        if (subject.folder / "manifest.json").is_file():  # else SB-EVI-004 speaks
            yield ("evidence", "manifest"), str(problem).replace(f"{subject.folder}/", "")
