"""Where new runs should fall, and the spread that several studies share."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from safebench.errors import StatsError
from safebench.stats._checks import between, positive_int, proportions
from safebench.stats._dist import chi2_quantile, no_rounding, t_quantile
from safebench.stats._estimate import CONFIDENCE, TAIL, Estimate
from safebench.stats.transforms import phi, phi_inverse


@dataclass(frozen=True)
class Prediction(Estimate):
    """Where the mean of `n_rerun` new runs should fall, on phi (radians) and as scores.

    `estimate_points`, `lower_points`, `upper_points` are `estimate`, `lower`, `upper` mapped back
    to scores in [0, 1]. `sigma` is the SD of one run on phi.
    """

    estimate_points: float
    lower_points: float
    upper_points: float
    sigma: float
    se: float
    df: float
    n: int
    n_rerun: int


@dataclass(frozen=True)
class PooledSigma(Estimate):
    """SD of one run on phi (radians) within studies, and its degrees of freedom."""

    df: int
    n: int
    n_groups: int


def replication_interval(
    original_runs: ArrayLike,
    n_rerun: int,
    sigma_floor: float = 0.0,
) -> Prediction:
    """Prediction interval of the mean phi(score) of `n_rerun` new runs.

    mean -+ t_df s sqrt(1/n + 1/n_rerun), s the SD of the n original runs on phi = 2 asin sqrt,
    df = n - 1 (Spence & Stanley 2016, PLoS ONE 11:e0162874; Anderson & Maxwell 2016, Psychological
    Methods 21, 1-12). `original_runs` (n,): scores in [0, 1]. `sigma_floor`: least s.

    It is secondary to `rerun_verdict`, because the fewer and the wilder the runs, the more it lets
    pass: at an SD of 3 points, 3 original runs and 1 new one, a shift of 10 points stays inside it
    63 % of the time, and equivalence testing calls that reproduced about never.

    Raises StatsError on one run.
    """
    scores = proportions("original_runs", original_runs, (1,))
    n_rerun = positive_int("n_rerun", n_rerun)
    between("sigma_floor", sigma_floor, 0, math.inf, closed=True)
    runs = np.asarray(phi(scores))
    if runs.size < 2:
        raise StatsError("original_runs has one run, which does not show how far runs spread")
    sigma, df = float(runs.std(ddof=1)), runs.size - 1.0
    sigma = max(sigma if sigma > 1e-12 else 0.0, sigma_floor)
    mean = float(runs.mean())
    half, se = predict(sigma, df, runs.size, n_rerun)
    return Prediction(
        estimate=mean,
        lower=mean - half,
        upper=mean + half,
        estimate_points=phi_inverse(mean),
        lower_points=phi_inverse(mean - half),
        upper_points=phi_inverse(mean + half),
        sigma=sigma,
        se=se,
        df=df,
        n=runs.size,
        n_rerun=n_rerun,
        method="prediction t",
    )


def predict(
    sigma: float, df: float, n: int, n_new: int, confidence: float = CONFIDENCE
) -> tuple[float, float]:
    """Half-width of the prediction interval of a mean of `n_new`, and its standard error."""
    se = sigma * math.sqrt(1 / n + 1 / n_new)
    return (t_quantile((1 + confidence) / 2, df) * se if se > 0 else 0.0), se


def pooled_sigma(groups: Iterable[ArrayLike]) -> PooledSigma:
    """SD of one run on phi from the runs of several studies whose means may differ.

    s^2 = sum over groups of (n_g - 1) s_g^2 / df, df = sum of (n_g - 1), with s_g the SD of
    phi(score) in a group: the within mean square of a one-way analysis of variance. Groups are
    sequences of run scores in [0, 1], one for each study (original or rerun) of comparable spread;
    a group of one run adds nothing. The interval is sqrt(df s^2 / chi2).

    Feeds `rerun_verdict(..., pooled_sigma=found.estimate, pooled_df=found.df)`; without the df the
    value counts as known exactly, which a few runs do not support.

    Raises StatsError where no group has two runs.
    """
    squares, df, n, count = 0.0, 0, 0, 0
    for index, group in enumerate(groups):
        runs = np.asarray(phi(proportions(f"groups[{index}]", group, (1,))))
        squares += float(np.sum((runs - runs.mean()) ** 2))
        df, n, count = df + runs.size - 1, n + runs.size, count + 1
    if df == 0:
        raise StatsError(
            f"groups has {count} studies and none with two runs: no spread within studies"
        )
    squares = no_rounding(squares)
    return PooledSigma(
        estimate=math.sqrt(squares / df),
        lower=math.sqrt(squares / chi2_quantile(1 - TAIL, df)),
        upper=math.sqrt(squares / chi2_quantile(TAIL, df)),
        df=df,
        n=n,
        n_groups=count,
        method="within-study SD on phi, chi-square interval",
    )
