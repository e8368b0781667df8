"""The best whole numbers of seeds, repeats and prompts: boxes of designs, bounded and halved.

Precision improves and cost grows with each of the three numbers. A box of designs therefore costs
at least its smallest numbers of seeds and repeats with the prompts that its largest would need.
Boxes for which that exceeds the best design so far are left out, and the rest are halved until they
hold one pair of numbers each; every step is done for all boxes at once.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import scipy
from numpy.typing import NDArray

from safebench.stats._checks import Floats, first_that
from safebench.stats._estimate import TAIL
from safebench.stats.intervals import Bounds, interval_from

Bools = NDArray[np.bool_]
Triple = tuple[int, int, int]
ANY = 1e12
"""Stands for any number of levels."""
_SLACK = 1e-9
"""Relative difference below which two costs are equal."""
_CHUNK = 512


@dataclass(frozen=True)
class Terms:
    """Variances of one outcome, by the facets that they fall with.

    `sums`: (has seed, has repeat, has prompt) -> variance; `replicate`: what stands for the runs, 0
    the seeds or 1 the repeats; `score`: the mean of the outcomes; `single`: the variance of one.
    """

    sums: dict[tuple[bool, bool, bool], float]
    replicate: int
    prompts_fixed: bool
    score: float
    single: float

    @property
    def repeats(self) -> bool:
        """Whether any variance is known to fall with repeats."""
        return any(repeat for _, repeat, _ in self.sums)

    def variance(self, n: tuple[Any, Any, Any]) -> Any:
        """Variance of the mean at n seeds, repeats, prompts, negative estimates as 0."""
        return sum(
            (max(v, 0.0) / _levels(key, n) for key, v in self.sums.items()),
            start=np.zeros(np.broadcast(*n).shape),
        )

    def parts(self, n: tuple[Any, Any, Any]) -> tuple[Floats, Floats, Floats]:
        """(V_seed, V_prompt, V_cell) of the mean, as spec/v1/intervals.md has them."""
        seed, prompt, cell = (np.zeros(np.broadcast(*n).shape) for _ in range(3))
        for key, variance in self.sums.items():
            part = variance / _levels(key, n)
            has_seed = key[self.replicate] or key[0]
            seed = seed + (part if has_seed or self.prompts_fixed else 0.0)
            prompt = prompt + (part if key[2] else 0.0)
            cell = cell + (part if has_seed and key[2] else 0.0)
        return np.maximum(seed, 0.0), np.maximum(prompt, 0.0), np.maximum(cell, 0.0)

    def interval(self, n: tuple[Any, Any, Any]) -> Bounds:
        """The bounds of a score at n seeds, repeats, prompts, elementwise.

        They are those of `score_interval` where n is the design that the variances are from.
        Without a degree of freedom for a spread that there is, they are [0, 1].
        """
        seed, prompt, cell = self.parts(n)
        seeds, prompts = n[self.replicate], n[2]
        single = self.single / math.prod(n if self.repeats else n[::2])
        variances = prompt, seed, cell, single
        bounds = interval_from(
            self.score, *variances, seeds, prompts, prompts_fixed=self.prompts_fixed
        )
        blind = (np.asarray(seeds) < 2) & (seed > 0)
        if not self.prompts_fixed:
            blind = blind | ((np.asarray(prompts) < 2) & (prompt > 0))
        return replace(
            bounds,
            lower=np.where(blind, 0.0, bounds.lower),
            upper=np.where(blind, 1.0, bounds.upper),
        )


def _levels(has: tuple[bool, bool, bool], n: tuple[Any, Any, Any]) -> Any:
    return math.prod(size for used, size in zip(has, n, strict=True) if used)


@dataclass(frozen=True)
class Problem:
    """What is wanted: `aim` is "target_se" or "half_width", at least cost, or a "budget"."""

    terms: Terms
    low: Triple
    high: tuple[float, float, float]  # infinite: no bound
    costs: tuple[float, float, float]  # of a seed, a response, a prompt
    aim: str
    value: float

    def cost(self, n: tuple[Any, Any, Any]) -> Any:
        """Cost of a design."""
        s, r, p = n
        seed, response, prompt = self.costs
        return seed * s + (response * s * r + prompt) * p

    def affordable(self, s: Floats, r: Floats, limit: float) -> Floats:
        """Most prompts that `limit` pays for, below `low` where it does not pay for these."""
        seed, response, prompt = self.costs
        most = np.full_like(s, min(self.high[2], ANY))
        if math.isinf(limit):
            return most
        p = np.floor((limit - seed * s) / (response * s * r + prompt) * (1 + 1e-12))
        p = np.where(self.cost((s, r, p)) > limit * (1 + 1e-12), p - 1, p)
        return np.minimum(p, most)

    def error(self, n: tuple[Any, Any, Any]) -> Floats:
        """Standard error, half-width, or the measure that a budget makes least; elementwise."""
        if self.aim == "target_se":
            return np.asarray(np.sqrt(self.terms.variance(n)))
        if self.aim == "half_width":
            bounds = self.terms.interval(n)
            return np.asarray((bounds.upper - bounds.lower) / 2)
        # t_{S-1}^2 (V_seed - V_cell) + t_{P-1}^2 V_prompt: unlike a half-width estimated at the
        # score, it cannot be made smaller by adding noise.
        seed, prompt, cell = self.terms.parts(n)
        if self.terms.prompts_fixed:
            cell = prompt = np.zeros_like(seed)
        total = np.zeros_like(seed)
        for part, df in ((seed - cell, n[self.terms.replicate] - 1), (prompt, n[2] - 1)):
            quantile = scipy.special.stdtrit(np.maximum(df, 1e-3), 1 - TAIL)
            squared = np.where(np.asarray(df) > 0, quantile**2, np.inf)
            total += np.multiply(squared, part, out=np.zeros_like(total), where=part > 0)
        return total

    def enough(self, s: Floats, r: Floats, p: Floats) -> Bools:
        """Whether designs reach the target."""
        return np.asarray(self.error((s, r, p)) <= self.value * (1 + 1e-12))

    def prompts(self, s: Floats, r: Floats, most: Floats) -> Floats:
        """Fewest prompts, at most `most`, that reach the target; NaN where they do not.

        Of a half-width it is also asked that no larger number of prompts would widen it: intervals
        grow where events cease to be rare, and where they were narrow by noise alone.
        """
        low = np.full_like(most, self.low[2] - 1.0)
        ok = (most > low) & self.enough(s, r, np.maximum(most, self.low[2]))
        if self.aim == "half_width":
            held = self.terms.prompts_fixed or self.low[2] == self.high[2]
            top = np.full_like(most, min(self.high[2], ANY))
            ok &= self.enough(s, r, top) & (self.enough(s, r, np.full_like(top, ANY)) | held)
            s, r, low, most, top = s[ok], r[ok], low[ok], most[ok], top[ok]
            common = _first(lambda p: ~self.terms.interval((s, r, p)).rare, low, top)
            wide = ~self.enough(s, r, common)
            low, most = np.where(wide, common, low), np.where(wide, most, np.minimum(most, common))
            inside = low < most
            ok[ok] = inside
            s, r, low, most = s[inside], r[inside], low[inside], most[inside]
        else:
            s, r, low, most = s[ok], r[ok], low[ok], most[ok]
        result = np.full_like(ok, np.nan, dtype=np.float64)
        result[ok] = _first(lambda p: self.enough(s, r, p), low, most)
        return result

    def corners(self, boxes: Floats, limit: float) -> tuple[Floats, Floats, Floats]:
        """Of boxes: a lower bound, and the value and prompts of the design in its best corner.

        `boxes`: (n, 4), first and last number of seeds, first and last of repeats; `limit`: the
        best value so far. Infinite where a box holds nothing as good.
        """
        s1, s2, r1, r2 = boxes.T
        with np.errstate(invalid="ignore"):
            if self.aim == "budget":
                p = self.affordable(s1, r1, self.value)
                p = np.where(p >= self.low[2], p, np.nan)
                bound, value = self.error((s2, r2, p)), self.error((s1, r1, p))
            else:
                p = self.prompts(s2, r2, self.affordable(s1, r1, limit))
                bound, value = self.cost((s1, r1, p)), self.cost((s2, r2, p))
        none = np.isnan(p)
        return np.where(none, np.inf, bound), np.where(none, np.inf, value), p


def _first(fits: Callable[[Floats], Bools], low: Floats, high: Floats) -> Floats:
    """Smallest whole number in (low, high] that fits, by bisection; `high` where none else does."""
    while bool((high - low > 1).any()):
        far = high > 4 * np.maximum(low, 1)  # halves the exponent where the range is wide
        middle = np.where(far, np.sqrt(np.maximum(low, 1) * high), (low + high) / 2)
        middle = np.clip(np.floor(middle), low + 1, np.maximum(high - 1, low + 1))
        fit = fits(middle)
        low, high = np.where(fit, low, middle), np.where(fit, middle, high)
        low = np.where(low >= high, high - 1, low)
    return high


def search(problem: Problem) -> list[Triple]:
    """The best design, then the best with other numbers of seeds, nearest in value first.

    Empty where no design is allowed. Ties go to fewer seeds, then fewer repeats.
    """
    problem = _thrifty(problem)
    first = _best(problem)
    if first is None:
        return []
    seeds = first[1][0]
    near = dict.fromkeys((seeds - 1, seeds + 1, seeds - 2, seeds + 2, 2 * seeds))
    others = [
        _best(replace(problem, low=(n, *problem.low[1:]), high=(float(n), *problem.high[1:])))
        for n in near
        if problem.low[0] <= n <= problem.high[0]
    ]
    return [first[1], *(n for _, n in sorted(filter(None, others))[:4])]


def least_error(problem: Problem) -> float:
    """The least error that can be reached, or the least cost."""
    if problem.aim == "budget":
        return float(problem.cost(problem.low))
    s, r, p = (np.float64(min(high, ANY)) for high in problem.high)
    return float(problem.error((s, r, p)))


def _thrifty(problem: Problem) -> Problem:
    """The same without designs that cannot be the best.

    One repeat where more cannot help, or where a seed costs nothing and is not bounded; and as many
    prompts as a score without any event needs.
    """
    low, high, score = problem.low, problem.high, problem.terms.score

    def narrow(prompts: int) -> bool:
        none = float(TAIL ** (1 / prompts))
        return max(score, 1 - none) - min(score, none) <= 2 * problem.value

    if problem.aim == "half_width" and not problem.terms.prompts_fixed:
        most = int(min(high[2], ANY))
        low = (*low[:2], first_that(narrow, low[2], most) or most)
    only_nested = all(key[0] for key in problem.terms.sums if key[1])
    free_seeds = problem.costs[0] == 0 and math.isinf(high[0])
    if not problem.terms.repeats or (free_seeds and only_nested):
        high = (high[0], float(low[1]), high[2])
    return replace(problem, low=low, high=high)


def _best(problem: Problem) -> tuple[float, Triple] | None:
    """Value of the best design, and the design; None if there is none."""
    limit, candidates = math.inf, np.zeros((0, 4))
    boxes = _all_boxes(problem)
    while boxes.size:
        kept = []
        for start in range(0, len(boxes), _CHUNK):
            some = boxes[start : start + _CHUNK]
            bound, value, p = problem.corners(some, limit * (1 + _SLACK))
            at = (0, 2) if problem.aim == "budget" else (1, 3)
            found = np.column_stack([value, some[:, at], p])[np.isfinite(value)]
            candidates = np.vstack([candidates, found])
            limit = min(limit, float(value.min()))
            kept.append(some[(bound <= limit * (1 + _SLACK)) & np.isfinite(bound)])
            candidates = candidates[candidates[:, 0] <= limit * (1 + _SLACK)]
        boxes = _halves(np.concatenate(kept))
    if not len(candidates):
        return None
    least, *n = min(candidates.tolist(), key=lambda row: row[1:])
    return least, (int(n[0]), int(n[1]), int(n[2]))


def _all_boxes(problem: Problem) -> Floats:
    """All allowed numbers of seeds and repeats, each doubling from box to box, cheap ones first."""
    ends = []
    for low, high in zip(problem.low[:2], problem.high[:2], strict=True):
        top = min(high, ANY)
        starts = low * 2.0 ** np.arange(math.ceil(math.log2(max(top / low, 1))) + 1)
        starts = starts[starts <= top]
        ends.append(np.column_stack([starts, np.append(starts[1:] - 1, top)]))
    i, j = (x.ravel() for x in np.indices([len(part) for part in ends]))
    boxes = np.hstack([ends[0][i], ends[1][j]])
    return boxes[
        np.argsort(problem.cost((boxes[:, 0], boxes[:, 2], problem.low[2])), kind="stable")
    ]


def _halves(boxes: Floats) -> Floats:
    """Both halves of every box of more than one pair, cut across its longer side."""
    s1, s2, r1, r2 = boxes[(boxes[:, 0] < boxes[:, 1]) | (boxes[:, 2] < boxes[:, 3])].T
    by_seed = (s2 - s1) / s1 >= (r2 - r1) / r1
    s, r = np.floor((s1 + s2) / 2), np.floor((r1 + r2) / 2)
    first = [s1, np.where(by_seed, s, s2), r1, np.where(by_seed, r2, r)]
    second = [np.where(by_seed, s + 1, s1), s2, np.where(by_seed, r1, r + 1), r2]
    return np.hstack([first, second]).T
