"""Reruns of made-up studies, for benchmarks/coverage.py: how often their verdicts are right."""

from __future__ import annotations

import copy
import math
from collections.abc import Callable, Iterator
from itertools import product

import numpy as np
import worlds
from lines import Line, generator, line
from scipy import special
from worlds import LARGE, NO_SEEDS, World

from safebench.stats import (
    SequentialDesign,
    change_verdict,
    phi,
    phi_inverse,
    pooled_sigma,
    rerun_verdict,
    sequential_design,
    tost_power,
)
from safebench.stats.arms import interval_of_difference
from safebench.stats.equivalence import arms_of_rerun

BLOCK = 250
SEEDS = (2, 3, 5, 10)
MARGIN = 0.1
#: Worlds in which runs agree though they need not: prompts that never change, prompts that are all
#: alike, events that are rare or nearly sure; and the usual ones.
FEW = {
    "usual": World(0.3),
    "large seed effect": World(0.3, seeds=LARGE),
    "prompts alike": World(0.3, worlds.ALIKE, NO_SEEDS, 0.0),
    "prompts fixed": World(0.2, worlds.QUIET, NO_SEEDS, 0.0),
    "rare": World(0.01),
    "rare, prompts alike": World(0.01, worlds.ALIKE, NO_SEEDS, 0.0),
    "nearly sure": World(0.99, worlds.ALIKE, NO_SEEDS, 0.0),
    "collapse": World(0.3, seeds=worlds.COLLAPSE),
}
PROMPTS = (50, 100, 230, 450)


ARMS = ((2, 2), (3, 1), (3, 3), (5, 3), (5, 5), (10, 10))


def verdict(n: int) -> Iterator[Line]:
    """Errors and power of rerun_verdict: run scores normal on phi, then scores of prompts."""
    for sigma, (first, second) in product((0.02, 0.04, 0.078), ARMS):
        what = f"phi normal, SD {sigma}, {first} and {second} seeds"
        exact = [tost_power(sigma, MARGIN, first, second, theta=t) for t in (MARGIN, 0.0)]
        yield from _verdict_lines(what, n, _normal(sigma, first, second), exact)
    for sigma, seeds in product((0.02, 0.04), (3, 5)):
        what = f"phi normal, SD {sigma}, paired, {seeds} seeds"
        yield from _verdict_lines(what, n, _normal(sigma, seeds, seeds), None, paired=True)
    for (name, world), prompts, seeds in product(FEW.items(), PROMPTS, SEEDS):
        yield from _outcome_lines(name, world, prompts, (seeds, seeds), n)
    for (name, world), prompts, arms in product(FEW.items(), (100, 450), ((5, 3), (10, 3))):
        yield from _outcome_lines(name, world, prompts, arms, n)
    yield from _unequal_spreads(n)
    yield from _pooled(n)
    yield from _until_settled(n)
    yield from _predicted(n)


def _outcome_lines(
    name: str, world: World, prompts: int, arms: tuple[int, int], n: int
) -> Iterator[Line]:
    """Errors and power where the prompts are fixed, and flips are told by the outcomes.

    The second study lies higher by exactly the margin, or the first one does.
    """
    move = worlds.shift_for(world, prompts, MARGIN)
    what = f"verdict    {name}, P={prompts}, {arms[0]} and {arms[1]} seeds"
    rng = generator(what)
    for shifts in ((0.0, move), (move, 0.0), (0.0, 0.0)):
        words = []
        for start in range(0, n, BLOCK):
            size = min(BLOCK, n - start)
            old, new = (
                world.outcomes(rng, size, seeds, prompts, fixed=True, shift=shift)[:, :, 0]
                for seeds, shift in zip(arms, shifts, strict=True)
            )
            words += [_decided(a, b) for a, b in zip(old, new, strict=True)]
        way = ", downwards" if shifts[0] else ""
        yield from _word_lines(what + way, words, shifts != (0.0, 0.0))


def _word_lines(what: str, words: list[str], shifted: bool, note: str = "") -> Iterator[Line]:
    """Errors where the second study is shifted by the margin, the power where it is not."""
    right = [word == "reproduced" for word in words]
    if not shifted:
        yield line(f"{what}: power", right, None, note)
        return
    wrong = [word == "not_reproduced" for word in words]
    yield line(f"{what}: false reproduced", right, 0.05, note, False)
    yield line(f"{what}: false not_reproduced", wrong, 0.05, "", False)


