"""What a rule is, what it is given, and the decorator that makes one.

A file of `rules/` makes its `rules = Rules(SECTION)` and adds functions to it. What the standard
prints about a rule stands in its decorator, not in a docstring: Python run with -OO has none. The
function yields a hit for each place where the rule is broken. A rule about items of a list names
the list as `each`; its function gets one item and yields places inside it.
"""

from __future__ import annotations

import datetime
import itertools
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from functools import cached_property, partialmethod
from pathlib import Path
from typing import TYPE_CHECKING, Any

from safebench.card.base import NotReported
from safebench.card.card import Card
from safebench.card.document import Patch, Pointer
from safebench.card.model import Weights
from safebench.card.results import RegisteredRun, Results, Score
from safebench.card.training import NoTraining
from safebench.checks.findings import Severity
from safebench.errors import EvidenceError, SafebenchError
from safebench.files import inside

if TYPE_CHECKING:
    import pyarrow as pa

    from safebench.evidence.arrays import OutcomeArray
    from safebench.evidence.manifest import FileProblem
    from safebench.evidence.outcomes import RowProblem
    from safebench.harness.tasks import LoadedTask

OUTCOMES_FILE, RESPONSES_FILE = "outcomes.parquet", "responses.parquet"
COMMITMENTS_FILE = "commitments.parquet"
"""As in `safebench.evidence.tables` and `commitments`, which load pyarrow."""
GROUPS = {
    "READ": "Reading",
    "CARD": "Structure and version",
    "SUB": "Submission",
    "MOD": "Model",
    "DATA": "Data",
    "HYP": "Hyperparameters",
    "SEED": "Seeds",
    "DEC": "Decoding",
    "JUD": "Judges",
    "TASK": "Tasks",
    "RES": "Results",
    "EVI": "Evidence",
}
"""The groups of rules, in the order of a card."""
MOST_LISTED = 20
"""Names that a message quotes."""


