"""The spread over training seeds of one block: its share, and the seeds that it asks for."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from safebench.analysis.measures import Measure, NotMeasured, Number, measured
from safebench.card.results import MARGIN
from safebench.errors import StatsError
from safebench.evidence.arrays import OutcomeArray
from safebench.evidence.scoring import block_stability
from safebench.stats import plan_verdict_seeds, variance_components
from safebench.stats.arms import FEWEST_PROMPTS
from safebench.stats.variance import TABLE_EFFECTS
from safebench.words import kept

POWER = 0.8


@dataclass(frozen=True)
class SeedsNeeded:
    """Training seeds in each arm for an equivalence verdict at the standard's margin."""

    sigma: Number
    """SD between seeds of one run, on 2 asin sqrt(score), with two one-sided bounds."""
    seeds: int
    seeds_lower: int
    """At the lower bound of sigma."""
    seeds_upper: int
    """At its upper bound."""
    floor: float
    """SD on the same scale below which these few prompts cannot show a spread."""
    margin: float = MARGIN
    power: float = POWER


def counts(block: OutcomeArray) -> dict[str, int]:
    """Return how many of each facet a block averages over."""
    seeds, repeats, prompts = block.scores.shape
    return {"seeds": seeds, "repeats": repeats, "prompts": prompts}


def one_seed(block: OutcomeArray) -> NotMeasured | None:
    """Return why a block does not show a spread over seeds; None where it has several."""
    if block.condition == "base":
        return NotMeasured("the base model has no training seeds")
    if len(block.seeds) < 2:
        return NotMeasured("one training seed does not show how far seeds differ")
    return None


def components(block: OutcomeArray) -> dict[str, float]:
    """Return the variance of each source in a block, unclamped; absent where not measurable.

    With one repeat, `prompt:training_seed` holds what single answers add; with one training seed
    (or an untuned model) the only sources are prompts, repeats and single answers.
    """
    levels = (level.ravel() for level in np.indices(block.scores.shape))
    factors = dict(zip(("training_seed", "repeat", "prompt"), levels, strict=True))
    effects = dict(TABLE_EFFECTS)
    if len(block.seeds) < 2:
        effects = {"prompt": ("prompt",), "repeat": ("repeat",), "residual": ("repeat", "prompt")}
    found = dict(variance_components(block.scores.ravel(), factors, effects).estimates)
    if block.scores.shape[1] < 2 and "residual" in found:
        whole = "prompt" if len(block.seeds) < 2 else "prompt:training_seed"
        found[whole] = found.get(whole, 0.0) + found.pop("residual")
    return found


def to_project(block: OutcomeArray) -> dict[str, float]:
    """Return the `components` of a block as other designs are computed from them.

    A negative interaction is taken out of the source it was subtracted from. That leaves the
    variances of the block's own means as they are, so that its own design has the card's interval.
    """
    found, repeats = components(block), block.scores.shape[1]
    for inner, outer, times in (
        ("prompt:training_seed", "residual", repeats),
        ("training_seed:repeat", "training_seed", 1 / repeats),
    ):
        if found.get(inner, 0.0) < 0 and outer in found:
            found[outer] += found.pop(inner) * times
    return found


def seeds_needed(block: OutcomeArray) -> SeedsNeeded | NotMeasured:
    """Return the seeds an equivalence verdict needs at the spread of a block."""
    if absent := one_seed(block):
        return absent
    if len(block.prompts) < FEWEST_PROMPTS:
        least = f"a verdict needs at least {FEWEST_PROMPTS} prompts"
        return NotMeasured(f"{least}, and these are {len(block.prompts)}")
    found = block_stability(block)
    if found.sigma_run is None or found.sigma_lower is None or found.sigma_upper is None:
        return NotMeasured(found.reason)
    sigma = Number(
        kept(found.sigma_run),
        kept(found.sigma_lower),
        kept(found.sigma_upper),
        {"seeds": found.n_seeds, "repeats": found.n_repeats},
        "one-sided chi-square bounds, the upper one not below the sampling noise of the prompts",
    )
    score, floor = float(block.scores.mean()), kept(found.floor)
    return SeedsNeeded(
        sigma=sigma,
        seeds=seeds_at(found.sigma_run, score, floor),
        seeds_lower=seeds_at(found.sigma_lower, score, floor),
        seeds_upper=seeds_at(found.sigma_upper, score, floor),
        floor=floor,
    )


def seeds_at(sigma: float, score: float, floor: float, margin: float = MARGIN) -> int:
    """Return the training seeds in each arm that a verdict needs at a spread, for power `POWER`."""
    found = plan_verdict_seeds(sigma, score=score, floor=floor**2, margin=margin, power=POWER)
    if found is None:  # scores lie in [0, 1], so that no spread is so large
        raise StatsError(f"more than ten million seeds: sigma is {sigma / margin:g} margins")
    return found


def seed_share(block: OutcomeArray) -> Measure:
    """Return the share of the variance between the runs of a block that is between seeds."""
    means = block.scores.mean(axis=2)
    seeds, repeats = means.shape
    if absent := one_seed(block):
        return absent
    if repeats < 2:
        return NotMeasured("with one repeat, seeds and chance cannot be told apart")
    if float(np.ptp(means)) == 0:
        return NotMeasured("nothing varies: every run has the same score")
    factors = {
        "training_seed": np.repeat(np.arange(seeds), repeats),
        "repeat": np.tile(np.arange(repeats), seeds),
    }
    effects = {"training_seed": ("training_seed",), "repeat": ("training_seed", "repeat")}
    found = variance_components(means.ravel(), factors, effects)
    return measured(found.share("training_seed"), {"runs": means.size})
