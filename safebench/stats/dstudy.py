"""What other numbers of seeds, repeats or prompts would give: decision (D) studies."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from safebench.errors import StatsError
from safebench.stats.variance import VarianceComponents


@dataclass(frozen=True)
class DStudy:
    """A measurement with other numbers of levels.

    `se` and `se_relative`: standard errors, in the unit of y, of a score as such and of differences
    between objects; `universe`: variance of the objects' universe scores; `phi` and `erho2`: index
    of dependability and generalizability coefficient, None without an object or where
    nothing varies. `contributions`: what each effect adds to the absolute error variance
    (squared units of y, negative ones kept); the standard errors are 0 where their sum is negative.
    """

    se: float
    se_relative: float | None
    universe: float | None
    phi: float | None
    erho2: float | None
    contributions: dict[str, float]
    n_levels: dict[str, float]
    object: str | None
    fixed: tuple[str, ...]
    method: str


def d_study(
    components: VarianceComponents | Mapping[str, float] | Mapping[tuple[str, ...], float],
    n_levels: Mapping[str, float],
    object: str | None,
    fixed: Sequence[str] = (),
) -> DStudy:
    """Standard error and dependability of a score averaged over `n_levels` of each facet.

    `components`: measured components, or effect -> variance, with effects named by their facets as
    a tuple or joined by ":"; one named "residual" has all facets that occur. `n_levels`: facet ->
    number of levels per cell of the facets it is nested in. `object`: the facet that is measured,
    or None for the one grand mean of a study (a model's score). `fixed`: facets whose levels are
    all that is of interest.

    Brennan (2001), Generalizability Theory, 4.4 and 5.1: an effect e has variance sigma2_e over the
    product of the levels of its facets other than the object. universe = the object's effects with
    no random facet; delta = the object's effects with one; Delta = all effects with a random facet.
    phi = universe/(universe + Delta), erho2 = universe/(universe + delta), se = sqrt(Delta),
    se_relative = sqrt(delta). Negative components are kept in the sums. Without an object se is
    that of the grand mean and the rest is None.

    Raises StatsError for a facet without a number of levels, a number below 1, an unknown object or
    fixed facet, and an object whose variance was not measured.
    """
    effects, reasons = _by_facets(components)
    facets = {facet for names, _ in effects.values() for facet in names}
    known = facets | set(n_levels)
    if isinstance(components, VarianceComponents):
        known |= set(components.n_levels)
    asked = [*fixed, *([] if object is None else [object])]
    strange = [name for name in asked if name not in known or asked.count(name) > 1]
    if strange:
        raise StatsError(
            f"{strange[0]!r} cannot be object or fixed: "
            f"the facets are {sorted(known)}, each with one part to play"
        )
    if object is not None and not any(names == {object} for names, _ in effects.values()):
        why = reasons.get(object, "no effect has it alone")
        raise StatsError(f"the variance of the object {object!r} was not measured: {why}")
    levels = _levels(n_levels, sorted(facets - {str(object)}))
    contributions: dict[str, float] = {}
    universe = relative = 0.0
    for name, (names, variance) in effects.items():
        value = variance / math.prod(levels[facet] for facet in names - {object})
        random = names - {object} - set(fixed)
        mine = object is not None and object in names
        if random:
            contributions[name] = value
            relative += value if mine else 0.0
        elif mine:
            universe += value
    absolute = sum(contributions.values())
    return DStudy(
        se=math.sqrt(max(absolute, 0.0)),
        se_relative=None if object is None else math.sqrt(max(relative, 0.0)),
        universe=None if object is None else universe,
        phi=None if object is None else _ratio(universe, universe + absolute),
        erho2=None if object is None else _ratio(universe, universe + relative),
        contributions=contributions,
        n_levels={facet: levels[facet] for facet in sorted(levels)},
        object=object,
        fixed=tuple(fixed),
        method="D study (Brennan 2001)" + (f", {', '.join(fixed)} fixed" if fixed else ""),
    )


_Effects = dict[str, tuple[frozenset[str], float]]


def _by_facets(
    components: VarianceComponents | Mapping[str, float] | Mapping[tuple[str, ...], float],
) -> tuple[_Effects, dict[str, str]]:
    """Effect -> its facets and variance, and why others were not measured."""
    if isinstance(components, VarianceComponents):
        found = components.effects
        # The residual is one draw per outcome, whatever facets it was named with. What a facet
        # with one level would do is not known: its number of levels divides nothing.
        *_, last = found
        single = {name for name, count in components.n_levels.items() if count < 2}
        everything = frozenset(facet for facets in found.values() for facet in facets) - single
        return {
            name: (everything if name == last else frozenset(found[name]), value)
            for name, value in components.estimates.items()
        }, components.not_measured
    named: dict[str, tuple[str, ...]] = {
        key if isinstance(key, str) else ":".join(key): (
            tuple(key.split(":")) if isinstance(key, str) else tuple(key)
        )
        for key in components
    }
    everything = frozenset(
        f for name, facets in named.items() if name != "residual" for f in facets
    )
    effects: _Effects = {}
    for (name, facets), value in zip(named.items(), components.values(), strict=True):
        if not math.isfinite(value):
            raise StatsError(f"components[{name!r}] is {value}, not a finite variance")
        effects[name] = (everything if name == "residual" else frozenset(facets), float(value))
    if not effects:
        raise StatsError("components is empty")
    return effects, {}


def _levels(n_levels: Mapping[str, float], needed: list[str]) -> dict[str, float]:
    for facet in needed:
        if facet not in n_levels:
            raise StatsError(f"n_levels lacks {facet!r}, a facet of the components")
    for facet, number in n_levels.items():
        if not (math.isfinite(number) and number >= 1):
            raise StatsError(f"n_levels[{facet!r}] is {number}, not a number of at least 1")
    return {facet: float(number) for facet, number in n_levels.items()}


def _ratio(part: float, whole: float) -> float | None:
    return part / whole if whole > 0 else None
