"""Coverage of the 95 % intervals of judge error, agreement and tails, by simulation.

    python benchmarks/diagnostics.py

Every line: the design, the share of intervals that hold the truth (with its Monte Carlo error), and
their mean width. The figures in the docstrings of ppi_estimate, krippendorff_alpha, cvar and
worst_setting are from here.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np
from scipy.special import expit

from safebench.stats import cvar, krippendorff_alpha, ppi_estimate, worst_setting
from safebench.stats.worst import WorstSetting

SEED = 20250
REPLICATES = 2_000
Drawn = tuple[float, float, float]  # lower, upper, truth


def main() -> None:
    """Print one table after the other."""
    print(f"{REPLICATES:,} replicates, seed {SEED}")
    print("\nppi_estimate: score, Se = Sp, audited of 1,000 judged")
    audits = [(0.3, 0.9, n) for n in (10, 20, 29, 30, 50, 100)]
    audits += [(0.03, 0.97, 50), (0.3, 0.98, 100), (0.3, 1.0, 50)]
    for score, right, audited in audits:
        _line(f"{score} {right} {audited:4d}", _ppi(score, right, audited))
    print("\nppi_estimate by cluster: prompts x 5 seeds, audited; judged all or the others only")
    for prompts, audited in ((20, 40), (50, 60), (200, 100)):
        for everything in (True, False):
            what = "all" if everything else "others"
            _line(f"{prompts:4d} {audited:4d} {what}", _clustered(prompts, audited, everything))
    print("\nkrippendorff_alpha: units, raters, 3 categories, alpha .64")
    for units, raters in ((10, 2), (30, 2), (100, 2), (30, 4)):
        _line(f"{units:4d} {raters}", _alpha(units, raters))
    print("\ncvar: seeds, prompts, worst share, SD of the seeds' logits; and the two estimates")
    tails = [(seeds, 450, 0.1, 0.3) for seeds in (1, 2, 5, 10)]
    tails += [(5, 50, 0.1, 0.3), (5, 450, 0.1, 1.0), (5, 450, 0.5, 0.5)]
    for seeds, prompts, share, sd in tails:
        _cvar(seeds, prompts, share, sd)
    print("\nworst_setting: equal settings, seeds, prompts; SD of the seeds' logits .3")
    for settings, seeds, prompts in ((2, 5, 100), (8, 5, 100), (8, 3, 450), (8, 10, 450)):
        _worst(settings, seeds, prompts)


def _line(what: str, draws: Iterator[Drawn]) -> None:
    lower, upper, truth = np.array(list(draws)).T
    share = float(np.mean((lower <= truth) & (truth <= upper)))
    error = (share * (1 - share) / lower.size) ** 0.5
    print(
        f"  {what:24s} {share:.3f} (+-{error:.3f})  width {np.mean(upper - lower):.3f}", flush=True
    )


def _judge(y: np.ndarray, right: np.ndarray | float, rng: np.random.Generator) -> np.ndarray:
    return np.where(rng.random(y.shape) < right, y, 1 - y)


def _ppi(score: float, right: float, audited: int) -> Iterator[Drawn]:
    rng = np.random.default_rng(SEED)
    for _ in range(REPLICATES):
        y = (rng.random(1_000 + audited) < score).astype(float)
        f = _judge(y, right, rng)
        found = ppi_estimate(f[audited:], f[:audited], y[:audited])
        yield found.lower, found.upper, score


def _clustered(prompts: int, audited: int, everything: bool) -> Iterator[Drawn]:
    """Prompts of different level and difficulty for the judge; mean level 1/3."""
    rng = np.random.default_rng(SEED)
    ids = np.tile(np.arange(prompts), 5)
    for _ in range(REPLICATES):
        y = (rng.random((5, prompts)) < rng.beta(0.5, 1, prompts)).astype(float)
        f = _judge(y, np.where(rng.random(prompts) < 0.3, 0.6, 0.97), rng).ravel()
        chosen = rng.choice(y.size, audited, replace=False)
        judged = np.ones(y.size, dtype=bool)
        judged[chosen] = everything
        labels = (ids[judged], ids[chosen])
        found = ppi_estimate(f[judged], f[chosen], y.ravel()[chosen], labels)
        yield found.lower, found.upper, 1 / 3


def _alpha(units: int, raters: int) -> Iterator[Drawn]:
    """Each rating is the unit's category with chance .8, else drawn anew: alpha = .8^2."""
    rng = np.random.default_rng(SEED)
    shares = [0.6, 0.3, 0.1]
    for _ in range(REPLICATES):
        true = rng.choice(3, units, p=shares)
        kept = rng.random((raters, units)) < 0.8
        found = krippendorff_alpha(np.where(kept, true, rng.choice(3, (raters, units), p=shares)))
        if found.lower is not None and found.upper is not None:
            yield found.lower, found.upper, 0.64


def _cvar(seeds: int, prompts: int, share: float, sd: float) -> None:
    rng = np.random.default_rng(SEED)
    nodes, weights = np.polynomial.hermite_e.hermegauss(15)
    level = expit(2 * rng.standard_normal(400_000)[:, None] - 1 + sd * nodes) @ weights
    level = np.sort(level / weights.sum())
    truth = float(level[-int(share * level.size) :].mean())
    plug_in, estimates = [], []

    def draws() -> Iterator[Drawn]:
        for _ in range(REPLICATES // 2):
            logit = 2 * rng.standard_normal(prompts) - 1 + sd * rng.standard_normal((seeds, 1))
            found = cvar((rng.random((seeds, prompts)) < expit(logit)).astype(float), share)
            plug_in.append(found.plug_in)
            estimates.append(found.estimate)
            yield found.lower, found.upper, truth

    _line(f"{seeds:2d} {prompts:4d} {share} {sd}", draws())
    print(
        f"      truth {truth:.3f}, plug-in {np.mean(plug_in):.3f}, "
        f"cross-fitted {np.mean(estimates):.3f}"
    )


def _worst(settings: int, seeds: int, prompts: int) -> None:
    rng = np.random.default_rng(SEED)
    excess = []

    def draws(pick: Callable[..., Drawn]) -> Iterator[Drawn]:
        for _ in range(REPLICATES // 4):
            logit = 2 * rng.standard_normal(prompts) + 0.3 * rng.standard_normal((seeds, 1))
            y = (rng.random((settings, seeds, prompts)) < expit(logit)).astype(float)
            found = worst_setting(y)
            excess.append(found.estimate - float(y.mean()))
            yield pick(found)

    what = f"{settings} {seeds:2d} {prompts:4d}"
    _line(what, draws(lambda found: (found.lower, found.upper, 0.5)))

    def narrowest(found: WorstSetting) -> Drawn:
        lower, upper = zip(*((i.lower, i.upper) for i in found.intervals), strict=True)
        return max(lower), min(upper), 0.5

    _line(f"{what} all at once", draws(narrowest))
    print(f"      the worst looks {np.mean(excess):.3f} worse than the mean of all")


if __name__ == "__main__":
    main()
