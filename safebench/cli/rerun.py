"""`safebench rerun`: repeat a submission, or say what that would cost, and print a verdict."""

from __future__ import annotations

import secrets
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, get_args

import click

from safebench.card.base import NotReported
from safebench.card.card import Card
from safebench.card.submission import Submitter
from safebench.cli import options
from safebench.cli.console import TerminalProgress, print_json, printer
from safebench.cli.executing import load_sound_card, needs_models
from safebench.cli.rerun_report import print_report
from safebench.errors import RunError
from safebench.evidence.submission import CARD_FILE, Submission
from safebench.evidence.verdicts import Kind, RerunReport, write_report
from safebench.files import replace_file
from safebench.stats import sequential_design

if TYPE_CHECKING:
    from safebench.study.cells import BlockFilter
    from safebench.study.rerun import Extent, Repetition

EXIT = {"reproduced": 0, "not_reproduced": 1, "inconclusive": 3, "no_verdict": 3}


@click.command(name="rerun")
@click.argument("submission", type=click.Path(path_type=Path))
@click.option(
    "--kind",
    type=click.Choice(get_args(Kind)),
    help="What to repeat, from cheap to dear: the numbers from the outcomes; the verdicts of every "
    "judge on the responses; the responses from the trained weights; the fine-tuning with new "
    "training seeds. Without it, what each would cost here is printed.",
)
@click.option(
    "--out",
    type=options.FOLDER,
    help="Folder to write the rerun to, itself a submission: a new one, or that of an interrupted "
    "rerun. `recompute` writes its report alone, and needs none.",
)
@click.option(
    "--seeds",
    metavar="N|auto",
    help="Number of training seeds, fixed before the rerun begins: new ones to fine-tune with, or "
    "how many of the original's to take. With `auto`, retraining adds seeds until the verdict is "
    "settled, by the standard's schedule and with its stricter tests. Default: as many as in the "
    "original.",
)
@click.option(
    "--subset",
    "fraction",
    type=click.FloatRange(min=0, max=1, min_open=True),
    help="Share of the prompts, and of the original's training seeds, to draw at random, so that "
    "neither side chooses them. Never fewer than 50 prompts and 3 seeds.",
)
@click.option(
    "--nonce",
    help="Random text that the draw follows from, to repeat a draw. Default: a new one, which the "
    "report names.",
)
@click.option(
    "--generation",
    type=click.Choice(["original", "new"]),
    default="original",
    show_default=True,
    help="Sampling noise of --kind regenerate: the original's, which should give the same bytes, "
    "or new noise, which shows what sampling alone changes.",
)
@click.option(
    "--everything",
    is_flag=True,
    help="Measure every cell, not only those of the primary estimands.",
)
@click.option(
    "--model",
    "base",
    type=options.EXISTING_FOLDER,
    help="Folder of the base model, if it is local and not in the submission.",
)
@click.option("--name", default="not given", help="Name of the person who makes the rerun.")
@click.option(
    "--organisation",
    help="Organisation of that person. A rerun counts towards the level `reproduced` only if it "
    "differs from the original's.",
)
@click.option("--contact", help="Address for questions about the rerun.")
@click.option(
    "--dry-run",
    is_flag=True,
    help="Print what the rerun would cost here, timed by a short probe; nothing else is run.",
)
@options.batch_size
@options.device
@options.threads
@options.save_state_every
@options.workers
@options.quiet
@options.output_format
@click.pass_context
def command(
    ctx: click.Context,
    /,
    submission: Path,
    kind: Kind | None,
    out: Path | None,
    seeds: str | None,
    fraction: float | None,
    nonce: str | None,
    generation: str,
    everything: bool,
    name: str,
    organisation: str | None,
    contact: str | None,
    dry_run: bool,
    style: str,
    **settings: Any,
) -> None:
    """Repeat SUBMISSION, compare, and print a verdict on each primary estimand.

    The report is written to OUT as verdict.json and as report.html, a page that prints well. The
    verdict is an equivalence test with the standard's margin. A trial (made with `run --limit`) and
    a study with fewer than 50 prompts get no verdict.

    \b
    Exit codes: 0 reproduced, or costs were printed; 1 not reproduced;
                3 inconclusive or no verdict; 2 the rerun could not be done.
    """
    count, is_sequential = _seeds(seeds, kind)
    if kind is None or dry_run:
        from safebench.cli.rerun_costs import print_costs

        original = Submission(load_sound_card(submission / CARD_FILE), submission)
        print_costs(original, kind, style=style, seeds=count, fraction=fraction, **settings)
        return
    # Progress also says lines on stdout, where a program reads JSON alone.
    ctx.meta[options.QUIET] |= style == "json"
    _check_options(kind, out, seeds=seeds, subset=fraction, nonce=nonce, generation=generation)
    if kind == "recompute":
        from safebench.checks.recompute import recompute

        original = Submission.read(submission)
        _finish(ctx, recompute(original), original, out, style)
        return
    from safebench.study.rerun import Extent

    original = Submission(load_sound_card(submission / CARD_FILE), submission)
    submitter = Submitter(
        name=name,
        organisation=organisation or NotReported(not_reported="rerun without --organisation"),
        contact=contact or NotReported(not_reported="rerun without --contact"),
    )
    assert out is not None  # noqa: S101 - checked above
    drawn = _nonce(nonce, out) if fraction is not None else ""
    extent = Extent(count, fraction, drawn, new_noise=generation == "new")
    with TerminalProgress() as progress:
        report = repeat(
            original,
            out,
            submitter,
            progress,
            kind=kind,
            extent=extent,
            until_settled=is_sequential,
            everything=everything,
            **settings,
        )
    _finish(ctx, report, original, out, style)


