"""Arrays in, numbers out: intervals, stability, verdicts, variance components, planning.

Nothing here knows of cards or files; numpy and scipy are all it needs. Scores are proportions in
[0, 1]; spreads and margins of verdicts and stability are on phi = 2 asin sqrt (Cohen's h).
"""

from safebench.stats.agreement import KrippendorffAlpha, krippendorff_alpha
from safebench.stats.change import Change, ChangeVerdict, change_verdict, size_class
from safebench.stats.differences import Difference, paired_difference
from safebench.stats.dstudy import DStudy, d_study
from safebench.stats.equivalence import Verdict, rerun_verdict
from safebench.stats.flips import FlipRate, flip_rate
from safebench.stats.intervals import Interval, score_interval
from safebench.stats.judge_error import (
    PPIEstimate,
    RoganGladen,
    Youden,
    ppi_estimate,
    rogan_gladen,
    youden,
)
from safebench.stats.moderated import moderated_variances
from safebench.stats.multiplicity import benjamini_hochberg, holm, mcnemar_exact
from safebench.stats.p_values import PromptTests, prompt_tests
from safebench.stats.planning import plan_seeds, tost_power
from safebench.stats.ranks import RankIntervals, rank_intervals
from safebench.stats.replication import PooledSigma, Prediction, pooled_sigma, replication_interval
from safebench.stats.stability import Stability, stability
from safebench.stats.tails import CVaR, ToleranceBound, cvar, score_tolerance_bound, tolerance_bound
from safebench.stats.transforms import cohens_h, margin_points, phi, phi_inverse
from safebench.stats.variance import ComponentInterval, VarianceComponents, variance_components
from safebench.stats.worst import WorstSetting, worst_setting

__all__ = [
    "CVaR",
    "Change",
    "ChangeVerdict",
    "ComponentInterval",
    "DStudy",
    "Difference",
    "FlipRate",
    "Interval",
    "KrippendorffAlpha",
    "PPIEstimate",
    "PooledSigma",
    "Prediction",
    "PromptTests",
    "RankIntervals",
    "RoganGladen",
    "Stability",
    "ToleranceBound",
    "VarianceComponents",
    "Verdict",
    "WorstSetting",
    "Youden",
    "benjamini_hochberg",
    "change_verdict",
    "cohens_h",
    "cvar",
    "d_study",
    "flip_rate",
    "holm",
    "krippendorff_alpha",
    "margin_points",
    "mcnemar_exact",
    "moderated_variances",
    "paired_difference",
    "phi",
    "phi_inverse",
    "plan_seeds",
    "pooled_sigma",
    "ppi_estimate",
    "prompt_tests",
    "rank_intervals",
    "replication_interval",
    "rerun_verdict",
    "rogan_gladen",
    "score_interval",
    "score_tolerance_bound",
    "size_class",
    "stability",
    "tolerance_bound",
    "tost_power",
    "variance_components",
    "worst_setting",
    "youden",
]
