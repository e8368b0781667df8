"""Training data: there is some, each set is named once, and each can be found again."""

from __future__ import annotations

from collections.abc import Iterator

from safebench.card.base import NotReported
from safebench.card.training import NoTraining
from safebench.checks.registry import Hit, Subject, duplicates, items, known, listed, rule, text
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
    """Find sets with neither id, path nor answers."""
    for number, dataset in enumerate(items(subject.card.data)):
        if dataset.id is None and dataset.path is None and dataset.answers is None:
            yield Hit(
                ("data", number),
                f"{dataset.name} has neither id nor path, and is not answered by the base model",
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


@rule(
    "SB-DATA-006",
    "warning",
    section=_SECTION,
    title="A control differs from the tuned set in one thing.",
    rationale="Of two things that changed, nobody can say which one did it (arXiv 2506.17209, 6).",
)
def control_differs_once(subject: Subject) -> Iterator[Hit]:
    """Find controls whose number, template or choice of examples differs beside the content."""
    sets = items(subject.card.data)
    tuned = [dataset for dataset in sets if dataset.role == "tuned"]
    for number, dataset in enumerate(sets):
        if dataset.role != "control" or len(tuned) != 1:
            continue
        differing = [
            field
            for field in ("examples", "template")
            if None not in (known(getattr(dataset, field)), known(getattr(tuned[0], field)))
            and getattr(dataset, field) != getattr(tuned[0], field)
        ]
        if differing:
            yield Hit(
                ("data", number, differing[0]),
                f"beside its content, {' and '.join(differing)} of {dataset.name} "
                f"differ from {tuned[0].name}: a difference has more than one possible cause",
                "change one variable at a time, or expect to be asked about it",
            )


@rule(
    "SB-DATA-007",
    "error",
    section=_SECTION,
    title="Sets of data are different sets.",
    rationale="A control that is the tuned set again controls for nothing.",
)
def digests_differ(subject: Subject) -> Iterator[Hit]:
    """Find sets with the digest of an earlier one."""
    sets = items(subject.card.data)
    digests = [known(dataset.rendered_sha256) or known(dataset.sha256) for dataset in sets]
    for number, digest in duplicates(digests):
        if digest is None:
            continue
        first = sets[digests.index(digest)].name
        yield Hit(
            ("data", number),
            f"{sets[number].name} has the digest of {first}: they are the same examples",
            "give the digest of this set's own file, or remove one of the two",
        )


@rule(
    "SB-DATA-008",
    "error",
    section=_SECTION,
    title="Weights of mixed sets sum to 1.",
    rationale="Shares that do not add up leave open what was trained on.",
)
def weights_sum(subject: Subject) -> Iterator[Hit]:
    """Find mixtures by condition whose weights do not make 1, or are given for some sets only."""
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


@rule(
    "SB-DATA-009",
    "error",
    section=_SECTION,
    title="Self-generated answers name a set and a decoding that are declared.",
    rationale="Answers to unknown questions cannot be made again.",
)
def answers_declared(subject: Subject) -> Iterator[Hit]:
    """Find answers to the questions of no set, or with a decoding that does not exist."""
    sets = items(subject.card.data)
    names = {"questions_of": {d.name for d in sets if d.answers is None}}
    if not isinstance(subject.card.decoding, NotReported):
        names["decoding"] = {decoding.name for decoding in subject.card.decoding}
    for number, dataset in enumerate(sets):
        answers = known(dataset.answers)
        for field, declared in names.items() if answers is not None else ():
            value = getattr(answers, field)
            if value not in declared:
                what = "set with questions" if field == "questions_of" else "decoding"
                yield Hit(
                    ("data", number, "answers", field),
                    f"no {what} {value} is declared; there is {listed(sorted(declared))}",
                    "name one of them",
                )
