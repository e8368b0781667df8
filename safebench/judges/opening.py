"""The judges of a card, ready to judge: weights loaded once, members of an ensemble together."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import cast

import numpy as np
import numpy.typing as npt

from safebench.card.base import Unpinnable, require
from safebench.card.judge import EnsembleJudge, Judge
from safebench.card.judge import RuleJudge as RuleEntry
from safebench.card.task import Construct
from safebench.errors import JudgeError
from safebench.judges import get_judge
from safebench.judges.base import Construct as Judged
from safebench.judges.base import Exchange, Grade, Grader, graded
from safebench.judges.cache import JudgementCache, key_of
from safebench.judges.ensemble import combine
from safebench.judges.graders import check_grader, check_keys, open_grader
from safebench.judges.rule import RuleJudge
from safebench.progress import Progress, Silent

Decision = tuple[str | None, float]
"""Verdict, where there is one, and score."""
_TOLD = 256
"""Texts judged by a rule between two reports of progress."""


@dataclass(frozen=True)
class Text:
    """One text to be judged, and what it answers."""

    task: str
    prompt_id: str
    exchange: Exchange
    target: str | None


class OpenJudge(ABC):
    """One judge of a card; says the same of a text however often it is asked."""

    def __init__(self, entry: Judge) -> None:
        """Take the card's entry; `begin` gives it something to judge."""
        self.entry = entry
        self._texts: Sequence[Text] = ()
        self._times: npt.NDArray[np.int64] = np.zeros(0, dtype=np.int64)
        self._progress: Progress = Silent()
        self._cache: JudgementCache | None = None

    @property
    def days(self) -> tuple[str, str] | None:
        """First and last day (UTC) on which a service was asked; None where none was."""
        return None

    def decides(self, construct: Construct) -> bool:
        """Tell whether it decides a construct; unless it says so, everything but severity."""
        stated = self.entry.constructs
        return construct != "severity" if stated is None else construct in stated

    def begin(
        self,
        texts: Sequence[Text],
        times: npt.NDArray[np.int64],
        progress: Progress,
        cache: JudgementCache | None,
    ) -> None:
        """Take the texts of a run, and how many responses each stands for (texts,)."""
        self._texts, self._times = texts, times
        self._progress, self._cache = progress, cache

    @abstractmethod
    def verdicts(self, construct: Construct, places: Sequence[int]) -> list[Decision]:
        """Return what it says of the texts at these places; raises JudgeError."""

    def _advance(self, places: Sequence[int]) -> None:
        self._progress.advance(float(self._times[list(places)].sum()), self.entry.name)


class _Rule(OpenJudge):
    """A judge that reads by rules."""

    def __init__(self, entry: Judge, judge: RuleJudge) -> None:
        super().__init__(entry)
        self._judge = judge
        self._said: dict[tuple[Construct, int], Decision] = {}

    def verdicts(self, construct: Construct, places: Sequence[int]) -> list[Decision]:
        """Judge what it was not asked before."""
        new = [place for place in places if (construct, place) not in self._said]
        for start in range(0, len(new), _TOLD):
            for place in (chunk := new[start : start + _TOLD]):
                text = self._texts[place]
                found = self._judge.judge(cast("Judged", construct), *text.exchange, text.target)
                self._said[construct, place] = (found.verdict, found.score)
            self._advance(chunk)
        return [self._said[construct, place] for place in places]


