"""Training data: there is some, each set is named once, and each can be found again."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from safebench.card.base import NotReported
from safebench.card.data import Dataset
from safebench.card.training import Training
from safebench.checks.registry import (
    Hits,
    Rules,
    Subject,
    fields_that_differ,
    items,
    listed,
    names_differ,
    reported,
    text,
)
from safebench.checks.rules.model import moves

rules = Rules("card.md#data")
TOLERANCE = 1e-6
"""Rounding error that shares written by hand may have."""


@rules.error(
    "SB-DATA-001",
    "A recipe that fine-tunes names its training data.",
    condition="`hyperparameters.method` is not `none`, and no set has role `tuned`. Points "
    "to `/data`.",
    why="The content of the data determines what happens to safety (arXiv 2506.17209, 5.4).",
    fix="add the training data, or data: {not_reported: why}",
)
def _data_given(subject: Subject) -> Hits:
    data = subject.card.data
    if not isinstance(subject.card.hyperparameters, Training) or isinstance(data, NotReported):
        return
    if not any(dataset.role == "tuned" for dataset in data):
        yield ("data",), "hyperparameters.method fine-tunes, but no dataset has the role tuned"


rules.error(
    "SB-DATA-002",
    "Datasets have different names.",
    condition="`name` of a set is that of an earlier one. Points to the later `name`.",
    why="A name shared by two datasets identifies neither.",
    fix="rename one of the two",
)(names_differ("data"))


@rules.error(
    "SB-DATA-003",
    "A dataset says where it comes from.",
    condition="A set leaves out `id`, `path` and `answers`. Points to the set.",
    why="Nobody can train on a name alone.",
    fix="give path: FILE.jsonl, or id and revision, or id: {not_reported: why}",
    each="data",
)
def _place_given(dataset: Dataset) -> Hits:
    if dataset.id is None and dataset.path is None and dataset.answers is None:
        lacks = "has neither id nor path, and is not answered by the base model"
        yield (), f"{dataset.name} {lacks}"


@rules.error(
    "SB-DATA-004",
    "The revision of a dataset cannot move.",
    condition="`revision` of a set is a text that is not fixed. Points to it.",
    why="A dataset that is corrected after training is a different dataset.",
    fix="give the commit that was used, or {not_reported: why}",
    each="data",
)
def _revision_pinned(dataset: Dataset) -> Hits:
    revision = text(dataset.revision)
    if revision is not None and moves(revision):
        yield "revision", f'revision "{revision}" moves; expected a 40-digit commit'


@rules.error(
    "SB-DATA-005",
    "A control says what it holds constant.",
    condition="A set of role `control` leaves out `controls_for`. Points to `controls_for`.",
    why="A control without a question answers nothing.",
    fix="add controls_for, e.g. the questions, with answers the base model gave itself",
    each="data",
)
def _control_explained(dataset: Dataset) -> Hits:
    if dataset.role == "control" and dataset.controls_for is None:
        yield "controls_for", f"{dataset.name} is a control, but controls_for is missing"


@rules.warning(
    "SB-DATA-006",
    "A control differs from the tuned dataset in one respect.",
    condition="Exactly one set has role `tuned`, and a set of role `control` has other "
    "`examples` or another `template`. Points to the first of the two that differs, once.",
    why="When two things changed, nobody can say which one had the effect (arXiv 2506.17209, 6).",
    fix="change one variable at a time, or expect to be asked about it",
)
def _control_differs_once(subject: Subject) -> Hits:
    sets = items(subject.card.data)
    tuned = [dataset for dataset in sets if dataset.role == "tuned"]
    for number, dataset in enumerate(sets):
        if dataset.role != "control" or len(tuned) != 1:
            continue
        differing = fields_that_differ(dataset, tuned[0], ("examples", "template"))
        if differing:
            yield (
                ("data", number, differing[0]),
                f"besides its content, {' and '.join(differing)} of {dataset.name} "
                f"differ from {tuned[0].name}: a difference has more than one possible cause",
            )


@rules.error(
    "SB-DATA-007",
    "Datasets differ from each other.",
    condition="Two sets, of any role, share `rendered_sha256`; or `sha256`, `path`, or `id` "
    "and `revision`, with the same `split`, `subset`, `filtered_out` and `template`. Of "
    "`revision` and these four, left out equals left out; what is `not_reported` equals "
    "nothing. Points to the later set, once.",
    why="A control that repeats the tuned dataset controls for nothing.",
    fix="give the place and digest of this set's own file, or remove one of the two",
)
def _sets_differ(subject: Subject) -> Hits:
    seen: dict[tuple[Any, ...], str] = {}
    for number, dataset in enumerate(items(subject.card.data)):
        marks = dict(_marks(dataset))
        same = next((mark for mark in marks if mark in seen), None)
        if same is not None:
            what = f"{marks[same]} of {seen[same]}: they are the same examples"
            yield ("data", number), f"{dataset.name} has the {what}"
        for mark in marks:
            seen.setdefault(mark, dataset.name)


def _marks(dataset: Dataset) -> Iterator[tuple[tuple[Any, ...], str]]:
    """Yield everything that two sets of the same examples share, with its name in words."""
    if (digest := reported(dataset.rendered_sha256)) is not None:
        yield (digest,), "digest"
    # One file gives other examples under another selection, and other text in another template.
    part = dataset.split, dataset.subset, dataset.filtered_out, dataset.template
    for field, what in (("sha256", "digest"), ("path", "path"), ("id", "id")):
        values = getattr(dataset, field), dataset.revision if field == "id" else None, *part
        if values[0] is not None and not any(isinstance(value, NotReported) for value in values):
            yield (field, *map(repr, values)), what


@rules.error(
    "SB-DATA-008",
    "The weights of mixed datasets sum to 1.",
    condition="The sum of `weight` over the sets of one role differs from 1 by more than "
    f"{TOLERANCE:g}; one left out counts as 0. Silent where none is given, or one is "
    "`not_reported`. Points to `weight` of the first set of the role.",
    why="Shares that do not add up leave unclear what was trained on.",
    fix="give every mixed set its share; a set that is used whole needs no weight",
)
def _weights_sum(subject: Subject) -> Hits:
    for role in ("tuned", "control"):
        weights = {at: d.weight for at, d in subject.each("data") if d.role == role}
        if not any(isinstance(weight, float) for weight in weights.values()):
            continue
        if any(isinstance(weight, NotReported) for weight in weights.values()):
            continue
        total = sum(weight or 0.0 for weight in weights.values())
        if abs(total - 1.0) > TOLERANCE:
            message = f"the weights of the sets with role {role} sum to {total:g}, expected 1"
            yield (*next(iter(weights)), "weight"), message


@rules.error(
    "SB-DATA-009",
    "Self-generated answers name a declared dataset and decoding.",
    condition="`answers.questions_of` of a set is not the name of a set that leaves out "
    "`answers`, or `answers.decoding` not that of a decoding. Points to the field.",
    why="Answers to unknown questions cannot be generated again.",
    fix="name one of them",
)
def _answers_declared(subject: Subject) -> Hits:
    with_questions = [d.name for d in items(subject.card.data) if d.answers is None]
    names = {
        "questions_of": ("set with questions", with_questions),
        "decoding": ("decoding", subject.declared("decoding")),
    }
    for at, dataset in subject.each("data"):
        for field, (what, declared) in names.items() if reported(dataset.answers) else ():
            value = getattr(dataset.answers, field)
            if declared is not None and value not in declared:
                message = f"no {what} {value} is declared; there is {listed(sorted(declared))}"
                yield (*at, "answers", field), message
