"""Which prompts, and which categories of prompts, changed between two blocks of outcomes."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from safebench.evidence.arrays import Floats, OutcomeArray
from safebench.evidence.scoring import paired
from safebench.stats import (
    benjamini_hochberg,
    holm,
    mcnemar_exact,
    prompt_tests,
)
from safebench.words import DIGITS, kept

SIDES = ("A", "B")
LEVEL = 0.05
"""False discovery rate of flips, and the error rate of categories."""


@dataclass(frozen=True)
class Flip:
    """A prompt whose rate changed."""

    prompt_id: str
    category: str
    a: float
    b: float
    difference: float
    p: float
    p_adjusted: float


@dataclass(frozen=True)
class McNemar:
    """Two single runs: prompts that changed each way, and the exact test that neither prevails."""

    up: int
    down: int
    p: float


@dataclass(frozen=True)
class Flips:
    """How many prompts changed, and which changed most."""

    prompts: int
    up: int
    down: int
    majority_up: int | None
    """Prompts whose usual outcome went from 0 to 1; None for graded scores."""
    majority_down: int | None
    beyond_chance_up: int
    """Of `up`, those with an adjusted p of at most `level`."""
    beyond_chance_down: int
    level: float
    least_p: float
    """The smallest p, before adjustment, that this many runs can give."""
    runs: tuple[int, int]
    method: str
    mcnemar: McNemar | None
    largest: tuple[Flip, ...]


@dataclass(frozen=True)
class CategoryDifference:
    """B minus A on the shared prompts of one category."""

    name: str
    prompts: int
    a: float
    b: float
    estimate: float
    lower: float
    upper: float
    confidence: float
    p_adjusted: float
    method: str


def _runs(block: OutcomeArray) -> Floats:
    """Return one row per independent run; repeats of several seeds are averaged."""
    return block.scores[0] if len(block.seeds) == 1 else np.asarray(block.scores.mean(axis=1))


def _method(a: OutcomeArray, b: OutcomeArray, test: str, prompts: int) -> str:
    """Name the test, and say where a run is less than a training seed."""
    lone = [
        name
        for name, block in (("A", a), ("B", b))
        if block.condition != "base" and len(block.seeds) == 1 and block.scores.shape[1] > 1
    ]
    note = f"; runs of {' and '.join(lone)} are repeats of one training seed" if lone else ""
    return f"{test}, Benjamini-Hochberg over {prompts} prompts{note}"


def find_flips(a: OutcomeArray, b: OutcomeArray, most: int) -> Flips:
    """Compare two blocks with the same prompts, prompt by prompt."""
    runs = _runs(a), _runs(b)
    found = prompt_tests(*runs, np.random.default_rng(0))  # the same outcomes, the same p
    adjusted = benjamini_hochberg(found.p_values)
    change = np.round(found.differences, DIGITS)
    up, down, beyond = change > 0, change < 0, adjusted <= LEVEL
    rates = runs[0].mean(axis=0), runs[1].mean(axis=0)
    binary = bool(np.isin(a.scores, (0.0, 1.0)).all() and np.isin(b.scores, (0.0, 1.0)).all())
    half = [np.sign(np.round(rate - 0.5, DIGITS)) for rate in rates]
    ups, downs = int(up.sum()), int(down.sum())
    single = binary and found.n_runs == (1, 1)
    order = sorted(
        np.flatnonzero(change), key=lambda i: (-abs(change[i]), adjusted[i], a.prompts[i])
    )
    return Flips(
        prompts=found.n_prompts,
        up=ups,
        down=downs,
        majority_up=int(((half[0] < 0) & (half[1] > 0)).sum()) if binary else None,
        majority_down=int(((half[0] > 0) & (half[1] < 0)).sum()) if binary else None,
        beyond_chance_up=int((up & beyond).sum()),
        beyond_chance_down=int((down & beyond).sum()),
        level=LEVEL,
        least_p=kept(found.least),
        runs=found.n_runs,
        method=_method(a, b, found.method, found.n_prompts),
        mcnemar=McNemar(ups, downs, kept(mcnemar_exact(downs, ups))) if single else None,
        largest=tuple(
            Flip(
                prompt_id=a.prompts[i],
                category=a.categories[i] if a.categories[i] == b.categories[i] else "",
                a=kept(rates[0][i]),
                b=kept(rates[1][i]),
                difference=kept(change[i]),
                p=kept(found.p_values[i]),
                p_adjusted=kept(adjusted[i]),
            )
            for i in order[:most]
        ),
    )


def by_category(a: OutcomeArray, b: OutcomeArray) -> tuple[CategoryDifference, ...]:
    """Compare two blocks with the same prompts in every category that both put prompts into.

    Intervals are each category's own; p is Holm's over the categories.
    """
    places = [x if x == y else "" for x, y in zip(a.categories, b.categories, strict=True)]
    names = sorted(set(places) - {""})
    if len(names) < 2:
        return ()
    pairs = []
    for name in names:
        these = [p for p, place in zip(a.prompts, places, strict=True) if place == name]
        pairs.append((a.only(prompts=these), b.only(prompts=these)))
    found = [paired(*pair, SIDES) for pair in pairs]
    adjusted = holm([d.p_value for d, _ in found])
    return tuple(
        CategoryDifference(
            name=name,
            prompts=d.n_prompts,
            a=kept(one.scores.mean()),
            b=kept(other.scores.mean()),
            **interval,
            confidence=d.confidence,
            p_adjusted=kept(p),
        )
        for name, (one, other), (d, interval), p in zip(names, pairs, found, adjusted, strict=True)
    )
