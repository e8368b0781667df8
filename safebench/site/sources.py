"""What a board is built from: submissions read, checked, and left out where they do not hold."""

from __future__ import annotations

import math
import re
import stat
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from functools import cached_property, partial
from pathlib import Path
from typing import Any, NamedTuple, TypeVar

from safebench.analysis.verdict import compare
from safebench.card.card import Card
from safebench.checks import CheckedCard, check
from safebench.checks.registry import Subject
from safebench.errors import InputError, SafebenchError
from safebench.evidence.signature import Signature, check_signature
from safebench.evidence.submission import CARD_FILE, Submission
from safebench.evidence.verdicts import RerunReport, read_report
from safebench.stats import sequential_design

SUBMISSIONS, RERUNS = "submissions", "reruns"
_TOLERANCE = 1e-9
"""Difference of two numbers that are the same: platforms differ in the last bits of a sum."""
_WORDS = {"reason", "environment_differences"}
"""Sentences of verdict.json: a better word must not refuse what was published before."""
_Read = TypeVar("_Read")
_Loads = TypeVar("_Loads", bound=Submission)
_ID = re.compile(r"[a-z0-9][a-z0-9_.-]{0,63}\Z")


class _Signed(Submission):
    """A submission on a board."""

    @cached_property
    def signature(self) -> Signature | None:
        """Who signed it, which was checked; None where nobody did.

        Raises EvidenceError where it does not hold, MissingDependencyError where that is unknown.
        """
        return None if self.card.given_evidence is None else check_signature(self.folder)


@dataclass(frozen=True, eq=False)
class Rerun(_Signed):
    """A repetition of a submission, itself a submission, with the verdict it came to."""

    report: CheckedCard
    verdict: RerunReport

    @property
    def name(self) -> str:
        """The name of its folder."""
        return self.folder.name


@dataclass(frozen=True, eq=False)
class Entry(_Signed):
    """A submission that may be published, as it was checked."""

    report: CheckedCard
    reruns: tuple[Rerun, ...]

    @property
    def id(self) -> str:
        """The id of its card, which is the name of its folder."""
        return self.folder.name


@dataclass(frozen=True)
class LeftOut:
    """A folder that is not published, and why."""

    name: str
    """Where it lies below submissions/: `household`, `household/reruns/lab-b`."""
    problems: tuple[str, ...]
    """One line each."""
    is_gone: bool = False
    """Whether it is no folder, but one that the board's log says was there."""


class Doubtful(Exception):  # noqa: N818 - no error: it ends the reading of one folder
    """A folder's problems, for whoever leaves it out."""

    def __init__(self, *problems: str) -> None:
        super().__init__(*problems)
        self.problems = problems


@dataclass(frozen=True)
class Place:
    """What one folder below submissions/ holds."""

    entry: Entry | None
    """None where it does not hold."""
    left_out: tuple[LeftOut, ...]
    """The submission, or reruns of it."""


def places(folder: Path) -> list[Path]:
    """Return the folders below DIR/submissions in the order of their names, hidden ones aside.

    Raises:
        InputError: there is no such folder.
    """
    root = folder / SUBMISSIONS
    if root.is_symlink() or not root.is_dir():
        raise InputError(
            f"{root}: no such folder", fix=f"put submissions into {root}/ID/, one folder each"
        )
    return _folders(root)


def _folders(root: Path) -> list[Path]:
    there = sorted(root.iterdir())
    return [p for p in there if not p.name.startswith(".") and (p.is_symlink() or p.is_dir())]


def read_place(place: Path) -> Place:
    """Read and check what one folder holds.

    What is unreadable, lies outside, or has numbers that are not those recomputed from its evidence
    is left out: a submission with all that lies in it, a rerun alone.
    """
    left_out: list[LeftOut] = []
    found = list(_each([place], _read, left_out))
    return Place(found[0] if found else None, tuple(left_out))


def read_submissions(folder: Path) -> tuple[list[Entry], list[LeftOut]]:
    """Read every submission below DIR/submissions, and keep all of them in memory.

    Raises:
        InputError: there is no such folder.
    """
    found = [read_place(place) for place in places(folder)]
    left_out = [one for place in found for one in place.left_out]
    return [place.entry for place in found if place.entry is not None], left_out


def _each(
    folders: Iterable[Path],
    read: Callable[[Path, list[LeftOut]], _Read],
    left_out: list[LeftOut],
) -> Iterator[_Read]:
    """Yield what is read of every folder."""
    for place in folders:
        within: list[LeftOut] = []
        try:
            if place.is_symlink():
                raise Doubtful("is a symbolic link")
            if not _ID.match(place.name):
                raise Doubtful("its name is not an id (a-z, 0-9, _ . -)")
            yield read(place, within)
        except Doubtful as problem:
            left_out.append(LeftOut(_name(place), problem.problems))
        except (SafebenchError, OSError) as problem:
            left_out.append(LeftOut(_name(place), (str(problem).partition("\n")[0],)))
        else:
            left_out += within


