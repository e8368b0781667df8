"""A submission whose texts are replaced by commitments: labels and numbers stay, texts do not."""

from __future__ import annotations

import json
import shutil
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

import pyarrow.parquet as pq

from safebench.card.io import dump_card
from safebench.card.results import Evidence
from safebench.checks.verify import verify
from safebench.errors import EvidenceError, RunError
from safebench.evidence.archive import named_paths
from safebench.evidence.audit import AUDIT_FILE, COLUMNS
from safebench.evidence.commitments import (
    COMMITMENTS_FILE,
    TEXTS,
    Salts,
    commit,
    new_secret,
    read_secret,
    texts_of,
    write_secret,
)
from safebench.evidence.documents import read_json
from safebench.evidence.journal import ENDS, JOURNAL_FILE, Journal
from safebench.evidence.manifest import MANIFEST_FILE, describe_files, write_manifest
from safebench.evidence.submission import CARD_FILE, Submission
from safebench.evidence.tables import OUTCOMES, OUTCOMES_FILE, RESPONSES_FILE, write_table
from safebench.evidence.verdicts import VERDICT_FILE
from safebench.files import folder_at_once, inside, replace_file, sha256_of
from safebench.rows import read_rows

_REGISTRATION = "registration.json"
_LABELS = frozenset(["refused", "partial", "complied", "incoherent", "0", "1", ""])


@dataclass(frozen=True)
class Redacted:
    """What became of a submission."""

    texts: int
    """Responses whose texts were replaced."""
    left_out: tuple[str, ...]
    """Files that may hold texts, and are not in the redacted submission."""
    has_weights: bool
    """Whether it carries weights, with which the texts can be generated again."""
    made_secret: bool
    """Whether the file of the secret was created."""


def redact(folder: Path, out: Path, secret_file: Path) -> Redacted:
    """Write a submission without its texts to a new folder; the secret's file is made if absent.

    The same submission and secret give the same bytes.

    Raises:
        CardError, EvidenceError: the submission has errors, or an audit quotes a text.
        RunError: it carries no responses, `out` exists, or the secret is malformed or would be
            published.
    """
    if out.exists():
        raise RunError(f"{out}: exists already", fix="give --out a new folder")
    for public in (out, folder):
        if secret_file.resolve().is_relative_to(public.resolve()):
            raise RunError(f"{secret_file}: lies in {public}", fix="keep the secret elsewhere")
    for finding in verify(folder / CARD_FILE).findings:
        raise EvidenceError(
            f"{folder}: {finding.rule}: {finding.message}",
            fix=f"safebench verify {folder} shows every problem",
        )
    submission = Submission.read(folder)
    evidence = submission.card.given_evidence
    listed = {file.path for file in evidence.files} if evidence is not None else set()
    if evidence is None or RESPONSES_FILE not in listed:
        raise RunError(f"{folder}: carries no responses", fix="there is nothing to redact")
    made = not secret_file.exists()
    secret = new_secret() if made else read_secret(secret_file)
    kept = _kept(submission, listed - {OUTCOMES_FILE})
    with folder_at_once(out) as new:
        for name in kept:
            (new / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(folder / name, new / name)
        count = _write_tables(submission, new, secret)
        _write_beside(folder, new)
        _write_card(submission, evidence, new, [OUTCOMES_FILE, COMMITMENTS_FILE, *kept])
        if made:
            write_secret(secret_file, secret)
    return Redacted(
        texts=count,
        left_out=tuple(sorted(listed - {OUTCOMES_FILE, RESPONSES_FILE, *kept})),
        has_weights=any(name.endswith(".safetensors") for name in kept),
        made_secret=made,
    )


def _kept(submission: Submission, listed: set[str]) -> list[str]:
    """Return the listed files that hold no text of a response or a task, judged by their role.

    A file without a role in the card may hold anything, and is left out.
    """
    card = submission.card
    roles = [*named_paths(card.model_copy(update={"tasks": ()}))]
    kept = [
        name
        for name in sorted(listed - {RESPONSES_FILE})
        if any(PurePosixPath(name).is_relative_to(PurePosixPath(role)) for role in roles)
    ]
    if AUDIT_FILE in listed:
        _check_audit(submission)
        kept.append(AUDIT_FILE)
    return kept


def _check_audit(submission: Submission) -> None:
    """Check that no further column of an audit holds a text.

    The column cannot be removed here: calibrations give the digest of the file.
    """
    texts = {text for column in TEXTS for text in texts_of(submission.responses, column)}
    for at, row in read_rows(submission.path(AUDIT_FILE), EvidenceError):
        for name in row.keys() - set(COLUMNS):
            if row[name] in texts - _LABELS:
                raise EvidenceError(f"{at}: {name} holds a text", fix="take this column out")


def _write_tables(submission: Submission, new: Path, secret: bytes) -> int:
    source = submission.path(OUTCOMES_FILE)
    with source.open("rb") as file:
        columns = pq.read_schema(file)
    if columns.names == OUTCOMES.names and not columns.metadata:
        shutil.copyfile(source, new / OUTCOMES_FILE)
    else:  # further columns, which nobody reads, may hold a judge's reasons
        write_table(submission.outcomes.select(OUTCOMES.names), new / OUTCOMES_FILE)
    table = commit(submission.responses, Salts(secret, sha256_of(new / OUTCOMES_FILE)))
    write_table(table, new / COMMITMENTS_FILE)
    return int(table.num_rows)


def _write_beside(folder: Path, new: Path) -> None:
    """Write how runs ended, and a rerun's verdict; other events may quote a text."""
    journal, verdict = inside(folder, JOURNAL_FILE), inside(folder, VERDICT_FILE)
    if journal is not None and journal.is_file():
        fields = ("time", "event", "condition", "training_seed", "reason")
        events = (e for e in Journal(folder).read() if e["event"] in ENDS)
        lines = (json.dumps({f: e[f] for f in fields if f in e}) + "\n" for e in events)
        replace_file(new / JOURNAL_FILE, "".join(lines).encode())
    if verdict is not None and verdict.is_file():
        read_json(verdict, "verdict")  # of the schema, which has no texts
        shutil.copyfile(verdict, new / VERDICT_FILE)
    registration = inside(folder, _REGISTRATION)
    if registration is not None and registration.is_file():  # public since before the first run
        shutil.copyfile(registration, new / _REGISTRATION)


def _write_card(submission: Submission, evidence: Evidence, new: Path, names: list[str]) -> None:
    files = describe_files(new, names)
    write_manifest(new, files)
    changes: dict[str, Any] = {"files": files, "manifest": MANIFEST_FILE}
    if evidence.response_policy != "gated":
        changes["response_policy"] = "redacted"
    changed = evidence.model_copy(update=changes)
    dump_card(submission.card.model_copy(update={"evidence": changed}), new / CARD_FILE)
