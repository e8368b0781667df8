"""The cheapest numbers of training seeds, repeats and prompts for a wanted precision."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

from safebench.errors import StatsError
from safebench.stats._checks import between, positive_int
from safebench.stats._estimate import CONFIDENCE
from safebench.stats._search import Problem, Terms, Triple, least_error, search
from safebench.stats.generalizability import Variances, effects_of
from safebench.stats.intervals import Bounds

SEED, REPEAT, PROMPT = FACETS = ("training_seed", "repeat", "prompt")
_COSTS = {"training_seed": SEED, "fine_tune": SEED, "generation": "generation", "prompt": PROMPT}
Limits = tuple[float, float, float]


@dataclass(frozen=True)
class Split:
    """One design: how many of each facet, the interval of a score there, its cost."""

    n_levels: dict[str, int]
    se: float
    lower: float
    upper: float
    cost: float
    responses: int


@dataclass(frozen=True)
class DesignPlan(Split):
    """The design that was asked for, with what makes its standard error.

    `contributions`: effect -> its part of se^2 (they add up to it). `lower`, `upper`: bounds of the
    two-sided interval at `confidence` with Satterthwaite's `df`. `alternatives`: the cheapest
    designs with other numbers of training seeds that reach the same target (or the best ones of
    the same budget), nearest first.
    """

    df: float
    confidence: float
    target_se: float | None
    target_half_width: float | None
    budget: float | None
    contributions: dict[str, float]
    alternatives: tuple[Split, ...]
    method: str


def plan_design(
    components: Variances,
    costs: Mapping[str, float],
    target_se: float | None = None,
    *,
    half_width: float | None = None,
    budget: float | None = None,
    fixed: Mapping[str, int] | None = None,
    at_most: Mapping[str, int] | None = None,
    score: float = 0.5,
    outcome_variance: float | None = None,
) -> DesignPlan:
    """The cheapest whole numbers of seeds, repeats and prompts that reach a target, exactly.

    se^2 of the grand mean = sum over effects of sigma^2_e / product of the levels of its facets (a
    D study: Cronbach et al. 1972; Brennan 2001, ch. 4). Facets: `training_seed`, `repeat` (nested
    in the seed: name both), `prompt`. Negative estimates count as 0.

    `components`: effect -> variance with facets joined by ":" (or a tuple); an effect named
    "residual" has every facet. `fixed`: facet -> its number, where its levels are all there is: an
    effect made of fixed facets alone drops out.
    `costs`: "training_seed" (or "fine_tune"), "generation" (one response, > 0) and "prompt"
    (writing or labelling one); what is not given costs nothing.
    cost = seeds c_s + seeds * repeats * prompts * c_g + prompts c_p.

    Give exactly one aim: `target_se`; `half_width` of the interval that `score_interval` would
    give a `score`, which more prompts must not widen; or `budget`, for the least
    t_{S-1}^2 (V_seed - V_cell) + t_{P-1}^2 V_prompt that it buys (squared half-widths of the parts
    add: Graybill & Wang 1980). `score`: the mean outcome (.5 has the widest interval);
    `outcome_variance`: that of one outcome, by default the sum of the effects. `at_most` bounds a
    facet from above; there are at least 2 seeds and 2 prompts where these are not fixed. All in
    proportions. Ties go to fewer seeds, then fewer repeats.

    Raises StatsError on a target out of reach, with the least value that can be reached and why.
    """
    aims = {"target_se": target_se, "half_width": half_width, "budget": budget}
    chosen = {name: value for name, value in aims.items() if value is not None}
    if len(chosen) != 1:
        raise StatsError(
            f"{len(chosen)} of target_se, half_width and budget are given, not exactly one"
        )
    for name, value in chosen.items():
        between(name, value, 0, math.inf)
    design = design_of(components, fixed=fixed, score=score, outcome_variance=outcome_variance)
    low, high = _limits(design, at_most or {})
    ((aim, value),) = chosen.items()
    problem = Problem(design.terms, low, high, _costs(costs), aim, value)
    found = search(problem)
    if not found:
        raise _unreachable(design, problem)
    best, *others = found
    return DesignPlan(
        **_split(design, problem, best).__dict__,
        df=float(design.interval(best).df),
        confidence=CONFIDENCE,
        target_se=target_se,
        target_half_width=half_width,
        budget=budget,
        contributions=design.contributions(best),
        alternatives=tuple(_split(design, problem, other) for other in others),
        method="exact search; sum of sigma2_e / levels, negative estimates as 0",
    )


@dataclass(frozen=True)
class Design:
    """Variances with the facets they fall with, ready to be divided by numbers of levels."""

    effects: dict[str, tuple[float, tuple[str, ...]]]
    """Effect -> its variance, and which of FACETS it has."""
    fixed: Mapping[str, int]
    """Numbers of the facets that are no sample."""
    score: float
    single: float
    """Variance of one outcome."""

    @property
    def terms(self) -> Terms:
        """The same summed by facets, for the search."""
        sums: dict[tuple[bool, bool, bool], float] = {}
        for variance, facets in self.effects.values():
            seed, repeat, prompt = (f in facets for f in FACETS)
            key = (seed, repeat, prompt)
            sums[key] = sums.get(key, 0.0) + variance
        replicate = FACETS.index(REPEAT if SEED in self.fixed else SEED)
        return Terms(sums, replicate, PROMPT in self.fixed, self.score, self.single)

    def contributions(self, n: Triple) -> dict[str, float]:
        """Each effect's part of se^2 at n seeds, repeats, prompts."""
        sizes = dict(zip(FACETS, n, strict=True))
        return {
            name: max(variance, 0.0) / math.prod(sizes[f] for f in facets)
            for name, (variance, facets) in self.effects.items()
        }

    def se(self, n: Triple) -> float:
        """Standard error of the grand mean."""
        return math.sqrt(math.fsum(self.contributions(n).values()))

    def interval(self, n: Triple) -> Bounds:
        """The bounds of a score: `score_interval`'s own at the design that the variances are of."""
        return self.terms.interval(n)


