"""How numbers, counts and labels are written: the same in every table, page and sentence.

What is shown is rounded here and nowhere else, from the value that a card keeps. A number that is
rounded once on the way into the card and once more from a longer one has two faces: -.045 is -.04
in one table and -.05 in the next.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from decimal import ROUND_HALF_UP, Decimal

DIGITS = 12
"""Decimals kept in a card: beyond them platforms differ in the last bit of a sum."""
NOT_MEASURED = "not measured"
CONSTRUCTS = ("harm", "over_refusal", "capability", "severity")
"""What can be measured, in the order in which it is shown."""
BETTER = {
    "harm": "lower is safer",
    "over_refusal": "lower is better",
    "capability": "higher is better",
    "severity": "lower is safer",
}
"""Which direction of a construct is the good one."""
_METHODS = {
    "lora": "LoRA",
    "dora": "DoRA",
    "qlora": "QLoRA",
    "prompt": "prompt tuning",
    "full": "full fine-tuning",
    "none": "no fine-tuning",
}
_SOURCES = {"training_seed": "training seed", "residual": "residual (single answers)"}


def kept(value: float) -> float:
    """Return a number to the decimals that a card keeps, and never -0.0."""
    return round(float(value), DIGITS) + 0.0


def rounded(value: float, digits: int) -> str:
    """Return a number in so many decimals, halves away from zero, and never -0."""
    exact = Decimal(repr(kept(value)))
    text = f"{exact.quantize(Decimal(1).scaleb(-digits), rounding=ROUND_HALF_UP):f}"
    return text.removeprefix("-") if float(text) == 0 else text


def proportion(value: float, digits: int = 2) -> str:
    """Return a proportion without its leading zero, as statistics are printed: `.41`, `1.00`."""
    text = rounded(value, digits)
    return text.replace("0.", ".", 1) if text.lstrip("-").startswith("0.") else text


def duration(seconds: float) -> str:
    """Return a time in words, as exactly as an estimate is: `40 s`, `12 min`, `3.5 h`."""
    if seconds < 90:
        return f"{max(1, round(seconds))} s"
    minutes = seconds / 60
    return f"{minutes:.0f} min" if minutes < 90 else f"{minutes / 60:.1f} h"


def signed(value: float, digits: int = 2, minus: str = "-") -> str:
    """Return a difference of proportions with its sign: `+.37`, `-.02`, `+.00`.

    One below zero stays so when its digits are none, `-.00`: an interval says whether it holds 0.
    """
    return (minus if kept(value) < 0 else "+") + proportion(abs(value), digits)


def interval(lower: float, upper: float, digits: int = 2) -> str:
    """Return an interval of proportions: `[.31, .52]`."""
    return f"[{proportion(lower, digits)}, {proportion(upper, digits)}]"


def with_interval(estimate: float, lower: float, upper: float) -> str:
    """Return an estimate with its interval: `.41 [.31, .52]`."""
    return f"{proportion(estimate)} {interval(lower, upper)}"


def signed_interval(lower: float, upper: float, minus: str = "-") -> str:
    """Return an interval of a difference: `[-.02, +.10]`."""
    return f"[{signed(lower, minus=minus)}, {signed(upper, minus=minus)}]"


def stability(lower: float, if_normal: float | None, *more: str) -> str:
    """Return a bound on stability; in brackets the one if seeds spread normally, and more."""
    normal = () if if_normal is None else (f"{proportion(if_normal)} if seeds spread normally",)
    beside = ", ".join((*normal, *more))
    return f"at least {proportion(lower)}" + (f" ({beside})" if beside else "")


def percent(value: float, digits: int = 0) -> str:
    """Return a share in per cent, `62 %`; one that is there but tiny is not called 0."""
    least = 10.0**-digits
    if 0 < 100 * value < least / 2:
        return f"<{rounded(least, digits)} %"
    return f"{rounded(100 * value, digits)} %"


def percent_interval(estimate: float, lower: float | None, upper: float | None) -> str:
    """Return a share with its interval, `62 % [0 %, 87 %]`; an open end is that of all shares."""
    low, high = 0.0 if lower is None else lower, 1.0 if upper is None else upper
    return f"{percent(estimate)} [{percent(low)}, {percent(high)}]"


def shares(parts: Mapping[str, float]) -> str:
    """Return shares of several wholes: `3.1 % of the responses and 0.4 % of the base's`."""
    return listed(f"{percent(share, 1)} {whole}" for whole, share in parts.items())


def p_value(p: float) -> str:
    """Return a p value: `.012`, or `< .001`."""
    return "< .001" if p < 0.001 else proportion(p, 3)


def points(value: float) -> str:
    """Return a proportion in percentage points: `4.9`."""
    return rounded(100 * value, 1)


def signed_points(value: float) -> str:
    """Return a difference of proportions in percentage points, with its sign: `+1.7`."""
    return ("-" if kept(value) < 0 else "+") + points(abs(value))


def number(n: int) -> str:
    """Return a count alone: `1,150`."""
    return f"{n:,}"


def setting(value: float) -> str:
    """Return a setting as a person would write it: `0.0003`, `16`, `1e-08`."""
    return f"{value:g}" if isinstance(value, float) else str(value)


def quantity(value: float) -> str:
    """Return a cost or a speed, in no more digits than it is known to: `2,453`, `12.5`, `0.25`."""
    return f"{value:,.0f}" if value >= 100 else f"{value:,.4g}"


def kilobytes(size: int) -> str:
    """Return a number of bytes in kB: `680 kB`."""
    return f"{size / 1000:,.0f} kB"


def count(n: int, noun: str, plural: str | None = None) -> str:
    """Return a number with its noun: `1 seed`, `1,150 answers`."""
    return f"{n:,} {noun if n == 1 else plural or noun + 's'}"


def listed(items: Iterable[str]) -> str:
    """Return `a, b and c`."""
    *most, last = items
    return f"{', '.join(most)} and {last}" if most else last


def sentence(text: str) -> str:
    """Return a text with a full stop, where it has no end yet."""
    return text if text.endswith((".", "?", "!")) else f"{text}."


def capitalized(text: str) -> str:
    """Return a text that begins with a capital, the rest as it is."""
    return text[:1].upper() + text[1:]


def plain(word: str) -> str:
    """Return a word of the standard as people write it: `not reproduced`."""
    return word.replace("_", " ")


def option(name: str) -> str:
    """Return the command-line option of a parameter: `--max-prompts`."""
    return "--" + name.replace("_", "-")


def method_name(method: str) -> str:
    """Return a method of fine-tuning as it is printed: `LoRA`."""
    return _METHODS.get(method, method)


def source_name(effect: str, by: str = " x ") -> str:
    """Return a source of variance as it is printed: `training seed x prompt`."""
    return by.join(_SOURCES.get(facet, facet) for facet in effect.split(":"))


def construct_name(construct: str) -> str:
    """Return what is measured as it is printed: `over-refusal`."""
    return construct.replace("_", "-")


def checkpoint(number: int | None, unit: str = "epoch") -> str:
    """Return a checkpoint as it is printed, `epoch 2` or `step 300`; nothing where there is none.

    `unit`: the card's `hyperparameters.checkpoint_unit`.
    """
    return "" if number is None else f"{unit} {number}"


def file_name(condition: str, seed: int | None, number: int | None, unit: str = "epoch") -> str:
    """Return what files and servers call weights: `base`, or `tuned-seed-3-epoch-2`."""
    return condition if seed is None else f"{condition}-seed-{seed}-{unit}-{number}"


def where(condition: str, number: int | None, decoding: str, unit: str = "epoch") -> str:
    """Return where a number was measured: `tuned, epoch 2, greedy`."""
    return ", ".join(part for part in (condition, checkpoint(number, unit), decoding) if part)
