"""The base model is pinned, and every weight that was measured is listed."""

from __future__ import annotations

import datetime
import re
from collections.abc import Iterator

from safebench.card.base import Unpinnable
from safebench.card.document import Pointer
from safebench.card.model import ApiModel, Weights
from safebench.card.training import NoTraining
from safebench.checks.registry import (
    Hit,
    Subject,
    calendar_day,
    duplicates,
    items,
    known,
    rule,
    text,
)

_SECTION = "card.md#model"
COMMIT = re.compile(r"[0-9a-f]{40}\Z")
DIGEST = re.compile(r"sha256:[0-9a-f]{64}\Z")


def is_local(name: str, subject: Subject) -> bool:
    """Whether an id names something shipped or beside the card, and not a repository of a hub."""
    if name.startswith(("builtin:", ".", "/", "~")) or name.count("/") != 1:
        return True
    return subject.folder is not None and (subject.folder / name).exists()


def moves(revision: str) -> bool:
    """Whether a revision could name other bytes tomorrow."""
    return not (COMMIT.match(revision) or DIGEST.match(revision))


@rule(
    "SB-MOD-001",
    "error",
    section=_SECTION,
    title="A base model from a hub has a revision.",
    rationale="A repository's files change under the same name.",
)
def revision_given(subject: Subject) -> Iterator[Hit]:
    """Find a hub id without a revision; a run fills in the digest of local files."""
    base = subject.card.model.base
    name = known(base.id)
    if base.revision is None and name is not None and not is_local(name, subject):
        yield Hit(
            ("model", "base"),
            f"{name} has no revision: its files can change under that name",
            f"git ls-remote https://huggingface.co/{name}, and give the commit as revision",
        )


@rule(
    "SB-MOD-002",
    "error",
    section=_SECTION,
    title="The base model's revision cannot move.",
    rationale="Two readers of a branch name may load two models.",
)
def revision_pinned(subject: Subject) -> Iterator[Hit]:
    """Find branch names, tags and short commits."""
    base = subject.card.model.base
    revision = text(base.revision)
    if revision is None:
        return
    if isinstance(subject.card.model, ApiModel):
        if DIGEST.match(revision):  # of the file that a server was given
            return
        yield Hit(
            ("model", "base", "revision"),
            f'revision "{revision}" is the name of a model that only its provider holds',
            "give the dated name as snapshot, and revision: {unpinnable: why, first_request: day, "
            "last_request: day}, or sha256: and the digest of the file that is served",
        )
    elif moves(revision):
        what = (
            "a short commit" if re.fullmatch(r"[0-9a-f]{7,39}", revision) else "a name that moves"
        )
        yield Hit(
            ("model", "base", "revision"),
            f'revision "{revision}" is {what}; '
            "expected a 40-digit commit, or sha256: and 64 digits",
            "git ls-remote shows the commit of a branch or tag; "
            "a run fills in the digest of local files",
        )


@rule(
    "SB-MOD-003",
    "error",
    section=_SECTION,
    title="Weights are listed for every training seed and checkpoint that was measured.",
    rationale="A seed whose weights are missing cannot be checked, nor told from one left out.",
)
def adapters_complete(subject: Subject) -> Iterator[Hit]:
    """Find combinations of seed and checkpoint in the results without weights."""
    weights = known(getattr(subject.card.model, "weights", None))
    results = subject.card.given_results
    if weights is None or results is None:
        return
    listed = {_made_by(entry) for entry in weights}
    needed = {
        (score.condition, known(run.training_seed), score.checkpoint)
        for score in results.scores
        for run in items(score.runs)
        if score.condition != "base" and known(run.training_seed) is not None and score.checkpoint
    }
    for condition, seed, checkpoint in sorted(needed - listed):
        yield Hit(
            ("model", "weights"),
            f"results use training seed {seed} ({condition}) at checkpoint {checkpoint}, "
            "but no weights are listed for it",
            "list their folder, or Hub id, and sha256",
        )


def _made_by(entry: Weights) -> tuple[str, int, int]:
    return entry.condition, known(entry.training_seed), known(entry.checkpoint)


@rule(
    "SB-MOD-004",
    "error",
    section=_SECTION,
    title="Weights are listed once per training seed and checkpoint.",
    rationale="Of two sets of weights for one seed, the better one could have been reported.",
)
def adapters_once(subject: Subject) -> Iterator[Hit]:
    """Find a second entry for the same seed and checkpoint."""
    weights = items(getattr(subject.card.model, "weights", None))
    for number, key in duplicates([_made_by(entry) for entry in weights]):
        if None in key:
            continue
        yield Hit(
            ("model", "weights", number),
            f"training seed {key[1]} ({key[0]}) at checkpoint {key[2]} is listed a second time",
            "keep the one that was measured",
        )


