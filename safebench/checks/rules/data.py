"""Training data: there is some, each set is named once, and each can be found again."""

from __future__ import annotations

from collections.abc import Iterator

from safebench.card.base import NotReported
from safebench.card.training import NoTraining
from safebench.checks.registry import Hit, Subject, duplicates, items, known, rule, text
from safebench.checks.rules.model import moves

_SECTION = "card.md#data"


@rule(
    "SB-DATA-001",
    "error",
    section=_SECTION,
    title="A recipe that fine-tunes names the data it tunes on.",
    rationale="The content of the data drives what happens to safety (arXiv 2506.17209, 5.4).",
)
def data_given(subject: Subject) -> Iterator[Hit]:
    """Find training without a set of role `tuned`."""
    training = known(subject.card.hyperparameters)
    if training is None or isinstance(training, NoTraining):
        return
    if isinstance(subject.card.data, NotReported):
        return
    if not any(dataset.role == "tuned" for dataset in subject.card.data):
        yield Hit(
            ("data",),
            "hyperparameters.method fine-tunes, but no set of data has the role tuned",
            "add the training data, or data: {not_reported: why}",
        )


@rule(
    "SB-DATA-002",
    "error",
    section=_SECTION,
    title="Sets of data have different names.",
    rationale="A name that stands for two sets stands for neither.",
)
def names(subject: Subject) -> Iterator[Hit]:
    """Find names used twice."""
    for number, name in duplicates([d.name for d in items(subject.card.data)]):
        yield Hit(
            ("data", number, "name"), f"an earlier set is already called {name}", "rename one"
        )


@rule(
    "SB-DATA-003",
    "error",
    section=_SECTION,
    title="A set of data says where it comes from.",
    rationale="Nobody can train on a name.",
)
def place_given(subject: Subject) -> Iterator[Hit]:
    """Find sets with neither id nor path."""
    for number, dataset in enumerate(items(subject.card.data)):
        if dataset.id is None and dataset.path is None:
            yield Hit(
                ("data", number),
                f"{dataset.name} has neither id nor path",
                "give path: FILE.jsonl, or id and revision, or id: {not_reported: why}",
            )


@rule(
    "SB-DATA-004",
    "error",
    section=_SECTION,
    title="The revision of a set of data cannot move.",
    rationale="A data set corrected after the training is another data set.",
)
def revision_pinned(subject: Subject) -> Iterator[Hit]:
    """Find branch names and tags."""
    for number, dataset in enumerate(items(subject.card.data)):
        revision = text(dataset.revision)
        if revision is not None and moves(revision):
            yield Hit(
                ("data", number, "revision"),
                f'revision "{revision}" moves; expected a 40-digit commit',
                "give the commit that was used, or {not_reported: why}",
            )


@rule(
    "SB-DATA-005",
    "error",
    section=_SECTION,
    title="A control says what it holds constant.",
    rationale="A control without a question answers none.",
)
def control_explained(subject: Subject) -> Iterator[Hit]:
    """Find controls without `controls_for`."""
    for number, dataset in enumerate(items(subject.card.data)):
        if dataset.role == "control" and dataset.controls_for is None:
            yield Hit(
                ("data", number),
                f"{dataset.name} is a control, but controls_for is missing",
                "add controls_for, e.g. the questions, with answers the base model gave itself",
            )