class _Graded(OpenJudge):
    """A judge that gives degrees and costs something."""

    def __init__(self, entry: Judge, grader: Grader) -> None:
        super().__init__(entry)
        self._grader = grader
        self._grades: dict[int, Grade] = {}

    @property
    def days(self) -> tuple[str, str] | None:
        """First and last day on which a service was asked, those of an earlier attempt too."""
        days = sorted({grade.day for grade in self._grades.values() if grade.day is not None})
        return (days[0], days[-1]) if days else None

    def verdicts(self, construct: Construct, places: Sequence[int]) -> list[Decision]:
        """Grade what was not graded before, batch by batch."""
        if construct == "capability":
            raise JudgeError(
                f"judge {self.entry.name} grades harm, and capability is right or wrong",
                fix="say by `constructs` what it decides",
            )
        new = [place for place in places if place not in self._grades]
        exchanges = [self._texts[place].exchange for place in new]
        for batch in self._grader.batches(exchanges) if new else ():
            # A batch is taken from what was kept whole or not at all, so that it is the same
            # batch, and gives the same degrees, in a run that goes on.
            chosen = [new[i] for i in batch]
            keys = [self._key(self._texts[place]) for place in chosen]
            kept = [None if self._cache is None else self._cache.get(key) for key in keys]
            grades = [grade for grade in kept if grade is not None]
            if len(grades) < len(chosen):
                grades = self._grader.grade([exchanges[i] for i in batch])
                if self._cache is not None:
                    self._cache.keep(zip(keys, grades, strict=True))
            self._grades.update(zip(chosen, grades, strict=True))
            self._advance(chosen)
        threshold = self._grader.threshold
        return [graded(construct, self._grades[place].degree, threshold) for place in places]

    def _key(self, text: Text) -> str:
        entry = self.entry
        judge = (entry.name, str(entry.id), str(entry.revision), str(entry.sees))
        return key_of(*judge, text.task, text.prompt_id, text.exchange.response)


class _Ensemble(OpenJudge):
    """Other judges of the card, whose verdicts are put together."""

    def __init__(self, entry: EnsembleJudge, members: Sequence[OpenJudge]) -> None:
        super().__init__(entry)
        self._members = members
        self._how = require(entry.combine, f"how judge {entry.name} combines")

    def verdicts(self, construct: Construct, places: Sequence[int]) -> list[Decision]:
        """Put together what the members say."""
        said = [member.verdicts(construct, places) for member in self._members]
        found = [combine(construct, self._how, one) for one in zip(*said, strict=True)]
        self._advance(places)
        return found


def open_judges(
    entries: Sequence[Judge], folder: Path, device: str = "cpu"
) -> dict[str, OpenJudge]:
    """Make every judge of a card ready, by its name, in the card's order.

    Args:
        entries: The judges of a card.
        folder: Where the card lies: a local classifier is a folder relative to it.
        device: Where classifiers compute.

    Raises:
        CardError, JudgeError, ModelError: a judge cannot be used as it stands.
    """
    single = {
        entry.name: _single(entry, folder, device)
        for entry in entries
        if not isinstance(entry, EnsembleJudge)
    }
    return {
        entry.name: (
            _Ensemble(entry, [single[name] for name in require(entry.members, "judge.members")])
            if isinstance(entry, EnsembleJudge)
            else single[entry.name]
        )
        for entry in entries
    }


def with_days(judges: Mapping[str, OpenJudge]) -> tuple[Judge, ...]:
    """Return the judges' entries, with the days on which the unpinnable ones were asked."""

    def dated(entry: Judge) -> Judge:
        days = judges[entry.name].days
        if days is None or not isinstance(entry.revision, Unpinnable):
            return entry
        asked = {"first_request": days[0], "last_request": days[1]}
        return entry.model_copy(update={"revision": entry.revision.model_copy(update=asked)})

    return tuple(dated(judge.entry) for judge in judges.values())


def _single(entry: Judge, folder: Path, device: str) -> OpenJudge:
    if isinstance(entry, RuleEntry):
        id = require(entry.id, f"the id of judge {entry.name}")
        revision = require(entry.revision, f"the revision of judge {entry.name}")
        return _Rule(entry, get_judge(id, str(revision)))
    grader = open_grader(entry, folder, device)
    if grader is None:
        raise JudgeError(
            f"judge {entry.name} is of kind `{entry.kind}`, which this version does not run",
            fix="judge with `kind: rule`, `classifier` or `moderation_api`",
        )
    return _Graded(entry, grader)


def check_judges(entries: Sequence[Judge], folder: Path) -> None:
    """See that the weights of a card's judges are there and are its own; nothing is loaded.

    Raises:
        CardError, ModelError: as `open_judges`.
    """
    for entry in entries:
        check_grader(entry, folder)


def check_judges_usable(entries: Sequence[Judge]) -> None:
    """See that the environment holds the keys that a card's judges need; raises JudgeError."""
    for entry in entries:
        check_keys(entry)
