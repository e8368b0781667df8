"""Rules by id: what each says, why it exists, and the function that looks for it."""

from __future__ import annotations

import datetime
import itertools
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from safebench.card.base import NotReported
from safebench.card.card import Card
from safebench.card.document import Pointer
from safebench.checks.findings import Severity

if TYPE_CHECKING:
    from safebench.evidence.manifest import FileProblem


@dataclass(frozen=True)
class Hit:
    """A place where a rule is broken."""

    pointer: Pointer
    message: str
    fix: str


@dataclass(frozen=True)
class Subject:
    """What rules look at."""

    card: Card
    folder: Path | None
    """Folder of the card; None when it came from standard input."""
    today: datetime.date

    @property
    def tomorrow(self) -> datetime.date:
        """The day after today: a day of grace covers the time zones."""
        return self.today + datetime.timedelta(days=1)

    @cached_property
    def file_problems(self) -> list[FileProblem]:
        """Every file of the evidence that is not what the card says; files are read once."""
        if self.folder is None or self.card.given_evidence is None:
            return []
        from safebench.evidence.manifest import check_files  # pyarrow: only where there is evidence

        return check_files(self.folder, self.card.given_evidence)


MOST_LISTED = 20
"""Names that a message quotes."""

Check = Callable[[Subject], Iterator[Hit]]


@dataclass(frozen=True)
class Rule:
    """One requirement of the standard."""

    id: str
    severity: Severity
    section: str
    """Page and anchor in spec/v1."""
    title: str
    """What must hold, in a sentence."""
    rationale: str
    """Why, in a sentence."""
    check: Check | None = None
    """Finds its violations; None for what the reader and the schema find."""


_RULES: dict[str, Rule] = {}


def rule(
    id: str, severity: Severity, *, section: str, title: str, rationale: str
) -> Callable[[Check], Check]:
    """Register a function as the check of a rule."""

    def register(check: Check) -> Check:
        add(Rule(id, severity, section, title, rationale, check))
        return check

    return register


def add(new: Rule) -> None:
    """Register a rule; an id is used once, ever."""
    if new.id in _RULES:
        raise ValueError(f"rule {new.id} is registered twice")
    _RULES[new.id] = new


def all_rules() -> dict[str, Rule]:
    """Return every rule by id, in the order of ids."""
    from safebench.checks import rules  # noqa: F401 - importing it registers them

    return dict(sorted(_RULES.items()))


def known(value: Any) -> Any:
    """Return a value, or None when it is absent or not reported."""
    return None if isinstance(value, NotReported) else value


def items(value: Any) -> tuple[Any, ...]:
    """Return a list's items; none when it is absent or not reported."""
    found = known(value)
    return found if isinstance(found, tuple) else ()


def text(value: Any) -> str | None:
    """Return a text; None when it is absent, not reported, or says why it cannot be pinned."""
    return value if isinstance(value, str) else None


def listed(names: Iterable[Any]) -> str:
    """Return names in a line that stays short: as many may be declared as a file holds."""
    first = list(itertools.islice(names, MOST_LISTED + 1))
    shown = ", ".join(str(name) for name in first[:MOST_LISTED])
    return f"{shown}, ..." if len(first) > MOST_LISTED else shown


def calendar_day(stated: str) -> datetime.date | None:
    """Return the day that a date names; None when the calendar has no such day."""
    try:
        return datetime.date.fromisoformat(stated)
    except ValueError:
        return None


def duplicates(names: list[Any]) -> Iterator[tuple[int, Any]]:
    """Yield position and value of everything that was there before."""
    seen: set[Any] = set()
    for number, name in enumerate(names):
        if name in seen:
            yield number, name
        seen.add(name)
