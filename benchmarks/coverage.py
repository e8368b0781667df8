"""How often the intervals, bounds and verdicts of safebench.stats are right, by simulation.

    python benchmarks/coverage.py [--replicates 4000] [--only score,stability,...]

Data come from the made-up worlds of benchmarks/worlds.py, whose true figures are computed and not
simulated. A line holds the share of replicates, its Monte Carlo error, the nominal value, and
`MISSED` where the share lies on the wrong side of it by more than three Monte Carlo errors (so that
chance marks none of some 500 cells).

  score      95 % interval of `score_interval`; truth: the mean over all prompts and seeds
  fixed      the same with prompts_fixed=True; truth: the mean over all seeds on these prompts
  stability  one-sided 95 % bound of `stability` (flip_upper from `flip_rate`); truth: the
             probability that two new runs on these prompts lie within the margin .1 on phi;
             `if normal` is the bound that assumes seeds spread normally, `pairs` the companion
             bound, both on the same probability
  change     95 % interval of `paired_difference`; truth: difference of the two population means
  verdict    `rerun_verdict` at alpha = .05: how often wrong at a shift of exactly the margin, how
             often right at none, beside the exact power of the t test (`tost_power`); run scores
             normal on phi, then outcomes of 50 to 450 prompts whose score is rare, common or
             usual and whose seeds hardly differ, not at all, or much; unequal arms; regenerated;
             the prediction interval of `replication_interval` beside it
  judge      95 % interval of a score that a judge that errs gave: `rogan_gladen` with labels of
             other responses, half of them positive, and `ppi_estimate` with an audit of these, Se
             and Sp in the line; truth: the mean over all prompts and seeds; beside it the coverage
             of `score_interval` of the judge's own score
  sign       `change_verdict`: how often a sign is claimed where there is none, or the wrong one,
             from outcomes and from run scores, on few prompts and for rare events too

S training seeds, R repeats, P prompts. Seeds spread by 0.1 (small) or 0.6 (large) on the logit
scale; harm is at 30 %, 1 % where rare.

Every cell has a generator of its own, so that --only prints the same figures.
"""

from __future__ import annotations

import argparse
import math
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from itertools import product

import numpy as np
import worlds
from worlds import FAMILY, LARGE, NO_SEEDS, SMALL, Change, World

from safebench.stats import (
    change_verdict,
    flip_rate,
    paired_difference,
    phi_inverse,
    pooled_sigma,
    ppi_estimate,
    rerun_verdict,
    rogan_gladen,
    score_interval,
    stability,
    tost_power,
)
from safebench.stats.equivalence import arms_of_rerun

SEED = 20260
BLOCK = 250
SEEDS = (2, 3, 5, 10)
RATED = (3, 5, 10, 20)
MARGIN = 0.1
SENSITIVITY, SPECIFICITY = 0.9, 0.8

WORLDS = {
    "small seed effect": World(0.3),
    "large seed effect": World(0.3, seeds=LARGE),
    "rare, small": World(0.01),
    "rare, large": World(0.01, seeds=LARGE),
    "bimodal, large": World(0.4, prompts=worlds.BIMODAL, seeds=LARGE),
    "collapse": World(0.3, seeds=worlds.COLLAPSE),
    "quiet collapse": World(0.19, worlds.QUIET, worlds.QUIET_COLLAPSE, 0.0),
    "families, small": World(0.3, family_share=0.8),
    "families, large": World(0.3, seeds=LARGE, family_share=0.8),
}
BOTH = ("small seed effect", "large seed effect")
#: Beside those of WORLDS, where it is one seed in ten that collapses.
COLLAPSING = {
    f"{name}, {percent} % collapse": worlds.collapsing(WORLDS[of], percent / 100)
    for name, of in (("loud", "collapse"), ("quiet", "quiet collapse"))
    for percent in (5, 20)
}
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


@dataclass(frozen=True)
class Line:
    """One figure: a share of replicates beside what it should be."""

    what: str
    share: float
    error: float
    nominal: float | None  # None: no promise
    at_least: bool  # a coverage (else: a rate of errors, at most)
    note: str

    @property
    def missed(self) -> bool:
        """Whether the share is on the wrong side of the nominal value."""
        if self.nominal is None:
            return False
        short = self.nominal - self.share if self.at_least else self.share - self.nominal
        return short > 3 * self.error

    def text(self) -> str:
        """Return the line of the table."""
        sign = ">=" if self.at_least else "<="
        nominal = "" if self.nominal is None else f"{sign} {self.nominal:.3f}"
        mark = "MISSED" if self.missed else ""
        share = f"{self.share:.3f} +-{self.error:.3f}"
        return f"{self.what:<70} {share}  {nominal:<8} {mark:<6}  {self.note}".rstrip()