def _decided(old: np.ndarray, new: np.ndarray, paired: bool = False) -> str:
    """The word of `rerun_verdict`, without its power and its reason."""
    return arms_of_rerun(old, new, paired, None, None).decide(MARGIN, 0.05)[0]


def _unequal_spreads(n: int) -> Iterator[Line]:
    """Arms of which one spreads three or five times as much as the other."""
    for ratio, (first, second) in product((3, 5), ((2, 2), (3, 3), (5, 5), (10, 3), (3, 10))):
        what = f"phi normal, SD 0.02 and {0.02 * ratio:g}, {first} and {second} seeds"
        yield from _verdict_lines(what, n, _normal(0.02, first, second, ratio), None)


def _pooled(n: int) -> Iterator[Line]:
    """One original run, its spread taken from three studies of three runs, with and without df."""
    sigma = 0.04
    for label in ("df given", "taken as exact"):
        what = f"verdict    1 original, 3 new, sigma of 3 x 3 runs, {label}: false reproduced"
        rng, hits = generator("pooled"), []
        for _ in range(n):
            shapes = ((3, 3), 0.0), (1, 0.0), (3, MARGIN)
            groups, old, new = (
                phi_inverse(math.pi / 2 + shift + sigma * rng.standard_normal(shape))
                for shape, shift in shapes
            )
            found = pooled_sigma(groups)
            df = found.df if label == "df given" else math.inf
            result = rerun_verdict(old, new, pooled_sigma=found.estimate, pooled_df=df)
            hits.append(result.verdict == "reproduced")
        yield line(what, hits, 0.05, "", False)


def _until_settled(n: int) -> Iterator[Line]:
    """What the rule of a fixed number of new seeds prevents: adding them until it is settled."""
    what = "verdict    SD 0.04, 5 old, new seeds added one by one from 2 to 10: false reproduced"
    old, new = _normal(0.04, 5, 10)(generator(what), n, True)
    hits = []
    for a, b in zip(old, new, strict=True):
        tried = (_decided(a, b[:size]) for size in range(2, 11))
        hits.append(next((word for word in tried if word != "inconclusive"), "") == "reproduced")
    yield line(what, hits, None, "promised of a fixed number")


def _predicted(n: int) -> Iterator[Line]:
    """How often the rerun lies within the prediction interval, and is called reproduced."""
    sigma = 0.06
    for points, (first, second) in product((0, 10), ((3, 1), (3, 3), (5, 5))):
        what = f"verdict    SD 3 points, shift {points}, {first} and {second} seeds: predicted"
        rng = generator(what)
        old = phi_inverse(math.pi / 2 + sigma * rng.standard_normal((n, first)))
        centre = 2 * math.asin(math.sqrt(0.5 + points / 100))
        new = phi_inverse(centre + sigma * rng.standard_normal((n, second)))
        found = [rerun_verdict(a, b) for a, b in zip(old, new, strict=True)]
        share = np.mean([f.verdict == "reproduced" for f in found])
        inside = [bool(f.within_prediction) for f in found]
        yield line(what, inside, None if points else 0.95, f"reproduced {share:.3f}")


Draw = Callable[[np.random.Generator, int, bool], tuple[np.ndarray, np.ndarray]]


def _normal(sigma: float, first: int, second: int, ratio: float = 1.0) -> Draw:
    """Scores near .5 whose phi is normal; the second study is shifted by the margin, or not.

    `ratio`: how many times as much the second one spreads.
    """

    def draw(rng: np.random.Generator, n: int, shifted: bool) -> tuple[np.ndarray, np.ndarray]:
        centre = math.pi / 2
        old = centre + sigma * rng.standard_normal((n, first))
        new = centre + shifted * MARGIN + ratio * sigma * rng.standard_normal((n, second))
        return np.asarray(phi_inverse(old)), np.asarray(phi_inverse(new))

    return draw


def _verdict_lines(
    what: str, n: int, draw: Draw, exact: list[float] | None, paired: bool = False
) -> Iterator[Line]:
    rng = generator(what)
    for shifted in (True, False):
        old, new = draw(rng, n, shifted)
        words = [_decided(a, b, paired) for a, b in zip(old, new, strict=True)]
        note = "" if exact is None else f"exact {exact[0 if shifted else 1]:.3f}"
        yield from _word_lines(f"verdict    {what}", words, shifted, note)


