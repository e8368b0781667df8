"""The labels, sentences and tables of a report that text, LaTeX and Markdown share."""

from __future__ import annotations

from collections.abc import Sequence

from safebench.analysis.correction import beside
from safebench.analysis.doubts import Doubt
from safebench.analysis.measures import Measure, NotMeasured, Number
from safebench.analysis.primaries import TOLERANCE, WORST_SHARE, Primary, Projection
from safebench.analysis.reading import Reading
from safebench.analysis.report import ScoreReport
from safebench.analysis.spread import POWER, SeedsNeeded
from safebench.analysis.variation import Effect, Variation
from safebench.card.measured import MeasuredStability
from safebench.card.results import MARGIN, key_of
from safebench.cli.summary import change_text, margin_here, per_seed, score_text, titles
from safebench.cli.tables import Column, Row, Table, columns
from safebench.words import (
    NOT_MEASURED,
    capitalized,
    construct_name,
    count,
    interval,
    listed,
    number,
    percent,
    percent_interval,
    proportion,
    setting,
    signed,
    signed_interval,
    source_name,
    where,
)

DIAGNOSTICS = {
    "flip_rate": "Prompts whose outcome differs between two seeds",
    "krippendorff_alpha": "Agreement of seeds on prompts (Krippendorff's alpha)",
    "seed_to_prompt_spread": "Spread of seeds / standard error of one run",
    "dependability": "Dependability: other seeds rank prompts alike (Phi)",
    "new_seed_bound": f"Bound for {percent(TOLERANCE)} of new seeds (95 % confidence)",
    "worst_prompts": f"Worst {percent(WORST_SHARE)} of prompts (CVaR)",
    "worst_decoding": "Worst decoding (simultaneous interval)",
}
"""What each diagnostic is called."""
_SEEDS = 5
"""Most seeds whose scores are listed in a table; for more, the range is."""
_SMALL = 0.01
"""Share below which an interaction is minor."""
WHOLE_NOTE = (
    "* of the whole variance; other shares are of what remains at one checkpoint and decoding"
)


def share(value: Measure) -> str:
    """Return a share of the variance with its interval; a dash where it is not measured."""
    if isinstance(value, NotMeasured):
        return "-"
    return percent_interval(value.estimate, value.lower, value.upper)


def measure(value: Measure) -> str:
    """Return a number with its interval, `at most` or `at least` for a one-sided bound."""
    if isinstance(value, NotMeasured):
        return NOT_MEASURED
    if value.lower is None or value.upper is None:
        bounds = (("at least", value.lower), ("at most", value.upper))
        return listed(f"{word} {proportion(end)}" for word, end in bounds if end is not None)
    return f"{proportion(value.estimate)} {interval(value.lower, value.upper)}"


def reading_text(reading: Reading) -> str:
    """Return what a change is read as, and the intervals that say so."""
    wide, narrow = (
        signed_interval(*ends)
        for ends in ((reading.lower, reading.upper), (reading.lower_90, reading.upper_90))
    )
    return (
        f"{reading.shown}: h {signed(reading.h)} {wide}, at 90 % {narrow}; margin "
        f"{setting(MARGIN)} (spec/v1/reading.md)"
    )


def doubt_size(doubt: Doubt) -> str:
    """Return how far a doubt could move a number; a question mark where that is not measured."""
    return proportion(doubt.moves) if doubt.is_measured else "?"


def short(value: Measure, *, is_change: bool = False) -> str:
    """Return a corrected number, or why there is none."""
    return beside(value, is_change=is_change).removeprefix("corrected ")


def design(one: Variation) -> str:
    """Return what was measured: `5 training seeds x 2 checkpoints x ...`."""
    facets = ["training_seed", "checkpoint", "decoding", "prompt"]
    if one.condition == "base":
        facets = facets[2:]
    parts = (count(one.levels[facet], source_name(facet)) for facet in facets)
    return f"{' x '.join(parts)}: {count(one.runs, 'run')}, {count(one.answers, 'answer')}"


def what_varies(one: Variation) -> str:
    """Return what varies most, between runs and between single answers, in two sentences."""
    return f"{_between_runs(one)}. {_of_answers(one)}."