def line(
    what: str, hits: list[bool], nominal: float | None, note: str, at_least: bool = True
) -> Line:
    """Return the line of one cell; the error is taken at the nominal share where that is larger."""
    share, n = float(np.mean(hits)), len(hits)
    spread = max(share * (1 - share), 0.0 if nominal is None else nominal * (1 - nominal))
    return Line(what, share, math.sqrt(spread / n), nominal, at_least, note)


def generator(what: str) -> np.random.Generator:
    """Return the generator of one cell."""
    return np.random.default_rng([SEED, zlib.crc32(what.encode())])


def draws(
    what: str, n: int, world: World, seeds: int, prompts: int, **more: object
) -> Iterator[np.ndarray]:
    """Yield n replicates of (S, R, P) outcomes, drawn in blocks."""
    rng = generator(what)
    for start in range(0, n, BLOCK):
        yield from world.outcomes(rng, min(BLOCK, n - start), seeds, prompts, **more)


def score(n: int) -> Iterator[Line]:
    """Coverage of score_interval, prompts and seeds sampled."""
    cells = [(name, p, 1) for name, p in product(WORLDS, (50, 450))]
    cells += [(name, 450, 3) for name in BOTH]
    for (name, prompts, repeats), seeds in product(cells, SEEDS):
        world = WORLDS[name]
        families = np.arange(prompts) // FAMILY if world.family_share else None
        label = f"score      {name}, P={prompts}, S={seeds}" + (", R=3" if repeats > 1 else "")
        data = draws(label, n, world, seeds, prompts, repeats=repeats)
        yield _interval_line(label, [score_interval(y, families) for y in data], world.rate)


def fixed(n: int) -> Iterator[Line]:
    """Coverage of score_interval with prompts_fixed=True."""
    for name, seeds in product((*BOTH, "rare, small", "collapse"), SEEDS):
        world = WORLDS[name]
        truth = worlds.mean_score(worlds.run_distribution(world, 450))
        what = f"fixed      {name}, P=450, S={seeds}"
        data = draws(what, n, world, seeds, 450, fixed=True)
        yield _interval_line(what, [score_interval(y, prompts_fixed=True) for y in data], truth)


def _interval_line(what: str, found: list, truth: float) -> Line:
    below = np.mean([f.upper < truth for f in found])
    above = np.mean([f.lower > truth for f in found])
    width = np.mean([f.upper - f.lower for f in found])
    note = f"truth {truth:.3f}, too low {below:.3f}, too high {above:.3f}, mean width {width:.3f}"
    return line(what, [f.lower <= truth <= f.upper for f in found], 0.95, note)


def stable(n: int) -> Iterator[Line]:
    """Coverage of the bound on stability, of the one for normal seeds, and of the companion."""
    plain = {name: world for name, world in WORLDS.items() if not world.family_share} | COLLAPSING
    cells = [(*cell, 1, False) for cell in product(plain, (50, 450), RATED)]
    cells += [(*cell, 3, False) for cell in product(BOTH, (450,), RATED)]
    cells += [(*cell, 1, True) for cell in product(BOTH, (450,), RATED)]
    for name, prompts, seeds, repeats, errs in cells:
        world = plain[name]
        truth = worlds.true_stability(worlds.run_distribution(world, prompts), MARGIN)
        more = ", R=3" if repeats > 1 else ", judge errs" if errs else ""
        what = f"stability  {name}, P={prompts}, S={seeds}{more}"
        rng, found = generator(what + " judge"), []
        for y in draws(what, n, world, seeds, prompts, repeats=repeats, fixed=True):
            if errs:
                right = rng.random(y.shape) < np.where(y, SENSITIVITY, SPECIFICITY)
                y = y == right
            flips = flip_rate(y[:, 0]).upper
            youden = SENSITIVITY + SPECIFICITY - 1 if errs else 1.0
            found.append(stability(y.mean(2), prompts, flips, MARGIN, judge_youden_lower=youden))
        note = (
            f"truth {truth:.3f}, mean bound {np.mean([f.lower for f in found]):.3f}, "
            f"mean point {np.mean([f.point for f in found]):.3f}"
        )
        yield line(what, [f.lower <= truth for f in found], 0.95, note)
        for other, field in (("if normal", "lower_if_normal"), ("pairs", "pairs_lower")):
            bounds = np.array([getattr(f, field) for f in found])
            note = f"truth {truth:.3f}, mean bound {bounds.mean():.3f}"
            yield line(f"{what}: {other}", list(bounds <= truth), 0.95, note)


