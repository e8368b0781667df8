"""How many training seeds would decide a change that is read as `cannot_tell`."""

from __future__ import annotations

from bisect import bisect_left
from dataclasses import dataclass

from safebench.analysis.reading import NARROW
from safebench.card.results import MARGIN
from safebench.evidence.arrays import OutcomeArray
from safebench.evidence.scoring import CONFIDENCE
from safebench.stats import change_on_phi, read_change
from safebench.stats.differences import half_widths
from safebench.stats.reading import FEWEST_SEEDS
from safebench.words import count

MOST_SEEDS = 1000
"""More seeds than this are no answer."""


@dataclass(frozen=True)
class Deciding:
    """How many training seeds would decide, all in all, and the same in words."""

    seeds: int | None
    """None where no number up to `MOST_SEEDS` does, and where the spread over seeds is unknown."""
    words: str


def deciding_seeds(tuned: OutcomeArray, base: OutcomeArray) -> Deciding:
    """Return the fewest training seeds with which a change from base would be decided.

    Assumed: the change and its spread over seeds are as measured; prompts, repeats and base stay as
    they are. A smallest number under that assumption and no promise: it is itself estimated from
    few seeds. A change of about the margin needs ever more, and prompts alone can leave it open.
    """
    runs = len(tuned.seeds)
    if runs < 2:
        return Deciding(None, "one seed does not show how many would decide")
    first, second = float(base.scores.mean()), float(tuned.scores.mean())
    change, middle = second - first, (first + second) / 2

    def decides(seeds: int) -> bool:
        halves = half_widths(base.scores[0], tuned.scores, seeds, (CONFIDENCE, NARROW))
        wide, narrow = (
            (
                change_on_phi(max(change - half, -1.0), middle),
                change_on_phi(min(change + half, 1.0), middle),
            )
            for half in halves
        )
        return read_change(wide, narrow, seeds, MARGIN) != "cannot_tell"

    # Intervals of more seeds lie inside those of fewer: what decides once decides ever after.
    numbers = range(max(FEWEST_SEEDS, runs), MOST_SEEDS + 1)
    at = bisect_left(numbers, True, key=decides)
    if at < len(numbers):
        seeds = numbers[at]
        return Deciding(seeds, f"{count(seeds, 'seed')} would decide, if all stays as measured")
    prompts = count(len(tuned.prompts), "prompt")
    return Deciding(None, f"{MOST_SEEDS:,} seeds would not decide it on {prompts}")
