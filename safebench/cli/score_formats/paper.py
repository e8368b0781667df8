"""A report as parts of a paper, in plain text; LaTeX and Markdown differ in how they write them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

from safebench.analysis.measures import NotMeasured, Number
from safebench.analysis.primaries import Primary
from safebench.analysis.report import ScoreReport
from safebench.analysis.spread import POWER, SeedsNeeded
from safebench.analysis.variation import Variation
from safebench.card.measured import MeasuredScore
from safebench.card.results import MARGIN, base_key, find
from safebench.cli.score_formats import phrases
from safebench.cli.score_formats.methods import card_paragraphs
from safebench.cli.summary import change_text, cut_text, margin_here, per_seed
from safebench.words import construct_name, count, listed, proportion, where, with_interval

_SEEDS = 5
"""Seeds whose scores a table has room for; of more, the range."""


@dataclass(frozen=True)
class Grid:
    """A table; the first column is text, the others are numbers."""

    name: str
    caption: str
    head: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]


@dataclass(frozen=True)
class Paragraph:
    """A paragraph with a run-in heading."""

    heading: str
    text: str


@dataclass(frozen=True)
class Paper:
    """What a paper prints of a report."""

    title: str
    grids: tuple[Grid, ...]
    paragraphs: tuple[Paragraph, ...]


def paper(report: ScoreReport) -> Paper:
    """Return the tables and the methods section of a report."""
    grids = [_scores(report), _primaries(report), _diagnostics(report)]
    grids += [_variation(one) for one in report.variations]
    methods = (*card_paragraphs(report.card), *_statistics(report), _gaps(report))
    title = report.card.submission.title
    title = title if isinstance(title, str) else report.card.submission.id
    trials = "; ".join(f"{task}, {extent}" for task, extent in report.card.trials.items())
    if trials:
        title += f" (trial, not a result: {trials})"
        grids = [replace(grid, caption=f"Trial, not a result ({trials}). {grid.caption}")
                 for grid in grids]  # fmt: skip
    return Paper(
        title=title,
        grids=tuple(grid for grid in grids if grid.rows),
        paragraphs=tuple(Paragraph(heading, text) for heading, text in methods),
    )


def _scores(report: ScoreReport) -> Grid:
    scores = report.results.scores
    places = tuple(dict.fromkeys((s.task, s.construct, s.judge) for s in scores))
    rows = []
    for key in dict.fromkeys((s.condition, s.checkpoint, s.decoding) for s in scores):
        found = {
            (s.task, s.construct, s.judge): s
            for s in scores
            if (s.condition, s.checkpoint, s.decoding) == key
        }
        rows.append(
            (
                where(*key, report.card.checkpoint_unit),
                *(_score(found.get(place)) for place in places),
            )
        )
    head = _heads(places)
    return Grid(
        "scores",
        "Scores with 95 % intervals: the share of responses that complied (harm), were refused "
        "(over-refusal) or were correct (capability); severity is a mean degree.",
        ("Condition", *head),
        tuple(rows),
    )


def _heads(places: Sequence[tuple[str, str, str]]) -> tuple[str, ...]:
    """Return what tells columns apart: the construct, and task and judge where they differ."""
    measured = {(task, construct) for task, construct, _ in places}
    named = len({construct for _, construct in measured}) < len(measured)
    judges = len({judge for _, _, judge in places})
    return tuple(
        (f"{task}: " if named else "")
        + construct_name(construct)
        + (f" ({judge})" if judges > 1 else "")
        for task, construct, judge in places
    )


def _score(score: MeasuredScore | None) -> str:
    if score is None:
        return "not measured"
    return with_interval(score.estimate, score.lower, score.upper)


def _primaries(report: ScoreReport) -> Grid:
    unit = report.card.checkpoint_unit
    places = dict.fromkeys(_where(one, unit) for one in report.primaries)
    shared = f" ({next(iter(places))})" if len(places) == 1 else ""
    heads = _heads([(e.task, e.construct, "") for e in (p.estimand for p in report.primaries)])
    return Grid(
        "primary",
        f"Primary estimands{shared}: score, change from base, the score of each training seed, "
        "and stability (lower bound of the probability that another seed lands within the margin).",
        ("Estimand", "Score", "Change from base", "Each seed", "Stability", "Margin", "n"),
        tuple(
            _primary(one, head + (f", {_where(one, unit)}" if len(places) > 1 else ""))
            for one, head in zip(report.primaries, heads, strict=True)
        ),
    )


def _where(one: Primary, unit: str) -> str:
    place = one.estimand
    return where(place.condition, place.checkpoint, place.decoding, unit)


def _primary(one: Primary, name: str) -> tuple[str, ...]:
    score, stable = one.score, one.score.stability
    seeds = sorted(per_seed(score))
    each = [proportion(value) for value in seeds]
    return (
        name,
        _score(score),
        "not measured" if one.change is None else change_text(one.change),
        " ".join(each) if len(each) <= _SEEDS else f"{each[0]} to {each[-1]}",
        "not rated" if stable is None or stable.lower is None else proportion(stable.lower),
        proportion(margin_here(score), 3),
        f"{score.n:,}",
    )


def _diagnostics(report: ScoreReport) -> Grid:
    estimands = [p.estimand for p in report.primaries]
    if not estimands:
        return Grid("diagnostics", "", (), ())
    head = _heads([(e.task, e.construct, e.judge) for e in estimands])
    rows = [
        (_capital(text), *(phrases.measure(p.diagnostics[key]) for p in report.primaries))
        for key, text in phrases.DIAGNOSTICS.items()
    ]
    seeds = (_needed(p.seeds_needed) for p in report.primaries)
    rows.append((f"Seeds in each arm for a rerun's verdict (power {proportion(POWER, 1)})", *seeds))
    caption = "Diagnostics of the primary estimands, with 95 % intervals."
    return Grid("diagnostics", caption, ("Diagnostic", *head), tuple(rows))


def _needed(needed: SeedsNeeded | NotMeasured) -> str:
    if isinstance(needed, NotMeasured):
        return "not measured"
    return f"{needed.seeds} [{needed.seeds_lower}, {needed.seeds_upper}]"


def _capital(text: str) -> str:
    return text[:1].upper() + text[1:]


def _variation(one: Variation) -> Grid:
    def cell(value: object) -> str:
        return phrases.share(value) if isinstance(value, Number) else "-"

    rows = tuple(
        (_capital(phrases.source(e, one)), f"{e.levels:,}", cell(e.of_runs), cell(e.of_answers))
        for e in one.effects
        if isinstance(e.of_runs, Number) or isinstance(e.of_answers, Number)
    )
    return Grid(
        f"variation-{one.task}-{one.construct}",
        f"What varies in {one.task} ({construct_name(one.construct)}; {phrases.design(one)}): "
        "share of the variance with 95 % intervals; a dash: not measured, or not in a run score"
        + (f"; {phrases.STAR}." if phrases.has_fixed(one) else "."),
        ("Source", "Levels", "Between runs", "Of single answers"),
        rows,
    )


def _statistics(report: ScoreReport) -> Iterator[tuple[str, str]]:
    scores = report.results.scores
    sizes = sorted({f"{s.task}: {count(s.prompts, 'prompt')}" for s in scores})
    if sizes:
        yield (
            "Sample",
            f"{'; '.join(sizes)}. {count(sum(s.n for s in scores), 'judged response')} in "
            "all; every response counts, those that were cut, blocked or incoherent too.",
        )
    methods = listed(dict.fromkeys(s.method for s in scores)) if scores else "none"
    changes = list(dict.fromkeys(c.method for c in report.results.changes))
    cuts = [
        f"{one.estimand.task}, {construct_name(one.estimand.construct)}: {cut}"
        for one in report.primaries
        if (cut := cut_text(one.score, find(scores, base_key(one.score))))
    ]
    if cuts:
        yield "Cut responses", f"{'; '.join(cuts)}."
    text = (
        f"Intervals are at 95 %; of scores: {methods}"
        + (f"; of changes from base: {listed(changes)}" if changes else "")
        + ". Variance components are by Henderson's Method I. Stability is the probability that "
        "an independent rerun of one training seed lands within the margin, a Cohen's h of "
        f"{MARGIN:g} on the scale 2 asin sqrt(score), of which the one-sided 95 % lower bound is "
        "given. Seeds needed: two one-sided tests at 5 % in each of two equal arms, exact power, "
        "no true difference; in brackets at the bounds of the spread. No correction for several "
        "estimands was made."
    )
    yield "Statistics", text
    if report.variations:
        parts = [f"{v.task}: {phrases.what_varies(v)}" for v in report.variations]
        yield "What varies", " ".join(parts)


def _gaps(report: ScoreReport) -> tuple[str, str]:
    gaps = "; ".join(f"{gap.what} ({gap.reason})" for gap in report.not_measured)
    return "Not measured", (gaps or "nothing that this standard asks for") + "."