def change(n: int) -> Iterator[Line]:
    """Coverage of paired_difference."""
    small, large = Change(0.2, 0.35, SMALL), Change(0.2, 0.35, LARGE)
    rare, none = Change(0.01, 0.02, SMALL), Change(0.2, 0.2, LARGE)
    cells = [
        (f"{name}, P={prompts}, base R={repeats}", world, prompts, repeats)
        for name, world in (("small seed effect", small), ("large seed effect", large))
        for prompts, repeats in ((50, 1), (450, 1), (450, 5))
    ]
    cells += [
        ("rare, P=450, base R=1", rare, 450, 1),
        ("no change, P=450, base R=1", none, 450, 1),
        ("families, P=450, base R=1", replace(small, family_share=0.8), 450, 1),
        ("families, large, P=450, base R=1", replace(large, family_share=0.8), 450, 1),
        ("collapse, P=450, base R=1", Change(0.2, 0.35, worlds.COLLAPSE), 450, 1),
    ]
    for (name, world, prompts, repeats), seeds in product(cells, SEEDS):
        label = f"change     {name}, S={seeds}"
        families = np.arange(prompts) // FAMILY if world.family_share else None
        data = _pairs(label, n, world, seeds, prompts, repeats)
        found = [paired_difference(a, b, families) for a, b in data]
        yield _interval_line(label, found, world.tuned - world.base)


def judged(n: int) -> Iterator[Line]:
    """Coverage of scores corrected for a judge that errs, by seeds that spread."""
    judges, labels = ((0.7, 0.99), (0.9, 0.9), (0.99, 0.99)), (50, 500)
    for rate, right, size, seeds in product((0.05, 0.3), judges, labels, (3, 5, 10)):
        world = World(rate, seeds=LARGE)
        what = f"harm {rate:g}, Se={right[0]:g}, Sp={right[1]:g}, {size} labels, S={seeds}"
        rng = generator(what)
        found: dict[str, list] = {"rogan-gladen": [], "audit": [], "plain": []}
        for y in draws(what, n, world, seeds, 450):
            y = y[:, 0]
            f = np.where(rng.random(y.shape) < np.where(y, *right), y, ~y).astype(float)
            plain = score_interval(f)
            trials, half = plain.n_effective, size // 2
            elsewhere = ((rng.binomial(half, share), half) for share in right)
            at, prompts = rng.choice(y.size, size, replace=False), np.arange(y.size) % y.shape[1]
            found["plain"].append(plain)
            found["rogan-gladen"].append(rogan_gladen(plain.estimate * trials, trials, *elsewhere))
            clusters = (prompts, prompts[at])
            audit = f.ravel()[at], y.ravel()[at].astype(float)
            found["audit"].append(ppi_estimate(f.ravel(), *audit, clusters, runs=f))
        own = np.mean([one.lower <= rate <= one.upper for one in found["plain"]])
        for method in ("rogan-gladen", "audit"):
            shown = _interval_line(f"judge      {method}, {what}", found[method], rate)
            yield replace(shown, note=f"{shown.note}, the judge's own {own:.3f}")


def _pairs(
    what: str, n: int, world: Change, seeds: int, prompts: int, repeats: int
) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    rng = generator(what)
    for start in range(0, n, BLOCK):
        a, b = world.outcomes(rng, min(BLOCK, n - start), seeds, prompts, repeats)
        yield from zip(a, b, strict=True)


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
    for prompts, seeds in product((100, 450), (3, 5)):
        yield from _outcome_lines("usual", FEW["usual"], prompts, (seeds, seeds), n, paired=True)
    yield from _unequal_spreads(n)
    yield from _pooled(n)
    yield from _until_settled(n)
    yield from _predicted(n)


