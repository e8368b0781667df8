"""Bounds of variance components of a complete table: seeds x repeats x prompts."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from safebench.errors import StatsError
from safebench.stats._checks import between, finite
from safebench.stats._mls import relative
from safebench.stats.variance import variance_components

EFFECTS = {
    "training_seed": ("training_seed",),
    "prompt": ("prompt",),
    "prompt:training_seed": ("prompt", "training_seed"),
    "training_seed:repeat": ("training_seed", "repeat"),
    "residual": ("training_seed", "repeat", "prompt"),
}


def balanced_bounds(scores: ArrayLike, tail: float = 0.025) -> dict[str, tuple[float, float]]:
    """Lower and upper bounds of every component, unclamped, each missing with probability `tail`.

    `scores`: (S, R, P) numbers, training seeds x repeats (nested) x prompts, at least 2 seeds and
    2 prompts. Returns effect -> bounds in squared units, of the effects in `EFFECTS`; with one
    repeat the last two are absent and prompt:training_seed holds the residual.

    Modified large-sample intervals: a component is sum c_i MS_i over mean squares with df_i; below
    and above it sqrt(sum (G_i or H_i)^2 c_i^2 MS_i^2), G = 1 - df/chi2_{1-tail,df} below and
    H = df/chi2_{tail,df} - 1 above, exchanged where c_i < 0 (Graybill & Wang 1980; Ting et al.
    1990, without the cross terms; Burdick & Graybill 1992). Nominal for normal effects.
    Raises StatsError on NaN (with position), a wrong shape, or tail outside (0, .5).
    """
    table = finite("scores", scores)
    tail = between("tail", tail, 0, 0.5)
    if table.ndim != 3 or table.shape[0] < 2 or table.shape[2] < 2:
        raise StatsError(f"scores has shape {table.shape}, not (S, R, P) with 2 seeds and prompts")
    codes = (index.ravel() for index in np.indices(table.shape))
    factors = dict(zip(("training_seed", "repeat", "prompt"), codes, strict=True))
    # With one repeat the cells of prompt and seed hold one outcome each: they are the residual.
    effects = EFFECTS if table.shape[1] > 1 else dict(list(EFFECTS.items())[:3])
    found = variance_components(table.ravel(), factors, effects)
    bounds = {}
    for name, weights in found.weights.items():
        df = np.array([found.df[source] for source in weights], dtype=np.float64)
        terms = np.array([weight * found.mean_squares[s] for s, weight in weights.items()])
        g, h = relative(df, tail), relative(df, 1 - tail)
        down = np.linalg.norm(np.where(terms > 0, g, h) * terms)
        up = np.linalg.norm(np.where(terms > 0, h, g) * terms)
        bounds[name] = float(terms.sum() - down), float(terms.sum() + up)
    return bounds
