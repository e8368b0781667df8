"""Generalizability: what other designs would measure, and whether runs rank the prompts alike."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike

from safebench.errors import StatsError
from safebench.stats._checks import Floats, positive_int, proportions
from safebench.stats._dist import jackknife_half
from safebench.stats._estimate import TAIL
from safebench.stats._twoway import one_run_per_row
from safebench.stats.variance import VarianceComponents

RESIDUAL = "residual"
Variances = Mapping[str, float] | Mapping[tuple[str, ...], float]
Components = VarianceComponents | Variances


class Effect(NamedTuple):
    """Facets of an effect, and its variance."""

    facets: frozenset[str]
    variance: float


def effects_of(components: Components, others: Iterable[str]) -> dict[str, Effect]:
    """Facets and variance of each effect.

    `components`: from `variance_components`, or effect -> variance, its name holding facets joined
    by ":" (or being a tuple of them), where "residual" has all facets that any effect has, and
    `others`. The residual of a `VarianceComponents` has those of which the pilot had two levels.
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

    Raises StatsError on a facet without n', or an object or fixed facet that no effect has.
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


@dataclass(frozen=True)
class Dependability:
    """Phi of the prompts' mean scores with its interval; None throughout when not measured."""

    estimate: float | None
    lower: float | None
    upper: float | None
    n_seeds: int
    n_prompts: int
    reason: str
    method: str


def dependability(scores: ArrayLike) -> Dependability:
    """Phi = sigma^2_p / (sigma^2_p + (sigma^2_s + sigma^2_ps)/S) of the prompts' mean scores.

    `scores`: (S, P), or (S, R, P) averaged over repeats, in [0, 1]; S >= 2 seeds, P >= 3 prompts.
    From mean squares Phi = (MS_p - MS_ps)/(MS_p + (MS_s - MS_ps)/P) (Brennan 2001, Generalizability
    Theory, 2.3): the share of the variance of the prompts' means that is between prompts, absolute
    error, so that 1 - Phi is what S other seeds would change. It may be negative.

    Interval: t with P - 1 df over the delete-one-prompt jackknife (Efron & Stein 1981), in [-1, 1];
    where no prompt's score differs between seeds lower = .025^(1/P), the share of prompts
    placed by chance that would leave none of them seen.
    Fewer seeds or prompts, or equal scores throughout, are not an error: None, and `reason`.
    """
    table = one_run_per_row(proportions("scores", scores, (2, 3)))
    n_seeds, n_prompts = table.shape
    reason = ""
    estimate = lower = upper = None
    if n_seeds < 2:
        reason = "one training seed does not show what others would change"
    elif n_prompts < 3:
        reason = f"at least 3 prompts are needed to compare their ranks, and these are {n_prompts}"
    elif float(np.ptp(table)) == 0:
        reason = "every score is the same"
    else:
        estimate, without = _phi(table)
        if estimate is None:
            reason = "the means of prompts and seeds do not vary"
        else:
            half = jackknife_half(without)
            lower, upper = max(estimate - half, -1.0), min(estimate + half, 1.0)
            if estimate > 1 - 1e-12:
                lower = TAIL ** (1 / n_prompts)
    return Dependability(
        estimate=estimate,
        lower=lower,
        upper=upper,
        n_seeds=n_seeds,
        n_prompts=n_prompts,
        reason=reason,
        method="ANOVA, absolute error; jackknife over prompts",
    )


def _phi(table: Floats) -> tuple[float | None, Floats]:
    """Phi of a table, and of the tables that lack one prompt each."""
    n_seeds, n_prompts = table.shape
    table = table - table.mean()
    means, by_seed = table.mean(axis=0), table.sum(axis=1)
    # Sums of the prompts' means, their squares, the seeds' squared sums, and all squares: of the
    # whole table first, then of the table without each prompt.
    of_all = np.array([means.sum(), np.sum(means**2), np.sum(by_seed**2), np.sum(table**2)])
    seeds_without = np.sum((by_seed[:, None] - table) ** 2, axis=0)
    of_rest = of_all[:, None] - np.stack([means, means**2, 0 * means, np.sum(table**2, axis=0)])
    of_rest[2] = seeds_without
    whole = _from_sums(of_all[:, None], n_seeds, n_prompts)
    without = _from_sums(of_rest, n_seeds, n_prompts - 1)
    return (None if math.isnan(whole[0]) else float(whole[0])), np.nan_to_num(without)


def _from_sums(sums: Floats, n_seeds: int, n_prompts: int) -> Floats:
    """Phi from the sums over prompts of m and m^2, over seeds of t^2, over all of y^2: (4, n)."""
    mean_sums, squared_means, squared_sums, squares = sums
    correction = n_seeds * mean_sums**2 / n_prompts
    prompts = n_seeds * squared_means - correction
    seeds = squared_sums / n_prompts - correction
    rest = squares - correction - prompts - seeds
    ms_p = prompts / (n_prompts - 1)
    ms_s = seeds / (n_seeds - 1)
    ms_ps = rest / ((n_prompts - 1) * (n_seeds - 1))
    below = ms_p + (ms_s - ms_ps) / n_prompts
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.where(below > 1e-12, (ms_p - ms_ps) / below, np.nan)
