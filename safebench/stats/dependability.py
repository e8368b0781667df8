"""Would other runs put the prompts in the same places?"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from safebench.stats._checks import Floats, between, proportions
from safebench.stats._dist import jackknife_half
from safebench.stats._twoway import one_run_per_row


@dataclass(frozen=True)
class Dependability:
    """Phi of the prompts' mean scores with its interval; None throughout when not measured."""

    estimate: float | None
    lower: float | None
    upper: float | None
    n_seeds: int
    n_prompts: int
    reason: str
    method: str
    confidence: float


def dependability(scores: ArrayLike, confidence: float = 0.95) -> Dependability:
    """Phi = sigma^2_p / (sigma^2_p + (sigma^2_s + sigma^2_ps)/S) of the prompts' mean scores.

    `scores`: (S, P), or (S, R, P) averaged over repeats, in [0, 1]; S >= 2 seeds, P >= 3 prompts.
    From mean squares Phi = (MS_p - MS_ps)/(MS_p + (MS_s - MS_ps)/P) (Brennan 2001, Generalizability
    Theory, 2.3): the share of the variance of the prompts' means that is between prompts, absolute
    error, so that 1 - Phi is what S other seeds would change. It may be negative.

    Interval: t with P - 1 df over the delete-one-prompt jackknife (Efron & Stein 1981), in [-1, 1];
    where no prompt's score differs between seeds lower = (alpha/2)^(1/P), the share of prompts
    placed by chance that would leave none of them seen.
    Fewer seeds or prompts, or equal scores throughout, are not an error: None, and `reason`.
    Raises StatsError on NaN (with its position) and scores outside [0, 1].
    """
    table = one_run_per_row(proportions("scores", scores, (2, 3)))
    tail = (1 - between("confidence", confidence, 0, 1)) / 2
    n_seeds, n_prompts = table.shape
    reason = ""
    estimate = lower = upper = None
    if n_seeds < 2:
        reason = "one training seed: what others would change is not known"
    elif n_prompts < 3:
        reason = f"{n_prompts} prompts are too few to be told apart"
    elif float(np.ptp(table)) == 0:
        reason = "every score is the same"
    else:
        everything, without = _phi(table)
        if everything is None:
            reason = "prompts and seeds do not vary in their means"
        else:
            estimate = everything
            half = jackknife_half(without, tail)
            lower, upper = max(estimate - half, -1.0), min(estimate + half, 1.0)
            if estimate > 1 - 1e-12:
                lower = tail ** (1 / n_prompts)
    return Dependability(
        estimate=estimate,
        lower=lower,
        upper=upper,
        n_seeds=n_seeds,
        n_prompts=n_prompts,
        reason=reason,
        method="ANOVA, absolute error; jackknife over prompts",
        confidence=float(confidence),
    )


def _phi(table: Floats) -> tuple[float | None, Floats]:
    """Phi of a table, and of the tables that lack one prompt each."""
    n_seeds, n_prompts = table.shape
    table = table - table.mean()
    means, by_seed = table.mean(axis=0), table.sum(axis=1)
    # Sums of the prompts' means, their squares, the seeds' squared sums, and all squares: of the
    # whole table first, then of the table without each prompt.
    of_all = np.array([means.sum(), np.sum(means**2), np.sum(by_seed**2), np.sum(table**2)])
    seeds_without = np.sum((by_seed[:, None] - table) ** 2, axis=0)
    of_rest = of_all[:, None] - np.stack([means, means**2, 0 * means, np.sum(table**2, axis=0)])
    of_rest[2] = seeds_without
    whole = _from_sums(of_all[:, None], n_seeds, n_prompts)
    without = _from_sums(of_rest, n_seeds, n_prompts - 1)
    return (None if math.isnan(whole[0]) else float(whole[0])), np.nan_to_num(without)


def _from_sums(sums: Floats, n_seeds: int, n_prompts: int) -> Floats:
    """Phi from the sums over prompts of m and m^2, over seeds of t^2, over all of y^2: (4, n)."""
    mean_sums, squared_means, squared_sums, squares = sums
    correction = n_seeds * mean_sums**2 / n_prompts
    prompts = n_seeds * squared_means - correction
    seeds = squared_sums / n_prompts - correction
    rest = squares - correction - prompts - seeds
    ms_p = prompts / (n_prompts - 1)
    ms_s = seeds / (n_seeds - 1)
    ms_ps = rest / ((n_prompts - 1) * (n_seeds - 1))
    below = ms_p + (ms_s - ms_ps) / n_prompts
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.where(below > 1e-12, (ms_p - ms_ps) / below, np.nan)
