"""Evidence of any size: digests, rows, manifest and the rules of single rows, in little memory."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

from safebench.checks.findings import Finding
from safebench.checks.registry import COMMITMENTS_FILE, OUTCOMES_FILE, RESPONSES_FILE, Subject
from safebench.checks.report import check
from safebench.errors import CardError, EvidenceError, MissingDependencyError

if TYPE_CHECKING:
    import pyarrow as pa

    from safebench.card.results import Results
    from safebench.evidence.outcomes import RowProblem
    from safebench.evidence.signature import Signature

STREAMED = frozenset(f"SB-EVI-{number:03}" for number in (3, 4, 5, 6, 7, 9, 10, 17, 18, 22, 28))
"""Rules that look at a file as bytes, or at its rows one by one; 9 and 22 at whether their table
can be read."""


@dataclass(frozen=True)
class Verified:
    """What is known about the evidence of a submission, its numbers aside."""

    files: tuple[str, ...]
    """Files that the card lists."""
    rows: dict[str, int]
    """Rows of each of its tables, as the card says."""
    findings: tuple[Finding, ...]
    """Errors alone, in the order of the card."""
    signature: Signature | None
    """Who signed, where somebody did; it holds unless a finding says otherwise."""
    unchecked: str | None
    """Why the signature could not be checked here."""


class _Streamed(Subject):
    """A submission whose tables are read in pieces: no rule gets one as a whole."""

    @cached_property
    def _read(self) -> tuple[list[RowProblem], int] | EvidenceError | None:
        from safebench.evidence.outcomes import streamed_row_problems

        if self.folder is None or not self.is_intact(OUTCOMES_FILE):
            return None
        try:
            return streamed_row_problems(self.folder / OUTCOMES_FILE)
        except EvidenceError as problem:
            return problem

    @cached_property
    def row_problems(self) -> list[RowProblem]:
        """What contradicts the standard within single rows of the outcomes."""
        return self._read[0] if isinstance(self._read, tuple) else []

    @cached_property
    def computed(self) -> Results | EvidenceError | None:
        """Why the outcomes cannot be read, if they cannot; no number is computed."""
        if isinstance(self._read, tuple):
            empty = EvidenceError("it has no rows", fix="an empty table is no evidence")
            return None if self._read[1] else empty
        return self._read

    @cached_property
    def outcomes(self) -> None:
        """Never the whole table."""
        return

    @cached_property
    def responses(self) -> EvidenceError | None:
        """Why the responses cannot be read, if they cannot."""
        from safebench.evidence.tables import RESPONSES

        return self._unreadable(RESPONSES_FILE, RESPONSES)

    @cached_property
    def commitments(self) -> EvidenceError | None:
        """Why the commitments cannot be read, if they cannot."""
        from safebench.evidence.commitments import COMMITMENTS

        return self._unreadable(COMMITMENTS_FILE, COMMITMENTS)

    def _unreadable(self, name: str, schema: pa.Schema) -> EvidenceError | None:
        from safebench.evidence.tables import read_pieces

        if self.folder is None or not self.is_intact(name):
            return None
        try:
            for _ in read_pieces(self.folder / name, schema, rows_at_once=2**14):
                pass
        except EvidenceError as problem:
            return problem
        return None


def verify(card: Path) -> Verified:
    """Check the files of a submission and every row by itself.

    Raises:
        CardError: the card cannot be read, or no evidence is listed in it.
    """
    report = check(card, only=STREAMED, subject=_Streamed)
    evidence = report.card.given_evidence if report.card is not None else None
    errors = tuple(f for f in report.findings if f.severity == "error")
    if evidence is None and not errors:
        raise CardError(f"{card}: has no evidence", fix="give the folder of a submission")
    files = evidence.files if evidence is not None else ()
    rows = {file.path: file.rows for file in files if isinstance(file.rows, int)}
    signature, unchecked = _signature(card.parent)
    return Verified(tuple(file.path for file in files), rows, errors, signature, unchecked)


def _signature(folder: Path) -> tuple[Signature | None, str | None]:
    from safebench.evidence.signature import check_signature, read_signature

    try:
        return check_signature(folder), None
    except MissingDependencyError as problem:
        return read_signature(folder), str(problem)
    except EvidenceError:
        return None, None  # a finding says why
