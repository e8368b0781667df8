"""Adding seeds to a rerun in groups until its verdict is settled, without more error."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from safebench.errors import StatsError
from safebench.stats._checks import positive_int

_LOOKS: tuple[int, ...] = (3, 5, 8, 12)
_LEVELS = {1: 0.05, 2: 0.03, 3: 0.02, 4: 0.015}
"""Level of every look, the same for each (Pocock 1977, Biometrika 64), by how many there are."""


@dataclass(frozen=True)
class SequentialDesign:
    """When a rerun is looked at, and how strictly.

    `looks`: numbers of seeds of the rerun, ascending. `alpha`: level of each one-sided test of
    `rerun_verdict` at every look, whose interval then has confidence 1 - 2 alpha; `change_verdict`
    takes confidence 1 - alpha.
    """

    looks: tuple[int, ...]
    alpha: float

    def next_look(self, seeds: int, words: Iterable[str]) -> int | None:
        """Return the number of seeds of the next look; None where the rerun ends.

        `seeds`: those of the rerun at this look; `words`: the verdicts on its scores there, one for
        each primary estimand, all from `rerun_verdict(..., alpha=self.alpha)`. It ends where one is
        `not_reproduced`, where none is `inconclusive`, and at the last look, and its verdicts are
        those of the look at which it ends. Raises StatsError where `seeds` is no look.
        """
        if seeds not in self.looks:
            shown = ", ".join(map(str, self.looks))
            raise StatsError(f"{seeds} seeds are no look of this rerun: the looks are {shown}")
        found = set(words)
        if "not_reproduced" in found or "inconclusive" not in found:
            return None
        return next((look for look in self.looks if look > seeds), None)


def sequential_design(original_seeds: int, *, paired: bool = False) -> SequentialDesign:
    """Return the design of spec/v1/verdict.md for a rerun that adds seeds until it is settled.

    `original_seeds`: those of the original. `paired` (regenerate): its trained models are taken in
    their order, and the last look is at all of them where they are fewer than 12. The levels were
    found by simulation of this verdict at these looks (benchmarks/coverage.md).
    Raises StatsError for one original seed, beside which no number of new ones settles anything.
    """
    if positive_int("original_seeds", original_seeds) < 2:
        raise StatsError(
            "one original seed does not show how far runs spread: no number of new seeds settles "
            "the verdict",
            fix="give a number of seeds",
        )
    looks = _LOOKS
    if paired:
        last = min(original_seeds, _LOOKS[-1])
        looks = (*(look for look in _LOOKS if look < last), last)
    return SequentialDesign(looks, _LEVELS[len(looks)])
