"""What commands about one judge share: the judge that is named, and labels in files."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import click
from pydantic import TypeAdapter

from safebench import words
from safebench.card.base import require
from safebench.card.judge import Judge as JudgeEntry
from safebench.cli.executing import needs_models
from safebench.cli.options import as_one
from safebench.errors import CardError
from safebench.evidence.submission import Submission
from safebench.files import sha256_of
from safebench.importing.draft.start import RULE
from safebench.judges.cache import JudgementCache, cache_file
from safebench.judges.interface import Judge
from safebench.judges.labels import COLUMNS, Label, read_labels, together
from safebench.judges.prompted.presets import presets
from safebench.judges.registry import kind_of, open_judges
from safebench.judges.text import THINKING
from safebench.judges.trained import entry_of, is_trained
from safebench.study.calibrating import find_judge, open_card

CARD = click.option(
    "--card",
    metavar="CARD",
    type=click.Path(path_type=Path, exists=True),
    help="The judge's card, or the folder of its submission; what is found is written into the "
    "card. Comments of the card are lost: one that has some is kept beside it as FILE.bak.",
)


label_options = as_one(
    click.option(
        "--labels",
        metavar="FILE",
        type=click.Path(path_type=Path),
        multiple=True,
        required=True,
        help="Labels: CSV, JSON Lines, JSON or Parquet with columns prompt (or task and "
        "prompt_id), response and label. May be repeated: a file per source model.",
    ),
    click.option(
        "--column",
        metavar="NAME=COLUMN",
        multiple=True,
        help="The file's own name of a column: label=final_label. NAME is one of "
        f"{', '.join(COLUMNS)}. May be repeated.",
    ),
    click.option(
        "--label-map",
        metavar="VALUE=LABEL",
        multiple=True,
        help="What a value stands for: 1_full_compliance=complied. May be repeated.",
    ),
)
"""Where labels are, and how they are read: the arguments of `labels_of`."""


@dataclass(frozen=True)
class Labels:
    """Labels of one or more files."""

    paths: tuple[Path, ...]
    labels: list[Label]
    empty: int
    """Rows without a label."""
    undecided: int
    """Responses whose raters disagree, none in the majority."""

    @property
    def name(self) -> str:
        """The names of the files."""
        return words.listed(path.name for path in self.paths)

    @property
    def sha256(self) -> str:
        """The digest of the file; of several, that of the lines `DIGEST  NAME` in their order."""
        if len(self.paths) == 1:
            return sha256_of(self.paths[0])
        lines = "".join(f"{sha256_of(path)}  {path.name}\n" for path in self.paths)
        return hashlib.sha256(lines.encode()).hexdigest()

    def inside(self, folder: Path) -> list[str]:
        """Return the files that lie in a folder, relative to it."""
        root = folder.resolve()
        found = (path.resolve() for path in self.paths)
        return [p.relative_to(root).as_posix() for p in found if p.is_relative_to(root)]

    def notes(self) -> Iterator[str]:
        """Yield what was left out."""
        if self.empty:
            yield f"{words.count(self.empty, 'row')} without a label left out"
        if self.undecided:
            yield (
                f"{words.count(self.undecided, 'response')} left out: no label has a majority of "
                "the raters"
            )


def labels_of(paths: Sequence[Path], column: Sequence[str], label_map: Sequence[str]) -> Labels:
    """Read labels as the options say; raises InputError, or click's own for an option."""
    columns = pairs(column, "--column", COLUMNS)
    stands_for = pairs(label_map, "--label-map", None)
    found: list[Label] = []
    empty = 0
    for path in paths:
        labels, without = read_labels(path, columns, stands_for)
        empty += without
        # Of several files, each is a source of its own unless it says otherwise.
        many = len(paths) > 1
        found += [replace(x, model=x.model or path.stem) if many else x for x in labels]
    kept, undecided = together(found)
    if not kept:
        raise click.UsageError("no response has a label that most of its raters gave")
    return Labels(tuple(paths), kept, empty, undecided)


def pairs(given: Sequence[str], option: str, known: Sequence[str] | None) -> dict[str, str]:
    """Return NAME=VALUE texts of an option as a mapping; raises BadParameter for others."""
    found = {}
    for one in (part for text in given for part in text.split(",")):
        name, equals, value = one.partition("=")
        if not equals or not name or not value or (known is not None and name not in known):
            expected = "VALUE=LABEL" if known is None else f"NAME=COLUMN, NAME {'/'.join(known)}"
            raise click.BadParameter(f"{one!r} is not {expected}", param_hint=option)
        found[name] = value
    return found


def given_judge(name: str, card: Path | None) -> tuple[Path | None, Submission | None, JudgeEntry]:
    """Return a card's file, its submission and its judge; or only a judge, without a card.

    Raises:
        CardError: no such judge.
    """
    if card is not None:
        file, submission = open_card(card)
        return file, submission, find_judge(submission.card, name)
    if name == RULE["name"]:
        return None, None, TypeAdapter(JudgeEntry).validate_python(RULE)
    if name in presets():
        return None, None, presets()[name].judge()
    if is_trained(Path(name)):
        entry = entry_of(Path(name), Path(name).resolve().name)
        return None, None, entry.model_copy(update={"id": name})
    raise CardError(
        f"there is no judge {name} without a card",
        fix="give --card CARD whose judge it is; `rule`, those that `safebench judges` lists, and "
        "the folder of a trained one need none",
    )


def open_given(
    entry: JudgeEntry, submission: Submission | None, device: str | None
) -> tuple[Judge, tuple[str, str], JudgementCache]:
    """Open a judge, with the members of an ensemble; return marks of reasoning and a cache, too.

    Raises:
        CardError, JudgeError, ModelError: it cannot be used as it stands.
    """
    kind = kind_of(entry, f"judge {entry.name}")
    if kind.asks_people:
        raise CardError(
            f"judge {entry.name} is people, who are not asked about other responses",
            fix="name another judge",
        )
    with needs_models("judge"):
        from safebench.models.loading import default_device

        needed, folder, marks = [entry], Path(), THINKING
        if submission is not None:
            from safebench.judges.judging import marks_of

            folder, marks = submission.folder, marks_of(submission.card)
            if kind.combines:
                needed = list(require(submission.card.judge, "judge"))
        small = isinstance(entry.id, str) and is_trained(folder / entry.id)
        weighs = kind.loads_weights and not small
        chosen = device or (default_device() if weighs else "cpu")
        judge = open_judges(needed, folder, chosen)[entry.name]
    return judge, marks, JudgementCache(cache_file())


def shown(found: Any, otherwise: str) -> str:
    """Return a number with its interval, or `otherwise` where it was not measured."""
    if found is None or found.estimate is None:
        return otherwise
    return words.with_interval(found.estimate, found.lower, found.upper)
