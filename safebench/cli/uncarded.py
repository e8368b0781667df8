"""Runs without a card on the command line: their options, their reading, how to make a card."""

from __future__ import annotations

import shlex
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import click

from safebench.cli.options import as_one
from safebench.errors import visible

if TYPE_CHECKING:  # what reads them is loaded only where there are such runs
    from safebench.evidence.submission import Submission
    from safebench.importing.uncarded.read import Meaning, Uncarded

meaning_options = as_one(
    click.option(
        "--measures",
        metavar="TASK=CONSTRUCT",
        multiple=True,
        help="What a task of runs without a card measures that is not one of safebench's: harm, "
        "over_refusal, capability or severity. May be repeated.",
    ),
    click.option(
        "--label",
        metavar="[JUDGE:]WORD=VERDICT",
        multiple=True,
        help="What a grade in runs without a card means: refused, partial, complied or "
        "incoherent. May be repeated.",
    ),
    click.option(
        "--column",
        metavar="FIELD=COLUMN",
        multiple=True,
        help="Column of a table that holds a field under another name: prompt, response, "
        "prompt_id, verdict, ... May be repeated.",
    ),
)
"""What files without a card leave open; see `meaning_of`."""


def has_card(path: Path) -> bool:
    """Whether a path is a card, or the folder of one."""
    return (path / "card.yaml").is_file() if path.is_dir() else path.suffix in (".yaml", ".yml")


def meaning_of(values: dict[str, Any]) -> Meaning:
    """Take the values of `meaning_options` out of a command's; raises InteropError.

    The selected tasks stay, for `options.selection`.
    """
    from safebench.cli import import_texts as texts
    from safebench.importing.uncarded.read import Meaning

    return Meaning(
        measures=cast("Any", texts.constructs("--measures", values.pop("measures"))),
        labels=texts.labels("--label", values.pop("label")),
        columns=texts.pairs("--column", values.pop("column"), "FIELD=COLUMN"),
        tasks=tuple(values.get("tasks", ())),
    )


def submission_in(path: Path, values: dict[str, Any]) -> Submission:
    """Return the submission in a folder, or runs of one model without a card read as one.

    `values` are a command's; those of `meaning_options` are taken out. Remarks for a reader of the
    numbers, and the command that makes a card of the runs, go to stderr.

    Raises:
        SafebenchError: neither can be read.
    """
    from safebench.evidence.submission import Submission

    meaning = meaning_of(values)
    if has_card(path):
        return Submission.read(path)
    from safebench.importing.uncarded.read import read_runs

    found = read_runs([path], "base", meaning)
    for remark in found.remarks:
        click.echo(f"note: {visible(remark)}", err=True)
    click.echo(f"no card: to make one,\n  {import_line([found], meaning)}", err=True)
    return found.submission


def import_line(sides: Sequence[Uncarded], meaning: Meaning) -> str:
    """Return the command that makes a card of runs, filled in; or why there is none."""
    readers = dict.fromkeys(side.reader for side in sides)
    if len(readers) > 1:
        return f"import each of {' and '.join(readers)} by itself: safebench import --help"
    (reader,) = readers
    words = ["safebench", "import", reader]
    tuned = False
    for side in sides:
        for source in side.sources:
            model = source.model
            if reader == "responses":
                words.append(str(source.path))
            elif model is None or model.condition == "base":
                words += ["--base", str(source.path)]
            else:
                tuned = True
                words += ["--tuned", f"seed={model.training_seed}:{source.path}"]
    words += ["--checkpoint", "N"] if tuned else []
    measured: Mapping[str, str] = {k: v for side in sides for k, v in side.measures.items()}
    words += [w for name, value in measured.items() for w in ("--task", f"{name}={value}")]
    words += [w for name, value in meaning.labels.items() for w in ("--label", f"{name}={value}")]
    if reader == "responses":
        columns = meaning.columns.items()
        words += [w for name, value in columns for w in ("--column", f"{name}={value}")]
    line = visible(shlex.join([*words, "--out", "submission"]))
    if tuned:
        line += "\n(N: epochs or steps of the fine-tuning; --adapter seed=N:DIR adds its weights)"
    if reader == "responses":
        line += "\n(rows need condition, training_seed and checkpoint; then --decoding NAME:...)"
    return line
