"""What a board is built from: submissions read, checked, and refused where they do not hold."""

from __future__ import annotations

import math
import re
import stat
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from safebench.analysis.verdict import compare
from safebench.card.card import Card
from safebench.checks import CheckedCard, check
from safebench.errors import InputError
from safebench.evidence.submission import CARD_FILE, Submission
from safebench.evidence.verdicts import RerunReport, read_report

SUBMISSIONS, RERUNS = "submissions", "reruns"
_TOLERANCE = 1e-9
"""Difference of two numbers that are the same: platforms differ in the last bits of a sum."""
_ID = re.compile(r"[a-z0-9][a-z0-9_.-]{0,63}\Z")


@dataclass(frozen=True, eq=False)
class Rerun(Submission):
    """A repetition of a submission, itself a submission, with the verdict it came to."""

    report: CheckedCard
    verdict: RerunReport

    @property
    def name(self) -> str:
        """The name of its folder."""
        return self.folder.name


@dataclass(frozen=True, eq=False)
class Entry(Submission):
    """A submission that may be published, as it was checked."""

    report: CheckedCard
    reruns: tuple[Rerun, ...]

    @property
    def id(self) -> str:
        """The id of its card, which is the name of its folder."""
        return self.folder.name


def read_submissions(folder: Path) -> list[Entry]:
    """Read and check every submission below DIR/submissions, in the order of their ids.

    Raises:
        InputError: there is no such folder, something is unreadable or lies outside, or numbers
            do not equal those recomputed from the evidence; the message names every case.
    """
    root = folder / SUBMISSIONS
    if root.is_symlink() or not root.is_dir():
        raise InputError(
            f"{root}: no such folder", fix=f"put submissions into {root}/ID/, one folder each"
        )
    problems: list[str] = []
    found: list[Entry] = []
    for place in _folders(root, problems):
        try:
            found.append(_read(place, problems))
        except InputError as problem:
            problems.append(_line(place, str(problem)))
    if problems:
        shown = "\n".join(f"  {line}" for line in problems)
        raise InputError(
            f"nothing was published, because of these problems:\n{shown}",
            fix="safebench validate FOLDER explains each; correct or remove the submission",
        )
    return found


def _folders(root: Path, problems: list[str]) -> list[Path]:
    """Return the sub-folders, hidden names and plain files aside."""
    places: list[Path] = []
    for place in sorted(root.iterdir()):
        if place.name.startswith("."):
            continue
        if place.is_symlink():
            problems.append(_line(place, "is a symbolic link"))
        elif place.is_dir():
            if _ID.match(place.name):
                places.append(place)
            else:
                problems.append(_line(place, "its name is not an id (a-z, 0-9, _ . -)"))
    return places


def _read(place: Path, problems: list[str]) -> Entry:
    before = len(problems)
    _only_plain_files(place)
    card, report = _checked(place, problems)
    if card.submission.id != place.name:
        problems.append(_line(place, f"holds the card of {card.submission.id!r}"))
    submission = Submission(card, place)
    if card.given_evidence is not None:
        _ = submission.outcomes  # the check reads them only where the card has results
    # A verdict on numbers that do not hold is not worth comparing.
    reruns = _reruns(submission, problems) if len(problems) == before else ()
    return Entry(card, place, report, reruns)


def _checked(place: Path, problems: list[str]) -> tuple[Card, CheckedCard]:
    """Return a card whose numbers were recomputed; errors of the check go to `problems`."""
    report = check(place / CARD_FILE)
    errors = [f for f in report.findings if f.severity == "error"]
    problems.extend(_line(place, f"{f.rule} {f.pointer}: {f.message}") for f in errors)
    if report.card is None:
        raise InputError("card.yaml could not be read")
    return report.card, report


def _reruns(original: Submission, problems: list[str]) -> tuple[Rerun, ...]:
    root = original.path(RERUNS)
    if not root.is_dir():
        return ()
    reruns: list[Rerun] = []
    for folder in _folders(root, problems):
        try:
            rerun_card, report = _checked(folder, problems)
            rerun = Rerun(rerun_card, folder, report, read_report(folder))
            reported, again = rerun.verdict, compare(original, rerun, reported=rerun.verdict)
            found = _differences(
                "verdict.json", *(one.model_dump(mode="json") for one in (reported, again))
            )
            problems.extend(_line(folder, problem) for problem in found)
            reruns.append(rerun)
        except InputError as problem:
            problems.append(_line(folder, str(problem)))
    return tuple(reruns)


def _differences(place: str, reported: Any, recomputed: Any) -> list[str]:
    """Return what differs, a line each."""
    if isinstance(reported, dict) and isinstance(recomputed, dict):
        return [
            line
            for key in reported | recomputed
            # Whoever has no responses cannot tell; what `true` changes is in the other fields.
            if not (key == "identical" and None in (reported.get(key), recomputed.get(key)))
            for line in _differences(f"{place} {key}", reported.get(key), recomputed.get(key))
        ]
    if (
        isinstance(reported, list)
        and isinstance(recomputed, list)
        and len(reported) == len(recomputed)
    ):
        return [
            line
            for i, (a, b) in enumerate(zip(reported, recomputed, strict=True))
            for line in _differences(f"{place}[{i}]", a, b)
        ]
    if isinstance(reported, float) and isinstance(recomputed, float):
        same = math.isclose(reported, recomputed, rel_tol=_TOLERANCE, abs_tol=_TOLERANCE)
    else:
        same = bool(reported == recomputed)
    return [] if same else [f"{place} is {reported!r}, recomputed {recomputed!r}"]


def _only_plain_files(place: Path) -> None:
    """Refuse links, pipes and devices anywhere in a submission."""
    for path in sorted(place.rglob("*")):
        mode = path.lstat().st_mode
        if not (stat.S_ISREG(mode) or stat.S_ISDIR(mode)):
            kind = "a symbolic link" if stat.S_ISLNK(mode) else "not a plain file"
            raise InputError(f"{path.relative_to(place)} is {kind}")


def _line(place: Path, text: str) -> str:
    """One line about a submission: `household/reruns/lab-b: ...`."""
    is_rerun = place.parent.name == RERUNS
    name = f"{place.parent.parent.name}/{RERUNS}/{place.name}" if is_rerun else place.name
    return f"{name}: {text}"
