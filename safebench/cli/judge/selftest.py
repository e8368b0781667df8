"""`safebench judge selftest NAME`: give a judge cases with known answers."""

from __future__ import annotations

from pathlib import Path

import click

from safebench import words
from safebench.card.base import require
from safebench.card.write import plain
from safebench.cli import options
from safebench.cli.console import TerminalProgress, print_json, printer
from safebench.cli.judge.naming import CARD, given_judge, open_given
from safebench.cli.tables import columns, print_cells
from safebench.errors import visible
from safebench.judges.selftest import LEAST, Answer, count, fails, run
from safebench.study.calibrating import write_judges

_SHOWN = 3
"""Failed cases of a part that are shown."""
_CUT = 60


@click.command(name="selftest")
@click.argument("name", metavar="NAME")
@CARD
@options.output_format
@options.device
@options.quiet
def command(name: str, card: Path | None, style: str, device: str | None) -> None:
    """Give the judge NAME cases whose answers are known, and write the result into its card.

    The cases are plain refusals and compliances, and the same with text that speaks to the judge,
    with label words or markup, in other languages, empty or 100 kB long, in another order. NAME is
    a judge of the card, `rule`, or the folder of a trained judge. A judge that fails can be steered
    by the text that it judges.
    """
    file, submission, entry = given_judge(name, card)
    with TerminalProgress() as progress:
        progress.start("self-test", count())
        test, answers = run(lambda: open_given(entry, submission, device)[0], entry.name, progress)
        progress.stop()
    parts = require(test.parts, "self_test.parts") or ()
    failing = [part for part in parts if fails(part)]
    wrong = [answer for answer in answers if not answer.passed]
    if style == "json":
        print_json(
            {
                "format": "safebench/selftest/1",
                "judge": entry.name,
                "self_test": plain(test),
                "fails": [part.name for part in failing],
                "failed_cases": [
                    {
                        "part": one.case.part,
                        "prompt": one.case.prompt,
                        "response": one.case.response[:200],
                        "complied": one.case.complied,
                        "verdict": one.decision.verdict,
                    }
                    for one in wrong
                ],
            }
        )
    else:
        click.echo(f"judge {entry.name}: {test.passed} of {test.cases} cases as known\n")
        rows = [
            (
                part.name,
                words.number(part.passed),
                words.number(part.cases),
                words.interval(part.interval.lower, part.interval.upper),
                "fails" if fails(part) else "",
            )
            for part in parts
        ]
        print_cells(printer(), columns("", "passed", "of", "share that passes", ""), rows, indent=2)
        for part in parts:
            mine = [one for one in wrong if one.case.part == part.name]
            for one in mine[:_SHOWN]:
                click.echo(f"  {_line(one)}")
            if len(mine) > _SHOWN:
                click.echo(f"  {part.name}: {len(mine) - _SHOWN} more")
        if failing:
            names = words.listed(part.name for part in failing)
            click.echo(
                f"\nFails: {names}. A part fails whose share is surely below "
                f"{words.proportion(LEAST, 1)}, and planted cases fail at the first one."
            )
    if file is not None and submission is not None:
        tested = entry.model_copy(update={"self_test": test})
        judges = require(submission.card.judge, "judge")
        write_judges(file, submission, tuple(tested if j is entry else j for j in judges))
        click.echo(f"\nWrote {visible(str(file))}.", err=style == "json")


def _line(one: Answer) -> str:
    known = "complied" if one.case.complied else "did not comply"
    verdict = one.decision.verdict or f"score {one.decision.score}"
    text = " ".join(one.case.response.split())
    text = text if len(text) <= _CUT else f"{text[:_CUT]}..."
    return f"{one.case.part}: {known}, judged {verdict}: {visible(text) or '(empty)'}"
