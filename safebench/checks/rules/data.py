"""Training data: there is some, each set is named once, and each can be found again."""

from __future__ import annotations

from collections.abc import Iterator

from safebench.card.base import NotReported
from safebench.card.training import NoTraining
from safebench.checks.registry import (
    Hit,
    Rules,
    Subject,
    duplicates,
    items,
    listed,
    reported,
    same_names,
    text,
)
from safebench.checks.rules.model import moves

rules = Rules("card.md#data")


@rules.error("SB-DATA-001")
def data_given(subject: Subject) -> Iterator[Hit]:
    """A recipe that fine-tunes names its training data.

    The content of the data determines what happens to safety (arXiv 2506.17209, 5.4).
    """
    training = reported(subject.card.hyperparameters)
    if training is None or isinstance(training, NoTraining):
        return
    if isinstance(subject.card.data, NotReported):
        return
    if not any(dataset.role == "tuned" for dataset in subject.card.data):
        yield Hit(
            ("data",),
            "hyperparameters.method fine-tunes, but no dataset has the role tuned",
            "add the training data, or data: {not_reported: why}",
        )


@rules.error("SB-DATA-002")
def names(subject: Subject) -> Iterator[Hit]:
    """Datasets have different names.

    A name shared by two datasets identifies neither.
    """
    return same_names("data", items(subject.card.data))


@rules.error("SB-DATA-003")
def place_given(subject: Subject) -> Iterator[Hit]:
    """A dataset says where it comes from.

    Nobody can train on a name alone.
    """
    for number, dataset in enumerate(items(subject.card.data)):
        if dataset.id is None and dataset.path is None and dataset.answers is None:
            yield Hit(
                ("data", number),
                f"{dataset.name} has neither id nor path, and is not answered by the base model",
                "give path: FILE.jsonl, or id and revision, or id: {not_reported: why}",
            )


@rules.error("SB-DATA-004")
def revision_pinned(subject: Subject) -> Iterator[Hit]:
    """The revision of a dataset cannot move.

    A dataset that is corrected after training is a different dataset.
    """
    for number, dataset in enumerate(items(subject.card.data)):
        revision = text(dataset.revision)
        if revision is not None and moves(revision):
            yield Hit(
                ("data", number, "revision"),
                f'revision "{revision}" moves; expected a 40-digit commit',
                "give the commit that was used, or {not_reported: why}",
            )


@rules.error("SB-DATA-005")
def control_explained(subject: Subject) -> Iterator[Hit]:
    """A control says what it holds constant.

    A control without a question answers nothing.
    """
    for number, dataset in enumerate(items(subject.card.data)):
        if dataset.role == "control" and dataset.controls_for is None:
            yield Hit(
                ("data", number),
                f"{dataset.name} is a control, but controls_for is missing",
                "add controls_for, e.g. the questions, with answers the base model gave itself",
            )


@rules.warning("SB-DATA-006")
def control_differs_once(subject: Subject) -> Iterator[Hit]:
    """A control differs from the tuned dataset in one respect.

    When two things changed, nobody can say which one had the effect (arXiv 2506.17209, 6).
    """
    sets = items(subject.card.data)
    tuned = [dataset for dataset in sets if dataset.role == "tuned"]
    for number, dataset in enumerate(sets):
        if dataset.role != "control" or len(tuned) != 1:
            continue
        differing = [
            field
            for field in ("examples", "template")
            if None not in (reported(getattr(dataset, field)), reported(getattr(tuned[0], field)))
            and getattr(dataset, field) != getattr(tuned[0], field)
        ]
        if differing:
            yield Hit(
                ("data", number, differing[0]),
                f"besides its content, {' and '.join(differing)} of {dataset.name} "
                f"differ from {tuned[0].name}: a difference has more than one possible cause",
                "change one variable at a time, or expect to be asked about it",
            )


@rules.error("SB-DATA-007")
def digests_differ(subject: Subject) -> Iterator[Hit]:
    """Datasets differ from each other.

    A control that repeats the tuned dataset controls for nothing.
    """
    sets = items(subject.card.data)
    digests = [reported(dataset.rendered_sha256) or reported(dataset.sha256) for dataset in sets]
    for number, digest in duplicates(digests):
        first = sets[digests.index(digest)].name
        yield Hit(
            ("data", number),
            f"{sets[number].name} has the digest of {first}: they are the same examples",
            "give the digest of this set's own file, or remove one of the two",
        )


@rules.error("SB-DATA-008")
def weights_sum(subject: Subject) -> Iterator[Hit]:
    """The weights of mixed datasets sum to 1.

    Shares that do not add up leave unclear what was trained on.
    """
    for role in ("tuned", "control"):
        entries = [
            (number, dataset)
            for number, dataset in enumerate(items(subject.card.data))
            if dataset.role == role
        ]
        weights = [dataset.weight for _, dataset in entries]
        if not any(isinstance(weight, float) for weight in weights):
            continue
        if any(isinstance(weight, NotReported) for weight in weights):
            continue
        total = sum(weight or 0.0 for weight in weights)
        if abs(total - 1.0) > 1e-6:
            yield Hit(
                ("data", entries[0][0], "weight"),
                f"the weights of the sets with role {role} sum to {total:g}, expected 1",
                "give every mixed set its share; a set that is used whole needs no weight",
            )


@rules.error("SB-DATA-009")
def answers_declared(subject: Subject) -> Iterator[Hit]:
    """Self-generated answers name a declared dataset and decoding.

    Answers to unknown questions cannot be generated again.
    """
    sets = items(subject.card.data)
    names = {
        "questions_of": [d.name for d in sets if d.answers is None],
        "decoding": subject.declared("decoding"),
    }
    for number, dataset in enumerate(sets):
        answers = reported(dataset.answers)
        for field, declared in names.items() if answers is not None else ():
            value = getattr(answers, field)
            if declared is not None and value not in declared:
                what = "set with questions" if field == "questions_of" else "decoding"
                yield Hit(
                    ("data", number, "answers", field),
                    f"no {what} {value} is declared; there is {listed(sorted(declared))}",
                    "name one of them",
                )
