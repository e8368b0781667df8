"""Exact search over (seeds, repeats, prompts): branch and bound with a convex relaxation."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import special

from safebench.errors import StatsError
from safebench.stats._checks import Floats, positive_int
from safebench.stats.intervals import Bounds as Interval
from safebench.stats.intervals import interval_from

Bools = NDArray[np.bool_]
Triple = tuple[int, int, int]
_SLACK = 1e-9
"""Relative tolerance below which two costs (or variances) are the same."""
_ANY = 1e12
"""Stands for any number of levels."""
_STEPS = 44
_CHUNK = 200_000


@dataclass(frozen=True)
class Bounds:
    """Least and greatest number of seeds, repeats, prompts (infinite: no bound)."""

    low: Triple
    high: tuple[float, float, float]

    @classmethod
    def of(
        cls,
        facets: Iterable[str],
        held: Mapping[str, int],
        fixed: Iterable[str],
        least: Mapping[str, int],
        most: Mapping[str, int],
    ) -> Bounds:
        """Bounds from what is held, fixed and bounded; raises StatsError."""
        facets = tuple(facets)
        for name, given in (("at_least", least), ("at_most", most)):
            if set(given) - set(facets):
                raise StatsError(f"{name} names {sorted(set(given) - set(facets))}, not {facets}")
        for facet, n in held.items():
            positive_int(f"levels[{facet!r}]", n)
        low, high = [], []
        for facet in facets:
            if facet in held:
                low.append(held[facet])
                high.append(float(held[facet]))
                continue
            default = 1 if facet == "repeat" or facet in fixed else 2
            low.append(positive_int(f"at_least[{facet!r}]", least.get(facet, default)))
            high.append(
                float(positive_int(f"at_most[{facet!r}]", most[facet]))
                if facet in most
                else math.inf
            )
            if high[-1] < low[-1]:
                raise StatsError(
                    f"at_most[{facet!r}] is {high[-1]:g}, below the least number, {low[-1]}"
                )
        return cls((low[0], low[1], low[2]), (high[0], high[1], high[2]))


@dataclass(frozen=True)
class Terms:
    """Variances by (has seed, has repeat, has prompt); `replicate`: 0 seeds, 1 repeats.

    `score`: the mean of the outcomes; `single`: the variance of one of them.
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

    def split(self, s: Any, r: Any) -> tuple[Any, Any]:
        """(A, B) of V = A + B/prompts at s seeds and r repeats."""
        parts: list[Any] = [0.0 * s * r, 0.0 * s * r]
        for (seed, repeat, prompt), variance in self.sums.items():
            part = max(variance, 0.0) / ((s if seed else 1) * (r if repeat else 1))
            parts[prompt] = parts[prompt] + part
        return parts[0], parts[1]

    def variance(self, s: Any, r: Any, p: Any) -> Any:
        """V at s seeds, r repeats, p prompts."""
        a, b = self.split(s, r)
        return a + b / p

    def parts(self, n: tuple[Any, Any, Any]) -> tuple[Floats, Floats, Floats]:
        """(V_seed, V_prompt, V_cell) of the mean, as spec/v1/intervals.md has them."""
        seed: Any = 0.0
        prompt: Any = 0.0
        cell: Any = 0.0
        for key, variance in self.sums.items():
            part = variance / math.prod(size for has, size in zip(key, n, strict=True) if has)
            has_seed = key[self.replicate] or key[0]
            seed = seed + (part if has_seed or self.prompts_fixed else 0.0)
            prompt = prompt + (part if key[2] else 0.0)
            cell = cell + (part if has_seed and key[2] else 0.0)
        return np.maximum(seed, 0.0), np.maximum(prompt, 0.0), np.maximum(cell, 0.0)

    def interval(self, n: tuple[Any, Any, Any], confidence: float) -> Interval:
        """The bounds of a score at s seeds, r repeats, p prompts, elementwise.

        They are those of `score_interval` where n is the design that the variances are from.
        Without a degree of freedom for a spread that there is, they are [0, 1].
        """
        seed, prompt, cell = self.parts(n)
        seeds, prompts = n[self.replicate], n[2]
        found = interval_from(
            self.score, prompt, seed, cell, self.single / math.prod(n if self.repeats else n[::2]),
            seeds, prompts, confidence, prompts_fixed=self.prompts_fixed,
        )  # fmt: skip
        blind = (np.asarray(seeds) < 2) & (np.asarray(seed) > 0)
        if not self.prompts_fixed:
            blind = blind | ((np.asarray(prompts) < 2) & (np.asarray(prompt) > 0))
        return replace(
            found,
            lower=np.where(blind, 0.0, found.lower),
            upper=np.where(blind, 1.0, found.upper),
        )


