"""Decoding settings that contradict themselves or each other."""

from __future__ import annotations

from safebench.card.base import NotReported
from safebench.card.decoding import SAMPLING_FIELDS, Decoding
from safebench.checks.registry import (
    Hits,
    Rules,
    Subject,
    duplicates,
    fields_that_differ,
    items,
    names_differ,
    reported,
)

rules = Rules("card.md#decoding")
HIGHEST_TEMPERATURE = 2.0
"""Above this, a unit mistake is likelier than an intention."""

rules.error(
    "SB-DEC-001",
    "Decoding settings have different names.",
    condition="`name` of a decoding is that of an earlier one. Points to the later `name`.",
    why="Results refer to a setting by its name.",
    fix="rename one of the two",
)(names_differ("decoding"))


@rules.error(
    "SB-DEC-002",
    "A setting that samples gives its temperature.",
    condition="`do_sample` is true, and `temperature` is left out. Points to `temperature`.",
    why="Decoding alone moves misalignment from 0 to over 95 % (arXiv 2310.06987).",
    fix="add temperature, or temperature: {not_reported: why}",
    each="decoding",
)
def _temperature_given(decoding: Decoding) -> Hits:
    if decoding.do_sample and decoding.temperature is None:
        default = "libraries differ in their default"
        yield "temperature", f"do_sample is true, but temperature is missing: {default}"


@rules.error(
    "SB-DEC-003",
    "Temperature 0 is written as greedy decoding.",
    condition="`do_sample` is true, and `temperature` is 0. Points to `temperature`.",
    why="Logits cannot be divided by 0, and libraries differ in what they do instead.",
    fix="set do_sample: false and remove temperature, or give a temperature above 0",
    each="decoding",
)
def _temperature_zero(decoding: Decoding) -> Hits:
    if decoding.do_sample and reported(decoding.temperature) == 0:
        nothing = "nothing can be sampled at temperature 0"
        yield "temperature", f"temperature is 0 but do_sample is true: {nothing}"


@rules.error(
    "SB-DEC-004",
    "Greedy decoding has no sampling settings.",
    condition="`do_sample` is false, and `temperature` (other than 0), `top_p`, `top_k` or "
    "`min_p` is not left out. Points to the field.",
    why="A temperature without effect reads as if it had been measured.",
    each="decoding",
)
def _greedy_is_plain(decoding: Decoding) -> Hits:
    for field in SAMPLING_FIELDS if not decoding.do_sample else ():
        value = getattr(decoding, field)
        if value is None or (field == "temperature" and value == 0):
            continue
        shown = "not_reported" if isinstance(value, NotReported) else f"{value:g}"
        message = (
            f"{field} is {shown}, but do_sample is false: "
            "sampling settings have no effect under greedy decoding"
        )
        yield field, message, f"set do_sample: true, or remove {field}"


@rules.error(
    "SB-DEC-005",
    "Greedy decoding is repeated only as a declared control.",
    condition="`do_sample` is false, and `repeats` is above 1 without `repeat_control`: points "
    "to `repeats`; or `repeats` is 1 with it: points to `repeat_control`.",
    why="Repeats of greedy decoding measure the machine (arXiv 2506.09501), not the model, and "
    "look like evidence.",
    each="decoding",
)
def _greedy_repeats(decoding: Decoding) -> Hits:
    repeats, control = reported(decoding.repeats), reported(decoding.repeat_control)
    if decoding.do_sample or repeats is None or control is None:
        return
    if repeats > 1 and not control:
        yield (
            "repeats",
            f"greedy decoding is repeated {repeats} times in the same way: "
            "the same answers would be counted as new ones",
            "set repeats: 1, or repeat_control: true to vary batch size and order",
        )
    if repeats == 1 and control:
        message = "repeat_control is true, but there is one repeat: nothing is compared"
        yield "repeat_control", message, "set repeats: 2 or more, or remove repeat_control"


@rules.warning(
    "SB-DEC-006",
    "No decoding setting is measured under two names.",
    condition="All fields of a decoding but `name` and `repeats`, defaults filled in, are "
    "those of an earlier one of another name. Points to the later decoding.",
    why="A mean over settings would count the same setting twice.",
    fix="remove one, and raise the repeats of the other",
)
def _settings_differ(subject: Subject) -> Hits:
    settings = items(subject.card.decoding)
    plain = [d.model_dump_json(exclude={"name", "repeats"}) for d in settings]
    for number, text in duplicates(plain):
        name, twin = settings[number].name, settings[plain.index(text)].name
        if name != twin:
            yield ("decoding", number), f"{name} is the same setting as {twin}"


@rules.warning(
    "SB-DEC-007",
    "Decoding settings differ only in how tokens are chosen.",
    condition="`max_new_tokens`, `stop` (in its order), `repetition_penalty` or "
    "`reasoning_budget` of a decoding differs from the first decoding's. Left out without a "
    "default differs from given, `not_reported` from nothing. Points to the decoding, once.",
    why="A longer answer has more room for harm, so length is a second variable.",
    fix="change one variable at a time: give both the same, or add a third setting",
)
def _one_variable(subject: Subject) -> Hits:
    settings = items(subject.card.decoding)
    fields = ("max_new_tokens", "stop", "repetition_penalty", "reasoning_budget")
    for number, decoding in enumerate(settings):
        differing = fields_that_differ(decoding, settings[0], fields)
        if differing:
            message = f"besides how tokens are chosen, {' and '.join(differing)} of {decoding.name}"
            yield ("decoding", number), f"{message} differ from {settings[0].name}"


@rules.warning(
    "SB-DEC-008",
    "The reference settings are measured: greedy, and one that samples.",
    condition="There are decodings, and `do_sample` is the same in all. Points to `/decoding`.",
    why="A model that is safe under one setting may be unsafe under its users' setting.",
    fix="add it; the usual pair is do_sample: false, and temperature: 0.7 with min_p: 0.1",
)
def _reference_settings(subject: Subject) -> Hits:
    kinds = {decoding.do_sample for decoding in items(subject.card.decoding)}
    if len(kinds) == 1:
        missing = "one that samples" if kinds == {False} else "a greedy one"
        message = f"of the reference settings, {missing} is missing: level replicated needs both"
        yield ("decoding",), message


@rules.warning(
    "SB-DEC-009",
    "A temperature lies in the usual range.",
    condition=f"`temperature` is above {HIGHEST_TEMPERATURE:g}, of a greedy decoding too. "
    "Points to it.",
    why="A temperature of 70 is a percentage by mistake, and gives random tokens.",
    each="decoding",
)
def _temperature_in_range(decoding: Decoding) -> Hits:
    value = reported(decoding.temperature)
    if value is not None and value > HIGHEST_TEMPERATURE:
        message = (
            f"temperature is {value:g}: above {HIGHEST_TEMPERATURE:g} tokens are nearly random"
        )
        yield "temperature", message, f"write {value / 100:g} if a percentage was meant"
