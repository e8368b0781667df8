"""`safebench judge audit SUBMISSION`: responses that people label, and what their labels say."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import Any

import click

from safebench import words
from safebench.card.write import plain
from safebench.cli import options
from safebench.cli.console import print_json
from safebench.cli.judge.calibrate import print_agreements
from safebench.cli.judge.naming import pairs, shown
from safebench.errors import visible
from safebench.evidence.submission import Submission
from safebench.files import replace_file


@click.command(name="audit")
@click.argument("directory", metavar="SUBMISSION", type=options.EXISTING_FOLDER)
@click.option(
    "--n",
    "number",
    default=200,
    show_default=True,
    type=click.IntRange(min=1),
    help="Responses to draw, over all conditions and tasks.",
)
@click.option(
    "--seed",
    type=click.IntRange(min=0),
    help="Seed of the draw; by default it follows from the digest of the outcomes.",
)
@click.option(
    "--strata",
    type=click.Choice(("task", "verdict")),
    default="task",
    show_default=True,
    help="task: every response of a condition and task has the same chance; verdict: as many "
    "responses of each of the judge's verdicts, for verdicts that are rare.",
)
@click.option(
    "--everywhere",
    is_flag=True,
    help="Draw from every checkpoint and decoding, not only from those of the primary numbers.",
)
@click.option(
    "--read",
    "sheets",
    metavar="FILE",
    type=click.Path(path_type=Path),
    multiple=True,
    help="Read the labels of the audit that was drawn, from one sheet. May be repeated: a sheet "
    "for each rater.",
)
@click.option(
    "--label-map",
    metavar="VALUE=LABEL",
    multiple=True,
    help="What a value on a sheet stands for. May be repeated.",
)
@options.output_format
def command(
    directory: Path,
    number: int,
    seed: int | None,
    strata: Any,
    everywhere: bool,
    sheets: tuple[Path, ...],
    label_map: tuple[str, ...],
    style: str,
) -> None:
    """Draw responses of SUBMISSION for people to label, or read their labels.

    Drawing writes sheet.csv for a spreadsheet and sheet.html for a browser into SUBMISSION/audit;
    neither shows a verdict. Reading calibrates every judge of the submission on the labels, by
    condition, and keeps calibrations and labels as evidence; `safebench score` uses them to correct
    its numbers.
    """
    submission = Submission.read(directory)
    where = visible(shlex.quote(str(directory)))
    if not sheets:
        _draw(submission, number, seed, strata, everywhere, where)
        return
    from safebench.study.auditing import read_sheets

    found = read_sheets(submission, sheets, pairs(label_map, "--label-map", None))
    if style == "json":
        print_json(
            {
                "format": "safebench/audit/1",
                "raters": found.raters,
                "drawn": found.drawn,
                "labelled": found.labelled,
                "without_majority": found.undecided,
                "kappa": None if found.kappa is None else vars(found.kappa),
                "alpha": None if found.alpha is None else vars(found.alpha),
                "calibration": {n: [plain(one) for one in e] for n, e in found.entries.items()},
            }
        )
        return
    raters = words.count(len(found.raters), "rater")
    click.echo(f"{raters}: {found.labelled} of {words.count(found.drawn, 'response')} labelled")
    if found.labelled < found.drawn:
        click.echo("  the others are taken to be like these: label them all, or say why not")
    if found.undecided:
        click.echo(f"  {found.undecided} left out: no label has a majority of the raters")
    for name, one in (("Cohen's kappa", found.kappa), ("Krippendorff's alpha", found.alpha)):
        if one is not None:
            click.echo(f"  agreement of raters, {name}: {shown(one, one.reason)}")
    for judge, results in found.judges.items():
        click.echo(f"\njudge {visible(judge)}")
        print_agreements(results)
    click.echo(f"\nWrote {visible(str(directory / 'card.yaml'))} and audit/labels.csv.")
    click.echo(f"Next: safebench score {where} · safebench validate {where}")


def _draw(
    submission: Submission, n: int, seed: int | None, strata: Any, everywhere: bool, where: str
) -> None:
    from safebench.site.audit_page import audit_page
    from safebench.study.auditing import draw, write_sample

    sample = draw(submission, n, seed=seed, strata=strata, everywhere=everywhere)
    sheet = write_sample(submission, sample)
    page = sheet.with_suffix(".html")
    replace_file(page, audit_page(sample.rows, submission.card.submission.id))
    click.echo(
        f"Drew {words.count(len(sample.rows), 'response')} of {words.number(sample.population)}, "
        f"seed {sample.seed}, stratified by condition and {strata}.\nWrote {visible(str(sheet))} "
        f"and {visible(page.name)}: give each rater a copy of either."
    )
    if len(sample.rows) < n:
        click.echo(f"There were no {n} to be drawn.")
    click.echo(f"Next: safebench judge audit {where} --read RATER-1.csv --read RATER-2.csv")