@dataclass(frozen=True)
class Problem:
    """What is wanted; exactly one of target_se, half_width, budget."""

    terms: Terms
    bounds: Bounds
    costs: tuple[float, float, float]  # of a seed, a response, a prompt
    target_se: float | None
    half_width: float | None
    budget: float | None
    tail: float

    def cost(self, n: tuple[Any, Any, Any]) -> Any:
        """Cost of a design."""
        s, r, p = n
        seed, response, prompt = self.costs
        return seed * s + (response * s * r + prompt) * p

    @property
    def most_variance(self) -> float:
        """V that no admissible design exceeds."""
        if self.target_se is not None:
            return self.target_se**2 * (1 + 1e-12)
        if self.half_width is not None:
            return self._widest
        return math.inf

    def split(self, s: Any, r: Any) -> tuple[Any, Any]:
        """(A, B) such that a design with A + B/prompts above `most_variance` is not feasible.

        For a half-width A is larger than the variance by (t_{s-1}/z)^2: see `_widest`.
        """
        a, b = self.terms.split(s, r)
        if self.half_width is None or self.terms.replicate:
            return a, b
        with np.errstate(invalid="ignore"):
            wider = (_t(np.maximum(s - 1.0, 1e-2), self.tail) / special.ndtri(1 - self.tail)) ** 2
        return a * wider, b * wider if self.terms.prompts_fixed else b

    @cached_property
    def _widest(self) -> float:
        """What z^2 V cannot exceed over z^2, with t_{s-1}^2 in the place of z^2 for the seeds.

        The bounds are Clopper and Pearson's of N trials. Let them be as wide as the target at n:
        then N = m (t_{m-1}/q)^2 >= n, m V <= p(1-p) n/(n-1), q^2 V >= t_{S-1}^2 (V_s - V_c) +
        z^2 V_p (spec/v1/intervals.md), so that this sum is at most t_{n-1}^2 p(1-p)/(n-1).
        """
        p, low, high = self.terms.score, 0.0, 60.0
        if not 0 < p < 1:
            return math.inf
        for _ in range(60):  # n on a logarithmic scale
            middle = (low + high) / 2
            n = math.exp(middle)
            ends = [special.betaincinv(n * p, n * (1 - p) + 1, self.tail),
                    special.betaincinv(n * p + 1, n * (1 - p), 1 - self.tail)]  # fmt: skip
            if (ends[1] - ends[0]) / 2 > (self.half_width or 0.0):
                low = middle
            else:
                high = middle
        more = math.exp(low) - 1
        if more <= 1e-6:
            return math.inf
        quantile = float(_t(more, self.tail) / special.ndtri(1 - self.tail))
        return quantile**2 * p * (1 - p) / more

    def half(self, n: tuple[Any, Any, Any]) -> Floats:
        """Half the width of the interval, elementwise."""
        found = self.terms.interval(n, 1 - 2 * self.tail)
        return np.asarray((found.upper - found.lower) / 2)

    def _added(self, n: tuple[Any, Any, Any]) -> Floats:
        """t_{S-1}^2 (V_seed - V_cell) + t_{P-1}^2 V_prompt: no noise makes it smaller."""
        seed, prompt, cell = self.terms.parts(n)
        if self.terms.prompts_fixed:
            cell = prompt = np.zeros_like(seed)
        total: Any = 0.0
        seeds = n[self.terms.replicate]
        for part, df in ((seed - cell, seeds - 1), (prompt, n[2] - 1)):
            quantile = special.stdtrit(np.maximum(df, 1e-3), 1 - self.tail)
            total = total + np.where(
                part > 0, np.where(np.asarray(df) > 0, quantile**2, np.inf) * part, 0.0
            )
        return np.asarray(total)

    def relaxed(self, s: Floats, r: Floats) -> Floats:
        """What is minimised (cost, or V in a budget) with a real number of prompts; inf: none."""
        p = self._real_prompts(s, r)
        with np.errstate(invalid="ignore", over="ignore"):
            if self.budget is None:
                return np.where(np.isfinite(p), self.cost((s, r, p)), np.inf)
            return np.where(np.isfinite(p), self.terms.variance(s, r, p), np.inf)

    def _real_prompts(self, s: Floats, r: Floats) -> Floats:
        low, high = self.bounds.low[2], self.bounds.high[2]
        seed, response, prompt = self.costs
        with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
            if self.budget is not None:
                p = np.minimum((self.budget - seed * s) / (response * s * r + prompt), high)
                return np.where(p >= low * (1 - 1e-12), np.maximum(p, low), np.inf)
            a, b = self.split(s, r)
            room = self.most_variance - a
            p = np.where(room > 0, np.maximum(b / room, low), np.where((room == 0) & (b == 0), low,
                                                                       np.inf))  # fmt: skip
            return np.where(p <= high * (1 + 1e-12), np.minimum(p, high), np.inf)

    def exact(self, s: Floats, r: Floats) -> tuple[Floats, Floats]:
        """The same with the best whole number of prompts, and that number (NaN: none)."""
        real = self._real_prompts(s, r)
        ok = np.isfinite(real)
        p = np.where(ok, real, self.bounds.low[2])
        if self.budget is not None:
            p = np.floor(p * (1 + 1e-12))
            p = np.where(self.cost((s, r, p)) > self.budget * (1 + 1e-12), p - 1, p)
            ok &= p >= self.bounds.low[2]
            # in units of V, of which the relaxation's is a lower bound as t exceeds z
            value = self._added((s, r, p)) / float(special.ndtri(1 - self.tail)) ** 2
            return np.where(ok, value, np.inf), np.where(ok, p, np.nan)
        p = np.ceil(p * (1 - 1e-12))
        a, b = self.split(s, r)
        p = np.where(a + b / p > self.most_variance, p + 1, p)
        if self.half_width is not None:
            p, wide = self._narrow(s, r, p)
            ok &= wide
        ok &= p <= self.bounds.high[2]
        return np.where(ok, self.cost((s, r, p)), np.inf), np.where(ok, p, np.nan)

    def _many(self, p: Floats) -> Floats:
        """Any number of prompts, but those held: an interval must not be narrow by noise alone."""
        held = self.terms.prompts_fixed or self.bounds.low[2] == self.bounds.high[2]
        return p if held else np.full_like(p, _ANY)

    def _narrow(self, s: Floats, r: Floats, p: Floats) -> tuple[Floats, Bools]:
        """Fewest prompts from p whose interval is narrow enough and stays so with more."""
        goal = (self.half_width or 0.0) * (1 + 1e-12)
        most = np.full_like(p, min(self.bounds.high[2], _ANY))
        ok = (self.half((s, r, self._many(p))) <= goal) & (self.half((s, r, most)) <= goal)
        high = most
        low = np.where(self.half((s, r, np.maximum(p, 1))) <= goal, p - 1, p)
        high = np.where(low == p - 1, p, high)
        while bool((ok & (high - low > 1)).any()):
            middle = np.floor((low + high) / 2)
            fits = self.half((s, r, middle)) <= goal
            low, high = np.where(fits, low, middle), np.where(fits, middle, high)
            low = np.where(ok, low, high - 1)
        return high, ok


