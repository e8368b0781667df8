"""The base model is pinned, and every weight that was measured is listed."""

from __future__ import annotations

import re
from collections.abc import Iterator

from safebench.card.model import Weights
from safebench.card.training import NoTraining
from safebench.checks.registry import Hit, Subject, duplicates, items, known, rule, text

_SECTION = "card.md#model"
COMMIT = re.compile(r"[0-9a-f]{40}\Z")
DIGEST = re.compile(r"sha256:[0-9a-f]{64}\Z")


def is_local(name: str, subject: Subject) -> bool:
    """Whether an id names something shipped or beside the card, and not a repository of a hub."""
    if name.startswith(("builtin:", ".", "/", "~")) or name.count("/") != 1:
        return True
    return subject.folder is not None and (subject.folder / name).is_dir()


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
    if revision is not None and moves(revision):
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
