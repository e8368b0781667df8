"""Made-up models whose true figures are known exactly, for benchmarks/coverage.py.

A world answers prompt p in run s (a training seed) with harm at probability

    q_sp = expit(mu + z_p + u_s + cell * e_sp),   e_sp standard normal,

drawn once for a seed and prompt and shared by its repeats; an outcome is a Bernoulli draw of q_sp.
z (prompts) and u (seeds) are mixtures of normals, (weight, mean, SD) on the logit scale. In
families of 10 prompts a share of z's variance is common to the family. mu is solved so that the
population mean E q is `rate`. Nothing here is simulated: means are trapezoid sums over a normal
density (error below 1e-8), the score of one run on fixed prompts has its whole distribution
computed (Poisson-binomial by discrete Fourier transform, mixed over u).
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cache

import numpy as np
from scipy.optimize import brentq
from scipy.special import expit, ndtri

Mixture = tuple[tuple[float, float, float], ...]
FAMILY = 10

#: Prompts of ordinary spread; nine in ten always or never complied with; all alike; seeds that
#: spread not at all, little, much, or of which one in ten collapses (odds of harm 20 times higher).
#: Quiet: prompts that never
#: change, and one seed in ten that complies with everything.
SPREAD: Mixture = ((1.0, 0.0, 2.0),)
BIMODAL: Mixture = ((0.55, -8.0, 0.0), (0.35, 8.0, 0.0), (0.10, 0.0, 1.0))
ALIKE: Mixture = ((1.0, 0.0, 0.0),)
NO_SEEDS: Mixture = ((1.0, 0.0, 0.0),)
SMALL: Mixture = ((1.0, 0.0, 0.1),)
LARGE: Mixture = ((1.0, 0.0, 0.6),)
QUIET: Mixture = ((0.9, -8.0, 0.0), (0.1, 8.0, 0.0))
QUIET_COLLAPSE: Mixture = ((0.9, 0.0, 0.1), (0.1, 16.0, 0.1))
COLLAPSE: Mixture = ((0.9, 0.0, 0.1), (0.1, 3.0, 0.1))

_STEPS = np.arange(-8.5, 8.5001, 0.25)
_WEIGHTS = np.exp(-(_STEPS**2) / 2) / np.exp(-(_STEPS**2) / 2).sum()


@dataclass(frozen=True)
class World:
    """One data-generating process."""

    rate: float
    prompts: Mixture = SPREAD
    seeds: Mixture = SMALL
    cell: float = 0.7
    family_share: float = 0.0

    def outcomes(
        self,
        rng: np.random.Generator,
        n: int,
        seeds: int,
        prompts: int,
        repeats: int = 1,
        fixed: bool = False,
        shift: float = 0.0,
    ) -> np.ndarray:
        """Draw (n, S, R, P) outcomes; `fixed`: of the prompts of `fixed_prompts`, n times.

        `shift` moves mu.
        """
        z = fixed_prompts(self.prompts, prompts) if fixed else self._prompts(rng, n, prompts)
        u = _draw(rng, self.seeds, (n, seeds, 1))
        logit = solve(self) + shift + z + u + self.cell * rng.standard_normal((n, seeds, prompts))
        q = expit(logit.astype(np.float32))[:, :, None]
        return rng.random((n, seeds, repeats, prompts), dtype=np.float32) < q

    def _prompts(self, rng: np.random.Generator, n: int, prompts: int) -> np.ndarray:
        if not self.family_share:
            return _draw(rng, self.prompts, (n, 1, prompts))
        ((_, mean, sd),) = self.prompts
        common = np.repeat(rng.standard_normal((n, 1, prompts // FAMILY)), FAMILY, axis=2)
        own = rng.standard_normal((n, 1, prompts))
        share = self.family_share
        return mean + sd * (math.sqrt(share) * common + math.sqrt(1 - share) * own)


def _draw(rng: np.random.Generator, mixture: Mixture, shape: tuple[int, ...]) -> np.ndarray:
    weights, means, sds = (np.array(column) for column in zip(*mixture, strict=True))
    part = rng.choice(weights.size, size=shape, p=weights)
    return means[part] + sds[part] * rng.standard_normal(shape)


def smooth(logit: float | np.ndarray, sd: float) -> np.ndarray:
    """E expit(logit + sd Z)."""
    at = np.asarray(logit)[..., None] + sd * _STEPS
    return np.asarray(expit(at) @ _WEIGHTS)


def mean_at(world: World, mu: float) -> float:
    """Population mean of the outcomes at an intercept."""
    return sum(
        float(a * b * smooth(mu + m + v, math.sqrt(s**2 + t**2 + world.cell**2)))
        for a, m, s in world.prompts
        for b, v, t in world.seeds
    )


def collapsing(world: World, share: float) -> World:
    """Return a world of which another share of the seeds collapses, the others as they were."""
    (_, *normal), (_, *collapsed) = world.seeds
    seeds = ((1 - share, *normal), (share, *collapsed))
    mu = solve(world)
    return replace(world, seeds=seeds, rate=mean_at(replace(world, seeds=seeds), mu))


@cache
def solve(world: World) -> float:
    """Return the intercept that gives the world its rate."""
    return float(brentq(lambda mu: mean_at(world, mu) - world.rate, -30, 30, xtol=1e-12))


def fixed_prompts(mixture: Mixture, prompts: int) -> np.ndarray:
    """Return the logits of a set of prompts that stands for the mixture: its quantiles."""
    ends = np.rint(np.cumsum([0.0, *(weight for weight, _, _ in mixture)]) * prompts).astype(int)
    parts = [
        mean + sd * ndtri((np.arange(n) + 0.5) / n)
        for (_, mean, sd), n in zip(mixture, np.diff(ends), strict=True)
        if n
    ]
    return np.concatenate(parts)


@cache
def run_distribution(world: World, prompts: int, shift: float = 0.0) -> np.ndarray:
    """P(a new seed has k harmful answers on the fixed prompts), k = 0..P, mu moved by `shift`."""
    z = solve(world) + shift + fixed_prompts(world.prompts, prompts)
    wave = np.exp(-2j * math.pi * np.arange((prompts + 1) // 2 + 1) / (prompts + 1)) - 1
    total = np.zeros(prompts + 1)
    for weight, mean, sd in world.seeds:
        nodes = np.arange(-7, 7.001, 0.2) if sd else np.zeros(1)
        density = np.exp(-(nodes**2) / 2)
        product = np.ones((nodes.size, wave.size), dtype=complex)
        for logit in z:
            product *= 1 + smooth(logit + mean + sd * nodes, world.cell)[:, None] * wave
        given = np.fft.irfft(product, prompts + 1, axis=1)
        total += weight * (density / density.sum()) @ given
    return np.maximum(total, 0)


def phis(prompts: int) -> np.ndarray:
    """Return phi of each possible score."""
    return 2 * np.arcsin(np.sqrt(np.arange(prompts + 1) / prompts))


def true_stability(pmf: np.ndarray, margin: float = 0.1) -> float:
    """P(two independent runs lie within the margin)."""
    at = phis(pmf.size - 1)
    near = np.abs(at[:, None] - at) <= margin * (1 + 1e-12)
    return float(pmf @ near @ pmf)


def mean_score(pmf: np.ndarray) -> float:
    """Mean score of a new seed."""
    return float(pmf @ np.arange(pmf.size) / (pmf.size - 1))


@cache
def shift_for(world: World, prompts: int, gap: float) -> float:
    """Return the move of mu that changes the mean phi(score) of a run by exactly `gap`."""

    def phi_at(move: float) -> float:
        return float(run_distribution(world, prompts, move) @ phis(prompts))

    return solve_for(lambda move: phi_at(move) - phi_at(0.0) - gap, 12.0)


def solve_for(gap: Callable[[float], float], most: float) -> float:
    """Return the root of an increasing function between 0 and `most`."""
    return float(brentq(gap, 0.0, most, xtol=1e-9))


@dataclass(frozen=True)
class Change:
    """A base model and a tuned one on the same prompts: mu, mu' solved for each population mean.

    base prompt p: expit(mu + z_p), one probability shared by the base's runs; tuned in run s:
    expit(mu' + z_p + shift_sd * w_p + u_s + cell * e_sp).
    """

    base: float
    tuned: float
    seeds: Mixture
    prompt_sd: float = 2.0
    shift_sd: float = 1.0
    cell: float = 0.3
    family_share: float = 0.0

    def outcomes(
        self, rng: np.random.Generator, n: int, seeds: int, prompts: int, repeats: int
    ) -> tuple[np.ndarray, np.ndarray]:
        """Draw base (n, repeats, P) and tuned (n, S, P) outcomes."""
        before = World(self.base, ((1.0, 0.0, self.prompt_sd),), NO_SEEDS, 0.0, self.family_share)
        moved = World(1.0, ((1.0, 0.0, self.shift_sd),), NO_SEEDS, 0.0, self.family_share)
        z = before._prompts(rng, n, prompts)
        q = expit(solve(before) + z)
        a = rng.random((n, repeats, prompts)) < q
        sd = math.hypot(self.prompt_sd, self.shift_sd)
        after = World(self.tuned, ((1.0, 0.0, sd),), self.seeds, self.cell)
        logit = solve(after) + z + moved._prompts(rng, n, prompts)
        logit = logit + _draw(rng, self.seeds, (n, seeds, 1))
        logit = logit + self.cell * rng.standard_normal((n, seeds, prompts))
        return a, rng.random(logit.shape) < expit(logit)
