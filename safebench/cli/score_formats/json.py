"""JSON for programs: docs/numbers.md has every key.

The keys are stable: later versions add to them and take none away.
"""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Iterable, Mapping
from typing import Any

from safebench.analysis.judges import Judges, Wordings
from safebench.analysis.measures import NotMeasured, Number
from safebench.analysis.reading import Reading
from safebench.analysis.report import ScoreReport
from safebench.analysis.variation import Effect
from safebench.card.results import Place

FORMAT = "safebench/score/1"
# Keys in the order in which they are written; what is not named here has the order of its fields.
_MEASURE = ("estimate", "lower", "upper", "confidence", "n", "method")
_PRIMARY = ("seed_share", "seeds_needed", "projections", "diagnostics")
_VARIATION = (
    *("task", "construct", "judge", "condition", "answers", "runs", "method"),
    *("levels", "effects", "seed_share"),
)


def render(report: ScoreReport) -> str:
    """Return the report as one JSON document."""
    return json.dumps(document(report), indent=2, ensure_ascii=False, allow_nan=False)


def document(report: ScoreReport) -> dict[str, Any]:
    """Return the report as plain values."""
    return {
        "format": FORMAT,
        "submission": report.card.submission.id,
        "spec": report.card.spec,
        "trials": report.card.trials,
        "results": report.results.model_dump(mode="json"),
        "primary": [
            _members(one.estimand, Place.model_fields) | _members(one, _PRIMARY)
            for one in report.primaries
        ],
        "variation": [_members(one, _VARIATION) for one in report.variations],
        "judge_error": [
            key._asdict() | _members(one, ("score", "change", "stability"))
            for key, one in report.corrections.items()
        ],
        "judges": [_judges(one) for one in report.judges],
        "readings": [_reading(one) for one in report.readings.values()],
        "doubts": _plain(report.doubts),
        "not_measured": _plain(report.not_measured),
    }


def _reading(one: Reading) -> dict[str, Any]:
    ends = ("lower", "upper", "lower_90", "upper_90")
    return _members(one.estimand, Place.model_fields) | {
        "read_as": one.word,
        "beyond_margin": one.is_beyond_margin,
        "h": {"estimate": one.h} | _members(one, ends),
        "seeds": one.seeds,
        "prompts": one.prompts,
    }


def _judges(one: Judges) -> dict[str, Any]:
    return _members(one.estimand, Place.model_fields) | {
        **_by_judge(one),
        "sign_turns": one.turns,
        "pairs": _plain(one.pairs),
        "categories": _plain(one.categories),
        "wordings": [_by_judge(found) for found in one.wordings],
    }


def _by_judge(one: Judges | Wordings) -> dict[str, Any]:
    ends = ("estimate", "lower", "upper")
    return {
        name: {found.judge: _members(found, ends) for found in getattr(one, name)}
        for name in ("scores", "changes")
    }


def _members(item: object, names: Iterable[str]) -> dict[str, Any]:
    return {name: _plain(getattr(item, name)) for name in names}


def _plain(value: Any) -> Any:
    """Return a part of the report as plain values, a dataclass as a mapping of its fields."""
    if isinstance(value, NotMeasured):
        return {"not_measured": value.reason}
    if isinstance(value, Number):
        return _members(value, _MEASURE)
    if isinstance(value, Effect):
        return {"effect" if key == "name" else key: part for key, part in _fields(value).items()}
    if dataclasses.is_dataclass(value):
        return _fields(value)
    if isinstance(value, Mapping):
        return {key: _plain(part) for key, part in value.items()}
    return [_plain(part) for part in value] if isinstance(value, tuple) else value


def _fields(value: Any) -> dict[str, Any]:
    return _members(value, (field.name for field in dataclasses.fields(value)))
