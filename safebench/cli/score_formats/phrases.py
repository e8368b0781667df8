"""The labels and sentences that formats share."""

from __future__ import annotations

from safebench.analysis.measures import Measure, NotMeasured, Number
from safebench.analysis.primaries import TOLERANCE, WORST_SHARE, Primary, Projection
from safebench.analysis.spread import POWER
from safebench.analysis.variation import Effect, Variation
from safebench.card.results import MARGIN
from safebench.words import (
    NOT_MEASURED,
    capitalized,
    count,
    interval,
    listed,
    number,
    percent,
    percent_interval,
    proportion,
    setting,
    source_name,
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
    """Tell whether checkpoints or decodings are compared, which nobody sampled."""
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
    """Return how many seeds an equivalence verdict needs, and how little a pilot knows of it."""
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
