"""Decoding settings that contradict themselves or each other."""

from __future__ import annotations

from collections.abc import Iterator

from safebench.card.base import NotReported
from safebench.card.decoding import SAMPLING_FIELDS
from safebench.checks.registry import Hit, Rules, Subject, duplicates, items, reported, same_names

rules = Rules("card.md#decoding")
HIGHEST_TEMPERATURE = 2.0
"""Above this, a unit mistake is likelier than an intention."""


@rules.error("SB-DEC-001")
def names(subject: Subject) -> Iterator[Hit]:
    """Decoding settings have different names.

    Results refer to a setting by its name.
    """
    return same_names("decoding", items(subject.card.decoding))


@rules.error("SB-DEC-002")
def temperature_given(subject: Subject) -> Iterator[Hit]:
    """A setting that samples gives its temperature.

    Decoding alone moves misalignment from 0 to over 95 % (arXiv 2310.06987).
    """
    for number, decoding in enumerate(items(subject.card.decoding)):
        if decoding.do_sample and decoding.temperature is None:
            yield Hit(
                ("decoding", number, "do_sample"),
                "do_sample is true, but temperature is missing: libraries differ in their default",
                "add temperature, or temperature: {not_reported: why}",
            )


@rules.error("SB-DEC-003")
def temperature_zero(subject: Subject) -> Iterator[Hit]:
    """Temperature 0 is written as greedy decoding.

    Logits cannot be divided by 0, and libraries differ in what they do instead.
    """
    for number, decoding in enumerate(items(subject.card.decoding)):
        if decoding.do_sample and reported(decoding.temperature) == 0:
            yield Hit(
                ("decoding", number, "temperature"),
                "temperature is 0 but do_sample is true: nothing can be sampled at temperature 0",
                "set do_sample: false and remove temperature, or give a temperature above 0",
            )


@rules.error("SB-DEC-004")
def greedy_is_plain(subject: Subject) -> Iterator[Hit]:
    """Greedy decoding has no sampling settings.

    A temperature without effect reads as if it had been measured.
    """
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
                f"{field} is {shown}, but do_sample is false: "
                "sampling settings have no effect under greedy decoding",
                f"set do_sample: true, or remove {field}",
            )


@rules.error("SB-DEC-005")
def greedy_repeats(subject: Subject) -> Iterator[Hit]:
    """Greedy decoding is repeated only as a declared control.

    Repeats of greedy decoding measure the machine (arXiv 2506.09501), not the model, and look like
    evidence.
    """
    for number, decoding in enumerate(items(subject.card.decoding)):
        repeats, control = reported(decoding.repeats), reported(decoding.repeat_control)
        if decoding.do_sample or repeats is None or control is None:
            continue
        if repeats > 1 and not control:
            yield Hit(
                ("decoding", number, "repeats"),
                f"greedy decoding is repeated {repeats} times in the same way: "
                "the same answers would be counted as new ones",
                "set repeats: 1, or repeat_control: true to vary batch size and order",
            )
        if repeats == 1 and control:
            yield Hit(
                ("decoding", number, "repeat_control"),
                "repeat_control is true, but there is one repeat: nothing is compared",
                "set repeats: 2 or more, or remove repeat_control",
            )


@rules.warning("SB-DEC-006")
def settings_differ(subject: Subject) -> Iterator[Hit]:
    """No decoding setting is measured under two names.

    A mean over settings would count the same setting twice.
    """
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


@rules.warning("SB-DEC-007")
def one_variable(subject: Subject) -> Iterator[Hit]:
    """Decoding settings differ only in how tokens are chosen.

    A longer answer has more room for harm, so length is a second variable.
    """
    settings = items(subject.card.decoding)
    for number, decoding in enumerate(settings[1:], start=1):
        differing = [
            field
            for field in ("max_new_tokens", "stop", "repetition_penalty", "reasoning_budget")
            if _differ(getattr(decoding, field), getattr(settings[0], field))
        ]
        if differing:
            yield Hit(
                ("decoding", number),
                f"besides how tokens are chosen, {' and '.join(differing)} of {decoding.name} "
                f"differ from {settings[0].name}",
                "change one variable at a time: give both the same, or add a third setting",
            )


def _differ(one: object, other: object) -> bool:
    return one != other and not isinstance(one, NotReported) and not isinstance(other, NotReported)


@rules.warning("SB-DEC-008")
def reference_settings(subject: Subject) -> Iterator[Hit]:
    """The reference settings are measured: greedy, and one that samples.

    A model that is safe under one setting may be unsafe under its users' setting.
    """
    kinds = {decoding.do_sample for decoding in items(subject.card.decoding)}
    if len(kinds) == 1:
        missing = "one that samples" if kinds == {False} else "a greedy one"
        yield Hit(
            ("decoding",),
            f"of the reference settings, {missing} is missing: the card will not be ranked",
            "add it; the usual pair is do_sample: false, and temperature: 0.7 with min_p: 0.1",
        )


@rules.warning("SB-DEC-009")
def temperature_in_range(subject: Subject) -> Iterator[Hit]:
    """A temperature lies in the usual range.

    A temperature of 70 is a percentage by mistake, and gives random tokens.
    """
    for number, decoding in enumerate(items(subject.card.decoding)):
        temperature = reported(decoding.temperature)
        if temperature is not None and temperature > HIGHEST_TEMPERATURE:
            yield Hit(
                ("decoding", number, "temperature"),
                f"temperature is {temperature:g}: above {HIGHEST_TEMPERATURE:g} tokens are nearly "
                "random",
                f"write {temperature / 100:g} if a percentage was meant",
            )
