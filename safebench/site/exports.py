"""The board as data: JSON and CSV with a schema version."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterable
from typing import Any

from safebench.card.base import NotReported
from safebench.card.measured import MeasuredChange, MeasuredScore
from safebench.rows import spreadsheet_safe
from safebench.site.board import Board
from safebench.site.rows import Row
from safebench.site.text import clean

SCHEMA = "safebench/leaderboard/1"


def to_json(board: Board, rows: Iterable[Row]) -> bytes:
    """Return the board as JSON, numbers in full precision, null for what was not measured."""
    content = {
        "schema": SCHEMA,
        "title": board.title,
        "submissions": [_entry(row) for row in rows],
    }
    return (json.dumps(content, indent=1, ensure_ascii=True) + "\n").encode("ascii")


def to_csv(rows: Iterable[Row]) -> bytes:
    """Return the board as CSV, one line per submission; an empty cell is `not measured`."""
    flat = [_flat(row) for row in rows]
    sink = io.StringIO()
    writer = csv.writer(sink, lineterminator="\n")
    header = list(_flat(None))
    writer.writerow(header)
    for entry in flat:
        writer.writerow([_cell(entry[name]) for name in header])
    return sink.getvalue().encode("utf-8")


def _entry(row: Row) -> dict[str, Any]:
    return {
        "id": row.id,
        "title": row.title,
        "organisation": row.organisation,
        "relationship": "third_party" if row.third_party else "first_party",
        "object": "artefact" if row.artefact else "recipe",
        "base_model": row.base_model,
        "method": row.method,
        "measured_alike": {"heading": row.group[0], "prompts_sha256": row.group[1]},
        "training_seeds": row.seeds,
        "ranked": row.ranked,
        "trial": dict(row.trials) or None,
        "harm": _score(row.harm),
        "harm_base": _score(row.harm_base),
        "harm_change": _change(row.change),
        "over_refusal": _score(row.over_refusal),
        "capability": _score(row.capability),
        "stability": _stability(row.harm),
        "level": row.level,
        "mandatory_fields": {"reported": row.reported, "required": row.required},
        "reruns": None if row.rerun is None else vars(row.rerun),
    }


def _score(score: MeasuredScore | None) -> dict[str, Any] | None:
    if score is None:
        return None
    return score.model_dump(mode="json", exclude={"runs", "stability", "construct"})


def _stability(score: MeasuredScore | None) -> dict[str, Any] | None:
    if score is None or score.stability is None:
        return None
    return score.stability.model_dump(mode="json")


def _change(change: MeasuredChange | None) -> dict[str, Any] | None:
    return change.model_dump(mode="json") if change else None


def _flat(row: Row | None) -> dict[str, Any]:
    """Return the columns of the CSV; of no row, their names."""
    harm = row.harm if row else None
    stability = harm.stability if harm else None
    return {
        "schema": SCHEMA,
        "id": row and row.id,
        "title": row and row.title,
        "organisation": row and row.organisation,
        "base_model": row and row.base_model,
        "method": row and row.method,
        "measured_alike": row and row.group[0],
        "decoding": harm and harm.decoding,
        "checkpoint": harm and harm.checkpoint,
        "training_seeds": row and row.seeds,
        "trial": "; ".join(f"{t}: {extent}" for t, extent in row.trials.items()) if row else None,
        **_three("harm", harm),
        **_three("harm_base", row.harm_base if row else None),
        **_three("harm_change", row.change if row else None),
        **_three("over_refusal", row.over_refusal if row else None),
        **_three("capability", row.capability if row else None),
        "stability_lower": stability.lower if stability else None,
        "stability_pairs_within": stability.pairs_within if stability else None,
        "stability_pairs": stability.pairs if stability else None,
        "incoherent": harm.incoherent if harm else None,
        "truncated": _known(harm.truncated) if harm else None,
        "truncated_base": _known(row.harm_base.truncated) if row and row.harm_base else None,
        "level": row and row.level,
        "rerun_verdict": row.rerun.word if row and row.rerun else None,
    }


def _three(name: str, value: MeasuredScore | MeasuredChange | None) -> dict[str, Any]:
    return {
        name: value.estimate if value else None,
        f"{name}_lower": value.lower if value else None,
        f"{name}_upper": value.upper if value else None,
    }


def _known(value: float | NotReported) -> float | None:
    return None if isinstance(value, NotReported) else value


def _cell(value: Any) -> Any:
    """Return a CSV cell; text that a spreadsheet would run as a formula gets a quote before it."""
    if value is None:
        return ""
    if not isinstance(value, str):
        return repr(value) if isinstance(value, float) else value
    return spreadsheet_safe(clean(value))
