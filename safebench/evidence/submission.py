"""A submission: a card and the folder that its evidence and its relative paths belong to."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Self

import pyarrow as pa

from safebench.card.card import Card
from safebench.card.io import load_card
from safebench.errors import CardError
from safebench.evidence.outcomes import read_outcomes
from safebench.evidence.tables import (
    OUTCOMES_FILE,
    RESPONSES,
    RESPONSES_FILE,
    read_responses,
    read_table,
    table_bytes,
)
from safebench.files import sha256_of

if TYPE_CHECKING:
    from safebench.card.measured import MeasuredResults
    from safebench.evidence.arrays import OutcomeArray

CARD_FILE = "card.yaml"


@dataclass(frozen=True, eq=False)
class Submission:
    """A card in its folder. A protocol that was not run yet is one without evidence.

    Tables are read, and numbers computed, when they are first asked for; each raises EvidenceError
    where a file is absent, damaged or incomplete.
    """

    card: Card
    folder: Path

    @classmethod
    def read(cls, folder: Path) -> Self:
        """Read card.yaml of a folder, or the folder that a card.yaml lies in; raises CardError."""
        if folder.is_file():
            if folder.name != CARD_FILE:
                raise CardError(
                    f"{folder}: is a file, and a submission is a folder with {CARD_FILE} and its "
                    "evidence",
                    fix="give that folder; a plan is executed first: safebench run PLAN --out DIR",
                )
            folder = folder.parent
        return cls(load_card(folder / CARD_FILE), folder)

    @classmethod
    def in_memory(cls, card: Card, folder: Path, outcomes: pa.Table, responses: pa.Table) -> Self:
        """Return a submission whose tables were made here and lie in no file.

        `folder` is where what they were made of lies; the rows are in canonical order.
        """
        made = cls(card, folder)
        digest = hashlib.sha256(table_bytes(outcomes)).hexdigest()
        # In the place where cached properties keep what they have read.
        vars(made).update(outcomes=outcomes, responses=responses, outcomes_sha256=digest)
        return made

    def path(self, relative: str) -> Path:
        """Return where a path of the card leads."""
        return self.folder / relative

    def with_card(self, card: Card) -> Self:
        """Return another card in the same folder; nothing that was read is kept."""
        return replace(self, card=card)

    @cached_property
    def outcomes(self) -> pa.Table:
        """One row per judged response, text as codes (Arrow's dictionary type)."""
        return read_outcomes(self.folder)

    @cached_property
    def responses(self) -> pa.Table | None:
        """One row per response; None where the submission does not carry them."""
        return read_responses(self.folder) if self.path(RESPONSES_FILE).is_file() else None

    def response_columns(self, names: list[str]) -> pa.Table | None:
        """Return some columns of the responses, text as codes; None where there are none.

        Whole responses may be large: unlike `responses`, nothing else is read.
        """
        if "responses" in vars(self):
            return None if self.responses is None else self.responses.select(names)
        path = self.path(RESPONSES_FILE)
        if not path.is_file():
            return None
        fields = [RESPONSES.field(name).with_nullable(True) for name in names]
        return read_table(path, pa.schema(fields), coded=True)

    @cached_property
    def blocks(self) -> list[OutcomeArray]:
        """The outcomes as arrays, one per combination that was measured, in canonical order."""
        from safebench.evidence.arrays import outcome_arrays

        return outcome_arrays(self.outcomes)

    @cached_property
    def results(self) -> MeasuredResults:
        """Every number of the card, recomputed from the outcomes."""
        from safebench.evidence.scoring import results_of

        return results_of(self.card, self.blocks)

    @cached_property
    def outcomes_sha256(self) -> str:
        """Digest of the outcomes: what identifies the submission's numbers."""
        return sha256_of(self.path(OUTCOMES_FILE))
