"""The tables of a report that text, LaTeX and Markdown share."""

from __future__ import annotations

from collections.abc import Sequence

from safebench.analysis.measures import NotMeasured, Number
from safebench.analysis.primaries import Primary
from safebench.analysis.report import ScoreReport
from safebench.analysis.spread import POWER, SeedsNeeded
from safebench.analysis.variation import Effect, Variation
from safebench.cli.score_formats import phrases
from safebench.cli.summary import change_text, margin_here, per_seed, score_text, titles
from safebench.cli.tables import Column, Row, Table, columns
from safebench.words import NOT_MEASURED, construct_name, number, proportion, where

_SEEDS = 5
"""Seeds whose scores a table has room for; of more, the range."""
_SMALL = 0.01
"""Share below which an interaction is minor."""


def primary_table(report: ScoreReport) -> Table:
    """Return a row for every primary estimand: its score, its change and its stability."""
    unit = report.card.checkpoint_unit
    estimands = [one.estimand for one in report.primaries]
    places = [where(e.condition, e.checkpoint, e.decoding, unit) for e in estimands]
    shared = f" ({places[0]})" if len(set(places)) == 1 else ""
    heads = titles([(e.task, e.construct, "") for e in estimands])
    labels = [
        head if shared else f"{head}, {place}" for head, place in zip(heads, places, strict=True)
    ]
    return Table(
        columns(
            *("Estimand", "Score", "Change from base", "Each seed"), *("Stability", "Margin", "n")
        ),
        tuple(_primary(one, label) for one, label in zip(report.primaries, labels, strict=True)),
        "primary",
        f"Primary estimands{shared}: score, change from base, the score of each training seed, "
        "and stability (lower bound of the probability that another seed lands within the margin).",
    )


def _primary(one: Primary, label: str) -> Row:
    score, stable = one.score, one.score.stability
    each = per_seed(score)
    cells = (
        score_text(score),
        NOT_MEASURED if one.change is None else change_text(one.change),
        " ".join(each) if len(each) <= _SEEDS else f"{each[0]} to {each[-1]}",
        "not rated" if stable is None or stable.lower is None else proportion(stable.lower),
        proportion(margin_here(score), 3),
        number(score.n),
    )
    return Row((label, *cells))


def diagnostics_table(primaries: Sequence[Primary]) -> Table:
    """Return the diagnostics of every primary estimand, side by side; minor where none has one."""
    estimands = [one.estimand for one in primaries]
    rows = []
    for key, label in phrases.DIAGNOSTICS.items():
        values = [one.diagnostics[key] for one in primaries]
        is_known = any(isinstance(value, Number) for value in values)
        rows.append(Row((label, *map(phrases.measure, values)), "main" if is_known else "minor"))
    label = f"Seeds in each arm for a rerun's verdict (power {proportion(POWER, 1)})"
    # A terminal has a line on it with every estimand.
    rows.append(Row((label, *(_needed(one.seeds_needed) for one in primaries)), "minor"))
    heads = titles([(e.task, e.construct, e.judge) for e in estimands])
    return Table(
        columns("Diagnostic", *heads),
        tuple(rows) if estimands else (),
        "diagnostics",
        "Diagnostics of the primary estimands, with 95 % intervals.",
    )


def _needed(needed: SeedsNeeded | NotMeasured) -> str:
    if isinstance(needed, NotMeasured):
        return NOT_MEASURED
    bounds = f"[{number(needed.seeds_lower)}, {number(needed.seeds_upper)}]"
    return f"{number(needed.seeds)} {bounds}"


def variation_table(one: Variation) -> Table:
    """Return the sources of variance of a task; those that explain next to nothing are minor."""
    rows = tuple(
        Row(
            (
                phrases.source(effect, one),
                number(effect.levels),
                phrases.share(effect.of_runs),
                phrases.share(effect.of_answers),
            ),
            "minor" if ":" in effect.name and max(_estimates(effect)) < _SMALL else "main",
        )
        for effect in one.effects
        if _estimates(effect)
    )
    whole = f"; {phrases.WHOLE_NOTE}." if phrases.has_fixed(one) else "."
    return Table(
        (
            Column("Source"),
            Column("Levels", is_number=True),
            *columns("Between runs", "Of single answers"),
        ),
        rows,
        f"variation-{one.task}-{one.construct}",
        f"What varies in {one.task} ({construct_name(one.construct)}; {phrases.design(one)}): "
        "share of the variance with 95 % intervals; a dash: not measured, or not in a run score"
        f"{whole}",
    )


def _estimates(effect: Effect) -> list[float]:
    """Return the shares of an effect that are measured."""
    return [m.estimate for m in (effect.of_runs, effect.of_answers) if isinstance(m, Number)]