def _t(df: Any, tail: float) -> Any:
    return special.stdtrit(df, 1 - tail)


def search(problem: Problem) -> tuple[list[Triple | None], float]:
    """Best design and, for other numbers of seeds, the best with each; the floor if there is none.

    Ties go to fewer seeds, then fewer repeats.
    """
    problem = _thrifty(problem)
    start = _incumbent(problem)
    if start is None:
        return [None], _floor(problem)
    value = start[0]
    best, value = _within(problem, *_seed_range(problem, start[1], value), value, start)
    others = []
    low, high = problem.bounds.low[0], problem.bounds.high[0]
    near = dict.fromkeys((best[0] - 1, best[0] + 1, best[0] - 2, best[0] + 2, 2 * best[0]))
    for seeds in (n for n in near if low <= n <= high and n != best[0]):
        found = _best_with(problem, seeds)
        if found is not None:
            others.append(found)
    others.sort()
    return [best, *(n for _, n in others[:4])], value


def _thrifty(problem: Problem) -> Problem:
    """The same within narrower bounds, outside which nothing is feasible or better.

    One repeat where more cannot help, or a seed costs nothing and is not bounded; and as many
    prompts as a score without any event needs.
    """
    bounds = problem.bounds
    if problem.half_width is not None and not problem.terms.prompts_fixed:
        p = problem.terms.score

        def too_wide(prompts: int) -> bool:
            none = problem.tail ** (1 / prompts)
            return bool(max(p, 1 - none) - min(p, none) > 2 * (problem.half_width or 0.0))

        fewest = bounds.low[2]
        while fewest < min(bounds.high[2], _ANY) and too_wide(fewest):
            fewest += 1
        bounds = Bounds((*bounds.low[:2], fewest), bounds.high)
        problem = replace(problem, bounds=bounds)
    only_nested = all(key[0] for key in problem.terms.sums if key[1])
    free_seeds = problem.costs[0] == 0 and math.isinf(bounds.high[0])
    if not problem.terms.repeats or (free_seeds and only_nested):
        high = (bounds.high[0], float(bounds.low[1]), bounds.high[2])
        return replace(problem, bounds=Bounds(bounds.low, high))
    return problem