@rule(
    "SB-MOD-005",
    "error",
    section=_SECTION,
    title="An untuned model has no tuned weights and no fine-tuning jobs.",
    rationale="Either something was trained, or nothing was.",
)
def nothing_trained(subject: Subject) -> Iterator[Hit]:
    """Find weights or jobs of a card whose method is none."""
    if not isinstance(subject.card.hyperparameters, NoTraining):
        return
    for field in ("weights", "jobs"):
        if not items(getattr(subject.card.model, field, None)):
            continue
        yield Hit(
            ("model", field),
            f"{field} are listed, but hyperparameters.method is none",
            "remove them, or describe how they were trained",
        )


@rule(
    "SB-MOD-006",
    "warning",
    section=_SECTION,
    title="Training and evaluation use one chat template.",
    rationale="Another template alone can undo safety training.",
)
def one_template(subject: Subject) -> Iterator[Hit]:
    """Find a training template that differs from the one for evaluation."""
    model = subject.card.model
    training = known(getattr(model, "training_chat_template", None))
    evaluation = known(getattr(model, "chat_template", None))
    if training is not None and evaluation is not None and training != evaluation:
        yield Hit(
            ("model", "training_chat_template"),
            "the chat template for training is another one than for evaluation: "
            "what changed may be the template's doing",
            "measure with the template of the training too, or say why it differs",
        )


@rule(
    "SB-MOD-007",
    "error",
    section=_SECTION,
    title="Weights belong to a training seed and a checkpoint that are declared.",
    rationale="Weights of a run that the protocol does not have were added for their result.",
)
def weights_declared(subject: Subject) -> Iterator[Hit]:
    """Find weights of seeds or checkpoints that the protocol does not list."""
    seeds = known(getattr(known(subject.card.seeds), "training", None))
    declared = {
        "training_seed": seeds if isinstance(seeds, tuple) else (),
        "checkpoint": items(getattr(subject.card.hyperparameters, "checkpoints", None)),
    }
    for number, entry in enumerate(items(getattr(subject.card.model, "weights", None))):
        for field, values in declared.items():
            value = known(getattr(entry, field))
            if values and value is not None and value not in values:
                yield Hit(
                    ("model", "weights", number, field),
                    f"{field.replace('_', ' ')} {value} is not declared in the protocol",
                    "list every seed and checkpoint that was trained, or remove the weights",
                )


@rule(
    "SB-MOD-008",
    "error",
    section=_SECTION,
    title="Weights of different training runs are different files.",
    rationale="One adapter that is listed under five seeds is one run.",
)
def weights_differ(subject: Subject) -> Iterator[Hit]:
    """Find weights with the digest of an earlier entry."""
    weights = items(getattr(subject.card.model, "weights", None))
    digests = [known(entry.sha256) for entry in weights]
    for number, digest in duplicates(digests):
        if digest is not None:
            yield Hit(
                ("model", "weights", number, "sha256"),
                f"these are the bytes of model.weights[{digests.index(digest)}]: "
                "two trainings do not give the same weights",
                "give the digest of this run's own file",
            )


@rule(
    "SB-MOD-009",
    "error",
    section=_SECTION,
    title="Weights say where they lie.",
    rationale="A digest of a file that nobody can get proves nothing.",
)
def weights_placed(subject: Subject) -> Iterator[Hit]:
    """Find weights with neither path nor id."""
    for number, entry in enumerate(items(getattr(subject.card.model, "weights", None))):
        if entry.path is None and entry.id is None:
            yield Hit(
                ("model", "weights", number),
                "these weights have neither path nor id",
                "give path, or id and revision, or path: {not_reported: why}",
            )


@rule(
    "SB-MOD-010",
    "error",
    section="card.md#unpinnable",
    title="Days of requests are days of the calendar, in order, and not in the future.",
    rationale="Where nothing immutable names a model, the days are what is left to tell it by.",
)
def request_days(subject: Subject) -> Iterator[Hit]:
    """Find days of requests that do not exist, are to come, or are in the wrong order."""
    for place, pin in _unpinnable(subject):
        days: list[datetime.date] = []
        for field in ("first_request", "last_request"):
            stated = text(getattr(pin, field))
            if stated is None:
                continue
            day = calendar_day(stated)
            if day is None or day > subject.tomorrow:
                said = "is not a day of the calendar" if day is None else "is in the future"
                yield Hit((*place, field), f"{stated} {said}", "correct the date")
            else:
                days.append(day)
        if len(days) == 2 and days[1] < days[0]:
            yield Hit(
                (*place, "last_request"),
                f"the last request ({days[1]}) is before the first ({days[0]})",
                "exchange the two",
            )


def _unpinnable(subject: Subject) -> Iterator[tuple[Pointer, Unpinnable]]:
    found: list[tuple[Pointer, object]] = [
        (("model", "base", "revision"), subject.card.model.base.revision)
    ]
    for number, judge in enumerate(items(subject.card.judge)):
        found.append((("judge", number, "revision"), judge.revision))
    for number, dataset in enumerate(items(subject.card.data)):
        found.append((("data", number, "revision"), dataset.revision))
    for place, revision in found:
        if isinstance(revision, Unpinnable):
            yield place, revision
