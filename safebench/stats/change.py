"""Does the change from base reproduce in sign and in size class?"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from safebench.errors import StatsError
from safebench.stats._checks import Floats, between, proportions
from safebench.stats._dist import satterthwaite, t_quantile
from safebench.stats.arms import FEWEST_PROMPTS, flip_floor, interval_of_arms, spreads_of
from safebench.stats.differences import paired_difference
from safebench.stats.transforms import change_on_phi, cohens_h, phi

#: Lower bounds of |h| for each class above "none" (Cohen 1988, 6.2.2: .2, .5, .8).
SIZE_BOUNDS = ((0.8, "large"), (0.5, "medium"), (0.2, "small"), (0.0, "very_small"))


@dataclass(frozen=True)
class Change:
    """A change from base as Cohen's h (radians) with its two-sided interval.

    `sign` is "increase" or "decrease" when the interval excludes 0, else "unsupported".
    `size_class` of the estimate: "none" below the margin, "very_small" to .2, "small" to .5,
    "medium" to .8, "large". `lower`, `upper`, `se`, `df` are None when no spread was measured.
    """

    estimate: float
    lower: float | None
    upper: float | None
    se: float | None
    df: float | None
    sign: str
    size_class: str
    estimate_points: float
    method: str


@dataclass(frozen=True)
class ChangeVerdict:
    """Whether a rerun shows the same change from base: overall, in sign, and in size class.

    Each word is `reproduced`, `not_reproduced`, `inconclusive`, or `no_verdict` where fewer than
    `FEWEST_PROMPTS` were measured.
    """

    verdict: str
    sign_verdict: str
    size_verdict: str
    original: Change
    rerun: Change
    reason: str
    margin: float
    confidence: float


def change_verdict(
    original_base: ArrayLike,
    original_tuned: ArrayLike,
    rerun_base: ArrayLike,
    rerun_tuned: ArrayLike,
    margin: float = 0.1,
    confidence: float = 0.95,
    *,
    n_prompts: int | None = None,
    flip_upper: float | None = None,
) -> ChangeVerdict:
    """Compare two changes from base, each h = phi(tuned) - phi(base), phi = 2 asin sqrt.

    Each study gives either per-run scores, base (R,) and tuned (S,), or per-prompt outcomes, base
    (R, P) and tuned (S, P) on the same prompts; proportions in [0, 1].
    S are training seeds. The interval of a change at `confidence`:
    - per-run scores: that of `rerun_verdict`, base against tuned, each arm with its own spread and
      Welch's df; a base measured once borrows the tuned runs' spread, df = S - 1 (taking it as
      exact covers .73 of 95 %). `n_prompts` and `flip_upper` (see `rerun_verdict`) keep runs that
      agree from making it certain; without `n_prompts` runs that all agree have no interval.
    - per-prompt outcomes: `paired_difference` (prompts a sample too), mapped to h at the midpoint m
      of both scores by d -> phi(m + d/2) - phi(m - d/2), which keeps 0 at 0.
    A tuned model with one seed has no interval: its sign is "unsupported". On fewer than 50 prompts
    there is no verdict.

    Sign: `reproduced` when both signs are supported and equal, or both intervals lie within
    +-margin; `not_reproduced` when both are supported and opposite, or one lies within +-margin and
    the other wholly beyond; else `inconclusive`. Size, where the sign is reproduced: `reproduced`
    when the classes are equal, `not_reproduced` when they differ and h2 - h1 differs from 0 at
    `confidence` (Welch), else `inconclusive`. `verdict` is `reproduced` when both are,
    `not_reproduced` when either is not, else `inconclusive`. It survives low power, unlike
    `rerun_verdict`, because it asks less. `margin` is at most .2, where a class begins.
    """
    margin = between("margin", margin, 0, 0.2 + 1e-12)
    tail = (1 - between("confidence", confidence, 0, 1)) / 2
    about = _About(margin, tail, n_prompts, flip_upper)
    original, prompts = _change("original", original_base, original_tuned, about)
    rerun, _ = _change("rerun", rerun_base, rerun_tuned, about)
    sign, why_sign = _compare_sign(original, rerun, margin)
    size, why_size = _compare_size(original, rerun, sign, tail)
    reason = f"{why_sign}; {why_size}."
    if prompts is not None and prompts < FEWEST_PROMPTS:
        sign = size = verdict = "no_verdict"
        reason = f"a verdict needs at least {FEWEST_PROMPTS} prompts, and these are {prompts}."
    elif sign == size == "reproduced":
        verdict = "reproduced"
    else:
        verdict = "not_reproduced" if "not_reproduced" in (sign, size) else "inconclusive"
    return ChangeVerdict(
        verdict, sign, size, original, rerun, reason, margin, confidence=float(confidence)
    )


@dataclass(frozen=True)
class _About:
    margin: float
    tail: float
    n_prompts: int | None
    flip_upper: float | None


def _change(
    name: str, base: ArrayLike, tuned: ArrayLike, about: _About
) -> tuple[Change, int | None]:
    """The change of one study, and its number of prompts where that is known."""
    first = proportions(f"{name}_base", base, (1, 2))
    second = proportions(f"{name}_tuned", tuned, (1, 2))
    if first.ndim != second.ndim:
        raise StatsError(
            f"{name}_base has shape {first.shape} and {name}_tuned {second.shape}; give per-run "
            "scores (runs,) for both or per-prompt outcomes (runs, prompts) for both"
        )
    if first.ndim == 1:
        prompts = about.n_prompts
        h, low, high, df, method = _from_runs(first, second, about)
    else:
        prompts = first.shape[1]
        h, low, high, df, method = _from_prompts(first, second, about)
    se, sign = None, "unsupported"
    if low is not None and high is not None:
        if df:
            se = (high - low) / (2 * t_quantile(1 - about.tail, df))
        if low > 0 or high < 0:
            sign = "increase" if low > 0 else "decrease"
    points = float(second.mean() - first.mean())
    size = size_class(h, about.margin)
    return Change(h, low, high, se, df, sign, size, points, method), prompts


def size_class(h: float, margin: float = 0.1) -> str:
    """Class of a change h (radians): "none" below `margin`, then Cohen's bounds .2, .5, .8."""
    if abs(h) < margin:
        return "none"
    return next(label for bound, label in SIZE_BOUNDS if abs(h) >= bound)


