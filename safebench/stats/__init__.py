"""Arrays in, numbers out: intervals, stability, verdicts, variance components, planning.

Nothing here knows of cards or files; numpy and scipy are all it needs. Scores are proportions in
[0, 1]; spreads and margins of verdicts and stability are on phi = 2 asin sqrt (Cohen's h).
"""

from safebench.stats.change import Change, ChangeVerdict, change_verdict, size_class
from safebench.stats.differences import Difference, paired_difference
from safebench.stats.equivalence import Verdict, rerun_verdict
from safebench.stats.flips import FlipRate, flip_rate
from safebench.stats.intervals import Interval, score_interval
from safebench.stats.p_values import PromptTests, prompt_tests, t_p_value
from safebench.stats.planning import plan_seeds, tost_power
from safebench.stats.stability import Stability, stability
from safebench.stats.transforms import cohens_h, margin_points, phi, phi_inverse
from safebench.stats.variance import VarianceComponents, variance_components

__all__ = [
    "Change",
    "ChangeVerdict",
    "Difference",
    "FlipRate",
    "Interval",
    "PromptTests",
    "Stability",
    "VarianceComponents",
    "Verdict",
    "change_verdict",
    "cohens_h",
    "flip_rate",
    "margin_points",
    "paired_difference",
    "phi",
    "phi_inverse",
    "plan_seeds",
    "prompt_tests",
    "rerun_verdict",
    "score_interval",
    "size_class",
    "stability",
    "t_p_value",
    "tost_power",
    "variance_components",
]
