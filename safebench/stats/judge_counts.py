"""Scores corrected for a judge that errs by counts of labels: Rogan and Gladen, Youden's J."""

from __future__ import annotations

import math
from dataclasses import dataclass

import scipy

from safebench.errors import StatsError
from safebench.stats._checks import between, positive_int
from safebench.stats._dist import beta_lower, beta_upper
from safebench.stats._estimate import CONFIDENCE, TAIL, Estimate


@dataclass(frozen=True)
class RoganGladen(Estimate):
    """A score corrected by a calibration, in [0, 1].

    `youden`: J of the calibration. `reason` is empty, or says what is wrong with the correction.
    """

    youden: float
    reason: str


def rogan_gladen(
    positives: float, n: float, se: tuple[int, int], sp: tuple[int, int]
) -> RoganGladen:
    """Share of true positives behind a judge's count: pi = (p + Sp - 1)/(Se + Sp - 1), in [0, 1].

    (Rogan & Gladen 1978, Am J Epidemiol 107.) `positives` of `n` responses called positive; `se`:
    (k, n) true positives of the calibration set called so, `sp`: (k, n) true negatives called so.
    It is assumed that the judge errs here as it did there (transport), and that the n outcomes are
    independent. Those of several training seeds are not: there n is `n_effective` of the judged
    `score_interval`, a real number, and `positives` its estimate times n, so that seeds that spread
    widen this interval as they widen that one: coverage .93 to 1.00 at 3 seeds, .95 to 1.00 at 5
    and 10 (benchmarks/coverage.txt, `judge`); with the plain n it is .48 to 1.00.

    Interval of Lang & Reiczigel (2014, Prev Vet Med 113): with p' = (x + z^2/2)/(n + z^2), Se' and
    Sp' = (k + 1)/(n + 2), J' = Se' + Sp' - 1 and pi' = (p' + Sp' - 1)/J', clipped to [0, 1],
    pi' + d -+ z sqrt(p'(1-p')/(n+z^2) + pi'^2 Se'(1-Se')/(n_Se+2) + (1-pi')^2 Sp'(1-Sp')/(n_Sp+2))
    /J', d = 2 z^2 (pi' Se'(1-Se')/(n_Se+2) - (1-pi') Sp'(1-Sp')/(n_Sp+2)); widened to hold the
    estimate where it does not. [0, 1] when J' <= 0; `reason` says so, and when the raw pi is
    outside [0, 1].

    Raises StatsError when J <= 0: a judge no better than chance has nothing to correct by.
    """
    n = between("n", n, 0, math.inf)
    x = between("positives", positives, 0, n, closed=True)
    k_se, n_se = _counts("se", se)
    k_sp, n_sp = _counts("sp", sp)
    z = -float(scipy.special.ndtri(TAIL))
    youden = k_se / n_se + k_sp / n_sp - 1
    if youden <= 1e-12:
        raise StatsError(
            f"Se + Sp - 1 is {youden:.3g} (Se {k_se}/{n_se}, Sp {k_sp}/{n_sp}): a judge no better "
            "than chance",
            fix="calibrate a better judge, or report its score as it is",
        )
    raw = (x / n + k_sp / n_sp - 1) / youden
    estimate = min(max(raw, 0.0), 1.0)
    limits = _lang_reiczigel((x, n), (k_se, n_se), (k_sp, n_sp), z)
    lower, upper = (min(max(limit, 0.0), 1.0) for limit in limits or (0.0, 1.0))
    reason = ""
    if limits is None:
        reason = "the calibration does not settle whether the judge is better than chance"
    elif not 0 <= raw <= 1:
        side, share = ("fewer", "none") if raw < 0 else ("more", "all")
        reason = f"{side} positives than this judge would call if {share} were"
    return RoganGladen(
        estimate=estimate,
        lower=min(lower, estimate),
        upper=max(upper, estimate),
        youden=youden,
        reason=reason,
        method="Rogan-Gladen, Lang-Reiczigel interval, transport assumed",
    )


def _lang_reiczigel(
    seen: tuple[float, float], se: tuple[int, int], sp: tuple[int, int], z: float
) -> tuple[float, float] | None:
    """The unclipped limits; None when the shrunk J is not positive."""
    n = seen[1] + z**2
    p = (seen[0] + z**2 / 2) / n
    sens, spec = ((k + 1) / (m + 2) for k, m in (se, sp))
    youden = sens + spec - 1
    if youden <= 0:
        return None
    of_se, of_sp = (q * (1 - q) / (m + 2) for q, (_, m) in ((sens, se), (spec, sp)))
    pi = (p + spec - 1) / youden
    shift = 2 * z**2 * (pi * of_se - (1 - pi) * of_sp)
    half = z * math.sqrt(p * (1 - p) / n + pi**2 * of_se + (1 - pi) ** 2 * of_sp) / youden
    return pi + shift - half, pi + shift + half


@dataclass(frozen=True)
class Youden(Estimate):
    """J = Se + Sp - 1 in [-1, 1], with **one-sided** bounds each at `confidence`.

    `n`: the calibration responses, true positives and true negatives.
    """

    n: tuple[int, int]


def youden(se: tuple[int, int], sp: tuple[int, int]) -> Youden:
    """Youden's J of a judge, its lower bound being `judge_youden_lower` of `stability`.

    `se`, `sp` as in `rogan_gladen`. lower = J - sqrt((Se - l_Se)^2 + (Sp - l_Sp)^2), l the
    one-sided Clopper-Pearson bounds (MOVER: Newcombe 2001, Zou & Donner 2008); upper alike. Least
    exact coverage of the 95 % bound over Se, Sp in [.5, 1]: .972 with 10 + 10 calibration
    responses, .956 with 50 + 50, .954 with 100 + 200.

    A lower bound of 0 or less is returned as it is: `stability` refuses it, as it should.
    """
    counts = (_counts("se", se), _counts("sp", sp))
    tail = 1 - CONFIDENCE
    down = math.hypot(*(k / n - beta_lower(k, n, tail) for k, n in counts))
    up = math.hypot(*(beta_upper(k, n, tail) - k / n for k, n in counts))
    estimate = sum(k / n for k, n in counts) - 1
    return Youden(
        estimate=estimate,
        lower=max(estimate - down, -1.0),
        upper=min(estimate + up, 1.0),
        n=(counts[0][1], counts[1][1]),
        method="MOVER of one-sided Clopper-Pearson bounds",
    )


def _counts(name: str, pair: tuple[int, int]) -> tuple[int, int]:
    """(k, n) with 0 <= k <= n and n >= 1."""
    try:
        k, n = pair
    except (TypeError, ValueError) as error:
        raise StatsError(f"{name} is {pair!r}, not the two counts (k, n)") from error
    k, n = positive_int(f"{name}: k", k, 0), positive_int(f"{name}: n", n)
    if k > n:
        raise StatsError(f"{name} is ({k}, {n}): {k} of only {n}")
    return k, n