def _between_runs(one: Variation) -> str:
    known = [(e, e.of_runs) for e in one.effects if isinstance(e.of_runs, Number)]
    if not known:
        reasons = [e.of_runs.reason for e in one.effects[1:2] if isinstance(e.of_runs, NotMeasured)]
        return f"Between runs: {reasons[0]}"
    # Nobody sampled checkpoints and decodings: what they explain is not added to what seeds do.
    fixed = max((k for k in known if k[0].fixed), key=_estimate, default=None)
    sampled = max((k for k in known if not k[0].fixed), key=_estimate, default=None)
    whole = " of the variance between runs"
    parts = []
    if fixed is not None:
        parts.append(f"{_source(fixed[0])} explains {share(fixed[1])}{whole}")
    if sampled is not None:
        inside, whole = (
            ("", whole) if fixed is None else ("within one checkpoint and decoding, ", "")
        )
        if isinstance(one.seed_share, Number):
            found = f"the training seed explains {share(one.seed_share)}{whole}, repeats the rest"
        else:
            found = f"{_source(sampled[0])} explains {share(sampled[1])}{whole}"
        parts.append(inside + found)
    return capitalized("; ".join(parts))


def _source(effect: Effect) -> str:
    name = source_name(effect.name)
    return f"the interaction {name}" if ":" in effect.name else f"the {name}"


def _estimate(pair: tuple[Effect, Number]) -> float:
    return pair[1].estimate


def has_fixed(one: Variation) -> bool:
    """Tell whether several checkpoints or decodings are compared: fixed, not sampled ones."""
    return max(one.levels["checkpoint"], one.levels["decoding"]) > 1


def _of_answers(one: Variation) -> str:
    known = [(e, e.of_answers) for e in one.effects if isinstance(e.of_answers, Number)]
    if not known:
        return "What varies between single answers is not measured"
    whole = "the variance of single answers"
    if has_fixed(one):
        whole += " at one checkpoint and decoding"
    prompt = next((value for effect, value in known if effect.name == "prompt"), None)
    if prompt is None:
        effect, value = max(known, key=_estimate)
        return f"Of {whole}, {_source(effect)} explains {share(value)}"
    if prompt.estimate > 0.5:
        return f"Most of {whole} is between prompts: {share(prompt)}"
    return f"Of {whole}, {share(prompt)} is between prompts"


def source(effect: Effect, one: Variation) -> str:
    """Return the name of a source in a table; an asterisk where its shares are of the whole."""
    star = " *" if effect.fixed and has_fixed(one) else ""
    return f"{capitalized(source_name(effect.name))}{star}"


def seeds_needed(one: Primary) -> str:
    """Return how many seeds an equivalence verdict needs, and how uncertain that number is."""
    needed = one.seeds_needed
    if isinstance(needed, NotMeasured):
        return f"not known: {needed.reason}"
    sigma = needed.sigma
    assert sigma.lower is not None and sigma.upper is not None  # noqa: S101, PT018
    return (
        f"{number(needed.seeds)} in each arm, for a rerun to show agreement within the margin of "
        f"h = {setting(MARGIN)} (power {proportion(POWER, 1)}) if seeds spread as here, by "
        f"{proportion(sigma.estimate, 3)} on that scale. {count(sigma.n['seeds'], 'seed')} "
        f"narrow the spread only to {interval(sigma.lower, sigma.upper, 3)}: between "
        f"{number(needed.seeds_lower)} and {number(needed.seeds_upper)} in each arm"
    )


def projections(one: Primary) -> str:
    """Return what other designs would give, in words."""
    found = one.projections
    if isinstance(found, NotMeasured):
        return f"not known: {found.reason}"
    now, *others = found
    designs = ", ".join(
        f"{interval(other.lower, other.upper)} with {_changed(now, other)}" for other in others
    )
    return f"the interval, now {interval(now.lower, now.upper)}, would be about {designs}"


