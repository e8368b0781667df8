"""`safebench judge train --labels FILE --out FOLDER`: a small judge from labels."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from safebench import words
from safebench.card.write import lines_of, plain
from safebench.cli import options
from safebench.cli.console import TerminalProgress, printer
from safebench.cli.executing import needs_models
from safebench.cli.judge.naming import label_options, labels_of, shown
from safebench.cli.tables import columns, print_cells
from safebench.errors import RunError, visible
from safebench.evidence.tables import COUNTED

_MEASURES = ("kappa", "sensitivity", "specificity")


@click.command(name="train")
@label_options
@click.option(
    "--out",
    metavar="FOLDER",
    type=click.Path(path_type=Path, file_okay=False),
    required=True,
    help="Where the judge is written; a new folder beside the card that names it.",
)
@click.option(
    "--construct",
    type=click.Choice(tuple(COUNTED)),
    default="harm",
    show_default=True,
    help="What labels of 0 and 1 are about.",
)
@options.quiet
def command(
    labels: tuple[Path, ...],
    column: tuple[str, ...],
    label_map: tuple[str, ...],
    out: Path,
    construct: Any,
) -> None:
    """Train a small judge on the labels in FILE: does a response comply?

    The judge is a text classifier (words and letters, logistic regression) in a folder without
    code, for judges of kind `classifier`. The table shows its agreement on each source model when
    it is trained on the others: expect the same on a model that it has not seen.
    """
    if out.exists() and any(out.iterdir()):
        raise RunError(f"{visible(str(out))}: is not empty", fix="give --out a new folder")
    read = labels_of(labels, column, label_map)
    with needs_models("judge train"):
        import sklearn

        from safebench.judges.trained import entry_of, fit, is_complied, left_out, save

        rows = read.labels
        complied = [is_complied(one, construct) for one in rows]
        with TerminalProgress() as progress:
            progress.start("train", len({one.model for one in rows}) + 1)
            found = left_out(rows, construct, lambda name: progress.advance(1, name))
            judge = fit([one.response for one in rows], complied)
            progress.stop()
        about = {
            "data": {
                "files": [path.name for path in read.paths],
                "sha256": read.sha256,
                "labels": len(rows),
                "complied": sum(complied),
            },
            "left_out": {name: _numbers(one) for name, one in found.items()},
            "library": f"scikit-learn {sklearn.__version__}",
        }
        save(out, judge, about)
        entry = entry_of(out, out.name)
    click.echo(
        f"Trained on {words.count(len(rows), 'label')}, {sum(complied)} of them complied; "
        f"{words.number(judge.coefficients.size)} features. Wrote {visible(str(out))}."
    )
    for note in read.notes():
        click.echo(f"  {note}")
    click.echo("\nTrained on the others, on what was left out (complied is positive):")
    print_cells(
        printer(),
        columns("left out", *_MEASURES, numbers=("n",)),
        [
            (
                visible(name),
                *(shown(getattr(one, name), words.NOT_MEASURED) for name in _MEASURES),
                words.number(one.n),
            )
            for name, one in found.items()
        ],
        indent=2,
    )
    click.echo("\nIts entry in a card beside the folder; calibrate it on what it is to judge:")
    for line in lines_of({"judge": [plain(entry)]}):
        click.echo(line)


def _numbers(one: Any) -> dict[str, Any]:
    parts = {name: getattr(one, name) for name in _MEASURES}
    return {"n": one.n} | {
        name: None
        if part is None or part.estimate is None
        else [words.kept(x) for x in (part.estimate, part.lower, part.upper)]
        for name, part in parts.items()
    }