@dataclass(frozen=True)
class Subject:
    """The card that rules check, with what many of them look at."""

    card: Card
    folder: Path | None
    """Folder of the card; None when it came from standard input."""
    today: datetime.date

    @property
    def tomorrow(self) -> datetime.date:
        """The day after today: a day of grace covers the time zones."""
        return self.today + datetime.timedelta(days=1)

    @property
    def is_untuned(self) -> bool:
        """Whether the card says that nothing is fine-tuned."""
        return isinstance(self.card.hyperparameters, NoTraining)

    @property
    def training_seeds(self) -> tuple[int, ...] | None:
        """The training seeds that are listed; None where there is a number of them, or nothing."""
        seeds = reported(getattr(self.card.seeds, "training", None))
        return seeds if isinstance(seeds, tuple) else None

    @property
    def seed_count(self) -> int | None:
        """How many training seeds are declared; None when the card does not say."""
        seeds = reported(getattr(self.card.seeds, "training", None))
        return len(seeds) if isinstance(seeds, tuple) else seeds

    @property
    def checkpoints(self) -> tuple[int, ...]:
        """The checkpoints that are declared."""
        return items(getattr(self.card.hyperparameters, "checkpoints", None))

    @property
    def weights(self) -> tuple[Weights, ...]:
        """The tuned weights that are listed."""
        return items(getattr(self.card.model, "weights", None))

    @property
    def scores(self) -> tuple[Score, ...]:
        """The scores; none in a plan."""
        return self.card.given_results.scores if self.card.given_results is not None else ()

    @property
    def runs(self) -> tuple[RegisteredRun, ...]:
        """The runs that were registered."""
        return items(getattr(self.card.evidence, "runs", None))

    def each(self, path: str) -> Iterator[tuple[Pointer, Any]]:
        """Yield the items of a list of the card, `results.scores`, each with its place.

        There are none where the list is absent or not reported. Tasks are entries, not bare names.
        """
        at = path.split(".")
        found: Any = self.card
        for name in at:
            found = getattr(found, name, None)
        for number, item in enumerate(self.card.task_list() if path == "tasks" else items(found)):
            yield (*at, number), item

    def declared(self, field: str) -> list[str] | None:
        """Return the names of a list of the card; None where the list is not reported."""
        section = getattr(self.card, field)
        return None if isinstance(section, NotReported) else [item.name for item in section]

    def beside(self, path: str) -> Path | None:
        """Return what lies at a path of the card's folder; None where nothing does, or outside."""
        found = None if self.folder is None else inside(self.folder, path)
        return found if found is not None and found.exists() else None

    @cached_property
    def file_problems(self) -> list[FileProblem]:
        """Every file of the evidence that is not what the card says; files are read once."""
        if self.folder is None or self.card.given_evidence is None:
            return []
        from safebench.evidence.manifest import check_files  # pyarrow: only where there is evidence

        return check_files(self.folder, self.card.given_evidence)

    def file_place(self, path: str) -> Pointer:
        """Return where the card lists a file of the evidence, or its manifest where it does not."""
        listed = self.each("evidence.files")
        return next((at for at, file in listed if file.path == path), ("evidence", "manifest"))

    def is_intact(self, path: str) -> bool:
        """Whether a file is listed in the evidence, and is the file that was listed."""
        evidence = self.card.given_evidence
        listed = set() if evidence is None else {file.path for file in evidence.files}
        return path in listed - {problem.path for problem in self.file_problems}

    @cached_property
    def outcomes(self) -> pa.Table | EvidenceError | None:
        """The outcomes, why they cannot be read, or None where another rule refuses the file."""
        return self._table(OUTCOMES_FILE)

    @cached_property
    def row_problems(self) -> list[RowProblem]:
        """What contradicts the standard within single rows of the outcomes."""
        from safebench.evidence.outcomes import row_problems

        table = self.outcomes
        return (
            [] if table is None or isinstance(table, EvidenceError) else list(row_problems(table))
        )

    @cached_property
    def responses(self) -> pa.Table | EvidenceError | None:
        """The responses, why they cannot be read, or None where there are none to read."""
        return self._table(RESPONSES_FILE)

    @cached_property
    def commitments(self) -> pa.Table | EvidenceError | None:
        """The commitments in the place of responses, as `responses` says."""
        return self._table(COMMITMENTS_FILE)

    @cached_property
    def task_documents(self) -> dict[str, LoadedTask | None]:
        """The tasks by name, those whose own prompts can be had without a network."""
        from safebench.harness.task_yaml import shipped_file
        from safebench.harness.tasks import read_task

        found: dict[str, LoadedTask | None] = {}
        for task in self.card.task_list():
            path, limit = text(task.path), reported(task.limit)
            if shipped_file(task.name) is None:
                continue
            try:  # a path means nothing to a task that carries its own prompts
                part: dict[str, Any] = {"limit": limit, "sample": task.sample}
                loaded = read_task(task.name, **part)
                if path is not None and (loaded is None or loaded.is_published):
                    file = self.beside(path)
                    loaded = None if file is None else read_task(task.name, file=file, **part)
                found[task.name] = loaded
            except SafebenchError:
                continue  # a copy that cannot be read is no evidence against the submission
        return found

    def _table(self, name: str) -> pa.Table | EvidenceError | None:
        if self.folder is None or not self.is_intact(name):
            return None
        from safebench.evidence.commitments import COMMITMENTS
        from safebench.evidence.tables import OUTCOMES, RESPONSES, read_table

        of = {OUTCOMES_FILE: OUTCOMES, RESPONSES_FILE: RESPONSES, COMMITMENTS_FILE: COMMITMENTS}
        try:
            return read_table(self.folder / name, of[name], coded=True)
        except EvidenceError as problem:
            return problem

    @cached_property
    def blocks(self) -> list[OutcomeArray]:
        """The outcomes, which are there and readable, as arrays; raises EvidenceError."""
        from safebench.evidence.arrays import outcome_arrays

        return outcome_arrays(self.outcomes)

    @cached_property
    def computed(self) -> Results | EvidenceError | None:
        """The results that the outcomes give, or what is wrong with the outcomes.

        None where another rule says what is wrong with the file or its rows.
        """
        table = self.outcomes
        if table is None or self.row_problems:
            return None
        if isinstance(table, EvidenceError):
            return table
        if not table.num_rows:
            return EvidenceError("it has no rows", fix="an empty table is no evidence")
        from safebench.evidence.scoring import results_of

        try:
            return results_of(self.card, self.blocks)
        except EvidenceError as problem:
            return problem