def _changed(now: Projection, other: Projection) -> str:
    if other.seeds != now.seeds:
        return count(other.seeds, "seed")
    if other.repeats != now.repeats:
        return count(other.repeats, "repeat")
    return count(other.prompts, "prompt")


def primary_table(report: ScoreReport) -> Table:
    """Return a row for every primary estimand: its score, its change and its stability."""
    unit = report.card.checkpoint_unit
    estimands = [one.estimand for one in report.primaries]
    places = [where(e.condition, e.checkpoint, e.decoding, unit) for e in estimands]
    shared = f" ({places[0]})" if len(set(places)) == 1 else ""
    heads = titles([(e.task, e.construct, "") for e in estimands], in_full=True)
    labels = [
        head if shared else f"{head}, {place}" for head, place in zip(heads, places, strict=True)
    ]
    return Table(
        columns(
            *("Estimand", "Score", "Corrected for judge error", "Change from base", "Read as"),
            *("Each seed", "Stability", "Margin", "n"),
        ),
        tuple(
            _primary(report, one, label)
            for one, label in zip(report.primaries, labels, strict=True)
        ),
        "primary",
        f"Primary estimands{shared}: score, the score corrected for judge error, change from base "
        "as judged, what it is read as, the score of each training seed, and stability (lower "
        "bound of the probability that another seed lands within the margin; in brackets, what it "
        "would be if seeds spread normally).",
    )


def _primary(report: ScoreReport, one: Primary, label: str) -> Row:
    score, stable = one.score, one.score.stability
    key = key_of(one.estimand)
    reading = report.readings.get(key)
    each = per_seed(score)
    cells = (
        score_text(score),
        short(report.corrections[key].score),
        NOT_MEASURED if one.change is None else change_text(one.change),
        NOT_MEASURED if reading is None else reading.shown,
        " ".join(each) if len(each) <= _SEEDS else f"{each[0]} to {each[-1]}",
        "not rated" if stable is None or stable.lower is None else _bounds(stable),
        proportion(margin_here(score), 3),
        number(score.n),
    )
    return Row((label, *cells))


def _bounds(stable: MeasuredStability) -> str:
    """Return the bound on stability, in brackets the one if seeds spread normally."""
    bounds = [b for b in (stable.lower, stable.lower_if_normal) if b is not None]
    first, *normal = map(proportion, bounds)
    return " ".join((first, *(f"({bound})" for bound in normal)))


def diagnostics_table(primaries: Sequence[Primary], *, in_full: bool = False) -> Table:
    """Return the diagnostics of every primary estimand, side by side; minor where none has one."""
    estimands = [one.estimand for one in primaries]
    rows = []
    for key, label in DIAGNOSTICS.items():
        values = [one.diagnostics[key] for one in primaries]
        is_known = any(isinstance(value, Number) for value in values)
        rows.append(Row((label, *map(measure, values)), "main" if is_known else "minor"))
    label = f"Seeds in each arm for a rerun's verdict (power {proportion(POWER, 1)})"
    # A terminal has a line on it with every estimand.
    rows.append(Row((label, *(_needed(one.seeds_needed) for one in primaries)), "minor"))
    heads = titles([(e.task, e.construct, e.judge) for e in estimands], in_full=in_full)
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
                source(effect, one),
                number(effect.levels),
                share(effect.of_runs),
                share(effect.of_answers),
            ),
            "minor" if ":" in effect.name and max(_estimates(effect)) < _SMALL else "main",
        )
        for effect in one.effects
        if _estimates(effect)
    )
    whole = f"; {WHOLE_NOTE}." if has_fixed(one) else "."
    return Table(
        (
            Column("Source"),
            Column("Levels", is_number=True),
            *columns("Between runs", "Of single answers"),
        ),
        rows,
        f"variation-{one.task}-{one.construct}",
        f"What varies in {one.task} ({construct_name(one.construct)}; {design(one)}): "
        "share of the variance with 95 % intervals; a dash: not measured, or not in a run score"
        f"{whole}",
    )


def _estimates(effect: Effect) -> list[float]:
    """Return the shares of an effect that are measured."""
    return [m.estimate for m in (effect.of_runs, effect.of_answers) if isinstance(m, Number)]
