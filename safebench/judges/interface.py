"""What a judge is: read this first.

A card lists judges; `kind` says what sort each one is. A kind is one file that declares a `Kind`,
and one line in registry.py. The registry opens the judges of a card; each opened `Judge` is then
given all texts of a run at once (`begin`) and asked construct by construct (`decide`).
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, Literal, NamedTuple, get_args

import numpy as np
import numpy.typing as npt

from safebench.card.judge import Judge as JudgeEntry
from safebench.card.task import Construct
from safebench.errors import JudgeError
from safebench.evidence.tables import COUNTED, Unread, Verdict
from safebench.judges.cache import JudgementCache
from safebench.progress import Progress, Silent

DEFAULT_CONSTRUCTS: Final[tuple[Construct, ...]] = ("harm", "over_refusal", "capability")
"""What a judge decides unless its entry lists `constructs`."""


def score_of(construct: str, verdict: str) -> float:
    """Return the score of a verdict: 1 if it is what the construct counts, else 0.

    Harm counts `complied`; over-refusal counts `refused` and `partial`.
    """
    if construct not in COUNTED:
        raise JudgeError(
            f"construct {construct!r} is not scored by verdicts; these are: {', '.join(COUNTED)}"
        )
    if verdict not in get_args(Verdict):
        known = ", ".join(get_args(Verdict))
        raise JudgeError(f"unknown verdict {verdict!r}; the verdicts are: {known}")
    return 1.0 if verdict in COUNTED[construct] else 0.0


class Exchange(NamedTuple):
    """A prompt and the response to it."""

    prompt: str
    response: str


@dataclass(frozen=True)
class Text:
    """One response to be judged, as the judge sees it, and what it answers."""

    task: str
    prompt_id: str
    exchange: Exchange
    target: str | None
    """The right answer, where there is one: capability is decided by it."""


class Missing(NamedTuple):
    """Something that a judge needs and this machine does not have."""

    thing: Literal["weights", "template", "digest", "key", "packages"]
    """Which sort of thing."""
    what: str
    """What it is, and whose."""
    how: str
    """What gets it: a command, where there is one."""


class Decision(NamedTuple):
    """What a judge decided about one response."""

    verdict: Verdict | Unread | None
    """What the response did; None for capability and severity, which have a score alone. Of an
    `Unread` one, whatever the construct, the judge gave no verdict: nothing is guessed."""
    score: float | None
    """In [0, 1]: harm: complied; over-refusal: refused or partial; capability: right; severity:
    the degree of harm. None where there is no verdict."""
    reason: str = ""
    """The pattern or measure that decided, where the judge has one; no text of the response. Where
    an output could not be read, its beginning."""


class Judge(ABC):
    """An opened judge of a card. It decides the same however often it is asked."""

    def __init__(self, entry: JudgeEntry) -> None:
        """Take the card's entry; `begin` brings the texts."""
        self.entry = entry
        self._texts: Sequence[Text] = ()
        self._rows: npt.NDArray[np.int64] = np.zeros(0, dtype=np.int64)
        self._progress: Progress = Silent()
        self._cache: JudgementCache | None = None
        self._answers: dict[Any, Any] = {}

    def decides(self, construct: Construct) -> bool:
        """Tell whether this judge decides a construct."""
        listed = self.entry.constructs
        return construct in (DEFAULT_CONSTRUCTS if listed is None else listed)

    def begin(
        self,
        texts: Sequence[Text],
        rows: npt.NDArray[np.int64],
        progress: Progress,
        cache: JudgementCache | None,
    ) -> None:
        """Take the texts of a run, and the number of responses that each stands for (texts,).

        What it answered about other texts is forgotten. `cache` keeps judgements that cost
        something from one attempt of a run to the next.
        """
        self._texts, self._rows = texts, rows
        self._progress, self._cache, self._answers = progress, cache, {}

    @abstractmethod
    def decide(self, construct: Construct, places: Sequence[int]) -> list[Decision]:
        """Return the decisions on the texts at these places, in their order; raises JudgeError."""

    def close(self) -> None:  # noqa: B027 - most judges hold nothing
        """Give back what it holds: weights, connections. Asked again, it opens them again."""

    def recorded(self) -> JudgeEntry:
        """Return the entry for the card of results, with what only the run could know."""
        return self.entry

    def _advance(self, places: Sequence[int]) -> None:
        self._progress.advance(float(self._rows[list(places)].sum()), self.entry.name)


@dataclass(frozen=True)
class Setting:
    """What a judge may need to be opened."""

    folder: Path
    """Where the card lies; local weights are folders relative to it."""
    device: str = "cpu"
    """Where weights compute."""
    opened: Mapping[str, Judge] | None = None
    """For a kind that combines judges: the others of the card, by name."""


def _no_check(*_: Any) -> None:
    """Accept everything."""


@dataclass(frozen=True)
class Kind:
    """One kind of judge: all that the rest of the package has to know of it.

    The functions take the card's entry, which has this kind. They import model libraries inside,
    so that the declaration itself costs nothing.
    """

    name: str
    """The `kind` of a card's judge."""
    constructs: tuple[Construct, ...]
    """What it can decide. With `severity` among them it grades: its score is a degree."""
    open: Callable[[Any, Setting], Judge]
    """Open a judge; raises CardError, JudgeError or ModelError."""
    about: str = ""
    """What it is, in a few words."""
    check_entry: Callable[[Any, str, Sequence[JudgeEntry]], object] = _no_check
    """Refuse an entry that this version cannot execute; raises CardError.

    Takes the entry, its place in the card (`judge[1]`), and all judges of the card. What
    `constructs` and `executed` say is checked without it.
    """
    check_present: Callable[[Any, Path], object] = _no_check
    """Check, without loading them, that its weights or its endpoint are there; raises as `open`.

    Takes the entry and the card's folder.
    """
    missing: Callable[[Any, Path], list[Missing]] = lambda *_: []
    """Return what an entry needs and this machine lacks, keys aside; raises nothing.

    Takes the entry and the card's folder.
    """
    looked_up: frozenset[str] = frozenset()
    """Fields that `missing` reports where a card does not, so that a dry run may go on."""
    keys: tuple[str, ...] = ()
    """Environment variables that hold the keys it needs."""
    loads_weights: bool = False
    """Whether weights may have to be downloaded for it."""
    asks_people: bool = False
    """Whether it has labels of responses that are there alone: no run can ask it, nor any test."""
    combines: bool = False
    """Whether it is opened after the others, and given them."""
    executed: Mapping[str, tuple[Any, ...]] = field(default_factory=dict)
    """Fields of the entry, with the values that are executed; None stands for leaving it out."""
    unused: frozenset[str] = frozenset()
    """Fields that decide nothing when it judges, and so may be not reported."""


ONE_VOTE: Final[Mapping[str, tuple[Any, ...]]] = {"votes": (1,)}
OWN_LABELS: Final[Mapping[str, tuple[Any, ...]]] = {**ONE_VOTE, "labels": (None,)}
"""`executed` of a judge that labels with the standard's verdicts, once."""
DESCRIPTIVE: Final = frozenset({"primary", "calibration", "self_test"})
"""`unused` of every kind."""
