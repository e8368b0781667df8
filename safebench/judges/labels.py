"""Labels that people gave responses: read from a file, put together over raters, written again.

A row is a response with its prompt and a label: a verdict of the standard, or 1 where the construct
counts the response and 0 where it does not. The caller says what other values stand for, and which
columns have other names.
"""

from __future__ import annotations

import csv
import io
from collections import Counter
from collections.abc import Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final, cast, get_args

from safebench.card.results import Condition
from safebench.card.task import Construct
from safebench.errors import InputError, visible
from safebench.evidence.audit import counts
from safebench.evidence.tables import COUNTED, Verdict
from safebench.rows import At, from_spreadsheet, read_rows, spreadsheet_safe

LABELS: Final = (*get_args(Verdict), "0", "1")
"""What a label may be."""
COLUMNS: Final = (
    *("prompt", "task", "prompt_id", "response", "label", "condition", "model", "category"),
    *("rater", "construct", "weight", "id"),
)
"""Columns that are read; `label`, `response` and either `prompt` or the next two have to be there.
"""
_CUT = 60


@dataclass(frozen=True)
class Label:
    """A response, and what it is; what the file does not say is None."""

    at: At
    response: str
    label: str
    """One of `LABELS`."""
    prompt: str | None = None
    task: str | None = None
    prompt_id: str | None = None
    condition: Condition | None = None
    model: str | None = None
    """Where the response comes from, if the file has those of several models."""
    category: str | None = None
    rater: str | None = None
    construct: Construct | None = None
    weight: float = 1.0
    """How many responses it stands for: the inverse of its chance to be drawn."""
    id: str | None = None

    @property
    def of_prompt(self) -> tuple[str, ...]:
        """What responses to one prompt have in common."""
        return (self.prompt,) if self.prompt is not None else (str(self.task), str(self.prompt_id))

    def score(self, construct: Construct) -> float:
        """Return 1 where a construct counts the response, else 0."""
        return counts(self.label, construct)


def read_labels(
    path: Path,
    columns: Mapping[str, str] | None = None,
    stands_for: Mapping[str, str] | None = None,
) -> tuple[list[Label], int]:
    """Read a file of labels: CSV, JSON Lines, JSON or Parquet.

    Args:
        path: The file. A leading `'` that keeps a spreadsheet from running a cell is taken away.
        columns: Names of the file's columns by those of `COLUMNS`, where they are others.
        stands_for: Labels by the file's values, where these are others.

    Returns:
        The labels, and how many rows have none yet.

    Raises:
        InputError: names the line or row, what stands there, and the remedy.
    """
    names = {name: name for name in COLUMNS} | dict(columns or {})
    stands_for = stands_for or {}
    quoted = path.suffix.lower() in (".csv", ".tsv")
    found: list[Label] = []
    empty = 0
    for at, row in read_rows(path, InputError):
        if not found and not empty:
            _check_columns(path, row, names)
        cells = {name: _cell(row.get(column), quoted) for name, column in names.items()}
        if cells["label"] == "":
            empty += 1
            continue
        found.append(_label(at, cells, stands_for))
    if not found:
        raise InputError(
            f"{path}: no row has a label", fix=f"give each row one of {', '.join(LABELS)}"
        )
    return found, empty


def _check_columns(path: Path, row: Mapping[str, Any], names: Mapping[str, str]) -> None:
    lacking = [n for n in ("response", "label") if names[n] not in row]
    if names["prompt"] not in row and not {names["task"], names["prompt_id"]} <= set(row):
        lacking.insert(0, "prompt")
    if lacking:
        raise InputError(
            visible(f"{path}: no column `{names[lacking[0]]}`; it has {', '.join(map(str, row))}"),
            fix=f"say which it is: --column {lacking[0]}=NAME"
            + ("; or save the file with commas" if len(row) == 1 else ""),
        )


def _cell(value: Any, quoted: bool) -> Any:
    """Return a cell as text; nothing where it is absent."""
    if value is None:
        return ""
    # JSON and Parquet have 1, 1.0 or true where CSV has 1.
    if isinstance(value, bool | int | float) and value in (0, 1):
        return str(int(value))
    return from_spreadsheet(value) if quoted and isinstance(value, str) else value


def _label(at: At, cells: dict[str, Any], stands_for: Mapping[str, str]) -> Label:
    for name, value in cells.items():
        if not isinstance(value, str) and name != "weight":
            kind = type(value).__name__
            raise InputError(f"{at}: {name} is {kind}, not a text", fix="give it as a text")
    given = cells["label"].strip()
    label = stands_for.get(given, given)
    if label not in LABELS:
        raise InputError(
            f"{at}: label {_short(given)} is none of {', '.join(LABELS)}",
            fix=f"correct it, or say what it stands for: --label-map {given[:_CUT]}=complied",
        )
    _one_of(at, "condition", cells["condition"], get_args(Condition))
    _one_of(at, "construct", cells["construct"], tuple(COUNTED))
    texts = {n: cells[n] or None for n in COLUMNS if n not in ("label", "response", "weight")}
    if texts["prompt"] is None and None in (texts["task"], texts["prompt_id"]):
        raise InputError(f"{at}: no prompt", fix="give `prompt`, or `task` and `prompt_id`")
    try:
        weight = float(cells["weight"] or 1)
    except (TypeError, ValueError):
        weight = -1.0
    if not 0 < weight < float("inf"):
        raise InputError(
            f"{at}: weight {_short(str(cells['weight']))} is no number above 0",
            fix="give how many responses the row stands for, or leave the column out",
        )
    return Label(
        at=at, response=cells["response"], label=label, weight=weight, **cast("Any", texts)
    )


def _one_of(at: At, name: str, value: str, known: Sequence[str]) -> None:
    if value and value not in known:
        raise InputError(
            f"{at}: {name} {_short(value)} is none of {', '.join(known)}", fix="correct the cell"
        )


def _short(text: str) -> str:
    cut = text if len(text) <= _CUT else f"{text[:_CUT]}..."
    return f"`{visible(cut)}`"


def majority(labels: Sequence[str]) -> str | None:
    """Return the label that most raters gave; None where two are given equally often."""
    (first, most), *others = Counter(labels).most_common(2)
    return None if others and others[0][1] == most else first


def together(labels: Iterable[Label]) -> tuple[list[Label], int]:
    """Return one label for each response, that of the majority, and how many have no majority.

    Rows without a rater stand for themselves.
    """
    items: dict[Hashable, list[Label]] = {}
    for number, one in enumerate(labels):
        of = (one.of_prompt, one.response, one.condition, one.model, one.id)
        items.setdefault(number if one.rater is None else of, []).append(one)
    chosen = [(group[0], majority([one.label for one in group])) for group in items.values()]
    found = [replace(first, label=label) for first, label in chosen if label is not None]
    return found, len(chosen) - len(found)


def labels_csv(rows: Iterable[Mapping[str, Any]], columns: Sequence[str]) -> bytes:
    """Return rows as CSV that a spreadsheet opens and runs nothing of, lines ended by CR LF."""
    sink = io.StringIO()
    writer = csv.writer(sink)
    writer.writerow(columns)
    for row in rows:
        cells = ("" if row.get(name) is None else row[name] for name in columns)
        writer.writerow([spreadsheet_safe(c) if isinstance(c, str) else c for c in cells])
    return sink.getvalue().encode()