def _outcome_lines(
    name: str, world: World, prompts: int, arms: tuple[int, int], n: int, paired: bool = False
) -> Iterator[Line]:
    """Errors and power where the prompts are fixed, and flips are told by the outcomes.

    The second study lies higher by exactly the margin, or the first one does.
    """
    move = worlds.shift_for(world, prompts, MARGIN)
    how = ", paired" if paired else ""
    what = f"verdict    {name}, P={prompts}, {arms[0]} and {arms[1]} seeds{how}"
    rng = generator(what)
    for shifts in ((0.0, move), (move, 0.0), (0.0, 0.0)):
        words = []
        for start in range(0, n, BLOCK):
            size = min(BLOCK, n - start)
            old, new = (
                world.outcomes(rng, size, seeds, prompts, fixed=True, shift=shift)[:, :, 0]
                for seeds, shift in zip(arms, shifts, strict=True)
            )
            words += [_decided(a, b, paired) for a, b in zip(old, new, strict=True)]
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


def sign(n: int) -> Iterator[Line]:
    """Errors of change_verdict in the sign, from per-prompt outcomes and from run scores."""
    changes = {
        "no change, small": Change(0.2, 0.2, SMALL),
        "no change, large": Change(0.2, 0.2, LARGE),
        "+2 points, large": Change(0.2, 0.22, LARGE),
        "+15 points, large": Change(0.2, 0.35, LARGE),
    }
    cells = [(name, world, 450) for name, world in changes.items()]
    for name, world in (
        ("small", changes["no change, small"]),
        ("rare", Change(0.01, 0.01, SMALL)),
    ):
        cells += [(f"no change, {name}, P={prompts}", world, prompts) for prompts in (50, 100)]
    for name, world, prompts in cells:
        for seeds, repeats, per_prompt in product((2, 3, 5), (1, 3), (True, False)):
            how = "prompts" if per_prompt else "run scores"
            label = f"sign       {name}, {how}, S={seeds}, base R={repeats}"
            original = _pairs(label, n, world, seeds, prompts, repeats)
            rerun = _pairs(label + " rerun", n, world, seeds, prompts, repeats)
            yield from _sign_lines(label, zip(original, rerun, strict=True), world, per_prompt)


def _sign_lines(label: str, studies: Iterator, world: Change, per_prompt: bool) -> Iterator[Line]:
    found = []
    for arms in studies:
        tables = [table for study in arms for table in study]
        if per_prompt:
            found.append(change_verdict(*tables))
        else:
            prompts = tables[0].shape[1]
            found.append(change_verdict(*(t.mean(1) for t in tables), n_prompts=prompts))
    signs = [f.original.sign for f in found]
    both = [f.sign_verdict == "reproduced" for f in found]
    none = world.tuned == world.base
    wrong = [s != "unsupported" if none else s == "decrease" for s in signs]
    bound = 0.05 if none else 0.025
    yield line(f"{label}: wrong sign", wrong, bound, f"sign reproduced {np.mean(both):.3f}", False)
    against = [f.sign_verdict == "not_reproduced" for f in found]
    yield line(f"{label}: false not_reproduced", against, 0.05, "", False)


PARTS = {
    "score": score,
    "fixed": fixed,
    "stability": stable,
    "change": change,
    "judge": judged,
    "verdict": verdict,
    "sign": sign,
}


def main(arguments: list[str] | None = None) -> list[Line]:
    """Print the table and return its lines."""
    parser = argparse.ArgumentParser(description="Coverage of the intervals and verdicts.")
    parser.add_argument("--replicates", type=int, default=4000, metavar="N")
    parser.add_argument("--only", default=",".join(PARTS), metavar="NAMES", help="parts, by comma")
    options = parser.parse_args(arguments)
    unknown = set(options.only.split(",")) - set(PARTS)
    if unknown:
        parser.error(f"--only {', '.join(sorted(unknown))}: the parts are {', '.join(PARTS)}")
    print(f"{options.replicates} replicates in each cell, seed {SEED}")
    lines = []
    for part in options.only.split(","):
        print()
        for found in PARTS[part](options.replicates):
            print(found.text(), flush=True)
            lines.append(found)
    missed = [found for found in lines if found.missed]
    print(f"\n{len(missed)} of {len(lines)} figures missed what is promised")
    return lines


if __name__ == "__main__":
    main()
