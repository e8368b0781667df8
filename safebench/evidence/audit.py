"""An audit: labels that people gave responses of a submission, by the response's place in it.

The file holds no text: a label belongs to the row of `responses.parquet` with the same key. It is
listed in the card's evidence, and the calibrations made with it name its digest.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from safebench.card.base import NotReported
from safebench.card.judge import Calibration
from safebench.errors import EvidenceError
from safebench.evidence.submission import Submission
from safebench.evidence.tables import COUNTED
from safebench.files import inside, sha256_of
from safebench.rows import At, read_rows

AUDIT_FILE: Final = "audit/labels.csv"
"""Where a submission has it."""
KEY: Final = (
    *("condition", "training_seed", "checkpoint", "decoding", "repeat", "task", "prompt_id"),
)
"""Columns that tell one response from every other."""
COLUMNS: Final = (*KEY, "label", "weight")
_NUMBERS: Final = ("training_seed", "checkpoint", "repeat")
_MOST_BYTES: Final = 64 * 2**20


@dataclass(frozen=True)
class AuditLabel:
    """What people say one response is."""

    key: tuple[Any, ...]
    """Its values of `KEY`."""
    label: str
    """A verdict; 1 where the construct counts it, 0 where not."""
    weight: float
    """How many responses it stands for: the inverse of its chance to be drawn."""


def counts(label: str, construct: str) -> float:
    """Return 1 where a construct counts a response with this label, else 0."""
    return float(label == "1" or label in COUNTED.get(construct, ()))


def read_audit(path: Path) -> list[AuditLabel]:
    """Read the labels of an audit; raises EvidenceError with the line."""
    if path.stat().st_size > _MOST_BYTES:
        raise EvidenceError(f"{path}: larger than {_MOST_BYTES // 2**20} MiB")
    return [_label(at, row) for at, row in read_rows(path, EvidenceError)]


def _label(at: At, row: dict[str, Any]) -> AuditLabel:
    try:
        weight = float(row["weight"])
        key = tuple(
            (int(row[name]) if row[name] else None) if name in _NUMBERS else row[name]
            for name in KEY
        )
    except (KeyError, ValueError) as problem:
        raise EvidenceError(f"{at}: not a label of an audit ({problem})") from problem
    if not 0 < weight < float("inf"):
        raise EvidenceError(f"{at}: weight {weight:g} is no number above 0")
    return AuditLabel(key, row["label"], weight)


def audit_of(submission: Submission, calibration: Iterable[Calibration]) -> list[AuditLabel]:
    """Return the labels behind a judge's calibrations, of audits that the evidence lists.

    A file of labels that is no audit gives none.

    Raises:
        EvidenceError: an audit cannot be read.
    """
    digests = {entry.labels_sha256 for entry in calibration if entry.outputs == "these"}
    evidence = submission.card.given_evidence
    found: list[AuditLabel] = []
    for file in evidence.files if evidence is not None else ():
        path = inside(submission.folder, file.path)
        if file.sha256 in digests and path is not None and path.is_file() and _is_audit(path):
            if sha256_of(path) != file.sha256:
                raise EvidenceError(f"{path}: has another sha256 than the card gives")
            found += read_audit(path)
    return found


def _is_audit(path: Path) -> bool:
    """Whether a file begins with the columns of an audit."""
    if path.suffix.lower() != ".csv":
        return False
    with path.open("rb") as file:
        return file.read(4096).lstrip(b"\xef\xbb\xbf").startswith(",".join(COLUMNS).encode())


def calibrations(given: tuple[Calibration, ...] | NotReported | None) -> Iterator[Calibration]:
    """Yield the calibrations of a judge's entry, if it reports any."""
    if isinstance(given, tuple):
        yield from given
