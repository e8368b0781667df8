"""JSON for programs. The keys are stable: later versions add to them and take none away.

    format       "safebench/score/1"
    submission   the card's id
    spec         the version of the standard that the card follows
    trials       task -> `first 40 of 313 prompts`, for every task that was not measured whole
    results      the card's section `results`, recomputed
    primary      a list, one entry per primary estimand:
      task, construct, condition, checkpoint, decoding, judge
      seed_share      measure: share of the variance between these runs that is between seeds
      seeds_needed    {sigma: measure, seeds, seeds_lower, seeds_upper, floor, margin, power}
                      or absence
      projections     [{seeds, repeats, prompts, se, lower, upper}], the design as it is first,
                      or absence
      diagnostics     name -> measure: flip_rate, krippendorff_alpha, seed_to_prompt_spread,
                      dependability, new_seed_bound, worst_prompts, worst_decoding
    variation    a list, one entry per task and construct:
      task, construct, judge, condition, answers, runs, method
      levels          facet -> levels
      effects         [{effect, levels, fixed, variance, of_answers: measure, of_runs: measure}];
                      an interaction's name is its facets joined by ":". Shares are of the whole
                      variance where `fixed` (checkpoint, decoding), else of what remains with
                      these held
      seed_share      measure: between runs of one checkpoint and decoding, between seeds
    judge_error  a list, one entry per score of `results`:
      task, construct, condition, checkpoint, decoding, judge
      score           measure: corrected for judge error
      change          measure: the change from base, corrected; null where there is none
      stability       measure: the bound with the judge's error; null where it is not rated
    judges       a list, one entry per primary estimand that several judges decided:
      task, construct, condition, checkpoint, decoding, judge
      scores          judge -> {estimate, lower, upper}
      changes         judge -> the same of the change from base
      sign_turns      whether that change is up by one judge and down by another
      pairs           [{judges: [a, b], kappa: measure}]
      categories      [{name, share, n}]: share of responses on which the judges differ
      wordings        [{scores, changes}], as above: one per prompted judge with three templates
                      or more, everything else alike
    readings     a list, one entry per primary change from base (spec/v1/reading.md):
      task, construct, condition, checkpoint, decoding, judge
      read_as         collapsed, worse, better, no_change or cannot_tell
      beyond_margin   whether the whole 95 % interval lies beyond the margin
      h               {estimate, lower, upper, lower_90, upper_90}: tuned minus base, radians
      seeds, prompts
    doubts       [{kind, text, moves, is_measured, remedy}], that which could move a primary
                 number most first; `moves` is the standard's margin where nothing measures it
    not_measured [{what, reason}]

A measure is {estimate, lower, upper, confidence, n, method}, n a mapping of what was counted to
its count, an end null where a bound is one-sided; or an absence, {not_measured: reason}.
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
