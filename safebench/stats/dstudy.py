"""D-study: what a design with other numbers of seeds, prompts or repeats would measure."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from safebench.errors import StatsError
from safebench.stats._checks import positive_int
from safebench.stats._effects import Components, effects_of
from safebench.stats.variance import VarianceComponents


@dataclass(frozen=True)
class DStudy:
    """Error of a mean score in a design with `n_levels`, in the units of the components' roots.

    `se`: absolute standard error; `se_relative`: that of differences between objects; `universe`:
    variance of universe scores; `phi` = universe/(universe + absolute error), `erho2` =
    universe/(universe + relative error), both in [0, 1] and 0 if the universe variance is not
    above 0. Without an object `se_relative`, `universe`, `phi` and `erho2` are None.
    `contributions`: each effect's part of the absolute error variance, unclamped; `in_universe`:
    each effect's part of the universe variance.
    """

    se: float
    se_relative: float | None
    universe: float | None
    phi: float | None
    erho2: float | None
    contributions: dict[str, float]
    in_universe: dict[str, float]
    object: str | None
    fixed: tuple[str, ...]
    n_levels: dict[str, int]
    method: str


def d_study(
    components: Components,
    n_levels: Mapping[str, int],
    object: str | None = None,
    fixed: Sequence[str] = (),
) -> DStudy:
    """Generalizability of a design from variance components (Brennan 2001, ch. 4 and 5).

    `components`: from `variance_components`, or a mapping of effect to variance whose names hold
    facets joined by ":" (or are tuples of facets), where "residual" is the draw with all facets of
    the mapping and of `n_levels`; so is the last effect of a `VarianceComponents`, with all facets
    that had two levels or more. `n_levels`: facet -> number n' of levels averaged over, within one
    level of the facets that it is nested in; all but that of `object` are needed. `object`: the
    facet whose levels are told apart (objects of measurement), or None for the grand mean of one
    model. `fixed`: facets whose levels are all there is.

    Each effect counts sigma^2/(product of n' of its facets but the object). With an object, in the
    - universe: the object alone, and with fixed facets only (4.4: sigma^2(p) + sigma^2(pH)/n'_h)
    - relative and absolute error: the object with any random facet
    - absolute error only: effects without the object, unless all their facets are fixed
    Without one, every effect is absolute error unless all its facets are fixed:
    se = sqrt(sum sigma^2/product of n').

    Negative components count as they stand; each error variance is floored at 0 as a sum.
    With n' = 1 phi is Shrout & Fleiss's (1979) ICC(2,1) and erho2 their ICC(3,1); n' = k gives
    ICC(2,k) and ICC(3,k).

    Raises StatsError on a facet without n', an n' that is not a whole number of at least 1, an
    object or fixed facet that no effect has, or a component that is not finite.
    """
    effects = effects_of(components, n_levels)
    unmeasured = []
    if isinstance(components, VarianceComponents):
        unmeasured = [facet for facet, n in components.n_levels.items() if n < 2]
    known = sorted({facet for facets, _ in effects.values() for facet in facets})
    constants = tuple(dict.fromkeys(fixed))
    roles = {"object": () if object is None else (object,), "fixed": constants}
    for role, named in roles.items():
        for facet in named:
            if facet not in known and not (role == "fixed" and facet in unmeasured):
                raise StatsError(f"{role} {facet!r} is no facet of the components: {known}")
    if object in constants:
        raise StatsError(f"object {object!r} is among the fixed facets {list(constants)}")
    missing = [facet for facet in known if facet != object and facet not in n_levels]
    if missing:
        raise StatsError(
            f"n_levels lacks {missing}: it has {sorted(n_levels)}",
            fix="say over how many levels of each facet a score is averaged",
        )
    levels = {name: positive_int(f"n_levels[{name!r}]", n) for name, n in n_levels.items()}
    universe: dict[str, float] = {}
    relative: dict[str, float] = {}
    absolute: dict[str, float] = {}
    for name, (facets, variance) in effects.items():
        others = set(facets) - {object}
        part = variance / math.prod(levels[facet] for facet in others)
        constant = others <= set(constants)
        if object in facets and constant:
            universe[name] = part
        elif object in facets:
            relative[name] = absolute[name] = part
        elif not constant:
            absolute[name] = part
    error = max(math.fsum(absolute.values()), 0.0)
    difference = max(math.fsum(relative.values()), 0.0)
    between = math.fsum(universe.values())
    method = "Brennan (2001), " + (f"fixed: {', '.join(constants)}" if constants else "all random")
    if unmeasured:
        method += f"; not measured: {', '.join(unmeasured)}"
    return DStudy(
        se=math.sqrt(error),
        se_relative=None if object is None else math.sqrt(difference),
        universe=None if object is None else between,
        phi=None if object is None else _ratio(between, error),
        erho2=None if object is None else _ratio(between, difference),
        contributions=absolute,
        in_universe=universe,
        object=object,
        fixed=constants,
        n_levels=levels,
        method=method,
    )


def _ratio(universe: float, error: float) -> float:
    return universe / (universe + error) if universe > 0 else 0.0