_Found = tuple[float, float | None, float | None, float | None, str]
"""Cohen's h, its bounds, degrees of freedom, method."""
_ONE_SEED = "one training seed: no interval"


def _from_runs(base: Floats, tuned: Floats, about: _About) -> _Found:
    means = float(base.mean()), float(tuned.mean())
    h = cohens_h(*means)
    spreads = spreads_of(np.asarray(phi(base)), np.asarray(phi(tuned)), pool=False)
    if tuned.size < 2 or spreads is None:
        return h, None, None, None, _ONE_SEED
    floors = (0.0, 0.0)
    if about.n_prompts is not None:
        before, after = (flip_floor(mean, about.n_prompts, about.flip_upper) for mean in means)
        floors = before, after
    ends = interval_of_arms(means, (base.size, tuned.size), spreads, floors, about.tail)
    if ends is None:
        return h, None, None, None, "runs without any spread: no interval"
    once = ", base measured once" if base.size < 2 else ""
    return h, *ends, spreads.df, f"Clopper-Pearson on phi, {spreads.method}{once}"


def _from_prompts(base: Floats, tuned: Floats, about: _About) -> _Found:
    d = paired_difference(base, tuned, confidence=1 - 2 * about.tail)
    middle = float(base.mean() + tuned.mean()) / 2
    h = change_on_phi(d.estimate, middle)
    if tuned.shape[0] < 2:
        return h, None, None, None, _ONE_SEED
    low, high = (change_on_phi(end, middle) for end in (d.lower, d.upper))
    return h, low, high, d.df, f"{d.method}, on phi"


def _compare_sign(a: Change, b: Change, margin: float) -> tuple[str, str]:
    null = [_within(change, -margin, margin) for change in (a, b)]
    if all(null):
        return "reproduced", "both changes lie within the margin"
    signs = {"original": a.sign, "rerun": b.sign}
    missing = [name for name, sign in signs.items() if sign == "unsupported"]
    if not missing:
        shown = f"{'an' if a.sign == 'increase' else 'a'} {a.sign}"
        if a.sign == b.sign:
            return "reproduced", f"both show {shown} from base"
        return "not_reproduced", f"the original shows {shown}, the rerun the opposite"
    other = b if null[0] else a
    beyond = _within(other, margin, math.inf) or _within(other, -math.inf, -margin)
    if any(null) and beyond:
        return "not_reproduced", "one change lies within the margin, the other entirely beyond it"
    verb = "do" if len(missing) > 1 else "does"
    return "inconclusive", f"the {' and the '.join(missing)} {verb} not settle the sign"


def _compare_size(a: Change, b: Change, sign: str, tail: float) -> tuple[str, str]:
    if sign != "reproduced":
        return "inconclusive", "sizes are compared only where the sign reproduces"
    if a.size_class == b.size_class:
        return "reproduced", f"both are of size class {a.size_class}"
    classes = f"size class {a.size_class} in the original, {b.size_class} in the rerun"
    if a.se is None or b.se is None or a.df is None or b.df is None:
        return "inconclusive", f"{classes}, and no spread was measured to compare them by"
    se = math.hypot(a.se, b.se)
    df = satterthwaite(se**2, [(a.se**2, a.df), (b.se**2, b.df)])
    if abs(b.estimate - a.estimate) > t_quantile(1 - tail, df) * se:
        return "not_reproduced", f"{classes}, and the two changes differ"
    return "inconclusive", f"{classes}, but the two changes may be equal"


def _within(change: Change, low: float, high: float) -> bool:
    """Whether the interval lies between two numbers; not if there is none."""
    if change.lower is None or change.upper is None:
        return False
    return low < change.lower and change.upper < high
