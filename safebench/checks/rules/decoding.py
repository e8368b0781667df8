"""Decoding settings that contradict themselves or each other."""

from __future__ import annotations

from collections.abc import Iterator

from safebench.card.base import NotReported
from safebench.card.decoding import SAMPLING_FIELDS
from safebench.checks.registry import Hit, Subject, duplicates, items, known, rule

_SECTION = "card.md#decoding"
HIGHEST_TEMPERATURE = 2.0
"""Above it a unit mistake is likelier than an intention."""


@rule(
    "SB-DEC-001",
    "error",
    section=_SECTION,
    title="Decoding settings have different names.",
    rationale="Results refer to a setting by its name.",
)
def names(subject: Subject) -> Iterator[Hit]:
    """Find names used twice."""
    names = [decoding.name for decoding in items(subject.card.decoding)]
    first_of = {name: number for number, name in reversed([*enumerate(names)])}
    for number, name in duplicates(names):
        yield Hit(
            ("decoding", number, "name"),
            f"decoding[{first_of[name]}] is already called {name}: "
            "results could not say which is meant",
            "rename one of the two",
        )


@rule(
    "SB-DEC-002",
    "error",
    section=_SECTION,
    title="A setting that samples gives its temperature.",
    rationale="Decoding alone moves misalignment from 0 to over 95 % (arXiv 2310.06987).",
)
def temperature_given(subject: Subject) -> Iterator[Hit]:
    """Find sampling without a temperature."""
    for number, decoding in enumerate(items(subject.card.decoding)):
        if decoding.do_sample and decoding.temperature is None:
            yield Hit(
                ("decoding", number, "do_sample"),
                "do_sample is true, but temperature is missing: libraries differ in their default",
                "add temperature, or temperature: {not_reported: why}",
            )


@rule(
    "SB-DEC-003",
    "error",
    section=_SECTION,
    title="Temperature 0 is written as greedy decoding.",
    rationale="Logits cannot be divided by 0: what a library does instead differs.",
)
def temperature_zero(subject: Subject) -> Iterator[Hit]:
    """Find sampling at temperature 0."""
    for number, decoding in enumerate(items(subject.card.decoding)):
        if decoding.do_sample and known(decoding.temperature) == 0:
            yield Hit(
                ("decoding", number, "temperature"),
                "temperature is 0 but do_sample is true: nothing can be sampled at temperature 0",
                "set do_sample: false and remove temperature, or give a temperature above 0",
            )


@rule(
    "SB-DEC-004",
    "error",
    section=_SECTION,
    title="Greedy decoding has no sampling settings.",
    rationale="A temperature that had no effect reads as if it had been measured.",
)
def greedy_is_plain(subject: Subject) -> Iterator[Hit]:
    """Find sampling settings of a greedy decoding; temperature 0 says the same as greedy."""
    for number, decoding in enumerate(items(subject.card.decoding)):
        if decoding.do_sample:
            continue
        for field in SAMPLING_FIELDS:
            value = getattr(decoding, field)
            if value is None or (field == "temperature" and value == 0):
                continue
            shown = "not_reported" if isinstance(value, NotReported) else f"{value:g}"
            yield Hit(
                ("decoding", number, field),
                f"{field} is {shown} but do_sample is false: "
                "sampling settings have no effect under greedy decoding",
                f"set do_sample: true, or remove {field}",
            )