def _seeds(given: str | None, kind: Kind | None) -> tuple[int | None, bool]:
    """Read --seeds: a number, or `auto`; raises RunError."""
    if given is None:
        return None, False
    if given == "auto" and kind == "retrain":
        return None, True
    if not given.isdecimal() or int(given) < 1:
        raise RunError(
            f"--seeds {given!r} is no number of seeds",
            fix="give a number of 1 or more, or `auto` with --kind retrain",
        )
    return int(given), False


def _check_options(kind: Kind, out: Path | None, **given: Any) -> None:
    """Check that the options belong to the kind; raises RunError."""
    if out is None and kind != "recompute":
        raise RunError(f"--kind {kind} needs a folder to write to", fix="give --out DIR")
    draw = ("seeds", "subset", "nonce")
    used = {"recompute": (), "regenerate": (*draw, "generation")}.get(kind, draw)
    for name, value in given.items():
        if value not in (None, "original") and name not in used:
            raise RunError(f"--{name} has no meaning for --kind {kind}", fix="leave it out")
    if given["nonce"] is not None and given["subset"] is None:
        raise RunError("--nonce without --subset draws nothing", fix="give --subset FRACTION")


def _nonce(given: str | None, out: Path) -> str:
    """Return the nonce of a draw: the one given, that of a rerun begun here, or a new one."""
    from safebench.evidence.store import Store

    if given is not None:
        return given
    store = Store(out)
    begun = None
    if store.is_finished:
        begun = Submission.read(out).card
    elif store.work.is_dir():
        try:
            begun = store.claim().card
        except RunError:  # a rejudgement, or something else, which says so itself
            begun = None
    tasks = begun.task_list() if begun is not None else ()
    found = next((task.sample.nonce for task in tasks if task.sample is not None), None)
    return found or secrets.token_hex(16)


def _finish(
    ctx: click.Context, report: RerunReport, original: Submission, out: Path | None, style: str
) -> None:
    """Print a report, write it if there is a folder, and exit with the code of its verdict."""
    page = None if out is None else write_pages(report, original, out)
    if style == "json":
        print_json(report)
    else:
        print_report(printer(), report)
        if out is not None:
            click.echo(f"\nWrote {out / 'verdict.json'} and {page}.")
    ctx.exit(EXIT[report.overall])


def write_pages(report: RerunReport, original: Submission, out: Path) -> Path:
    """Write verdict.json and report.html; return the page's path."""
    from safebench.site.rerun_page import rerun_page

    out.mkdir(parents=True, exist_ok=True)
    write_report(report, out)
    page = out / "report.html"
    replace_file(page, rerun_page(report, original.card))
    return page


def repeat(
    original: Submission,
    out: Path,
    submitter: Submitter,
    progress: TerminalProgress,
    *,
    kind: Repetition = "retrain",
    extent: Extent | None = None,
    until_settled: bool = False,
    everything: bool = False,
    base: Path | None = None,
    **settings: Any,
) -> RerunReport:
    """Execute a rerun into a folder and return its report.

    `extent`: how much is repeated, all by default; `until_settled`: whether retraining adds seeds
    by the standard's schedule; `base`: folder of the base model, where the submission does not
    hold it; `settings`: of `Settings`.
    """
    from safebench.analysis.verdict import compare
    from safebench.study.rerun import Extent, primary_blocks, rerun_card, seeds_of

    extent = extent or Extent()
    card = rerun_card(original, kind, submitter, extent, base)
    if kind == "rejudge":
        from safebench.study.rejudging import rejudge

        done = rejudge(original, card, out, progress, settings.get("device") or "cpu")
        return compare(original, Submission(done, out), kind)
    with needs_models("rerun"):
        from safebench.cli.run import describe
        from safebench.study.engines import Settings
        from safebench.study.execute import execute, finished_earlier
        from safebench.study.gaps import measure_gaps
        from safebench.study.plan import Plan, make_plan
        from safebench.study.sequential import retrain_until_settled
    chosen = Settings(**settings)
    keep: BlockFilter = (lambda block: True) if everything else primary_blocks(original.card)

    def work(plan: Plan) -> Card:
        progress.say("rerun " + describe(plan))
        outcome = finished_earlier(plan, out) or execute(plan, out, chosen, progress)
        if outcome.card is None:
            raise RunError(f"{out}: the rerun is not finished", fix="run the same command again")
        return outcome.card

    if until_settled:

        def card_with(seeds: int) -> Card:
            return rerun_card(original, kind, submitter, replace(extent, seeds=seeds), base)

        design = sequential_design(len(seeds_of(original.card)))
        return retrain_until_settled(original, card_with, out, design, work, keep)
    plan = make_plan(original.with_card(card), out, keep)
    rerun = Submission(work(plan), out)
    is_same = kind == "regenerate" and not extent.new_noise
    gaps = measure_gaps(original, rerun, plan, chosen) if is_same else {}
    return compare(original, rerun, kind, gaps=gaps)