Inside = str | Pointer
"""A place in what the function was given: the name of a field, or a path; () for all of it."""
Hits = Iterator[tuple[Inside, str] | tuple[Inside, str, str] | tuple[Inside, str, str, Patch]]
"""Place, message, the remedy where it is not the one that all hits of the rule share, and its
operations, inside what the function was given, where a program can apply it."""
Check = Callable[[Any], Hits]
Each = Callable[[Subject], Iterator[tuple[Pointer, Any]]]


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
    fix: str = ""
    """Remedy, for hits that bring none of their own."""
    condition: str = ""
    """When it is broken, in full: enough to write the rule from. Empty where a table says it."""
    check: Check | None = None
    """Finds its violations; None for what the reader and the schema find."""
    each: str | Each | None = None
    """What the check is given one by one: a list's path in the card, or a function that yields
    items with their places; None for the whole subject."""

    @property
    def group(self) -> str:
        """The heading under which it stands: the second part of the id names it."""
        return GROUPS[self.id.split("-")[1]]

    def hits(self, subject: Subject) -> Iterator[tuple[Pointer, str, str, Patch]]:
        """Yield pointer, message, remedy and its operations for every place that breaks it."""
        if self.check is None:
            return
        given: Iterable[tuple[Pointer, Any]] = [((), subject)]
        if self.each is not None:
            given = subject.each(self.each) if isinstance(self.each, str) else self.each(subject)
        for at, item in given:
            for hit in self.check(item):
                place, message = hit[0], hit[1]
                inside = (place,) if isinstance(place, str) else place
                fix = hit[2] if len(hit) > 2 else self.fix
                patch = hit[3] if len(hit) > 3 else ()
                edits = tuple(replace(edit, path=(*at, *edit.path)) for edit in patch)
                yield (*at, *inside), message, fix, edits


class Rules(list[Rule]):
    """The rules of one file: `rules.error` and `rules.warning` add a function as a check.

    An error caps the level at `incomplete`, a warning leaves it as it is.
    """

    def __init__(self, section: str) -> None:
        """Start a list of rules about one section of the standard: its page and anchor."""
        self.section = section

    def _add(
        self,
        severity: Severity,
        id: str,
        title: str,
        *,
        why: str,
        condition: str = "",
        fix: str = "",
        each: str | Each | None = None,
        section: str | None = None,
    ) -> Callable[[Check], Check]:
        def add(check: Check) -> Check:
            place = section or self.section
            self.append(Rule(id, severity, place, title, why, fix, condition, check, each))
            return check

        return add

    error = partialmethod(_add, "error")
    warning = partialmethod(_add, "warning")


def reported(value: Any) -> Any:
    """Return a value, or None when it is absent or not reported."""
    return None if isinstance(value, NotReported) else value


def items(value: Any) -> tuple[Any, ...]:
    """Return a list's items; none when it is absent or not reported."""
    return value if isinstance(value, tuple) else ()


def text(value: Any) -> str | None:
    """Return a text; None when it is absent, not reported, or says why it cannot be pinned."""
    return value if isinstance(value, str) else None


def listed(names: Iterable[Any]) -> str:
    """Return names in a line that stays short: as many may be declared as a file holds."""
    first = list(itertools.islice(names, MOST_LISTED + 1))
    shown = ", ".join(str(name) for name in first[:MOST_LISTED])
    return f"{shown}, ..." if len(first) > MOST_LISTED else shown


def calendar_day(date: str) -> datetime.date | None:
    """Return the day that a date names; None when the calendar has no such day."""
    try:
        return datetime.date.fromisoformat(date)
    except ValueError:
        return None


def duplicates(values: Iterable[Any]) -> Iterator[tuple[int, Any]]:
    """Yield position and value of everything that was there before, `None` aside."""
    seen: set[Any] = set()
    for number, value in enumerate(values):
        if value in seen and value is not None:
            yield number, value
        seen.add(value)


def names_differ(path: str) -> Check:
    """Return a check that no entry of a list has the name of an earlier one."""

    def check(subject: Subject) -> Hits:
        names = [entry.name for _, entry in subject.each(path)]
        for number, name in duplicates(names):
            first = f"{path}[{names.index(name)}]"
            yield (path, number, "name"), f"{first} is already called {name}"

    return check


def fields_that_differ(one: Any, other: Any, fields: Iterable[str]) -> list[str]:
    """Return the fields in which two entries say different things."""
    values = {field: (getattr(one, field), getattr(other, field)) for field in fields}
    return [
        field
        for field, pair in values.items()
        if pair[0] != pair[1] and not any(isinstance(value, NotReported) for value in pair)
    ]


def lies_outside(lower: Any, value: Any, upper: Any, slack: float = 0.0) -> bool:
    """Whether a value lies outside its interval; False where a part is not reported."""
    parts = reported(lower), reported(value), reported(upper)
    return None not in parts and not parts[0] - slack <= parts[1] <= parts[2] + slack
