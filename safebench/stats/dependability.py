"""Would other runs put the prompts in the same places?"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from safebench.stats._checks import Floats, between, proportions
from safebench.stats._dist import t_quantile
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
            half = t_quantile(1 - tail, n_prompts - 1) * math.sqrt(
                (n_prompts - 1) / n_prompts * float(np.sum((without - without.mean()) ** 2))
            )
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
    means, sums = table.mean(axis=0), table.sum(axis=1)
    whole = _from_sums(
        np.array([np.sum(means**2)]),
        np.array([np.sum(means)]),
        np.array([np.sum(sums**2)]),
        np.array([np.sum(table**2)]),
        n_seeds,
        n_prompts,
    )
    without = _from_sums(
        np.sum(means**2) - means**2,
        np.sum(means) - means,
        np.sum((sums[:, None] - table) ** 2, axis=0),
        np.sum(table**2) - np.sum(table**2, axis=0),
        n_seeds,
        n_prompts - 1,
    )
    return (None if math.isnan(whole[0]) else float(whole[0])), np.nan_to_num(without)


def _from_sums(
    squared_means: Floats, mean_sums: Floats, squared_sums: Floats, squares: Floats,
    n_seeds: int, n_prompts: int,
) -> Floats:  # fmt: skip
    """Phi from the sums over prompts of m^2 and m, over seeds of t^2, over all of y^2."""
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
