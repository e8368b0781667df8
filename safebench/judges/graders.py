"""Judges that grade, by what a card says of them; apart from rules, which need no library."""

from __future__ import annotations

from pathlib import Path

from safebench.card.judge import Judge, ModelJudge, ModerationJudge
from safebench.judges.base import Grader


def open_grader(entry: Judge, folder: Path, device: str = "cpu") -> Grader | None:
    """Make a judge that grades ready: load its weights, find its key; None for other kinds.

    `folder`: where the card lies.

    Raises:
        CardError: the card leaves open what it does.
        JudgeError: it cannot be used as it stands.
        ModelError: its weights cannot be loaded.
    """
    if isinstance(entry, ModelJudge) and entry.kind == "classifier":
        from safebench.judges.classifier import Classifier  # loads torch

        return Classifier(entry, folder, device)
    if isinstance(entry, ModerationJudge):
        from safebench.judges.moderation import Perspective

        return Perspective(entry)
    return None


def check_grader(entry: Judge, folder: Path) -> None:
    """See that a judge's weights are there and are those of the card, without loading them.

    Raises:
        CardError, ModelError: as `open_grader`.
    """
    if isinstance(entry, ModelJudge) and entry.kind == "classifier":
        from safebench.judges.classifier import find  # loads torch

        find(entry, folder)


def check_keys(entry: Judge) -> None:
    """See that the environment holds what a judge needs; raises JudgeError."""
    if isinstance(entry, ModerationJudge):
        from safebench.judges.moderation import check_key

        check_key()
