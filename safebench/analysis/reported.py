"""A rerun of a card that carries numbers and no outcomes, as papers do."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from safebench.card.base import NotReported
from safebench.card.results import MARGIN, Results, Score, base_key, find, key_of
from safebench.evidence.submission import Submission
from safebench.evidence.verdicts import ChangeVerdictRow, ScoreVerdict, Word
from safebench.stats import change_verdict, replication_interval, rerun_verdict
from safebench.stats.arms import FEWEST_PROMPTS
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
        scores.append(_score_row(score, runs, here, prompts, alpha))
        base = find(results.scores, base_key(score))
        own = find(rerun.blocks, base_key(score))
        if base is not None and _runs(base) and own is not None and len(runs) > 1:
            bases = _runs(base), own.scores[0].mean(axis=1)
            changes.append(_change_row(score, bases, (runs, here), prompts))
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


def _place(score: Score) -> Iterator[tuple[str, object]]:
    for name in ("task", "construct", "checkpoint", "decoding", "judge"):
        yield name, getattr(score, name)


def _score_row(
    score: Score, runs: list[float], here: np.ndarray, prompts: int, alpha: float
) -> ScoreVerdict:
    given = score.prompts if isinstance(score.prompts, int) else prompts
    least = min(given, prompts)
    found, wide = (
        rerun_verdict(runs, here, margin=MARGIN, alpha=level, n_prompts=least)
        for level in (alpha, 0.025)
    )
    word: Word = "no_verdict" if least < FEWEST_PROMPTS else "inconclusive"
    if found.verdict in ("reproduced", "not_reproduced"):
        word = "reproduced" if found.verdict == "reproduced" else "not_reproduced"
    predicted = None
    if len(runs) > 1:
        interval = replication_interval(runs, len(here), sigma_floor=found.floor or 0.0)
        predicted = kept(interval.lower_points), kept(interval.upper_points)
    ends = (
        None if end is None else kept(end)
        for end in (found.lower_points, found.upper_points, wide.lower_points, wide.upper_points)
    )
    lower, upper, lower_95, upper_95 = ends
    return ScoreVerdict(
        **dict(_place(score)),
        original_estimate=kept(float(np.mean(runs))),
        rerun_estimate=kept(float(here.mean())),
        original_seeds=len(runs),
        rerun_seeds=len(here),
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
        verdict=word,
        reason=_ONE if len(runs) == 1 else found.reason,
    )


def _change_row(
    score: Score,
    bases: tuple[list[float], np.ndarray],
    tuned: tuple[list[float], np.ndarray],
    prompts: int,
) -> ChangeVerdictRow:
    found = change_verdict(bases[0], tuned[0], bases[1], tuned[1], margin=MARGIN, n_prompts=prompts)
    return ChangeVerdictRow(
        **dict(_place(score)),
        original_estimate=kept(found.original.estimate_points),
        rerun_estimate=kept(found.rerun.estimate_points),
        sign=found.sign_verdict,
        size=found.size_verdict,
        verdict=found.verdict,
        reason=found.reason,
    )
