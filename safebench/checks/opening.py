"""Opening commitments: all of them by the owner, some of them to somebody who repeats a verdict."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, Final

import pyarrow as pa

from safebench.checks.findings import Finding
from safebench.checks.registry import Subject, items
from safebench.checks.report import check
from safebench.errors import EvidenceError, RunError
from safebench.evidence.columns import distinct, rows_with
from safebench.evidence.commitments import (
    COMMITMENTS_FILE,
    TEXTS,
    Column,
    Salts,
    commitment,
    keys_of,
    read_commitments,
    texts_of,
)
from safebench.evidence.documents import MOST_BYTES, read_json
from safebench.evidence.submission import CARD_FILE, Submission
from safebench.evidence.tables import (
    OUTCOMES,
    OUTCOMES_FILE,
    RESPONSES,
    make_table,
    read_pieces,
    read_responses,
)
from safebench.files import file_at_once, sha256_of

_SCHEMA: Final = "safebench/opening/1"
_REPEATED: Final = "SB-EVI-023"
"""The rule that asks a published judge again."""
Texts = dict[tuple[Any, ...], dict[Column, str | None]]


@dataclass(frozen=True)
class Opened:
    """What came of opening commitments."""

    rows: int
    """Rows whose texts were compared."""
    problems: tuple[str, ...]
    """Texts that are not what was committed, and verdicts that their judge does not give."""
    not_repeated: tuple[str, ...] = ()
    """Judges that are no published rule, so that their verdicts were not repeated."""


def check_texts(folder: Path, secret: bytes, original: Path) -> Opened:
    """Check every commitment of a redacted submission against the texts of the original.

    Raises:
        EvidenceError: a table is absent or cannot be read.
    """
    return _compare(folder, secret, _texts(original))


def open_rows(
    folder: Path, secret: bytes, original: Path, rows: Sequence[int], out: Path
) -> Opened:
    """Check as `check_texts`, and write the opening of some rows (from 1) where all is well.

    Salts of these rows tell nothing of others.

    Raises:
        EvidenceError: a table is absent or cannot be read.
        RunError: there is no such row, the opening is above 4 MiB, or `out` exists already.
    """
    if out.exists():
        raise RunError(f"{out}: exists already", fix="give --out a new file")
    texts, table = _texts(original), read_commitments(folder)
    opened = _compare(folder, secret, texts)
    if opened.problems:
        return opened
    keys, salts = list(keys_of(table)), _salts(folder, secret)
    for row in rows:
        if not 0 < row <= len(keys):
            raise RunError(f"row {row}: there are {len(keys):,}", fix="rows count from 1")

    def shown(column: Column, key: tuple[Any, ...]) -> dict[str, str] | None:
        text = texts[key][column]
        return None if text is None else {"salt": salts.of(column, key).hex(), "text": text}

    document = {
        "schema": _SCHEMA,
        "commitments_sha256": sha256_of(folder / COMMITMENTS_FILE),
        "rows": [
            {"row": row, **{column: shown(column, keys[row - 1]) for column in TEXTS}}
            for row in rows
        ],
    }
    raw = (json.dumps(document, indent=1, ensure_ascii=False) + "\n").encode()
    if len(raw) > MOST_BYTES:
        raise RunError(f"{out}: would be {len(raw):,} bytes", fix="open fewer rows at a time")
    with file_at_once(out) as file:
        file.write(raw)
    return Opened(len(rows), ())


def check_opening(folder: Path, opening: Path) -> Opened:
    """Check the texts of an opening against the commitments, and ask published judges again.

    Raises:
        EvidenceError: the opening cannot be read, is of another submission, or names a row that
            is not there or stands twice; or a table cannot be read.
    """
    document = read_json(opening, "opening")
    table = read_commitments(folder)
    if document["commitments_sha256"] != sha256_of(folder / COMMITMENTS_FILE):
        raise EvidenceError(
            f"{opening}: opens other commitments than {folder / COMMITMENTS_FILE}",
            fix="ask the owner for an opening of this submission",
        )
    numbers = [int(one["row"]) for one in document["rows"]]  # to JSON, 3.0 is whole too
    if len(set(numbers)) < len(numbers) or max(numbers) > table.num_rows:
        what = f"a row stands twice, or is above {table.num_rows:,}"
        raise EvidenceError(f"{opening}: {what}", fix="ask the owner for another opening")
    problems, rows = [], []
    for number, one in zip(numbers, document["rows"], strict=True):
        row = table.slice(number - 1, 1).to_pylist()[0]
        wrong = [column for column in TEXTS if not _opens(one[column], row[column])]
        problems += [f"row {number}: {column} is not what was committed" for column in wrong]
        texts = {column: one[column] and one[column]["text"] for column in TEXTS}
        if not wrong:
            rows.append(row | texts | {"new_tokens": None})
    findings, others = _judged_again(folder, rows)
    return Opened(len(numbers), (*problems, *(f.message for f in findings)), others)


def _opens(given: dict[str, str] | None, committed: str | None) -> bool:
    if given is None or committed is None:
        return given is None and committed is None
    try:
        return commitment(bytes.fromhex(given["salt"]), given["text"]) == committed
    except UnicodeEncodeError:  # half a character, which JSON can hold and no table
        return False


def _salts(folder: Path, secret: bytes) -> Salts:
    return Salts(secret, sha256_of(folder / OUTCOMES_FILE))


def _texts(original: Path) -> Texts:
    table = read_responses(original)
    columns = zip(*(texts_of(table, column) for column in TEXTS), strict=True)
    return {
        key: dict(zip(TEXTS, texts, strict=True))
        for key, texts in zip(keys_of(table), columns, strict=True)
    }


def _compare(folder: Path, secret: bytes, texts: Texts) -> Opened:
    table, salts = read_commitments(folder), _salts(folder, secret)
    committed = zip(*(texts_of(table, column) for column in TEXTS), strict=True)
    problems, found = [], set()
    for number, (key, row) in enumerate(zip(keys_of(table), committed, strict=True), 1):
        found.add(key)
        if key not in texts:
            problems.append(f"row {number}: the original has no such response")
            continue
        for column, stored in zip(TEXTS, row, strict=True):
            text = texts[key][column]
            expected = None if text is None else commitment(salts.of(column, key), text)
            if stored != expected:
                problems.append(f"row {number}: {column} is not what was committed")
    missing = len(texts.keys() - found)
    if missing:
        problems.append(f"{missing:,} responses of the original have no commitment")
    return Opened(table.num_rows, tuple(problems))


def _judged_again(
    folder: Path, rows: list[dict[str, Any]]
) -> tuple[list[Finding], tuple[str, ...]]:
    """Return where a published judge decides otherwise, and the judges that are none."""
    responses = make_table(rows, RESPONSES)
    prompts = distinct(responses, ["prompt_id"])
    outcomes = pa.concat_tables(
        [
            OUTCOMES.empty_table(),
            *(
                rows_with(piece, {"prompt_id": prompt}).cast(OUTCOMES)
                for piece in read_pieces(folder / OUTCOMES_FILE, OUTCOMES)
                for (prompt,) in prompts
            ),
        ]
    )

    class OpenedRows(Subject):
        """A submission of which these rows alone are known."""

        @cached_property
        def outcomes(self) -> pa.Table:
            return outcomes

        @cached_property
        def responses(self) -> pa.Table:
            return responses

    report = check(folder / CARD_FILE, only=[_REPEATED], subject=OpenedRows)
    judges = items(Submission.read(folder).card.judge)
    others = tuple(judge.name for judge in judges if judge.kind != "rule")
    return [f for f in report.findings if f.rule == _REPEATED], others