def design_of(
    components: Variances,
    *,
    fixed: Mapping[str, int] | None = None,
    score: float = 0.5,
    outcome_variance: float | None = None,
) -> Design:
    """Read components and fixed facets as `plan_design` takes them."""
    score = between("score", score, 0, 1, closed=True)
    fixed, known = fixed or {}, effects_of(components, FACETS)
    facets = {facet for effect in known.values() for facet in effect.facets}
    for name, named in (("components", facets), ("fixed", {*fixed})):
        if named - {*FACETS}:
            raise StatsError(f"{name} names {sorted(named - {*FACETS})}, not {FACETS}")
    effects = {}
    for name, (own, variance) in known.items():
        if own <= fixed.keys():
            continue
        # Negative estimates count as 0, but for main effects, which the interval floors itself.
        counted = variance if own in ({SEED}, {PROMPT}) else max(variance, 0.0)
        effects[name] = counted, tuple(facet for facet in FACETS if facet in own)
    single = sum(max(effect.variance, 0.0) for effect in known.values())
    return Design(effects, fixed, score, single if outcome_variance is None else outcome_variance)


def _limits(design: Design, most: Mapping[str, int]) -> tuple[Triple, Limits]:
    """Least and greatest numbers of FACETS, infinite where nothing bounds them."""
    if set(most) - set(FACETS):
        raise StatsError(f"at_most names {sorted(set(most) - set(FACETS))}, not {FACETS}")
    low, high = [], []
    for facet in FACETS:
        if facet in design.fixed:
            low.append(positive_int(f"fixed[{facet!r}]", design.fixed[facet]))
            high.append(float(low[-1]))
            continue
        low.append(1 if facet == REPEAT else 2)
        top = positive_int(f"at_most[{facet!r}]", most[facet]) if facet in most else math.inf
        high.append(float(top))
        if top < low[-1]:
            raise StatsError(f"at_most[{facet!r}] is {top:g}, below the least number, {low[-1]}")
    return (low[0], low[1], low[2]), (high[0], high[1], high[2])


def _costs(costs: Mapping[str, float]) -> Limits:
    """Cost of a seed, of one response, of a prompt."""
    found: dict[str, float] = {}
    for name, value in costs.items():
        if name not in _COSTS:
            raise StatsError(f"costs has {name!r}, which is not one of {', '.join(_COSTS)}")
        if _COSTS[name] in found:
            raise StatsError("costs gives the fine-tune twice: as training_seed and as fine_tune")
        found[_COSTS[name]] = between(f"costs[{name!r}]", value, 0, 1e300, closed=True)
    if found.get("generation", 0.0) <= 0:
        raise StatsError(
            "costs lacks a positive generation: responses that cost nothing have no best number",
            fix="give a small figure, such as 1e-6",
        )
    return found.get(SEED, 0.0), found["generation"], found.get(PROMPT, 0.0)


def _split(design: Design, problem: Problem, n: Triple) -> Split:
    found = design.interval(n)
    return Split(
        n_levels=dict(zip(FACETS, n, strict=True)),
        se=design.se(n),
        lower=float(found.lower),
        upper=float(found.upper),
        cost=problem.cost(n),
        responses=math.prod(n),
    )


def _unreachable(design: Design, problem: Problem) -> StatsError:
    floor = least_error(problem)
    if problem.aim == "budget":
        return StatsError(
            f"budget is {problem.value:g}; the smallest design allowed costs {floor:g}",
            fix="raise it",
        )
    sizes = dict(zip(FACETS, problem.high, strict=True))
    at = ", ".join(
        f"at most {n:g} {facet.replace('_', ' ')}s" for facet, n in sizes.items() if n < math.inf
    )

    def left(effect: str) -> float:
        variance, facets = design.effects[effect]
        return variance / math.prod(sizes[f] for f in facets)

    worst = max(design.effects, key=lambda effect: (left(effect), effect), default="nothing")
    words = {"half_width": "a half-width", "target_se": "a standard error"}[problem.aim]
    return StatsError(
        f"{words} of {problem.value:g} is out of reach: with {at or 'any number of everything'} "
        f"the least possible is {floor:.4g}, mostly from {worst.replace(':', ' x ')}",
        fix=f"allow more levels of {worst.replace(':', ' or ')}, or a target above {floor:.4g}",
    )
