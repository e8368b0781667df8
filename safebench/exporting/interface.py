"""What an exporter takes and returns, and the registry of formats.

A format is a module with a function `export(submission, options) -> Export`, and a line in FORMATS.
It writes the numbers of `submission.results`, which `open_submission` has checked. What the format
has no field for is listed in `Export.lost`, one sentence each.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, fields
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, cast

from safebench.analysis.selection import Selection
from safebench.errors import EvidenceError, InteropError, RunError
from safebench.files import folder_at_once
from safebench.words import option

if TYPE_CHECKING:  # the command's help needs no tables
    from safebench.evidence.submission import Submission


@dataclass(frozen=True)
class Options:
    """Options of an export; each format has a use for some of them."""

    format: str = ""
    """The format's name, for a module that writes several."""
    card_url: str | None = None
    """Where the card can be read."""
    training_seed: int | None = None
    """The training seed whose numbers are written; those of the recipe as a whole if None."""
    tasks: tuple[str, ...] = ()
    """The tasks whose numbers are written; all of them if empty. This and the four below are the
    fields of `Selection`."""
    constructs: tuple[str, ...] = ()
    decoding: str | None = None
    judge: str | None = None
    checkpoint: int | None = None
    timestamp: str | None = None
    """When the record was made, in seconds since 1970; the card's date if None."""
    with_responses: bool = False
    """Whether prompts and responses are written that the card does not publish."""

    @property
    def selection(self) -> Selection:
        """Which numbers are written."""
        return Selection(**{name: getattr(self, name) for name in _SELECTION})


@dataclass
class Export:
    """Files of another format, and what it cannot hold."""

    files: dict[str, bytes] = field(default_factory=dict)
    """Content by path, below the folder that is written."""
    lost: list[str] = field(default_factory=list)
    """What the submission says and the format has no field for."""


@dataclass(frozen=True)
class Format:
    """One line of the registry."""

    module: str
    """Name of the module in this package."""
    summary: str
    """What is written, for the command's help."""
    options: frozenset[str] = frozenset()
    """Fields of `Options` that it has a use for."""


_SELECTION = tuple(field.name for field in fields(Selection))
_TABLES = "every table of safebench.load"
FORMATS = {
    "every-eval-ever": Format(
        "every_eval_ever",
        "records of every_eval_ever 0.3: a file per model, and one per recipe",
        frozenset({"timestamp", "with_responses"}),
    ),
    "inspect": Format(
        "inspect",
        "logs that `inspect view` opens: one per model, decoding and task",
        frozenset({"timestamp", "with_responses", *_SELECTION}),
    ),
    "hub": Format(
        "hub",
        ".eval_results and model-index for a model card on the Hub",
        frozenset({"card_url", "training_seed", *_SELECTION}),
    ),
    "croissant": Format(
        "croissant", "a description of the evidence tables as a data set", frozenset({"card_url"})
    ),
    "csv": Format("tables", _TABLES, frozenset(_SELECTION)),
    "parquet": Format("tables", _TABLES, frozenset(_SELECTION)),
}


def option_of(field: str) -> str:
    """Return the command-line option of a field of `Options`: `--task`, `--card-url`."""
    return option(field.removesuffix("s") if field in ("tasks", "constructs") else field)


def formats_with(option: str) -> list[str]:
    """Return the formats that have a use for an option."""
    return [name for name, one in FORMATS.items() if option in one.options]


def write_export(folder: Path, out: Path, options: Options) -> Export:
    """Write a submission as `options.format` into a new folder, all of it or nothing.

    Raises:
        RunError: `out` is not empty.
        CardError, EvidenceError: the submission cannot be read, or has no results.
        InteropError: the format has no use for an option, or there is nothing that it can hold.
    """
    chosen = FORMATS[options.format]
    for field_ in fields(Options)[1:]:
        name = field_.name
        if getattr(options, name) != field_.default and name not in chosen.options:
            raise InteropError(
                f"{option_of(name)} has no meaning for {options.format}",
                fix=f"leave it out, or export {' or '.join(formats_with(name))}",
            )
    if out.exists() and (not out.is_dir() or any(out.iterdir())):
        raise RunError(f"{out}: is not empty", fix="give --out a new folder")
    module = import_module(f"safebench.exporting.{chosen.module}")
    exporter = cast("Callable[[Submission, Options], Export]", module.export)
    export = exporter(open_submission(folder), options)
    with folder_at_once(out) as made:
        for name, content in export.files.items():
            (made / name).parent.mkdir(parents=True, exist_ok=True)
            (made / name).write_bytes(content)
    return export


def open_submission(folder: Path) -> Submission:
    """Read a submission, and check its card's numbers against its outcomes.

    Raises:
        CardError: its card cannot be read.
        EvidenceError: it has no results, its outcomes are absent, damaged or incomplete, or give
            other numbers.
    """
    from safebench.checks.rules.evidence import differences
    from safebench.evidence.submission import Submission

    submission = Submission.read(folder)
    reported = submission.card.given_results
    if reported is None:
        raise EvidenceError(
            f"{folder}: the card has no results to export",
            fix="execute the plan first: safebench run CARD --out DIR",
        )
    if next(differences(reported, submission.results), None) is not None:
        raise EvidenceError(
            f"{folder}: the card's numbers are not those of its outcomes",
            fix=f"safebench validate {folder} names each of them",
        )
    return submission
