"""The base model is pinned, and every weight that was measured is listed."""

from __future__ import annotations

import datetime
import re
from collections.abc import Iterator

from safebench.card.base import Unpinnable
from safebench.card.document import Pointer
from safebench.card.model import ApiModel, Weights
from safebench.checks.registry import (
    Hits,
    Rules,
    Subject,
    calendar_day,
    duplicates,
    items,
    reported,
    text,
)
from safebench.files import inside

rules = Rules("card.md#model")
COMMIT = re.compile(r"[0-9a-f]{40}\Z")
DIGEST = re.compile(r"sha256:[0-9a-f]{64}\Z")


def is_local(name: str, subject: Subject) -> bool:
    """Whether an id names something shipped or beside the card, and not a repository of a hub."""
    if name.startswith(("builtin:", ".", "/", "~")) or name.count("/") != 1:
        return True
    beside = None if subject.folder is None else inside(subject.folder, name)
    return beside is not None and beside.exists()


def moves(revision: str) -> bool:
    """Whether a revision could name other bytes tomorrow."""
    return not (COMMIT.match(revision) or DIGEST.match(revision))


@rules.error(
    "SB-MOD-001",
    "A base model from a hub has a revision.",
    condition="`model.base.revision` is left out, and `model.base.id` is a hub id: it has "
    "exactly one `/`, begins with none of `builtin:`, `.`, `/` and `~`, and names no file or "
    "folder beside the card (for a reader without a folder, none lies there). Points to "
    "`revision`.",
    why="A repository's files change under the same name.",
)
def _revision_given(subject: Subject) -> Hits:
    base = subject.card.model.base
    name = reported(base.id)
    if base.revision is None and name is not None and not is_local(name, subject):
        message = f"{name} has no revision: its files can change under that name"
        fix = f"git ls-remote https://huggingface.co/{name}, and give the commit as revision"
        yield ("model", "base", "revision"), message, fix


@rules.error(
    "SB-MOD-002",
    "The base model's revision cannot move.",
    condition="`model.base.revision` is a text that is not fixed; under access `api`, also a "
    "commit. Points to it.",
    why="Two readers of the same branch name may load different models.",
)
def _revision_pinned(subject: Subject) -> Hits:
    revision = text(subject.card.model.base.revision)
    if revision is None:
        return
    if isinstance(subject.card.model, ApiModel):
        if DIGEST.match(revision):  # of the file that a server was given
            return
        yield (
            ("model", "base", "revision"),
            f'revision "{revision}" is the name of a model that only its provider holds',
            "give the dated name as snapshot, and revision: {unpinnable: why, first_request: day, "
            "last_request: day}, or sha256: and the digest of the file that is served",
        )
    elif moves(revision):
        short = re.fullmatch(r"[0-9a-f]{7,39}", revision)
        yield (
            ("model", "base", "revision"),
            f'revision "{revision}" is {"a short commit" if short else "a name that moves"}; '
            "expected a 40-digit commit, or sha256: and 64 digits",
            "git ls-remote shows the commit of a branch or tag; "
            "a run fills in the digest of local files",
        )


@rules.error(
    "SB-MOD-003",
    "Weights are listed for every training seed and checkpoint that was measured.",
    condition="`model.weights` is given, and lacks the condition, training seed and "
    "checkpoint of a run of `results.scores` outside condition `base`. Points to "
    "`/model/weights`, once for each such triple. Runs whose seed is null or not given, or "
    "that have no checkpoint, ask for nothing.",
    why="A seed without weights cannot be checked, or told from one that was left out.",
    fix="list their folder, or Hub id, and sha256",
)
def _adapters_complete(subject: Subject) -> Hits:
    if reported(getattr(subject.card.model, "weights", None)) is None:
        return
    needed = {
        (score.condition, run.training_seed, score.checkpoint)
        for score in subject.scores
        for run in items(score.runs)
        if score.condition != "base" and isinstance(run.training_seed, int) and score.checkpoint
    }
    there = {_made_by(entry) for entry in subject.weights}
    for condition, seed, checkpoint in sorted(needed - there):
        yield (
            ("model", "weights"),
            f"results use training seed {seed} ({condition}) at checkpoint {checkpoint}, "
            "but no weights are listed for it",
        )


def _made_by(entry: Weights) -> tuple[str, int, int]:
    return entry.condition, reported(entry.training_seed), reported(entry.checkpoint)


@rules.error(
    "SB-MOD-004",
    "Weights are listed once per training seed and checkpoint.",
    condition="An entry of `model.weights` has the condition, `training_seed` and "
    "`checkpoint` of an earlier one. Points to the later entry.",
    why="Of two sets of weights for one seed, the better one may have been reported.",
    fix="keep the one that was measured",
)
def _adapters_once(subject: Subject) -> Hits:
    for number, key in duplicates(_made_by(entry) for entry in subject.weights):
        if None not in key:
            condition, seed, checkpoint = key
            whose = f"training seed {seed} ({condition}) at checkpoint {checkpoint}"
            yield ("model", "weights", number), f"{whose} is listed a second time"


