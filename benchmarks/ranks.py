"""How fast `rank_intervals` is: side by side with a plain numpy comparison of every pair.

    python benchmarks/ranks.py

500 entries by the exact path (step-down max-T, 10,000 draws), 10,000 entries pair by pair (Sidak),
each with normal and with t critical values, and one board of 500 whose entries covary through five
factors, the case in which the fewest draws can be left out. The plain comparison is
scores[:, None] - scores > z * sqrt(v[:, None] + v) for all pairs, summed both ways: no critical
value is found, no t and no correlation is taken into account. It takes blocks of rows where the
whole would not fit a cache or the memory.

Rounds take turns, so that a busy machine slows both sides alike; ratios are of the fastest rounds.
Peak memory is numpy's own, by tracemalloc, in a round of its own.

Then how often equal entries are told apart (family-wise error, nominal .05): a board of 500 at 5
seeds, and smaller ones whose SDs over runs are equal or differ tenfold, with the variances
estimated from the seeds.

Last, what ranks and classes are worth on a board: entries whose harm is drawn from Beta(1.2, 3),
and five seeds each that spread by .10 on the arcsine scale.
"""

from __future__ import annotations

import sys
import tracemalloc

import numpy as np
from timing import machine, seconds, table, turns

from safebench.stats import leader_classes, moderated_variances, rank_intervals

SEED = 20250
SEEDS_PER_ENTRY = 5
ROUNDS = 7
BLOCK = 128
MOST = {
    "500, exact, normal": 600.0,
    "500, exact, t with df = 4": 600.0,
    "500, exact, normal, five factors": 5_000.0,
    "10,000, pairwise, normal": 2.0,
    "10,000, pairwise, t with df = 4": 6.0,
}
MOST_BYTES = 400e6  # an (n, n) float array of 10,000 entries would be 800 MB


def main() -> int:
    """Measure, print, and return 1 if a ratio is over its bound."""
    drawn = f"boards drawn with seed {SEED}, {SEEDS_PER_ENTRY} seeds an entry"
    print(f"{machine('numpy', 'scipy')}; {drawn}")
    over = []
    for what, most in MOST.items():
        n = int(what.split(",")[0]) if what.startswith("500") else 10_000
        scores, spread = _board(n, factors=5 if "factors" in what else 0)
        df = SEEDS_PER_ENTRY - 1 if "df" in what else None
        ratio, peak = _compare(what, scores, spread, df)
        if ratio > most or (n > 500 and peak > MOST_BYTES):
            over.append(what)
    _errors(500, 5, 200, even=True)
    for n, seeds in ((5, 3), (10, 3), (10, 5), (30, 5), (100, 5)):
        for even in (True, False):
            _errors(n, seeds, 1_000, even=even)
    print("\nentries  median width of a rank interval  chained groups  classes")
    for n in (7, 30, 100, 500, 10_000):
        _worth(n)
    print("\nwithin the bounds" if not over else f"\nOVER THE BOUND: {', '.join(over)}")
    return 1 if over else 0


def _board(n: int, factors: int) -> tuple[np.ndarray, np.ndarray]:
    """Scores whose spread over entries is ten times their standard error, roughly."""
    rng = np.random.default_rng(SEED)
    variances = 0.03**2 * rng.chisquare(4, n) / 4 / SEEDS_PER_ENTRY
    scores = rng.beta(2, 5, n) + rng.standard_normal(n) * 0.03 / SEEDS_PER_ENTRY**0.5
    if not factors:
        return scores, variances
    loadings = rng.standard_normal((n, factors)) * np.sqrt(variances / factors)[:, None]
    return scores, loadings @ loadings.T + np.diag(variances)


def _worth(n: int) -> None:
    """Print what order n entries can be put in; medians over boards. As the board does it."""
    rng = np.random.default_rng(SEED)
    found = []
    for _ in range(20 if n <= 100 else 1):
        true = 2 * np.arcsin(np.sqrt(rng.beta(1.2, 3, n)))
        runs = true + 0.10 * rng.standard_normal((SEEDS_PER_ENTRY, n))
        variances, df = runs.var(axis=0, ddof=1) / SEEDS_PER_ENTRY, SEEDS_PER_ENTRY - 1
        arrays = (
            runs.mean(axis=0),
            *(moderated_variances(variances, df) if n >= 100 else (variances, df)),
        )
        ranks = rank_intervals(*arrays, higher_is_better=False)
        classes = leader_classes(*arrays, higher_is_better=False)
        width = np.median(ranks.upper - ranks.lower + 1)
        found.append((width, ranks.groups.max(), classes.max()))
    print("{:7,}  {:31.0f}  {:14.0f}  {:7.0f}".format(n, *np.median(found, axis=0)))


def _plain(scores: np.ndarray, variances: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """How many are better and worse by more than z standard errors, for every entry."""
    n = scores.size
    better, worse = np.zeros(n, dtype=np.int64), np.zeros(n, dtype=np.int64)
    for start in range(0, n, BLOCK):
        rows = slice(start, start + BLOCK)
        se = np.sqrt(variances[rows, None] + variances)
        ahead = scores[rows, None] - scores > 5.0 * se
        worse[rows] = ahead.sum(axis=1)
        better += ahead.sum(axis=0)
    return better, worse


def _compare(
    what: str, scores: np.ndarray, spread: np.ndarray, df: int | None
) -> tuple[float, int]:
    variances = spread if spread.ndim == 1 else np.diagonal(spread).copy()
    print(f"\n{what}, {ROUNDS} rounds")
    print(f"  A  rank_intervals(scores, covariance{f', df={df}' if df else ''})")
    print("  B  plain numpy comparison of every pair")
    sides = {
        "A": lambda: seconds(lambda: rank_intervals(scores, spread, df)),
        "B": lambda: seconds(lambda: _plain(scores, variances)),
    }
    taken = turns(ROUNDS, sides)
    table(taken, digits=4)
    ratio = min(taken["A"]) / min(taken["B"])
    tracemalloc.start()
    found = rank_intervals(scores, spread, df)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    width = float((found.upper - found.lower + 1).mean())
    print(f"  A / B: {ratio:.1f} (at most {MOST[what]:g}); peak memory of A {peak / 1e6:.0f} MB")
    print(f"  critical value {found.critical:.3f}, {found.method}; mean interval {width:.0f} ranks")
    return ratio, peak


def _errors(n: int, seeds: int, boards: int, *, even: bool) -> None:
    """Print how many boards of equal entries have any pair told apart, and pairs a board."""
    rng = np.random.default_rng(SEED)
    sd = np.ones(n) if even else np.geomspace(1, 10, n)
    wrong: dict[str, list[int]] = {"normal": [], "t": [], "moderated": []}
    for _ in range(boards):
        runs = rng.standard_normal((seeds, n)) * sd
        scores, variances = runs.mean(axis=0), runs.var(axis=0, ddof=1) / seeds
        for name, arguments in (
            ("normal", (variances,)),
            ("t", (variances, seeds - 1)),
            ("moderated", moderated_variances(variances, seeds - 1)),
        ):
            wrong[name].append(int((rank_intervals(scores, *arguments).lower - 1).sum()))
    spread = "equal SDs" if even else "SDs 1 to 10"
    print(f"\n{n} equal entries, {seeds} seeds, {spread}, {boards:,} boards")
    for name, pairs in wrong.items():
        share = float(np.mean(np.array(pairs) > 0))
        error = (share * (1 - share) / boards) ** 0.5
        print(f"  {name:10s} any {share:.3f} (+-{error:.3f})   false pairs {np.mean(pairs):.2f}")


if __name__ == "__main__":
    sys.exit(main())
