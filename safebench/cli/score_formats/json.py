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
    not_measured [{what, reason}]

A measure is {estimate, lower, upper, confidence, n, method}, n a mapping of what was counted to
its count, an end null where a bound is one-sided; or an absence, {not_measured: reason}.
"""

from __future__ import annotations

import json
from typing import Any

from safebench.analysis.measures import Measure, NotMeasured
from safebench.analysis.primaries import Primary
from safebench.analysis.report import ScoreReport
from safebench.analysis.spread import SeedsNeeded
from safebench.analysis.variation import Variation
from safebench.card.results import Place

FORMAT = "safebench/score/1"


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
        "primary": [_primary(one) for one in report.primaries],
        "variation": [_variation(one) for one in report.variations],
        "not_measured": [{"what": gap.what, "reason": gap.reason} for gap in report.not_measured],
    }


def _place(place: Place) -> dict[str, Any]:
    return {name: getattr(place, name) for name in Place.model_fields}


def _primary(one: Primary) -> dict[str, Any]:
    projections = one.projections
    return {
        **_place(one.estimand),
        "seed_share": _measure(one.seed_share),
        "seeds_needed": _needed(one.seeds_needed),
        "projections": (
            _absence(projections)
            if isinstance(projections, NotMeasured)
            else [vars(projection) for projection in projections]
        ),
        "diagnostics": {name: _measure(value) for name, value in one.diagnostics.items()},
    }


def _needed(needed: SeedsNeeded | NotMeasured) -> dict[str, Any]:
    if isinstance(needed, NotMeasured):
        return _absence(needed)
    return {**vars(needed), "sigma": _measure(needed.sigma)}


def _variation(one: Variation) -> dict[str, Any]:
    return {
        "task": one.task,
        "construct": one.construct,
        "judge": one.judge,
        "condition": one.condition,
        "answers": one.answers,
        "runs": one.runs,
        "method": one.method,
        "levels": dict(one.levels),
        "effects": [
            {
                "effect": effect.name,
                "levels": effect.levels,
                "fixed": effect.fixed,
                "variance": effect.variance,
                "of_answers": _measure(effect.of_answers),
                "of_runs": _measure(effect.of_runs),
            }
            for effect in one.effects
        ],
        "seed_share": _measure(one.seed_share),
    }


def _measure(value: Measure) -> dict[str, Any]:
    if isinstance(value, NotMeasured):
        return _absence(value)
    return {
        "estimate": value.estimate,
        "lower": value.lower,
        "upper": value.upper,
        "confidence": value.confidence,
        "n": dict(value.n),
        "method": value.method,
    }


def _absence(value: NotMeasured) -> dict[str, Any]:
    return {"not_measured": value.reason}