def _read(place: Path, left_out: list[LeftOut]) -> Entry:
    plain_files(place)
    checked = _checked(place)
    card = checked.card
    if card.submission.id != place.name:
        raise Doubtful(f"holds the card of {card.submission.id!r}")
    root = place / RERUNS
    read = partial(_rerun, _loaded(Submission(card, place), checked))
    reruns = tuple(_each(_folders(root) if root.is_dir() else (), read, left_out))
    entry = _loaded(Entry(card, place, checked.report, reruns), checked)
    if card.given_evidence is not None:
        _ = entry.outcomes  # the check reads them only where the card has results
    _ = entry.signature  # one that cannot be checked here is no reason to call it unsigned
    return entry


class _Checked(NamedTuple):
    card: Card
    report: CheckedCard
    subject: Subject | None
    """What the rules looked at: nothing is read or computed a second time."""


def _loaded(one: _Loads, checked: _Checked) -> _Loads:
    """Give a submission what its check has read and computed."""
    known = {} if checked.subject is None else vars(checked.subject)
    if known.get("outcomes") is not None and known.get("row_problems") == []:
        # In the place where cached properties keep what they have read.
        vars(one).update({name: known[name] for name in ("outcomes", "blocks") if name in known})
    return one


def _checked(place: Path) -> _Checked:
    """Return a card whose numbers were recomputed."""
    seen: list[Subject] = []

    class Kept(Subject):
        """What the rules look at, kept for what comes after them."""

        def __init__(self, *given: Any) -> None:
            super().__init__(*given)
            seen.append(self)

    report = check(place / CARD_FILE, subject=Kept)
    errors = [f for f in report.findings if f.severity == "error"]
    if errors or report.card is None:
        raise Doubtful(*(f"{f.rule} {f.pointer}: {f.message}" for f in errors))
    return _Checked(report.card, report, seen[0] if seen else None)


def _rerun(original: Submission, folder: Path, left_out: list[LeftOut]) -> Rerun:
    checked = _checked(folder)
    reported = read_report(folder)
    if reported.kind == "recompute":
        raise Doubtful("verdict.json is of kind recompute, which makes no submission of its own")
    design = sequential_design(reported.verdicts[0].original_seeds) if reported.schedule else None
    again = compare(
        original,
        _loaded(Submission(checked.card, folder), checked),
        reported.kind,
        design=design,
        looks=reported.looks[:-1],
        reported=reported,
    )
    published = reported.model_dump(mode="json", exclude_unset=True)
    differing = _differences(
        "verdict.json", published, _same_fields(published, again.model_dump(mode="json"))
    )
    if differing:
        raise Doubtful(*differing)
    rerun = _loaded(Rerun(checked.card, folder, checked.report, again), checked)
    _ = rerun.signature
    return rerun


def _same_fields(reported: Any, recomputed: Any) -> Any:
    """Return what was recomputed without fields that an older program did not report."""
    if isinstance(reported, dict) and isinstance(recomputed, dict):
        return {
            name: _same_fields(value, recomputed[name])
            for name, value in reported.items()
            if name in recomputed
        }
    if isinstance(reported, list) and isinstance(recomputed, list):
        if len(reported) != len(recomputed):
            return recomputed
        return [_same_fields(a, b) for a, b in zip(reported, recomputed, strict=True)]
    return recomputed


def _differences(place: str, reported: Any, recomputed: Any) -> list[str]:
    """Return what differs, a line each."""
    if isinstance(reported, dict) and isinstance(recomputed, dict):
        return [
            line
            for key in reported | recomputed
            if key not in _WORDS
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


def plain_files(place: Path) -> list[str]:
    """Return the files of a submission; links, pipes and devices are Doubtful."""
    names = []
    for path in sorted(place.rglob("*")):
        mode, name = path.lstat().st_mode, path.relative_to(place).as_posix()
        if stat.S_ISREG(mode):
            names.append(name)
        elif not stat.S_ISDIR(mode):
            kind = "a symbolic link" if stat.S_ISLNK(mode) else "not a plain file"
            raise Doubtful(f"{name} is {kind}")
    return names


def _name(place: Path) -> str:
    """Where a folder lies below submissions/."""
    is_rerun = place.parent.name == RERUNS
    return f"{place.parent.parent.name}/{RERUNS}/{place.name}" if is_rerun else place.name
