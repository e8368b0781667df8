"""Bounds of variance components of a complete table: seeds x repeats x prompts."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import ArrayLike

from safebench.errors import StatsError
from safebench.stats._checks import between, finite
from safebench.stats._dist import chi2_quantile


def balanced_bounds(scores: ArrayLike, tail: float = 0.025) -> dict[str, tuple[float, float]]:
    """Lower and upper bounds of every component, unclamped, each missing with probability `tail`.

    `scores`: (S, R, P) numbers, training seeds x repeats (nested) x prompts, at least 2 seeds and
    2 prompts. Returns effect -> bounds in squared units: training_seed, prompt,
    prompt:training_seed and, with several repeats, training_seed:repeat and residual; with one
    repeat prompt:training_seed holds the residual too.

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
    s, r, p = table.shape
    mean = table.mean()
    seeds, prompts = table.mean(axis=(1, 2)), table.mean(axis=(0, 1))
    cells, runs = table.mean(axis=1), table.mean(axis=2)
    cross = cells - seeds[:, None] - prompts[None] + mean
    rest = table - runs[:, :, None] - cells[:, None] + seeds[:, None, None]
    squares = {
        "s": (r * p * np.sum((seeds - mean) ** 2), s - 1),
        "p": (s * r * np.sum((prompts - mean) ** 2), p - 1),
        "ps": (r * np.sum(cross**2), (s - 1) * (p - 1)),
        "sr": (p * np.sum((runs - seeds[:, None]) ** 2), s * (r - 1)),
        "e": (np.sum(rest**2), s * (r - 1) * (p - 1)),
    }
    sums: dict[str, dict[str, float]] = {
        "training_seed": {"s": 1 / (r * p), "ps": -1 / (r * p)},
        "prompt": {"p": 1 / (r * s), "ps": -1 / (r * s)},
        "prompt:training_seed": {"ps": 1 / r},
    }
    if r > 1:
        sums["training_seed"] |= {"sr": -1 / (r * p), "e": 1 / (r * p)}
        sums["prompt:training_seed"]["e"] = -1 / r
        sums["training_seed:repeat"] = {"sr": 1 / p, "e": -1 / p}
        sums["residual"] = {"e": 1.0}
    found = {}
    for name, terms in sums.items():
        middle = down = up = 0.0
        for key, c in terms.items():
            total, df = squares[key]
            part = c * float(total) / df
            g = 1 - df / chi2_quantile(1 - tail, df)
            h = df / chi2_quantile(tail, df) - 1
            middle += part
            down += ((g if c > 0 else h) * part) ** 2
            up += ((h if c > 0 else g) * part) ** 2
        found[name] = (middle - math.sqrt(down), middle + math.sqrt(up))
    return found