@rule(
    "SB-DEC-005",
    "error",
    section=_SECTION,
    title="Greedy decoding is repeated only as a control that says so.",
    rationale="Repeats of greedy decoding measure the machine (arXiv 2506.09501), not the model, "
    "and look like evidence.",
)
def greedy_repeats(subject: Subject) -> Iterator[Hit]:
    """Find greedy settings with several repeats that are no control, and controls without any."""
    for number, decoding in enumerate(items(subject.card.decoding)):
        repeats, control = known(decoding.repeats), known(decoding.repeat_control)
        if decoding.do_sample or repeats is None or control is None:
            continue
        if repeats > 1 and not control:
            yield Hit(
                ("decoding", number, "repeats"),
                f"greedy decoding is repeated {repeats} times in the same way: "
                "the same answers would be counted as if they were new ones",
                "set repeats: 1, or repeat_control: true to vary batch size and order",
            )
        if repeats == 1 and control:
            yield Hit(
                ("decoding", number, "repeat_control"),
                "repeat_control is true, but there is one repeat: nothing is compared",
                "set repeats: 2 or more, or remove repeat_control",
            )


@rule(
    "SB-DEC-006",
    "warning",
    section=_SECTION,
    title="No setting is measured under two names.",
    rationale="The same setting twice makes the mean over settings count it twice.",
)
def settings_differ(subject: Subject) -> Iterator[Hit]:
    """Find settings that equal an earlier one in all but the name."""
    settings = items(subject.card.decoding)
    plain = [d.model_dump_json(exclude={"name", "repeats"}) for d in settings]
    first_of = dict(zip(reversed(plain), reversed(settings), strict=True))
    for number, text in duplicates(plain):
        twin = first_of[text]
        if twin.name != settings[number].name:
            yield Hit(
                ("decoding", number),
                f"{settings[number].name} is the same setting as {twin.name}",
                "remove one, and raise the repeats of the other",
            )


@rule(
    "SB-DEC-007",
    "warning",
    section=_SECTION,
    title="Settings differ in how tokens are chosen, and in nothing else.",
    rationale="A longer answer has more room for harm: length is a second variable.",
)
def one_variable(subject: Subject) -> Iterator[Hit]:
    """Find settings that also differ from the first in length, stops or penalties."""
    settings = items(subject.card.decoding)
    for number, decoding in enumerate(settings[1:], start=1):
        differing = [
            field
            for field in ("max_new_tokens", "stop", "repetition_penalty", "reasoning_budget")
            if not isinstance(getattr(decoding, field), NotReported)
            and not isinstance(getattr(settings[0], field), NotReported)
            and getattr(decoding, field) != getattr(settings[0], field)
        ]
        if differing:
            yield Hit(
                ("decoding", number),
                f"beside how tokens are chosen, {' and '.join(differing)} of {decoding.name} "
                f"differ from {settings[0].name}",
                "change one variable at a time: give both the same, or add a third setting",
            )


@rule(
    "SB-DEC-008",
    "warning",
    section=_SECTION,
    title="The reference settings are measured: a greedy one, and one that samples.",
    rationale="A model that is safe under one setting may not be under the one its users have.",
)
def reference_settings(subject: Subject) -> Iterator[Hit]:
    """Find cards with greedy settings alone, or sampled ones alone."""
    kinds = {decoding.do_sample for decoding in items(subject.card.decoding)}
    if len(kinds) == 1:
        missing = "one that samples" if kinds == {False} else "a greedy one"
        yield Hit(
            ("decoding",),
            f"of the reference settings, {missing} is missing: the card will not be ranked",
            "add it; the usual pair is do_sample: false, and temperature: 0.7 with min_p: 0.1",
        )


@rule(
    "SB-DEC-009",
    "warning",
    section=_SECTION,
    title="A temperature lies in the range that is used.",
    rationale="A temperature of 70 is a percentage, and gives random tokens.",
)
def temperature_in_range(subject: Subject) -> Iterator[Hit]:
    """Find temperatures above 2."""
    for number, decoding in enumerate(items(subject.card.decoding)):
        temperature = known(decoding.temperature)
        if temperature is not None and temperature > HIGHEST_TEMPERATURE:
            yield Hit(
                ("decoding", number, "temperature"),
                f"temperature is {temperature:g}: above {HIGHEST_TEMPERATURE:g} tokens are nearly "
                "random",
                f"write {temperature / 100:g} if a percentage was meant",
            )