def words_of(
    old: np.ndarray, new: np.ndarray, alpha: float = 0.05, paired: bool = False
) -> np.ndarray:
    """The words of `rerun_verdict` for n replicates at once: (n,).

    `old`, `new`: run scores (n, S), or outcomes (n, S, P) of at least 50 prompts. A test compares
    it with the verdict itself.
    """
    floor = 0.0
    if old.ndim == 3:
        floor = _floors(old, new, paired)
        old, new = old.mean(2), new.mean(2)
    x, y, sizes = phi(old), phi(new), (old.shape[1], new.shape[1])
    if paired:
        spreads, df = [(y - x).var(1, ddof=1) / 2] * 2, sizes[0] - 1.0
    elif sizes[0] == sizes[1]:
        spreads, df = [(x.var(1, ddof=1) + y.var(1, ddof=1)) / 2] * 2, sum(sizes) - 2.0
    else:
        spreads = [x.var(1, ddof=1), y.var(1, ddof=1)]
        parts = [v / k for v, k in zip(spreads, sizes, strict=True)]
        below = sum(v**2 / (k - 1) for v, k in zip(parts, sizes, strict=True))
        with np.errstate(invalid="ignore"):
            df = np.where(below > 0, sum(parts) ** 2 / below, sum(sizes) - 2.0)
    factor = (special.stdtrit(df, 1 - alpha) / special.ndtri(1 - alpha)) ** 2
    variances = tuple(np.maximum(v * factor, floor) for v in spreads)
    low, high = interval_of_difference((old.mean(1), new.mean(1)), sizes, variances, alpha)
    inside, outside = (low > -MARGIN) & (high < MARGIN), (low > MARGIN) | (high < -MARGIN)
    return np.where(inside, "reproduced", np.where(outside, "not_reproduced", "inconclusive"))


def _floors(old: np.ndarray, new: np.ndarray, paired: bool) -> np.ndarray:
    """Variance of one run on phi that runs which agree cannot exclude: (n,)."""
    prompts = old.shape[2]
    if paired:
        flips = (old != new).mean((1, 2))
    else:
        rates = []
        for table in (old, new):
            seeds, unsafe = table.shape[1], table.sum(1)
            rates.append((2 * unsafe * (seeds - unsafe)).mean(1) / (seeds * (seeds - 1)))
        flips = (rates[0] + rates[1]) / 2
    count = flips * prompts
    upper = special.betaincinv(count + 1, np.maximum(prompts - count, 1e-300), 0.975)
    score = (old.mean((1, 2)) + new.mean((1, 2))) / 2
    outcome = score * (1 - score)
    share = np.where(outcome > 0, upper / (2 * np.maximum(outcome, 1e-300)), 1.0)
    return np.minimum(1.0, share) / prompts


def regenerate(n: int) -> Iterator[Line]:
    """Errors and power where the same trained models are sampled again."""
    for (name, world), prompts, seeds in product(FEW.items(), (100, 230, 450), (3, 5, 10)):
        what = f"regenerate {name}, P={prompts}, {seeds} seeds"
        rng = generator(what)
        for shifts, way in _shifts(world, prompts):
            words: list[str] = []
            for start in range(0, n, BLOCK):
                old, new = _twins(world, rng, min(BLOCK, n - start), seeds, prompts, shifts)
                words += words_of(old, new, paired=True).tolist()
            yield from _word_lines(what + way, words, shifts != (0.0, 0.0))


def _shifts(world: World, prompts: int) -> Iterator[tuple[tuple[float, float], str]]:
    """Yield the moves of both studies, and what to call them."""
    move = worlds.shift_for(world, prompts, MARGIN)
    yield from (((0.0, move), ""), ((move, 0.0), ", downwards"), ((0.0, 0.0), ""))


def _twins(
    world: World,
    rng: np.random.Generator,
    n: int,
    seeds: int,
    prompts: int,
    shifts: tuple[float, float],
) -> tuple[np.ndarray, np.ndarray]:
    """Draw (n, S, P) outcomes of the same trained models twice, all moved by a shift each time."""
    drawn = [
        world.outcomes(source, n, seeds, prompts, repeats=2, fixed=True, shift=shift)
        for source, shift in zip((copy.deepcopy(rng), rng), shifts, strict=True)
    ]  # the same models and two repeats of each, of which one is taken from either draw
    return drawn[0][:, :, 0], drawn[1][:, :, 1]


