"""Variance components as a D study or a plan takes them."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from typing import NamedTuple

from safebench.errors import StatsError
from safebench.stats.variance import VarianceComponents

RESIDUAL = "residual"
Components = VarianceComponents | Mapping[str, float] | Mapping[tuple[str, ...], float]


class Effect(NamedTuple):
    """Facets of an effect, and its variance."""

    facets: frozenset[str]
    variance: float


def effects_of(components: Components, others: Iterable[str]) -> dict[str, Effect]:
    """Facets and variance of each effect.

    `components`: from `variance_components`, or effect -> variance, its name holding facets joined
    by ":" (or being a tuple of them), where "residual" has all facets that any effect has, and
    `others`. The residual of a `VarianceComponents` has those of which the pilot had two levels.

    Raises StatsError on no components, an effect without a facet, or a variance that is not finite.
    """
    if isinstance(components, VarianceComponents):
        *_, residual = components.effects
        found = {
            name: Effect(frozenset(components.effects[name]), variance)
            for name, variance in components.estimates.items()
        }
        everything = frozenset(f for f, n in components.n_levels.items() if n > 1)
    else:
        residual, found = RESIDUAL, {}
        for key, variance in components.items():
            parts = tuple(key.split(":")) if isinstance(key, str) else tuple(key)
            if not parts or not all(isinstance(facet, str) and facet for facet in parts):
                raise StatsError(f"components has the effect {key!r}, which names no facet")
            found[":".join(parts)] = Effect(frozenset(parts), float(variance))
        named = (effect.facets for name, effect in found.items() if name != RESIDUAL)
        everything = frozenset(others).union(*named)
    if not found:
        raise StatsError("components is empty: no variance to project")
    for name, effect in found.items():
        if not math.isfinite(effect.variance):
            raise StatsError(f"components[{name!r}] is {effect.variance}, not a finite variance")
    if residual in found:
        found[residual] = Effect(everything, found[residual].variance)
    return found