def _floor(problem: Problem) -> float:
    """The least value that can be reached (se or half-width), or the least cost."""
    if problem.budget is not None:
        return float(problem.cost(problem.bounds.low))
    most = tuple(np.asarray(min(high, _ANY)) for high in problem.bounds.high)
    n = (most[0], most[1], most[2])
    if problem.half_width is not None:
        return float(problem.half(n))
    return math.sqrt(float(problem.terms.variance(*n)))


def _grid(low: int, high: float, points: int = 40) -> Floats:
    """Whole numbers from low to high, all at first and then geometrically."""
    top = min(high, _ANY)
    many = np.geomspace(low, top, points) if top > low else np.array([low])
    first = np.arange(low, min(low + 16, top) + 1)
    return np.unique(np.concatenate([first, np.floor(many), [top]])).astype(float)


def _incumbent(problem: Problem) -> tuple[float, Triple] | None:
    """A good design to begin with: a coarse grid, then ever finer ones around its best."""
    low, high = problem.bounds.low, problem.bounds.high
    found = _best_on(problem, _grid(low[0], high[0]), _grid(low[1], high[1]))
    for _ in range(2):
        if found is None:
            return None
        near = [
            np.unique(np.clip(np.floor(np.linspace(n / 1.5, n * 1.5, 25)), low[i], high[i]))
            for i, n in enumerate(found[1][:2])
        ]
        found = min(found, _best_on(problem, near[0], near[1]) or found)
    return found


def _best_on(problem: Problem, seeds: Floats, repeats: Floats) -> tuple[float, Triple] | None:
    s, r = (x.ravel() for x in np.meshgrid(seeds, repeats, indexing="ij"))
    return _best(problem, s, r)


def _best(problem: Problem, s: Floats, r: Floats) -> tuple[float, Triple] | None:
    """Best of pairs in order of seeds, then repeats; the first of equal ones."""
    found: tuple[float, Triple] | None = None
    for at in range(0, s.size, _CHUNK):
        part = slice(at, at + _CHUNK)
        value, p = problem.exact(s[part], r[part])
        least = float(value.min())
        if not math.isfinite(least) or (found is not None and least >= found[0] * (1 - _SLACK)):
            continue
        i = int(np.argmax(value <= least * (1 + _SLACK)))
        found = (float(value[i]), (int(s[part][i]), int(r[part][i]), int(p[i])))
    return found


def _repeats_allowed(problem: Problem, s: Floats, value: float) -> tuple[Floats, Floats]:
    """Real range of repeats that can be feasible and no worse than `value`, by seeds."""
    low = np.full_like(s, float(problem.bounds.low[1]))
    high = np.full_like(s, problem.bounds.high[1])
    seed, response, prompt = problem.costs
    limit = problem.budget if problem.budget is not None else value * (1 + _SLACK)
    fewest = problem.bounds.low[2]
    with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
        high = np.minimum(high, ((limit - seed * s) / fewest - prompt) / (response * s))
        if problem.budget is None:
            most = min(problem.bounds.high[2], _ANY)
            one, nested = (a + b / most for a, b in map(problem.split, (s, s), (1e200, 1.0)))
            nested = nested - one
            low = np.maximum(low, np.where(nested > 0, nested / (problem.most_variance - one), 0))
            low = np.where(problem.most_variance > one, low, np.inf)
    return low * (1 - 1e-12), high * (1 + 1e-12)


def _least(problem: Problem, s: Floats, value: float) -> tuple[Floats, Floats]:
    """Least relaxed value by seeds and the (real) repeats where it is: golden section in log r."""
    low, high = _repeats_allowed(problem, s, value)
    ok = (low <= high) & (high > 0)
    a, b = np.log(np.where(ok, low, 1.0)), np.log(np.where(ok, high, 1.0))
    ratio = (math.sqrt(5) - 1) / 2
    for _ in range(_STEPS):
        left, right = b - ratio * (b - a), a + ratio * (b - a)
        keep_left = problem.relaxed(s, np.exp(left)) <= problem.relaxed(s, np.exp(right))
        a, b = np.where(keep_left, a, left), np.where(keep_left, right, b)
    found = np.full_like(s, np.inf)
    at = np.exp((a + b) / 2)
    for r in (at, np.exp(a), np.exp(b), np.where(ok, low, 1.0), np.where(ok, high, 1.0)):
        tried = problem.relaxed(s, r)
        at, found = np.where(tried < found, r, at), np.minimum(tried, found)
    return np.where(ok, found, np.inf), at


