"""Arrays in, numbers out: intervals, stability, verdicts, variance components, planning.

Nothing here knows of cards or files; numpy and scipy are all it needs. Scores are proportions in
[0, 1]; spreads and margins of verdicts and stability are on phi = 2 asin sqrt (Cohen's h). The
classes of results that are not named here are in the modules of the functions that return them.
"""

from safebench.stats.agreement import krippendorff_alpha
from safebench.stats.arms import fewest_prompts
from safebench.stats.balanced import balanced_bounds
from safebench.stats.bootstrap import largest_mean, pigeonhole_bootstrap, run_spread, worst_prompts
from safebench.stats.change import Change, change_verdict, size_class
from safebench.stats.dependability import dependability
from safebench.stats.design import plan_design
from safebench.stats.differences import Difference, paired_difference
from safebench.stats.dstudy import d_study
from safebench.stats.equivalence import rerun_verdict
from safebench.stats.flips import FlipRate, flip_rate
from safebench.stats.intervals import Interval, score_interval
from safebench.stats.judge_error import ppi_estimate, rogan_gladen, youden
from safebench.stats.moderated import moderated_variances
from safebench.stats.multiplicity import benjamini_hochberg, holm, mcnemar_exact
from safebench.stats.p_values import prompt_tests
from safebench.stats.planning import (
    plan_prompts,
    plan_seeds,
    plan_stability,
    plan_verdict_seeds,
    sigma_from_points,
    sigma_upper,
    tost_power,
    verdict_power,
)
from safebench.stats.ranks import rank_intervals
from safebench.stats.replication import pooled_sigma, replication_interval
from safebench.stats.stability import Stability, stability
from safebench.stats.tails import cvar, score_tolerance_bound
from safebench.stats.transforms import cohens_h, margin_points, phi, phi_inverse
from safebench.stats.variance import VarianceComponents, variance_components
from safebench.stats.worst import worst_setting

__all__ = [
    "Change",
    "Difference",
    "FlipRate",
    "Interval",
    "Stability",
    "VarianceComponents",
    "balanced_bounds",
    "benjamini_hochberg",
    "change_verdict",
    "cohens_h",
    "cvar",
    "d_study",
    "dependability",
    "fewest_prompts",
    "flip_rate",
    "holm",
    "krippendorff_alpha",
    "largest_mean",
    "margin_points",
    "mcnemar_exact",
    "moderated_variances",
    "paired_difference",
    "phi",
    "phi_inverse",
    "pigeonhole_bootstrap",
    "plan_design",
    "plan_prompts",
    "plan_seeds",
    "plan_stability",
    "plan_verdict_seeds",
    "pooled_sigma",
    "ppi_estimate",
    "prompt_tests",
    "rank_intervals",
    "replication_interval",
    "rerun_verdict",
    "rogan_gladen",
    "run_spread",
    "score_interval",
    "score_tolerance_bound",
    "sigma_from_points",
    "sigma_upper",
    "size_class",
    "stability",
    "tost_power",
    "variance_components",
    "verdict_power",
    "worst_prompts",
    "worst_setting",
    "youden",
]
