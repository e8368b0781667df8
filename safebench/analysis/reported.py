"""Rows of a rerun's verdict, and the rerun of a card that has numbers but no outcomes."""

from __future__ import annotations

from typing import Any, cast

import numpy as np

from safebench.card.base import NotReported
from safebench.card.results import MARGIN, HasPlace, Results, Score, base_key, find, key_of
from safebench.evidence.arrays import Floats
from safebench.evidence.submission import Submission
from safebench.evidence.verdicts import ChangeVerdictRow, ScoreVerdict, Word
from safebench.stats import change_verdict, replication_interval, rerun_verdict
from safebench.stats.change import ChangeVerdict
from safebench.words import kept

_ONE = (
    "the paper gives one number, which does not show how far its runs spread: no rerun can settle "
    "it alone."
)


def compare_reported(
    results: Results, rerun: Submission, alpha: float
) -> tuple[list[ScoreVerdict], list[ChangeVerdictRow]]:
    """Compare every reported score that the rerun has, and its change where the base is given.

    Run scores are compared where they are reported, else the one number; prompts cannot be paired,
    and flips are unknown. Returns the rows of scores and of changes.
    """
    scores, changes = [], []
    for score in results.scores:
        runs, block = _runs(score), find(rerun.blocks, key_of(score))
        if score.condition != "tuned" or block is None or not runs:
            continue
        here = block.scores.reshape(len(block.seeds), -1).mean(axis=1)
        prompts = len(block.prompts)
        given = score.prompts if isinstance(score.prompts, int) else prompts
        row = score_row(score, np.array(runs), here, prompts, alpha, n_prompts=min(given, prompts))
        scores.append(row if len(runs) > 1 else row.model_copy(update={"reason": _ONE}))
        base = find(results.scores, base_key(score))
        own = find(rerun.blocks, base_key(score))
        if base is not None and _runs(base) and own is not None and len(runs) > 1:
            bases = _runs(base), own.scores[0].mean(axis=1)
            found = change_verdict(bases[0], runs, bases[1], here, MARGIN, n_prompts=prompts)
            changes.append(change_row(score, found))
    return scores, changes


def _runs(score: Score) -> list[float]:
    """Return one score for each training seed that is reported, or else the one estimate.

    Repeats of a seed are averaged: they show nothing of how far seeds spread.
    """
    by_seed: dict[object, list[float]] = {}
    for number, run in enumerate(score.runs if isinstance(score.runs, tuple) else ()):
        seed = run.training_seed
        if isinstance(run.score, float):
            by_seed.setdefault(
                f"unknown {number}" if isinstance(seed, NotReported) else seed, []
            ).append(run.score)
    found = [float(np.mean(scores)) for scores in by_seed.values()]
    return found or [value for value in (score.estimate,) if isinstance(value, float)]


def score_row(
    item: HasPlace, old: Floats, new: Floats, prompts: int, alpha: float, **options: Any
) -> ScoreVerdict:
    """Return the test of a rerun's score against the original's, on the runs of both.

    `old`, `new`: as `rerun_verdict` takes them, and its `options`.
    """
    found, wide = (
        rerun_verdict(old, new, margin=MARGIN, alpha=level, **options) for level in (alpha, 0.025)
    )
    runs, predicted = old.reshape(len(old), -1).mean(axis=1), None
    if runs.size > 1 and not options.get("paired"):
        interval = replication_interval(runs, found.n_rerun, found.floor or 0.0)
        predicted = kept(interval.lower_points), kept(interval.upper_points)
    ends = (found.lower_points, found.upper_points, wide.lower_points, wide.upper_points)
    lower, upper, lower_95, upper_95 = (None if end is None else kept(end) for end in ends)
    return ScoreVerdict(
        **_place(item),
        original_estimate=kept(float(old.mean())),
        rerun_estimate=kept(float(new.mean())),
        original_seeds=found.n_original,
        rerun_seeds=found.n_rerun,
        prompts=prompts,
        trial=None,
        identical=None,
        difference_points=kept(found.difference_points),
        lower_points=lower,
        upper_points=upper,
        confidence=kept(found.confidence),
        lower_95_points=lower_95,
        upper_95_points=upper_95,
        predicted=predicted,
        margin_points=kept(found.margin_points),
        seeds_needed=found.seeds_needed,
        prompts_needed=found.prompts_needed,
        verdict=cast("Word", found.verdict),
        reason=found.reason,
    )


def change_row(item: HasPlace, found: ChangeVerdict) -> ChangeVerdictRow:
    """Return the comparison of two changes from base."""
    return ChangeVerdictRow(
        **_place(item),
        original_estimate=kept(found.original.estimate_points),
        rerun_estimate=kept(found.rerun.estimate_points),
        sign=cast("Word", found.sign_verdict),
        size=cast("Word", found.size_verdict),
        verdict=cast("Word", found.verdict),
        reason=found.reason,
    )


def _place(item: HasPlace) -> dict[str, Any]:
    names = ("task", "construct", "checkpoint", "decoding", "judge")
    return {name: getattr(item, name) for name in names}
