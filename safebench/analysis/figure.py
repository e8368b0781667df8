"""The answer as one picture: changes from base, their seeds, and what they are read as.

Drawn by matplotlib (the extra `plots`), on anybody's axes or into a file; the same report gives the
same bytes. What varies, and the seeds needed, are drawn by `site.plots`, which needs no library.
"""

from __future__ import annotations

import io
from pathlib import Path
from typing import TYPE_CHECKING, Any

from safebench.analysis.primaries import Primary
from safebench.analysis.report import ScoreReport
from safebench.card.measured import MeasuredScore
from safebench.card.results import MARGIN, base_key, find, key_of
from safebench.errors import EvidenceError, MissingDependencyError
from safebench.files import replace_file
from safebench.stats import margin_points
from safebench.words import CONSTRUCTS, construct_name

if TYPE_CHECKING:
    from matplotlib.axes import Axes

SUFFIXES = (".pdf", ".png", ".svg")
_UNDATED = {
    ".pdf": {"CreationDate": None},
    ".png": {"Software": None},
    ".svg": {"Date": None},
}
"""What would be other in every file; None leaves it out."""
_WIDTH, _ROW, _FRAME = 6.5, 0.45, 1.1
_INK, _PALE, _BAND = "#1a1a1a", "#8a8a8a", "#e6e6e6"


def _matplotlib() -> Any:
    try:
        import matplotlib
    except ImportError as problem:
        raise MissingDependencyError(
            "plots as PDF, PNG or SVG files, and .plot(), need matplotlib, which is not installed",
            fix="pip install 'safebench[plots]'; --plots FOLDER draws others without it",
        ) from problem
    return matplotlib


def new_axes() -> Axes:
    """Return the axes of a new figure of pyplot's, which a notebook shows."""
    _matplotlib()
    import matplotlib.pyplot as plt

    return plt.subplots(layout="constrained")[1]


def write_figure(report: ScoreReport, path: Path) -> None:
    """Write the picture as PDF, PNG or SVG, as the path ends.

    Raises:
        MissingDependencyError: matplotlib is not installed.
        EvidenceError: no primary number was measured.
    """
    matplotlib = _matplotlib()
    from matplotlib.figure import Figure

    with matplotlib.rc_context():
        matplotlib.rcdefaults()  # a person's own style would give other bytes
        matplotlib.rcParams["svg.hashsalt"] = "safebench"
        height = _FRAME + _ROW * len(report.primaries)
        figure = Figure(figsize=(_WIDTH, height), layout="constrained")
        draw(report, figure.subplots())
        content, suffix = io.BytesIO(), path.suffix.lower()
        figure.savefig(content, format=suffix[1:], dpi=200, metadata=_UNDATED[suffix])
    replace_file(path, content.getvalue())


def draw(report: ScoreReport, axes: Axes) -> Axes:
    """Draw a row for every primary number, harm first, and return the axes.

    A diamond is the estimate, its line the 95 % interval, a dot a training seed; the grey band is
    the standard's margin at the score.
    """
    shown = sorted(report.primaries, key=lambda one: CONSTRUCTS.index(one.estimand.construct))
    if not shown:
        raise EvidenceError("no primary number was measured, so that there is nothing to draw")
    is_change = any(one.change is not None for one in shown)
    for row, one in enumerate(shown):
        base = find(report.results.scores, base_key(one.estimand)) if is_change else None
        _draw_row(axes, row, one, base)
        reading = report.readings.get(key_of(one.estimand))
        if reading is not None:
            axes.annotate(
                reading.shown,
                (1.0, row),
                xycoords=("axes fraction", "data"),
                xytext=(6, 0),
                textcoords="offset points",
                va="center",
                color=_INK,
                fontsize="small",
            )
    trials = report.card.trials
    labels = [
        f"{construct_name(one.estimand.construct)}\n{one.estimand.task}"
        + (" (trial)" if one.estimand.task in trials else "")
        for one in shown
    ]
    # A name may hold a dollar sign, which is no formula.
    axes.set_yticks(range(len(shown)), labels, parse_math=False, fontsize="small")
    axes.set_ylim(len(shown) - 0.5, -0.5)
    what = "tuned minus base" if is_change else "score"
    margin = "; grey: margin" if is_change else ""
    axes.set_xlabel(f"{what}, with 95 % interval; dots: seeds{margin}")
    if is_change:
        axes.axvline(0, color=_INK, linewidth=0.8, zorder=1)
    for side in ("top", "right", "left"):
        axes.spines[side].set_visible(False)
    axes.tick_params(axis="y", length=0)
    return axes


def _draw_row(axes: Axes, row: int, one: Primary, base: MeasuredScore | None) -> None:
    item, zero = one.change or one.score, 0.0
    if one.change is not None and base is not None:
        zero = base.estimate
        margin = margin_points((base.estimate + one.score.estimate) / 2, MARGIN)
        axes.fill_betweenx([row - 0.35, row + 0.35], -margin, margin, color=_BAND, zorder=0)
    totals: dict[int | None, list[float]] = {}
    for run in one.score.runs:
        totals.setdefault(run.training_seed, []).append(run.score)
    seeds = [sum(scores) / len(scores) - zero for scores in totals.values()]
    axes.plot(seeds, [row + 0.2] * len(seeds), "o", color=_PALE, markersize=3, zorder=2)
    axes.hlines(row, item.lower, item.upper, color=_INK, linewidth=1.5, zorder=3)
    axes.plot([item.estimate], [row], "D", color=_INK, markersize=5, zorder=4)
