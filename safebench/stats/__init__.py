"""Arrays in, numbers out: intervals, stability, verdicts, variance components, planning.

Nothing here knows of cards or files; numpy and scipy are all it needs. Scores are proportions in
[0, 1]; spreads and margins of verdicts and stability are on phi = 2 asin sqrt (Cohen's h). The
classes of results that are not named here are in the modules of the functions that return them.

Every function raises StatsError, which names the argument, the place and the value, on NaN and
infinity, on values outside their range and on arrays of another shape. A docstring names only the
errors beyond these.
"""

from safebench.stats._estimate import Estimate
from safebench.stats.agreement import (
    FlipRate,
    cohen_kappa,
    flip_rate,
    krippendorff_alpha,
    share,
)
from safebench.stats.arms import fewest_prompts
from safebench.stats.bootstrap import largest_mean, pigeonhole_bootstrap
from safebench.stats.change import Change, change_verdict, size_class
from safebench.stats.design import plan_design
from safebench.stats.differences import Difference, paired_difference
from safebench.stats.equivalence import rerun_verdict
from safebench.stats.generalizability import d_study, dependability
from safebench.stats.intervals import Interval, score_interval
from safebench.stats.judge_counts import rogan_gladen, youden
from safebench.stats.judge_error import ppi_estimate
from safebench.stats.p_values import benjamini_hochberg, holm, mcnemar_exact, prompt_tests
from safebench.stats.planning import (
    plan_stability,
    plan_verdict_seeds,
    sigma_from_points,
    sigma_upper,
    tost_power,
    verdict_power,
)
from safebench.stats.ranks import leader_classes, moderated_variances, rank_intervals
from safebench.stats.reading import has_collapsed, read_change
from safebench.stats.replication import pooled_sigma, replication_interval
from safebench.stats.sequential import SequentialDesign, sequential_design
from safebench.stats.stability import Stability, stability
from safebench.stats.tails import cvar, score_tolerance_bound
from safebench.stats.transforms import change_on_phi, cohens_h, margin_points, phi, phi_inverse
from safebench.stats.variance import VarianceComponents, balanced_bounds, variance_components
from safebench.stats.worst import worst_setting

__all__ = [
    "Change",
    "Difference",
    "Estimate",
    "FlipRate",
    "Interval",
    "SequentialDesign",
    "Stability",
    "VarianceComponents",
    "balanced_bounds",
    "benjamini_hochberg",
    "change_on_phi",
    "change_verdict",
    "cohen_kappa",
    "cohens_h",
    "cvar",
    "d_study",
    "dependability",
    "fewest_prompts",
    "flip_rate",
    "has_collapsed",
    "holm",
    "krippendorff_alpha",
    "largest_mean",
    "leader_classes",
    "margin_points",
    "mcnemar_exact",
    "moderated_variances",
    "paired_difference",
    "phi",
    "phi_inverse",
    "pigeonhole_bootstrap",
    "plan_design",
    "plan_stability",
    "plan_verdict_seeds",
    "pooled_sigma",
    "ppi_estimate",
    "prompt_tests",
    "rank_intervals",
    "read_change",
    "replication_interval",
    "rerun_verdict",
    "rogan_gladen",
    "score_interval",
    "score_tolerance_bound",
    "sequential_design",
    "share",
    "sigma_from_points",
    "sigma_upper",
    "size_class",
    "stability",
    "tost_power",
    "variance_components",
    "verdict_power",
    "worst_setting",
    "youden",
]