OLD = (3, 5, 10)


def sequential(n: int) -> Iterator[Line]:
    """Errors, power and mean number of seeds where they are added until it is settled."""
    spreads = ((0.02, 1), (0.04, 1), (0.02, 3), (0.06, 1 / 3))
    for (sigma, ratio), old in product(spreads, OLD):
        name = f"SD {sigma:g}" + (f" and {sigma * ratio:g}" if ratio != 1 else "")
        what = f"sequential phi normal, {name}, {old} old"
        yield from _settled_lines(what, n, _normal(sigma, old, 12, ratio), sequential_design(old))
    for sigma, old in product((0.02, 0.04), (5, 8, 12)):
        design = sequential_design(old, paired=True)
        what = f"sequential phi normal, SD {sigma:g}, paired, {old} old"
        yield from _settled_lines(what, n, _normal(sigma, old, old), design, paired=True)
    unspent = SequentialDesign(sequential_design(5).looks, 0.05)
    what = "sequential SD 0.04, 5 old, every look at .05: false reproduced"
    words, _ = settle(*_normal(0.04, 5, 12)(generator(what), n, True), unspent)
    yield line(what, (words == "reproduced").tolist(), None, "what the level prevents")
    for (name, world), prompts in product(FEW.items(), (100, 230, 450)):
        yield from _settled_outcomes(f"{name}, P={prompts}", world, prompts, n)
    for sigma, old in product((0.02, 0.04), OLD):
        yield _sign_at_the_end(sigma, old, n)


def settle(
    old: np.ndarray, new: np.ndarray, design: SequentialDesign, paired: bool = False
) -> tuple[np.ndarray, np.ndarray]:
    """Return the word at which each of n reruns ends, and the seeds it took: (n,) each."""
    words, used = np.full(len(new), "inconclusive", "U14"), np.zeros(len(new), int)
    for size in design.looks:
        open_ = np.flatnonzero(words == "inconclusive")
        if not open_.size:
            break
        first = old[open_, :size] if paired else old[open_]
        words[open_] = words_of(first, new[open_, :size], design.alpha, paired)
        used[open_] = size
    return words, used


def _settled_lines(
    what: str, n: int, draw: Draw, design: SequentialDesign, paired: bool = False
) -> Iterator[Line]:
    rng = generator(what)
    for shifted in (True, False):
        words, used = settle(*draw(rng, n, shifted), design, paired)
        yield from _word_lines(what, words.tolist(), shifted, f"seeds {used.mean():.1f}")


def _settled_outcomes(label: str, world: World, prompts: int, n: int) -> Iterator[Line]:
    """One draw of ten original seeds, of which the first three, five or all are taken."""
    rng = generator(f"sequential {label}")
    for shifts, way in _shifts(world, prompts):
        words: dict[int, list[str]] = {old: [] for old in OLD}
        used: dict[int, list[int]] = {old: [] for old in OLD}
        for start in range(0, n, BLOCK):
            a, b = (
                world.outcomes(rng, min(BLOCK, n - start), seeds, prompts, fixed=True, shift=shift)
                for seeds, shift in zip((max(OLD), 12), shifts, strict=True)
            )
            for old in OLD:
                ends = settle(a[:, :old, 0], b[:, :, 0], sequential_design(old))
                words[old] += ends[0].tolist()
                used[old] += ends[1].tolist()
        for old in OLD:
            what, note = f"sequential {label}, {old} old{way}", f"seeds {np.mean(used[old]):.1f}"
            yield from _word_lines(what, words[old], shifts != (0.0, 0.0), note)


def _sign_at_the_end(sigma: float, seeds: int, n: int) -> Line:
    """A change that is not there, at the look at which the score is settled; base measured once."""
    what = f"sequential no change, SD {sigma:g}, {seeds} old: wrong sign"
    design, rng, hits = sequential_design(seeds), generator(what), []
    old, new = _normal(sigma, seeds, 12)(rng, n, False)
    bases = _normal(sigma, 1, 1)(rng, n, False)
    used = settle(old, new, design)[1]
    for a, b, base_a, base_b, size in zip(old, new, *bases, used, strict=True):
        found = change_verdict(base_a, a, base_b, b[:size], confidence=1 - design.alpha)
        hits.append(found.rerun.sign != "unsupported")
    return line(what, hits, 0.05, "", False)
