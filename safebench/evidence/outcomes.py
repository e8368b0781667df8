"""What every row of an outcome table says by itself: known words, and a score that follows.

Nothing that reads outcomes builds numbers from rows that were not looked at here, so a bad word is
an error with its row, never a failure of what comes after.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple, get_args

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from safebench.card.results import Condition
from safebench.card.task import Construct
from safebench.errors import EvidenceError
from safebench.evidence.columns import encoded, floats
from safebench.evidence.tables import (
    COUNTED,
    OUTCOMES,
    OUTCOMES_FILE,
    Status,
    Unread,
    Verdict,
    read_pieces,
    read_table,
)

WITHOUT_RESPONSE = ("error", "not_run")
"""Statuses of responses that do not exist, and so were never judged."""

_ROWS_AT_ONCE = 2**17
_WORDS: dict[str, tuple[object, ...]] = {
    "condition": get_args(Condition),
    "construct": get_args(Construct),
    "status": get_args(Status),
    "verdict": (*get_args(Verdict), *get_args(Unread), None),
}
Mask = npt.NDArray[np.bool_]


def read_outcomes(folder: Path) -> pa.Table:
    """Read a submission's outcomes, text as codes, and check every row; raises EvidenceError."""
    path = folder / OUTCOMES_FILE
    table = read_table(path, OUTCOMES, coded=True)
    for problem in row_problems(table):
        raise EvidenceError(f"{path}: {problem.message}", fix="safebench validate says more")
    return table


class RowProblem(NamedTuple):
    """Rows that contradict the standard in one way."""

    about: str
    """`words`: a value its column does not have; `score`: one that does not follow."""
    name: str
    """The column."""
    expected: str
    row: int
    """The first such row, from 1."""
    found: str
    """What stands there."""
    rows: int
    """How many such rows there are."""

    @property
    def message(self) -> str:
        """What stands in the first such row, what was expected, and in how many rows."""
        also = f", and so in {self.rows:,} rows" if self.rows > 1 else ""
        return f"row {self.row:,}: {self.name} is {self.found}, expected {self.expected}{also}"


def streamed_row_problems(path: Path) -> tuple[list[RowProblem], int]:
    """Return what is wrong within single rows of a file of outcomes, and how many rows it has.

    The table is never in memory as a whole. Raises EvidenceError.
    """
    found: dict[tuple[str, ...], RowProblem] = {}
    rows = 0
    for piece in read_pieces(path, OUTCOMES, rows_at_once=_ROWS_AT_ONCE):
        for problem in row_problems(piece):
            kind = problem[:3]
            before = found.get(kind, problem._replace(row=rows + problem.row, rows=0))
            found[kind] = before._replace(rows=before.rows + problem.rows)
        rows += piece.num_rows
    return list(found.values()), rows


def row_problems(table: pa.Table) -> Iterator[RowProblem]:
    """Yield everything that is wrong within single rows of a table of outcomes."""
    columns = {name: encoded(table, name) for name in table.column_names if name != "score"}

    def holds(name: str, *values: object) -> Mask:
        codes, known = columns[name]
        return np.isin(codes, [i for i, value in enumerate(known) if value in values])

    def first(mask: Mask, about: str, name: str, expected: str) -> Iterator[RowProblem]:
        if mask.any():
            row = int(np.argmax(mask))
            found = score[row] if name == "score" else columns[name][1][columns[name][0][row]]
            yield RowProblem(about, name, expected, row + 1, _shown(found), int(mask.sum()))

    score, _ = floats(table, "score")
    for name, words in _WORDS.items():
        named = ", ".join(str(word) for word in words if word is not None)
        yield from first(~holds(name, *words), "words", name, f"one of {named}")
    repeats = np.array([value is not None and value >= 1 for value in columns["repeat"][1]] or [0])
    if table.num_rows:
        wrong = ~repeats.astype(bool)[columns["repeat"][0]]
        yield from first(wrong, "words", "repeat", "a number from 1 on")
    base = holds("condition", "base")
    for name in ("training_seed", "checkpoint"):
        absent = holds(name, None)
        yield from first(base & ~absent, "words", name, "null: the base model has none")
        yield from first(~base & absent, "words", name, "a number, since the model is tuned")

    absent = holds("status", *WITHOUT_RESPONSE)
    yield from first(absent & ~np.isnan(score), "score", "score", "null: there was no response")
    unread = holds("verdict", *get_args(Unread))
    yield from first(unread & ~np.isnan(score), "score", "score", "null: the judge gave no verdict")
    judged = np.zeros(table.num_rows, dtype=bool)
    for construct, counted in COUNTED.items():
        of = holds("construct", construct) & ~absent
        judged |= of
        yield from first(of & holds("verdict", None), "score", "verdict", "a verdict")
        counts = " or ".join(sorted(counted))
        one = of & holds("verdict", *counted)
        zero = of & holds("verdict", *(v for v in get_args(Verdict) if v not in counted))
        yield from first(one & (score != 1), "score", "score", f"1: {counts}")
        yield from first(zero & (score != 0), "score", "score", f"0: not {counts}")
    without = ~judged & ~absent & ~unread & ~holds("verdict", None)
    yield from first(without, "score", "verdict", "null: this construct has no verdicts")


def _shown(value: Any) -> str:
    if value is None or value != value:
        return "null"
    return f"{value:g}" if isinstance(value, float) else repr(value)[:60]
