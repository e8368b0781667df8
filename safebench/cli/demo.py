"""`safebench demo`: the whole way, on the embedded model."""

from __future__ import annotations

import shutil
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from safebench.card.base import require
from safebench.card.io import load_card
from safebench.card.pinned import update
from safebench.cli import options
from safebench.cli.console import TerminalProgress, printer
from safebench.cli.executing import needs_models
from safebench.cli.rerun import repeat, write_pages
from safebench.cli.rerun_report import print_report
from safebench.cli.summary import print_summary
from safebench.errors import RunError
from safebench.evidence.submission import Submission
from safebench.resources import demo_dir
from safebench.words import count, kilobytes

if TYPE_CHECKING:
    from safebench.study.rerun import Repetition

MARK = ".safebench-demo"
THREADS = 1  # the embedded model is too small to split: more threads only wait for each other


@click.command(name="demo")
@click.option(
    "--out",
    default="demo-out",
    show_default=True,
    type=options.FOLDER,
    help="Folder for everything the demo makes. If a finished demo is there, it starts over.",
)
@click.option(
    "--quick",
    is_flag=True,
    help="Take three seeds, the last checkpoint alone and no repeats: about two minutes.",
)
@options.batch_size
@options.device
@options.quiet
def command(out: Path, quick: bool, **settings: Any) -> None:
    """Fine-tune a small embedded chat model on harmless text, and see how its safety changes.

    \b
    1. Fine-tunes with several seeds; measures harm, over-refusal and capability before and after.
    2. Validates the card it filled in.
    3. Generates its responses again, and prints a reproduction verdict.
    4. Fine-tunes again with new seeds, and says what they can and cannot settle.
    5. Builds a leaderboard site.

    The embedded model shows the method; it says nothing about any real model.
    """
    began = time.monotonic()
    _prepare(out)
    board = out / "board"
    submission = board / "submissions" / "tiny-chat-household-lora"
    with TerminalProgress() as progress:
        _run(submission, quick, progress, settings)
        _validate(submission)
        _rerun(submission, progress, settings)
        index = _site(board, out / "site")
    minutes, seconds = divmod(round(time.monotonic() - began), 60)
    click.echo(f"\nDone in {minutes}:{seconds:02d}. Open {index.resolve().as_uri()}")
    click.echo("Look closer:")
    click.echo(f"  safebench score {submission}")
    click.echo(f"  safebench validate {submission}")
    click.echo("For your own model, write a plan like this one (see the README):")
    click.echo(f"  {demo_dir() / 'plan.yaml'}")


def _prepare(out: Path) -> None:
    if out.exists() and any(out.iterdir()) and not (out / MARK).is_file():
        raise RunError(
            f"{out}: is not empty and holds no demo", fix="give another folder with --out"
        )
    if (out / "site").is_dir():  # finished before: begin anew
        shutil.rmtree(out)
    out.mkdir(parents=True, exist_ok=True)
    (out / MARK).touch()


def _heading(number: int, text: str) -> None:
    click.echo("")
    click.secho(f"{number}. {text}", bold=True)


def _run(
    submission: Path, quick: bool, progress: TerminalProgress, settings: dict[str, Any]
) -> None:
    _heading(1, "Fine-tune a safe model on harmless household text, several times")
    if (submission / "card.yaml").is_file():
        click.echo("Finished earlier; its results are used.")
    else:
        with needs_models("demo"):
            from safebench.cli.run import describe
            from safebench.study.engines import Settings
            from safebench.study.execute import execute
            from safebench.study.plan import make_plan
        card = load_card(demo_dir() / "plan.yaml")
        if quick:
            decodings = require(card.decoding, "decoding")
            card = update(card, seeds={"training": 3}, hyperparameters={"checkpoints": (2,)})
            once = tuple(one.model_copy(update={"repeats": 1}) for one in decodings)
            card = card.model_copy(update={"decoding": once})
        protocol = Submission(card, demo_dir())
        plan = make_plan(protocol, submission)
        progress.say(describe(plan))
        execute(plan, submission, Settings(**settings, threads=THREADS), progress)
    print_summary(printer(), load_card(submission / "card.yaml"))


def _validate(submission: Path) -> None:
    from safebench.cli.validate import validate

    _heading(2, "Validate the card and recompute every number from the evidence")
    if validate([str(submission)]) != 0:
        raise RunError("the demo's own card has errors: this is a defect of safebench")


def _rerun(submission: Path, progress: TerminalProgress, settings: dict[str, Any]) -> None:
    original = Submission.read(submission)
    submitter = require(original.card.submission.submitter, "submission.submitter")
    steps: tuple[tuple[Repetition, str], ...] = (
        ("regenerate", "Ask its trained models again: do the same responses come out?"),
        ("retrain", "Repeat it with new training seeds: is it the recipe, or its seeds?"),
    )
    for kind, heading in steps:
        _heading(3 if kind == "regenerate" else 4, heading)
        out = submission / "reruns" / kind
        report = repeat(original, out, submitter, progress, kind=kind, threads=THREADS, **settings)
        write_pages(report, original, out)
        print_report(printer(), report)


def _site(board: Path, site: Path) -> Path:
    from safebench.site import build

    _heading(5, "Publish it")
    built = build(board, site)
    click.echo(f"{count(built.files, 'file')}, {kilobytes(built.size)}, in {site}")
    return built.index
