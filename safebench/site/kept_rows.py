"""Rows of the board as they travel between processes, lie in a cache, and are kept in memory."""

from __future__ import annotations

from dataclasses import replace
from functools import cache, lru_cache
from typing import TypeVar

from pydantic import BaseModel, TypeAdapter

from safebench.analysis.correction import Corrected
from safebench.analysis.measures import Number
from safebench.card.results import key_of
from safebench.site.board_rows import BoardRow

_Value = TypeVar("_Value")
_ROW = TypeAdapter(BoardRow)
_SCORES = ("harm", "harm_base", "control", "over_refusal", "capability", "capability_base")


def small(row: BoardRow) -> BoardRow:
    """Return a row with what the board and its data show; single runs stay on its own page."""
    scores = {name: getattr(row, name) for name in _SCORES}
    keys = {key_of(score) for score in scores.values() if score is not None}
    kept = {
        name: score
        and score.model_copy(
            update={"runs": (), "stability": score.stability if name == "harm" else None}
        )
        for name, score in scores.items()
    }
    return replace(row, corrected=tuple(c for c in row.corrected if c.key in keys), **kept)


def row_as_json(row: BoardRow) -> bytes:
    """Return a row as JSON, numbers to the last bit."""
    return _ROW.dump_json(row)


def row_from_json(text: bytes) -> BoardRow:
    """Return the row that `row_as_json` wrote, in little memory: a board keeps 10,000 of them."""
    row = _ROW.validate_json(text)
    return replace(
        row,
        family=_same(row.family),
        standing=_same(row.standing),
        corrected=tuple(map(_same_reasons, row.corrected)),
        **{name: _slim(getattr(row, name)) for name in (*_SCORES, "change")},
    )


def _same_reasons(one: Corrected) -> Corrected:
    measures = (one.score, one.change, one.stability)
    return one if any(isinstance(m, Number) for m in measures) else _same(one)


@lru_cache(maxsize=1024)
def _same(value: _Value) -> _Value:
    """Return the first of all values that are equal: most rows have the same words."""
    return value


def _slim(value: _Value) -> _Value:
    """Return a model that shares with all others the set of the fields that were given.

    Every field of a row was given, and pydantic's set of their names is as large as the model.
    """
    if not isinstance(value, BaseModel):
        return value
    given = {name: _slim(inner) for name, inner in value}
    return value.model_construct(_all_fields(type(value)), **given)


@cache
def _all_fields(model: type[BaseModel]) -> set[str]:
    return set(model.model_fields)