@rules.error(
    "SB-MOD-005",
    "An untuned model has no tuned weights and no fine-tuning jobs.",
    condition="The card is untuned, and `model.weights` or `model.jobs` has an entry. Points "
    "to the list.",
    why="Either something was trained or nothing was.",
    fix="remove them, or describe how they were trained",
)
def _nothing_trained(subject: Subject) -> Hits:
    for field in ("weights", "jobs") if subject.is_untuned else ():
        if items(getattr(subject.card.model, field, None)):
            yield ("model", field), f"{field} are listed, but hyperparameters.method is none"


@rules.warning(
    "SB-MOD-006",
    "Training and evaluation use one chat template.",
    condition="`model.training_chat_template` differs from `model.chat_template` in any "
    "field, `sha256` included. Points to the first.",
    why="A different template alone can undo safety training.",
    fix="also measure with the training template, or explain why it differs",
)
def _one_template(subject: Subject) -> Hits:
    model = subject.card.model
    training = reported(getattr(model, "training_chat_template", None))
    evaluation = reported(getattr(model, "chat_template", None))
    if training is not None and evaluation is not None and training != evaluation:
        yield (
            ("model", "training_chat_template"),
            "the chat template for training differs from the one for evaluation: "
            "the template may be what caused the change",
        )


@rules.error(
    "SB-MOD-007",
    "Weights belong to a declared training seed and checkpoint.",
    condition="`training_seed` of an entry of `model.weights` is not in the list "
    "`seeds.training`, or `checkpoint` not in `hyperparameters.checkpoints`; an empty list "
    "is not compared. Points to the field of the entry.",
    why="Weights of a run outside the protocol were added because of their result.",
    fix="list every seed and checkpoint that was trained, or remove the weights",
)
def _weights_declared(subject: Subject) -> Hits:
    declared = {"training_seed": subject.training_seeds, "checkpoint": subject.checkpoints}
    for at, entry in subject.each("model.weights"):
        for field, values in declared.items():
            value = reported(getattr(entry, field))
            if values and value is not None and value not in values:
                what = field.replace("_", " ")
                yield (*at, field), f"{what} {value} is not declared in the protocol"


@rules.error(
    "SB-MOD-008",
    "Weights of different training runs are different files.",
    condition="`sha256` of an entry of `model.weights` is that of an earlier one. Points to "
    "the later `sha256`.",
    why="One adapter listed under five seeds is one run, not five.",
    fix="give the digest of this run's own file",
)
def _weights_differ(subject: Subject) -> Hits:
    digests = [reported(entry.sha256) for entry in subject.weights]
    for number, digest in duplicates(digests):
        yield (
            ("model", "weights", number, "sha256"),
            f"these are the bytes of model.weights[{digests.index(digest)}]: "
            "two training runs do not produce the same weights",
        )


@rules.error(
    "SB-MOD-009",
    "Weights say where they can be found.",
    condition="An entry of `model.weights` leaves out both `path` and `id`. Points to the entry.",
    why="The digest of a file that nobody can get proves nothing.",
    fix="give path, or id and revision, or path: {not_reported: why}",
    each="model.weights",
)
def _weights_placed(entry: Weights) -> Hits:
    if entry.path is None and entry.id is None:
        yield (), "these weights have neither path nor id"


def _unpinnable(subject: Subject) -> Iterator[tuple[Pointer, Unpinnable]]:
    """Yield every revision that nothing immutable names, with its place."""
    holders = (
        (("model", "base"), subject.card.model.base),
        *subject.each("judge"),
        *subject.each("data"),
    )
    for at, holder in holders:
        if isinstance(holder.revision, Unpinnable):
            yield (*at, "revision"), holder.revision


@rules.error(
    "SB-MOD-010",
    "Request dates exist in the calendar, are in order, and do not lie in the future.",
    condition="Of an `unpinnable` revision of `model.base`, a judge or a data set: "
    "`first_request` or `last_request` is no day of the calendar, or is after tomorrow "
    "(UTC): points to it; or neither is so, and the last is before the first: points to "
    "`last_request`.",
    why="Where nothing immutable names a model, the dates are all that identifies it.",
    section="card.md#unpinnable",
)
def _request_days(subject: Subject) -> Hits:
    for at, pin in _unpinnable(subject):
        days: list[datetime.date] = []
        for field in ("first_request", "last_request"):
            date = text(getattr(pin, field))
            day = calendar_day(date) if date is not None else None
            if day is not None and day <= subject.tomorrow:
                days.append(day)
            elif date is not None:
                wrong = "does not exist in the calendar" if day is None else "is in the future"
                yield (*at, field), f"{date} {wrong}", "correct the date"
        if len(days) == 2 and days[1] < days[0]:
            message = f"the last request ({days[1]}) is before the first ({days[0]})"
            yield (*at, "last_request"), message, "swap the two"
