"""Arrays in, numbers out: intervals, stability, verdicts, variance components, planning.

Nothing here knows of cards or files; numpy and scipy are all it needs. Scores are proportions in
[0, 1]; spreads and margins of verdicts and stability are on phi = 2 asin sqrt (Cohen's h).
"""

from safebench.stats.balanced import balanced_bounds
from safebench.stats.change import Change, ChangeVerdict, change_verdict, size_class
from safebench.stats.design import DesignPlan, Split, plan_design
from safebench.stats.differences import Difference, paired_difference
from safebench.stats.equivalence import Verdict, rerun_verdict
from safebench.stats.flips import FlipRate, flip_rate
from safebench.stats.intervals import Interval, score_interval
from safebench.stats.planning import (
    margin_from_points,
    plan_prompts,
    plan_rerun_seeds,
    plan_seeds,
    plan_stability,
    sigma_from_points,
    sigma_upper,
    tost_power,
)
from safebench.stats.stability import Stability, stability
from safebench.stats.transforms import cohens_h, margin_points, phi, phi_inverse
from safebench.stats.variance import VarianceComponents, variance_components

__all__ = [
    "Change",
    "ChangeVerdict",
    "DesignPlan",
    "Difference",
    "FlipRate",
    "Interval",
    "Split",
    "Stability",
    "VarianceComponents",
    "Verdict",
    "balanced_bounds",
    "change_verdict",
    "cohens_h",
    "flip_rate",
    "margin_from_points",
    "margin_points",
    "paired_difference",
    "phi",
    "phi_inverse",
    "plan_design",
    "plan_prompts",
    "plan_rerun_seeds",
    "plan_seeds",
    "plan_stability",
    "rerun_verdict",
    "score_interval",
    "sigma_from_points",
    "sigma_upper",
    "size_class",
    "stability",
    "tost_power",
    "variance_components",
]
