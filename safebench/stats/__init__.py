"""Arrays in, numbers out: intervals, stability, verdicts, variance components, planning.

Nothing here knows of cards or files; numpy and scipy are all it needs. Scores are proportions in
[0, 1]; spreads and margins of verdicts and stability are on phi = 2 asin sqrt (Cohen's h).
"""

from safebench.stats.bootstrap import (
    BootstrapInterval,
    Replicates,
    pigeonhole_bootstrap,
    run_spread,
    worst_prompts,
    worst_setting,
)
from safebench.stats.change import Change, ChangeVerdict, change_verdict, size_class
from safebench.stats.differences import Difference, paired_difference
from safebench.stats.dstudy import DStudy, d_study
from safebench.stats.equivalence import Verdict, rerun_verdict
from safebench.stats.flips import FlipRate, flip_rate
from safebench.stats.intervals import Interval, score_interval
from safebench.stats.planning import plan_seeds, tost_power
from safebench.stats.stability import Stability, stability
from safebench.stats.transforms import cohens_h, margin_points, phi, phi_inverse
from safebench.stats.variance import ComponentInterval, VarianceComponents, variance_components

__all__ = [
    "BootstrapInterval",
    "Change",
    "ChangeVerdict",
    "ComponentInterval",
    "DStudy",
    "Difference",
    "FlipRate",
    "Interval",
    "Replicates",
    "Stability",
    "VarianceComponents",
    "Verdict",
    "change_verdict",
    "cohens_h",
    "d_study",
    "flip_rate",
    "margin_points",
    "paired_difference",
    "phi",
    "phi_inverse",
    "pigeonhole_bootstrap",
    "plan_seeds",
    "rerun_verdict",
    "run_spread",
    "score_interval",
    "size_class",
    "stability",
    "tost_power",
    "variance_components",
    "worst_prompts",
    "worst_setting",
]
