"""The base model is pinned, and every weight that was measured is listed."""

from __future__ import annotations

import datetime
import re
from collections.abc import Iterator

from safebench.card.base import Unpinnable
from safebench.card.document import Pointer
from safebench.card.model import ApiModel, Weights
from safebench.checks.registry import (
    Hit,
    Rules,
    Subject,
    calendar_day,
    duplicates,
    items,
    reported,
    text,
)

rules = Rules("card.md#model")
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


@rules.error("SB-MOD-001")
def revision_given(subject: Subject) -> Iterator[Hit]:
    """A base model from a hub has a revision.

    A repository's files change under the same name.
    """
    base = subject.card.model.base
    name = reported(base.id)
    if base.revision is None and name is not None and not is_local(name, subject):
        yield Hit(
            ("model", "base"),
            f"{name} has no revision: its files can change under that name",
            f"git ls-remote https://huggingface.co/{name}, and give the commit as revision",
        )


@rules.error("SB-MOD-002")
def revision_pinned(subject: Subject) -> Iterator[Hit]:
    """The base model's revision cannot move.

    Two readers of the same branch name may load different models.
    """
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


@rules.error("SB-MOD-003")
def adapters_complete(subject: Subject) -> Iterator[Hit]:
    """Weights are listed for every training seed and checkpoint that was measured.

    A seed without weights cannot be checked, or told from one that was left out.
    """
    weights = reported(getattr(subject.card.model, "weights", None))
    results = subject.card.given_results
    if weights is None or results is None:
        return
    listed = {_made_by(entry) for entry in weights}
    needed = {
        (score.condition, reported(run.training_seed), score.checkpoint)
        for score in results.scores
        for run in items(score.runs)
        if score.condition != "base"
        and reported(run.training_seed) is not None
        and score.checkpoint
    }
    for condition, seed, checkpoint in sorted(needed - listed):
        yield Hit(
            ("model", "weights"),
            f"results use training seed {seed} ({condition}) at checkpoint {checkpoint}, "
            "but no weights are listed for it",
            "list their folder, or Hub id, and sha256",
        )


def _made_by(entry: Weights) -> tuple[str, int, int]:
    return entry.condition, reported(entry.training_seed), reported(entry.checkpoint)


@rules.error("SB-MOD-004")
def adapters_once(subject: Subject) -> Iterator[Hit]:
    """Weights are listed once per training seed and checkpoint.

    Of two sets of weights for one seed, the better one may have been reported.
    """
    weights = subject.weights
    for number, key in duplicates([_made_by(entry) for entry in weights]):
        if None in key:
            continue
        yield Hit(
            ("model", "weights", number),
            f"training seed {key[1]} ({key[0]}) at checkpoint {key[2]} is listed a second time",
            "keep the one that was measured",
        )


@rules.error("SB-MOD-005")
def nothing_trained(subject: Subject) -> Iterator[Hit]:
    """An untuned model has no tuned weights and no fine-tuning jobs.

    Either something was trained or nothing was.
    """
    if not subject.is_untuned:
        return
    for field in ("weights", "jobs"):
        if not items(getattr(subject.card.model, field, None)):
            continue
        yield Hit(
            ("model", field),
            f"{field} are listed, but hyperparameters.method is none",
            "remove them, or describe how they were trained",
        )


@rules.warning("SB-MOD-006")
def one_template(subject: Subject) -> Iterator[Hit]:
    """Training and evaluation use one chat template.

    A different template alone can undo safety training.
    """
    model = subject.card.model
    training = reported(getattr(model, "training_chat_template", None))
    evaluation = reported(getattr(model, "chat_template", None))
    if training is not None and evaluation is not None and training != evaluation:
        yield Hit(
            ("model", "training_chat_template"),
            "the chat template for training differs from the one for evaluation: "
            "the template may be what caused the change",
            "also measure with the training template, or explain why it differs",
        )


@rules.error("SB-MOD-007")
def weights_declared(subject: Subject) -> Iterator[Hit]:
    """Weights belong to a declared training seed and checkpoint.

    Weights of a run outside the protocol were added because of their result.
    """
    declared = {
        "training_seed": subject.training_seeds,
        "checkpoint": subject.checkpoints,
    }
    for number, entry in enumerate(subject.weights):
        for field, values in declared.items():
            value = reported(getattr(entry, field))
            if values and value is not None and value not in values:
                yield Hit(
                    ("model", "weights", number, field),
                    f"{field.replace('_', ' ')} {value} is not declared in the protocol",
                    "list every seed and checkpoint that was trained, or remove the weights",
                )


@rules.error("SB-MOD-008")
def weights_differ(subject: Subject) -> Iterator[Hit]:
    """Weights of different training runs are different files.

    One adapter listed under five seeds is one run, not five.
    """
    weights = subject.weights
    digests = [reported(entry.sha256) for entry in weights]
    for number, digest in duplicates(digests):
        yield Hit(
            ("model", "weights", number, "sha256"),
            f"these are the bytes of model.weights[{digests.index(digest)}]: "
            "two training runs do not produce the same weights",
            "give the digest of this run's own file",
        )


@rules.error("SB-MOD-009")
def weights_placed(subject: Subject) -> Iterator[Hit]:
    """Weights say where they can be found.

    The digest of a file that nobody can get proves nothing.
    """
    for number, entry in enumerate(subject.weights):
        if entry.path is None and entry.id is None:
            yield Hit(
                ("model", "weights", number),
                "these weights have neither path nor id",
                "give path, or id and revision, or path: {not_reported: why}",
            )


@rules.error("SB-MOD-010", section="card.md#unpinnable")
def request_days(subject: Subject) -> Iterator[Hit]:
    """Request dates exist in the calendar, are in order, and do not lie in the future.

    Where nothing immutable names a model, the dates are all that identifies it.
    """
    for place, pin in _unpinnable(subject):
        days: list[datetime.date] = []
        for field in ("first_request", "last_request"):
            stated = text(getattr(pin, field))
            if stated is None:
                continue
            day = calendar_day(stated)
            if day is None or day > subject.tomorrow:
                wrong = "does not exist in the calendar" if day is None else "is in the future"
                yield Hit((*place, field), f"{stated} {wrong}", "correct the date")
            else:
                days.append(day)
        if len(days) == 2 and days[1] < days[0]:
            yield Hit(
                (*place, "last_request"),
                f"the last request ({days[1]}) is before the first ({days[0]})",
                "swap the two",
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
