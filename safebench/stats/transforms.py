"""The scale all margins live on: phi(p) = 2 asin sqrt p, and its way back to points."""

from __future__ import annotations

import math
from typing import overload

import numpy as np
from numpy.typing import ArrayLike

from safebench.stats._checks import Floats, finite, proportions


@overload
def phi(p: float) -> float: ...
@overload
def phi(p: ArrayLike) -> float | Floats: ...
def phi(p: ArrayLike) -> float | Floats:
    """Map a proportion to 2 asin sqrt p, its variance-stabilising scale (Cohen 1988, 6.2).

    `p`: proportions in [0, 1], any shape. Returns the same shape in radians, in [0, pi];
    a float for a float. On this scale a binomial proportion has SD 1/sqrt(n) whatever p is.
    """
    result = 2 * np.arcsin(np.sqrt(proportions("p", p)))
    return float(result) if result.ndim == 0 else result


@overload
def phi_inverse(x: float) -> float: ...
@overload
def phi_inverse(x: ArrayLike) -> float | Floats: ...
def phi_inverse(x: ArrayLike) -> float | Floats:
    """Map back: sin^2(x / 2), the inverse of `phi`; x below 0 gives 0, above pi gives 1.

    `x`: radians, any shape. Returns proportions in [0, 1].
    """
    result = np.sin(np.clip(finite("x", x), 0.0, math.pi) / 2) ** 2
    return float(result) if result.ndim == 0 else result


def cohens_h(p1: float, p2: float) -> float:
    """Signed h = phi(p2) - phi(p1) (Cohen 1988, 6.2); p1, p2 in [0, 1], h in radians."""
    return phi(float(p2)) - phi(float(p1))


def change_on_phi(difference: float, middle: float) -> float:
    """Cohen's h of two proportions `difference` apart around `middle`, moved inside [0, 1] at need.

    Carries a difference of proportions in [-1, 1], or an end of its interval, over to phi, and
    keeps 0 at 0; `middle`: the mean of the two scores. Radians, of the difference's sign.
    """
    span = abs(difference)
    start = min(max(middle - span / 2, 0.0), 1 - span)
    return math.copysign(cohens_h(max(start, 0.0), min(start + span, 1.0)), difference)


def margin_points(score: float, margin: float = 0.1) -> float:
    """The margin h shown in points: the larger step of the score when phi moves by +-margin.

    max over sign of |phi_inverse(phi(score) +- margin) - score|: .050 at .5, .044 at .25, .012 at
    .01 for the spec's h = 0.1. `score` in [0, 1], `margin` in radians, result a proportion.
    """
    centre = phi(float(score))
    return max(
        phi_inverse(centre + margin) - float(score), float(score) - phi_inverse(centre - margin)
    )
