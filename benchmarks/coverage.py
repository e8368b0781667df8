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
             usual and whose seeds hardly differ, not at all, or much; unequal arms; the
             prediction interval of `replication_interval` beside it
  regenerate the same of the same trained models, sampled again
  sequential the same where seeds are added by `sequential_design` until it is settled; the mean
             number of seeds beside the power; how often the change from base has a wrong sign
  judge      95 % interval of a score that a judge that errs gave: `rogan_gladen` with labels of
             other responses, half of them positive, and `ppi_estimate` with an audit of these, Se
             and Sp in the line; truth: the mean over all prompts and seeds; beside it the coverage
             of `score_interval` of the judge's own score
  reading    `read_change` of a change from base: how often `no_change` at a change of exactly the
             margin, and `worse` or `better` at none; `has_collapsed`: how often a capability of
             which exactly half (above chance) is kept has collapsed
  sign       `change_verdict`: how often a sign is claimed where there is none, or the wrong one,
             from outcomes and from run scores, on few prompts and for rare events too

S training seeds, R repeats, P prompts. Seeds spread by 0.1 (small) or 0.6 (large) on the logit
scale; harm is at 30 %, 1 % where rare.

Every cell has a generator of its own, so that --only prints the same figures.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from dataclasses import replace
from itertools import product

import numpy as np
import reruns
import worlds
from lines import SEED, Line, generator, line
from worlds import FAMILY, LARGE, SMALL, Change, World

from safebench.stats import (
    change_on_phi,
    change_verdict,
    flip_rate,
    has_collapsed,
    paired_difference,
    phi,
    phi_inverse,
    ppi_estimate,
    read_change,
    rogan_gladen,
    score_interval,
    stability,
)

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


def reading(n: int) -> Iterator[Line]:
    """Errors of read_change at no change and at one of the margin, and of has_collapsed."""
    for spread, rate, prompts, seeds in product(
        (SMALL, LARGE), (0.05, 0.3), (100, 450), (3, 5, 10)
    ):
        at = "small" if spread == SMALL else "large"
        what = f"reading    harm {rate:g}, {at} seed effect, P={prompts}, S={seeds}"
        for shift in (0.0, MARGIN, -MARGIN):
            tuned = phi_inverse(phi(rate) + shift)
            label = f"{what}, change {shift:g}"
            pairs = _pairs(label, n, Change(rate, tuned, spread), seeds, prompts, 1)
            words = [_read(a, b) for a, b in pairs]
            note = ", ".join(f"{word} {words.count(word) / n:.3f}" for word in sorted(set(words)))
            for wrong, most in (
                (("no_change", 0.05),) if shift else (("worse", 0.025), ("better", 0.025))
            ):
                yield line(f"{label}: {wrong}", [w == wrong for w in words], most, note, False)
    for spread, chance, prompts, seeds in product((SMALL, LARGE), (0.0, 0.25), (100, 450), (3, 5)):
        at = "small" if spread == SMALL else "large"
        what = f"reading    half kept, chance {chance:g}, {at} seed effect, P={prompts}, S={seeds}"
        world = Change(0.6, chance + (0.6 - chance) / 2, spread)
        found = [
            has_collapsed(score_interval(b).upper, score_interval(a).lower, chance)
            for a, b in _pairs(what, n, world, seeds, prompts, 1)
        ]
        yield line(f"{what}: collapsed", found, 0.025, "", False)


def _read(base: np.ndarray, tuned: np.ndarray) -> str:
    wide, narrow = (
        tuple(
            change_on_phi(end, (base.mean() + tuned.mean()) / 2)
            for end in (found.lower, found.upper)
        )
        for found in (paired_difference(base, tuned, confidence=c) for c in (0.95, 0.9))
    )
    return read_change(wide, narrow, len(tuned), MARGIN)


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
    "verdict": reruns.verdict,
    "regenerate": reruns.regenerate,
    "sequential": reruns.sequential,
    "reading": reading,
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
