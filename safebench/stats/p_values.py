"""P values of prompts and of single runs, and their adjustment for how many there are.

Holm over the categories of a task, Benjamini-Hochberg over the flips of its prompts. "Every
category passes" needs neither: each is tested at the full level (intersection-union).
"""

from __future__ import annotations

import itertools
import math
from dataclasses import dataclass

import numpy as np
import scipy
from numpy.typing import ArrayLike

from safebench.errors import StatsError
from safebench.stats._checks import Floats, positive_int, proportions

#: Up to this many ways to divide the runs all of them are looked at, beyond it this many draws.
WAYS = 20_000
_BLOCK = 64  # prompts at once: 64 x WAYS sums
_TIE = 1e-9


@dataclass(frozen=True, eq=False)
class PromptTests:
    """What changed prompt by prompt: mean(b) - mean(a) and its two-sided p value, each (P,).

    `least` is the smallest p that this many runs can give, whatever the outcomes.
    """

    differences: Floats
    p_values: Floats
    least: float
    n_runs: tuple[int, int]
    n_prompts: int
    method: str


def prompt_tests(a: ArrayLike, b: ArrayLike, rng: np.random.Generator | None = None) -> PromptTests:
    """Permutation test of every prompt: did its rate change by more than runs differ anyway?

    `a`: (S_a, P), `b`: (S_b, P) outcomes in [0, 1], runs x prompts in the same order. A run is the
    unit: average repeats of a training seed first. Under the null hypothesis the S_a + S_b outcomes
    of a prompt could be divided between the sides in any way; p is the share of all divisions whose
    means differ at least as much as the observed ones (Fisher 1935; Pitman 1937). With outcomes of
    0 and 1 it is summed from the hypergeometric distribution (and is Fisher's exact test where
    S_a = S_b). Graded outcomes: every division up to 20,000 of them, beyond that 20,000 draws from
    `rng` with p = (hits + 1)/(draws + 1) (Phipson & Smyth 2010). The same p for (b, a).

    The prompts are tested one by one: adjust for their number (`benjamini_hochberg`).
    Raises StatsError where draws are needed and `rng` is not given.
    """
    first, second = proportions("a", a, (2,)), proportions("b", b, (2,))
    if first.shape[1] != second.shape[1]:
        raise StatsError(
            f"a has {first.shape[1]} prompts and b {second.shape[1]}; pairing needs the same ones"
        )
    runs = first.shape[0], second.shape[0]
    few = min(runs)
    side = first if runs[0] <= runs[1] else second
    # Sorted, so that p depends on the outcomes alone and not on which side came first.
    pooled = np.sort(np.vstack([first, second]), axis=0)
    distances = np.abs(side.sum(axis=0) - few * pooled.mean(axis=0))
    ways = math.comb(sum(runs), few)
    least = (2 if runs[0] == runs[1] else 1) / ways
    if np.isin(pooled, (0.0, 1.0)).all():
        p, method = _binary(pooled, few, distances), "exact permutation of runs"
    elif ways <= WAYS:
        p, method = _graded(pooled, few, distances, None), "exact permutation of runs"
    elif rng is None:
        raise StatsError(f"{ways} divisions of the runs are too many to look at", fix="give rng")
    else:
        p, method = _graded(pooled, few, distances, rng), f"{WAYS:,} random permutations of runs"
        least = max(least, 1 / (WAYS + 1))
    return PromptTests(
        differences=second.mean(axis=0) - first.mean(axis=0),
        p_values=p,
        least=least,
        n_runs=runs,
        n_prompts=first.shape[1],
        method=method,
    )


def _binary(pooled: Floats, few: int, distances: Floats) -> Floats:
    """Share of divisions at least as far from even, by the number of ones among all runs."""
    total = pooled.shape[0]
    ones = pooled.sum(axis=0).astype(np.int64)
    result = np.ones(ones.size)
    for count in np.unique(ones):
        k = np.arange(max(0, count - (total - few)), min(few, count) + 1)
        weights = scipy.special.comb(count, k) * scipy.special.comb(total - count, few - k)
        apart = np.abs(k - few * count / total)
        here = ones == count
        reached = apart >= distances[here][:, None] - _TIE
        result[here] = (reached * weights).sum(axis=1) / weights.sum()
    return np.minimum(result, 1.0)


def _graded(pooled: Floats, few: int, distances: Floats, rng: np.random.Generator | None) -> Floats:
    total, n_prompts = pooled.shape
    if rng is None:
        chosen = np.array(list(itertools.combinations(range(total), few)))
    else:
        chosen = rng.permuted(np.tile(np.arange(total), (WAYS, 1)), axis=1)[:, :few]
    member = np.zeros((len(chosen), total))
    np.put_along_axis(member, chosen, 1.0, axis=1)
    extra = 0 if rng is None else 1
    result = np.empty(n_prompts)
    for start in range(0, n_prompts, _BLOCK):
        part = pooled[:, start : start + _BLOCK]
        apart = np.abs(member @ part - few * part.mean(axis=0))
        hits = (apart >= distances[start : start + _BLOCK] - _TIE).sum(axis=0)
        result[start : start + _BLOCK] = (hits + extra) / (len(chosen) + extra)
    return result


def holm(p_values: ArrayLike) -> Floats:
    """Adjusted p values that keep the chance of **any** false finding (Holm 1979, Scand J Stat 6).

    `p_values`: (m,) in [0, 1], however dependent. Returns (m,) in the same order: the running
    maximum of (m - i + 1) p_(i) from the smallest on, at most 1; reject where it is <= alpha.
    """
    p = proportions("p_values", p_values, (1,))
    order = np.argsort(p, kind="stable")
    scaled = np.maximum.accumulate(p[order] * np.arange(p.size, 0, -1))
    return np.asarray(np.minimum(scaled, 1.0)[np.argsort(order)])


def benjamini_hochberg(p_values: ArrayLike) -> Floats:
    """Adjusted p values that keep the **share** of false findings (Benjamini & Hochberg 1995).

    `p_values`: (m,) in [0, 1], independent or positively dependent. Returns (m,) in the same
    order: the running minimum of m p_(i)/i from the largest on; reject where it is <= the false
    discovery rate.
    """
    p = proportions("p_values", p_values, (1,))
    order = np.argsort(p, kind="stable")
    scaled = p[order] * p.size / np.arange(1, p.size + 1)
    return np.asarray(np.minimum.accumulate(scaled[::-1])[::-1][np.argsort(order)])


def mcnemar_exact(b: int, c: int) -> float:
    """Two-sided p that two single runs flip prompts both ways alike (McNemar 1947).

    `b`, `c`: prompts that changed one way and the other; those that did not change say nothing.
    p = 2 P(X <= min(b, c)), X ~ Bin(b + c, 1/2), at most 1; 1 without any change. Prompts are the
    sample: two seeds alone say nothing of other seeds.
    """
    b, c = positive_int("b", b, 0), positive_int("c", c, 0)
    return 1.0 if b == c else min(2 * float(scipy.special.bdtr(min(b, c), b + c, 0.5)), 1.0)
