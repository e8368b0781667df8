"""Variances of a grand mean over seeds x prompts, shared by intervals and differences."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from safebench.stats._checks import Floats, Ints


@dataclass(frozen=True)
class TwoWay:
    """Estimated variances of the grand mean of an (S, P) table; a part not measurable is 0."""

    mean: float
    prompt: float
    seed: float
    cell: float
    n_seeds: int
    n_prompts: int
    n_clusters: int


_NOISE = 1e-24
"""Far below the variance of one outcome among millions."""


def cluster_variance(deviations: Floats, codes: Ints, n_clusters: int) -> float:
    """G/(G-1) sum r_g^2/P^2: variance of a mean over prompts from centred values, by cluster."""
    if n_clusters < 2:
        return 0.0
    sums = np.bincount(codes, weights=deviations, minlength=n_clusters)
    factor = n_clusters / (n_clusters - 1)
    return float(factor * np.sum(sums**2) / deviations.size**2)


def two_way(table: Floats, codes: Ints, n_clusters: int) -> TwoWay:
    """Moment estimates for an (S, P) table whose prompts fall into `n_clusters` clusters.

    prompt = cluster variance of the prompt means, seed = var(seed means)/S, cell = the same for
    the doubly centred residuals summed by (seed, cluster): MS_p/(SP), MS_s/(SP), MS_ps/(SP)
    without clusters.
    """
    n_seeds, n_prompts = table.shape
    prompt_means = table.mean(axis=0)
    seed_means = table.mean(axis=1)
    mean = float(seed_means.mean())
    prompt = cluster_variance(prompt_means - mean, codes, n_clusters)
    seed = cell = 0.0
    if n_seeds > 1:
        seed = float(seed_means.var(ddof=1)) / n_seeds
        if n_clusters > 1:
            residual = table - prompt_means - (seed_means - mean)[:, None]
            if n_clusters < n_prompts:
                index = codes + n_clusters * np.arange(n_seeds)[:, None]
                residual = np.bincount(index.ravel(), weights=residual.ravel())
            factor = n_seeds / (n_seeds - 1) * n_clusters / (n_clusters - 1)
            cell = float(factor * np.sum(residual**2)) / table.size**2
    # What is left of differences that cancel is no variance: 1e-33 against 0 would decide the df.
    prompt, seed, cell = (part if part > _NOISE else 0.0 for part in (prompt, seed, cell))
    return TwoWay(mean, prompt, seed, cell, n_seeds, n_prompts, n_clusters)


def one_run_per_row(scores: Floats) -> Floats:
    """(S, P) as it is; (S, R, P) averaged over repeats."""
    return scores if scores.ndim == 2 else scores.mean(axis=1)
