"""What a report says of its judges: their error, the range over them, and where they differ."""

from __future__ import annotations

from safebench.analysis.correction import NOT_INCLUDED, Corrected, in_words
from safebench.analysis.judges import Judges, Wordings
from safebench.analysis.measures import NotMeasured, Number
from safebench.analysis.primaries import Primary
from safebench.analysis.report import ScoreReport
from safebench.card.results import key_of
from safebench.cli.score_formats.parts import measure, short
from safebench.cli.summary import change_text, score_text, titles
from safebench.cli.tables import Row, Table, columns
from safebench.words import (
    NOT_MEASURED,
    capitalized,
    construct_name,
    count,
    interval,
    listed,
    percent,
    proportion,
    signed,
    where,
)


def judge_error(one: Corrected) -> str:
    """Return what judge error makes of a score, of its change from base and of its stability."""
    if isinstance(one.score, NotMeasured):
        return one.score.reason.removeprefix("judge error ")
    found = [f"score {in_words(one.score)} ({one.score.method})"]
    if one.change is not None:
        found.append(f"change from base {in_words(one.change, is_change=True)}")
    if isinstance(one.stability, Number) and one.stability.lower is not None:
        bound = proportion(one.stability.lower)
        found.append(f"stability at least {bound} ({one.stability.method})")
    return "; ".join(found)


def included_note(report: ScoreReport) -> str:
    """Return whether the numbers of a table include judge error."""
    known = any(isinstance(one.score, Number) for one in report.corrections.values())
    rest = "; corrected ones stand beside them, where a calibration allows it" if known else ""
    return f"{capitalized(NOT_INCLUDED)} in these numbers{rest}."


def turned(report: ScoreReport) -> list[str]:
    """Return a sentence for every change from base whose sign depends on the judge."""
    return [
        f"{about(one)}: the change from base has no sign that the judges agree on, "
        + listed(f"{change_text(change)} by {change.judge}" for change in one.changes)
        for one in report.judges
        if one.turns
    ]


def about(one: Judges | Primary) -> str:
    """Return the task and construct that an estimand is about."""
    return f"{one.estimand.task}, {construct_name(one.estimand.construct)}"


def _ranges(one: Judges | Wordings) -> tuple[str, str, str]:
    """Return the ranges of score, intervals and change from base, the last empty without any."""
    changes = sorted(change.estimate for change in one.changes)
    return (
        " to ".join(map(proportion, one.estimates)),
        interval(*one.ends),
        f"{signed(changes[0])} to {signed(changes[-1])}" if changes else "",
    )


def judges_text(one: Judges) -> str:
    """Return the range of a score over judges, how far they agree, and where they do not."""
    scores, intervals, changes = _ranges(one)
    names = listed(score.judge for score in one.scores)
    parts = [f"{scores} over {names}, intervals {intervals}"]
    if changes:
        parts.append(f"change from base {changes}")
    for pair in one.pairs:
        parts.append(f"kappa of {listed(pair.judges)} {measure(pair.kappa)}")
    apart = [f"{c.name} {percent(c.share)}" for c in one.categories[:3] if c.share > 0]
    if apart:
        parts.append(f"most apart in {', '.join(apart)}")
    return "; ".join(parts)


def wordings_text(one: Judges) -> str:
    """Return the range of a score over wordings, for each prompted judge with enough of them."""
    parts = []
    for found in one.wordings:
        scores, intervals, changes = _ranges(found)
        names = listed(score.judge for score in found.scores)
        wordings = f"{count(len(found.scores), 'wording')} of one judge ({names})"
        text = f"{scores} over {wordings}, intervals {intervals}"
        parts.append(f"{text}, change from base {changes}" if changes else text)
    return "; ".join(parts)


def judges_table(report: ScoreReport) -> Table:
    """Return a row for every primary estimand that several judges decided."""
    rows = []
    for one in report.judges:
        scores, intervals, changes = _ranges(one)
        names = ", ".join(score.judge for score in one.scores)
        agree = "; ".join(f"{listed(p.judges)} {measure(p.kappa)}" for p in one.pairs)
        cells = (about(one), names, scores, intervals, changes or NOT_MEASURED, agree)
        rows.append(Row(cells))
    heads = ("Estimand", "Judges", "Score", "Intervals", "Change from base", "Kappa")
    return Table(
        columns(*heads),
        tuple(rows),
        "judges",
        "Range over judges: lowest to highest score and change from base, and the judges' agreement"
        " on the same responses (Cohen's kappa, 95 % interval by prompt).",
    )


def corrected_table(report: ScoreReport) -> Table:
    """Return every score beside the one corrected for judge error; no row where none is."""
    unit = report.card.checkpoint_unit
    places = [(s.task, s.construct, s.judge) for s in report.results.scores]
    heads = titles(places, in_full=True)
    rows = []
    for head, score in zip(heads, report.results.scores, strict=True):
        one = report.corrections[key_of(score)]
        place = where(score.condition, score.checkpoint, score.decoding, unit)
        change = NOT_MEASURED if score.condition != "base" else ""
        if one.change is not None:
            change = short(one.change, is_change=True)
        method = one.score.method if isinstance(one.score, Number) else ""
        cells = (f"{head}, {place}", score_text(score), short(one.score), change, method)
        rows.append(Row(cells))
    known = any(isinstance(one.score, Number) for one in report.corrections.values())
    return Table(
        columns("Score", "As judged", "Corrected", "Change from base, corrected", "By"),
        tuple(rows) if known else (),
        "corrected",
        "Scores corrected for judge error, with 95 % intervals.",
    )
