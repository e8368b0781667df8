"""The worst of several settings, without taking chance for danger."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import scipy
from numpy.typing import ArrayLike, NDArray

from safebench.errors import StatsError
from safebench.stats._checks import Floats, proportions
from safebench.stats._estimate import CONFIDENCE, Estimate
from safebench.stats._maxt import correlation, normal_draws, upper_quantile
from safebench.stats._twoway import one_run_per_row
from safebench.stats.intervals import Interval, score_interval


@dataclass(frozen=True)
class WorstSetting(Estimate):
    """The worst of K settings with an interval for the worst score there is, in [0, 1].

    `index`: the setting observed to be worst (the first of equal ones); `estimate`: its score, too
    bad by chance where settings are close. `lower`, `upper`: of the worst true score, whichever
    setting has it. `intervals`: each setting's, all true at once, the observed worst one's too.
    """

    index: int
    intervals: tuple[Interval, ...]
    critical: float
    n_seeds: int
    n_prompts: int


def worst_setting(
    outcomes: Sequence[ArrayLike] | NDArray[Any],
    higher_is_worse: bool = True,
) -> WorstSetting:
    """The worst of K settings (decodings) on the same seeds and prompts, max-T intervals.

    `outcomes`: K arrays (S, P), or (S, R, P) with repeats (averaged; R may differ between
    settings), in [0, 1]; seeds and prompts in the same order in all.

    The covariance of the K means is two-way as the variance of `score_interval` is: C = C_prompt +
    C_seed - C_cell with products in the place of squares. c is the quantile of max |Z_k|, Z with
    its correlations (10,000 draws of a fixed seed; Hothorn, Bretz & Westfall 2008), and
    each setting gets its `score_interval` at the confidence 1 - 2 Phi(-c): t quantiles and rare
    events as there. Since all hold at once, the largest bounds hold for the worst score.

    Coverage of nominal 95 % with 8 equal settings, the worst score and all scores at once: .94 and
    .91 at 3 seeds, .98 and .96 at 5, .98 and .97 at 10 (benchmarks/diagnostics.txt).
    """
    tables = [
        one_run_per_row(proportions(f"outcomes[{k}]", setting, (2, 3)))
        for k, setting in enumerate(outcomes)
    ]
    if not tables:
        raise StatsError("outcomes has no settings")
    for k, table in enumerate(tables):
        if table.shape != tables[0].shape:
            raise StatsError(
                f"outcomes[{k}] has {table.shape[0]} seeds x {table.shape[1]} prompts, outcomes[0] "
                f"{tables[0].shape[0]} x {tables[0].shape[1]}"
            )
    stack = np.stack(tables)
    means = stack.mean(axis=(1, 2))
    covariance = _two_way_covariance(stack)
    order = np.lexsort((np.diagonal(covariance), -means if higher_is_worse else means))
    critical = _largest_of(covariance[np.ix_(order, order)])
    each = 1 - 2 * float(scipy.special.ndtr(-critical))
    intervals = tuple(score_interval(table, confidence=each) for table in tables)
    worst = max if higher_is_worse else min
    found = [interval.estimate for interval in intervals]
    index = found.index(worst(found))
    return WorstSetting(
        index=index,
        estimate=intervals[index].estimate,
        lower=worst(interval.lower for interval in intervals),
        upper=worst(interval.upper for interval in intervals),
        intervals=intervals,
        critical=critical,
        n_seeds=stack.shape[1],
        n_prompts=stack.shape[2],
        method=f"max-T over {len(tables)} settings, {intervals[index].method}",
    )


def _two_way_covariance(stack: Floats) -> Floats:
    """Covariance of the grand means of K tables (S, P): `two_way` with products for squares."""
    settings, n_seeds, n_prompts = stack.shape
    means = stack.mean(axis=(1, 2), keepdims=True)
    by_prompt = stack.mean(axis=1, keepdims=True) - means
    by_seed = stack.mean(axis=2, keepdims=True) - means
    cells = (stack - means - by_prompt - by_seed).reshape(settings, -1)
    prompts, seeds = by_prompt[:, 0], by_seed[:, :, 0]
    total = np.zeros((settings, settings))
    if n_prompts > 1:
        total += prompts @ prompts.T / (n_prompts * (n_prompts - 1))
    if n_seeds > 1:
        total += seeds @ seeds.T / (n_seeds * (n_seeds - 1))
    if n_seeds > 1 and n_prompts > 1:
        degrees = (n_seeds - 1) * (n_prompts - 1)
        total -= cells @ cells.T / (n_seeds * n_prompts * degrees)
    return total


def _largest_of(covariance: Floats) -> float:
    """The 95 % quantile of max |Z_k| with these correlations (negative directions left out)."""
    values, vectors = np.linalg.eigh(covariance)
    proper = (vectors * np.maximum(values, 0.0)) @ vectors.T
    least = (1e-9 * max(float(np.sqrt(proper.max())), 1e-9)) ** 2
    unit = correlation(proper, least)
    largest = np.abs(normal_draws(unit)).max(axis=1)
    return upper_quantile(largest, 1 - CONFIDENCE)
