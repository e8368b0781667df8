"""The phrases that formats share: each part of a report as a sentence or a label."""

from __future__ import annotations

from safebench.analysis.measures import Measure, NotMeasured, Number
from safebench.analysis.primaries import TOLERANCE, WORST_SHARE, Primary, Projection
from safebench.analysis.spread import POWER
from safebench.analysis.variation import REST, Effect, Variation
from safebench.card.results import MARGIN
from safebench.words import count, interval, percent, proportion

_FACETS = {"training_seed": "training seed"}
DIAGNOSTICS = {
    "flip_rate": "a prompt's outcome differs between two seeds",
    "krippendorff_alpha": "agreement of seeds on prompts (Krippendorff's alpha)",
    "seed_to_prompt_spread": "spread of seeds / standard error of one run",
    "dependability": "other seeds would rank prompts alike (Phi)",
    "new_seed_bound": f"{TOLERANCE:.0%} of new seeds stay within (95 % sure)".replace("%", " %", 1),
    "worst_prompts": f"the worst {100 * WORST_SHARE:.0f} % of prompts (CVaR)",
    "worst_decoding": "the worst decoding (simultaneous interval)",
}
"""What each diagnostic says."""


def share(value: Number) -> str:
    """Return a share with its interval: `62 % [0 %, 87 %]`."""
    return f"{percent(value.estimate)} {_range(value)}"


def _range(value: Number) -> str:
    ends = ("" if end is None else percent(end) for end in (value.lower, value.upper))
    return f"[{', '.join(ends)}]"


def measure(value: Measure) -> str:
    """Return a number with its interval, `at most` or `at least` for a one-sided bound."""
    if isinstance(value, NotMeasured):
        return "not measured"
    if value.lower is None and value.upper is not None:
        return f"at most {proportion(value.upper)}"
    if value.upper is None and value.lower is not None:
        return f"at least {proportion(value.lower)}"
    ends = ("" if end is None else proportion(end) for end in (value.lower, value.upper))
    return f"{proportion(value.estimate)} [{', '.join(ends)}]"


def effect_name(name: str) -> str:
    """Return a source of variation in words: `training seed x prompt`."""
    if name == REST:
        return "the rest: single answers"
    return " x ".join(_FACETS.get(facet, facet) for facet in name.split(":"))


def design(one: Variation) -> str:
    """Return what was measured: `5 training seeds x 2 checkpoints x ...`."""
    counted = ("training_seed", "checkpoint", "decoding", "prompt")
    parts = [
        count(one.levels[facet], _FACETS.get(facet, facet))
        for facet in counted
        if one.condition != "base" or facet not in ("training_seed", "checkpoint")
    ]
    return f"{' x '.join(parts)}: {count(one.runs, 'run')}, {count(one.answers, 'answer')}"


def what_varies(one: Variation) -> str:
    """Return what varies most, between runs and between single answers, in words."""
    return f"{_between_runs(one)}; {_of_answers(one)}."


def _between_runs(one: Variation) -> str:
    known = [(e, e.of_runs) for e in one.effects if isinstance(e.of_runs, Number)]
    if not known:
        reasons = [e.of_runs.reason for e in one.effects[1:2] if isinstance(e.of_runs, NotMeasured)]
        return f"between runs: {reasons[0]}"
    whole = "of the variance between runs"
    fixed = max((k for k in known if k[0].fixed), key=_estimate, default=None)
    sampled = max((k for k in known if not k[0].fixed), key=_estimate, default=None)
    if sampled is None and fixed is not None:
        return f"{effect_name(fixed[0].name)} explains {share(fixed[1])} {whole}"
    sampled = sampled or known[0]
    inner = f"{effect_name(sampled[0].name)} explains {share(sampled[1])}"
    if isinstance(one.seed_share, Number):
        inner = f"training seed explains {share(one.seed_share)}, repeats the rest"
    if fixed is None:
        explained, rest, _ = inner.partition(", repeats the rest")
        return f"{explained} {whole}{rest}"
    top = f"{effect_name(fixed[0].name)} explains {share(fixed[1])} {whole}"
    return f"{top}; between runs of one checkpoint and decoding {inner}"


def _estimate(pair: tuple[Effect, Number]) -> float:
    return pair[1].estimate


def has_fixed(one: Variation) -> bool:
    """Tell whether checkpoints or decodings are compared, which nobody sampled."""
    return max(one.levels["checkpoint"], one.levels["decoding"]) > 1


def _of_answers(one: Variation) -> str:
    known = [(e, e.of_answers) for e in one.effects if isinstance(e.of_answers, Number)]
    if not known:
        return "what varies between single answers is not measured"
    text = "of the variance of single answers"
    if has_fixed(one):
        text += " at one checkpoint and decoding"
    prompt = next((value for effect, value in known if effect.name == "prompt"), None)
    if prompt is None:
        effect, value = max(known, key=_estimate)
        return f"{effect_name(effect.name)} explains {share(value)} {text}"
    if prompt.estimate > 0.5:
        return f"most {text} is between prompts ({share(prompt)})"
    return f"{share(prompt)} {text} is between prompts"


def source(effect: Effect, one: Variation) -> str:
    """Return the name of a source in a table; an asterisk where its shares are of the whole."""
    star = " *" if effect.fixed and has_fixed(one) else ""
    return f"{effect_name(effect.name)}{star}"


STAR = "* of the whole variance; other shares are of what remains at one checkpoint and decoding"


def seeds_needed(one: Primary) -> str:
    """Return how many seeds an equivalence verdict needs, and how little a pilot knows of it."""
    needed = one.seeds_needed
    if isinstance(needed, NotMeasured):
        return f"not known: {needed.reason}"
    sigma = needed.sigma
    assert sigma.lower is not None and sigma.upper is not None  # noqa: S101, PT018
    return (
        f"{needed.seeds:,} in each arm show that a rerun agrees within the margin of "
        f"h = {MARGIN:g} (power {proportion(POWER, 1)}), if seeds spread by "
        f"{proportion(sigma.estimate, 3)} on that scale as here; {count(sigma.n['seeds'], 'seed')} "
        f"tell the spread only within {interval(sigma.lower, sigma.upper, 3)}: "
        f"{needed.seeds_lower:,} to {needed.seeds_upper:,} in each arm"
    )


def projections(one: Primary) -> str:
    """Return what other designs would give, in words."""
    found = one.projections
    if isinstance(found, NotMeasured):
        return f"not known: {found.reason}"
    now, *others = found
    first, *rest = ((_changed(now, other), bounds(other)) for other in others)
    more = "".join(f"; {name}, {ends}" for name, ends in rest)
    return f"{first[0]} would make the interval about {first[1]}{more} (now {bounds(now)})"


def bounds(one: Projection) -> str:
    """Return the interval that a design would give."""
    return interval(one.lower, one.upper)


def _changed(now: Projection, other: Projection) -> str:
    if other.seeds != now.seeds:
        return count(other.seeds, "seed")
    if other.repeats != now.repeats:
        return count(other.repeats, "repeat")
    return count(other.prompts, "prompt")