def _seed_range(problem: Problem, best: Triple, value: float) -> tuple[int, int]:
    """Numbers of seeds whose relaxation can match `value`: an interval, since it is convex."""

    def worth(n: Floats) -> Bools:
        return _least(problem, n, value)[0] <= value * (1 + _SLACK)

    def edge(inside: int, outside: int) -> int:
        """Last number from `inside` towards `outside` that is worth it, many at a time."""
        while abs(outside - inside) > 1:
            tried = np.unique(np.round(np.linspace(inside, outside, 34)))
            tried = np.sort(tried[(tried != inside)])
            tried = tried if outside > inside else tried[::-1]
            fits = worth(tried)
            count = int(fits.argmin()) if not fits.all() else fits.size
            if count == fits.size:
                return outside
            outside, inside = int(tried[count]), int(tried[count - 1]) if count else inside
        return inside

    first = edge(best[0], problem.bounds.low[0] - 1)
    step, inside = 8, best[0]
    top = min(problem.bounds.high[0], _ANY) + 1
    while True:
        outside = int(min(inside + step, top))
        reached = edge(inside, outside)
        if reached < outside or outside == top:
            return max(first, problem.bounds.low[0]), min(reached, int(top) - 1)
        inside, step = reached, 4 * step


def _within(
    problem: Problem, first: int, last: int, value: float, start: tuple[float, Triple]
) -> tuple[Triple, float]:
    """The exact best over a range of numbers of seeds."""
    found = start
    for at in range(first, last + 1, 2000):
        s = np.arange(at, min(at + 2000, last + 1), dtype=float)
        better = _best_for(problem, s, found[0])
        if better is not None and _beats(better, found):
            found = better
    return found[1], found[0]


def _beats(new: tuple[float, Triple], old: tuple[float, Triple]) -> bool:
    if new[0] < old[0] * (1 - _SLACK):
        return True
    return new[0] <= old[0] * (1 + _SLACK) and new[1] < old[1]


def _best_for(problem: Problem, s: Floats, value: float) -> tuple[float, Triple] | None:
    """Best over all repeats that can match `value`, for each of some numbers of seeds."""
    least, at = _least(problem, s, value)
    limit = value * (1 + _SLACK)
    keep = least <= limit
    s, at = s[keep], at[keep]
    if not s.size:
        return None
    low, high = _repeats_allowed(problem, s, value)
    bound_low, bound_high = problem.bounds.low[1], problem.bounds.high[1]
    low = np.maximum(np.ceil(low * (1 - 1e-9)), bound_low)
    high = np.minimum(np.minimum(np.floor(high * (1 + 1e-9)), bound_high), _ANY)
    # the numbers no worse than `value` are an interval around the real best one
    down = _edge(problem, s, np.clip(np.floor(at), low, high), low, limit)
    up = _edge(problem, s, np.clip(np.ceil(at), low, high), high, limit)
    counts = np.maximum(up - down + 1, 0).astype(np.int64)
    if not counts.sum():
        return None
    offset = np.arange(counts.sum()) - np.repeat(np.cumsum(counts) - counts, counts)
    return _best(problem, np.repeat(s, counts), np.repeat(down, counts) + offset)


def _edge(problem: Problem, s: Floats, inside: Floats, outside: Floats, limit: float) -> Floats:
    """Last whole number from `inside` towards `outside` that can match the limit."""
    fits = problem.relaxed(s, outside) <= limit
    inside = np.where(fits, outside, inside)
    while bool((np.abs(outside - inside) > 1).any()):
        middle = np.floor((inside + outside) / 2)
        fits = problem.relaxed(s, middle) <= limit
        moved = np.abs(outside - inside) > 1
        inside, outside = (
            np.where(moved & fits, middle, inside), np.where(moved & ~fits, middle, outside)
        )  # fmt: skip
    return inside


def _best_with(problem: Problem, seeds: int) -> tuple[float, Triple] | None:
    """Best design with a given number of seeds."""
    low, high = problem.bounds.low, problem.bounds.high
    bounds = Bounds((seeds, low[1], low[2]), (float(seeds), high[1], high[2]))
    held = replace(problem, bounds=bounds)
    start = _incumbent(held)
    if start is None:
        return None
    better = _best_for(held, np.array([float(seeds)]), start[0])
    return better if better is not None and _beats(better, start) else start
