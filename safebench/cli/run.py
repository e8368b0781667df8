"""`safebench run`: execute a card."""

from __future__ import annotations

import signal
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from safebench.cli import options
from safebench.cli.console import TerminalProgress, printer
from safebench.cli.summary import print_summary
from safebench.words import count, number

if TYPE_CHECKING:
    from safebench.card.card import Card
    from safebench.evidence.journal import Run
    from safebench.study.plan import Plan
    from safebench.study.runner import RunResult

_OURS = "hf"
"""The backend that loads weights itself."""


@click.command(name="run")
@click.argument("card", type=click.Path(path_type=Path))
@click.option(
    "--out",
    type=options.FOLDER,
    help="Folder to write the submission to: a new one, or that of an interrupted run.",
)
@click.option(
    "--dry-run", is_flag=True, help="List the cells and their cost; nothing is run or written."
)
@options.format_option(
    "text",
    "json",
    help_="Output format for --dry-run.",
)
@click.option(
    "--only",
    multiple=True,
    metavar="KEY=VALUE[,...]",
    help="Run only these cells, chosen by condition, seed (a value, or #1 for the first), "
    "checkpoint or decoding. May be repeated. The card is written once every cell is finished.",
)
@click.option(
    "--limit",
    type=click.IntRange(min=1),
    metavar="N",
    help="Use only the first N prompts of every task; the card is then marked as a trial.",
)
@click.option(
    "--shard",
    default="1/1",
    metavar="i/n",
    help="Run part i of n of the grid, in a folder of its own beside those of the other parts, "
    "with which it shares fine-tuned weights (.tuned). `safebench merge` joins the parts.",
)
@options.batch_size
@options.device
@options.threads
@options.save_state_every
@options.workers
@options.quiet
@click.option("--attention", help="Attention implementation of transformers, e.g. sdpa or eager.")
@click.option(
    "--backend",
    default=_OURS,
    show_default=True,
    metavar="NAME",
    help="What generates the responses: hf is transformers with reproducible sampling; vllm is "
    "vLLM in this process; any other name is an lm-eval model, e.g. local-chat-completions.",
)
@click.option(
    "--backend-args",
    default="",
    metavar="k=v,...",
    help="Arguments for the backend, as in lm-eval's --model_args. Placeholders such as {base}, "
    "{adapter} and {seed} are filled in.",
)
def command(
    card: Path,
    out: Path | None,
    dry_run: bool,
    style: str,
    only: tuple[str, ...],
    limit: int | None,
    shard: str,
    **settings: Any,
) -> None:
    """Execute CARD: fine-tune, generate through lm-eval, judge, and fill in the results.

    The card, outcomes.parquet, responses.parquet, manifest.json, the adapters and the training data
    are written to --out, together with journal.jsonl, where every run is registered before it
    starts.

    To resume an interrupted run, give the same command again; `safebench status` shows its progress
    from another terminal. If the card lists adapters in model.weights, they are used and nothing is
    fine-tuned.

    \b
    Exit codes: 0 the chosen cells are finished; 2 something failed, finished cells are kept;
                130 interrupted.
    """
    from safebench.cli.executing import load_sound_card, needs_models, refuse_obstacles
    from safebench.evidence.claim import asked_for
    from safebench.evidence.store import Store
    from safebench.evidence.submission import Submission

    if out is None and not dry_run:
        raise click.UsageError("give --out DIR, or --dry-run")
    protocol = Submission(load_sound_card(card), card.parent)
    elsewhere = settings["backend"] != _OURS
    # Answered before anything heavy is imported: seconds are saved where there is nothing to do.
    if out is not None and not dry_run and shard == "1/1":
        store = Store(out)
        if store.is_finished_for(asked_for(protocol.card, limit)):
            report_finished(Submission.read(out).card, store.journal.lost(), out, again=True)
            return
    refuse_obstacles(card, protocol.card)
    if dry_run or out is None:
        from safebench.cli.dry_run import print_grid
        from safebench.study.estimate import count_grid

        grid = count_grid(protocol, shard=shard, limit=limit, elsewhere=elsewhere)
        print_grid(grid, only, out, style)
        return
    with needs_models("run"):
        from safebench.study.cells import pick_only
        from safebench.study.engines import Settings
        from safebench.study.execute import execute, finished_earlier
        from safebench.study.plan import make_plan
    with TerminalProgress() as progress, _stoppable():
        plan = make_plan(protocol, out, shard=shard, limit=limit, elsewhere=elsewhere)
        chosen = pick_only(only, plan.blocks)
        progress.say(describe(plan))
        before = finished_earlier(plan, out, progress.say)
        outcome = before or execute(plan, out, Settings(**settings), progress, only=chosen)
    report(outcome, out, shard, again=before is not None)


def report(outcome: RunResult, out: Path, shard: str, *, again: bool = False) -> None:
    """Print what came out, and what to do next."""
    if outcome.card is None:
        whole = outcome.done == outcome.cells
        part = f"shard {shard}" if shard != "1/1" else "the grid"
        done = f"{number(outcome.done)} of {count(outcome.cells, 'cell')} of {part}"
        click.echo(f"\n{done} are finished in {out}.")
        if whole and shard != "1/1":
            click.echo("Next: safebench merge DIR... --out DIR, with the folders of all shards")
        else:
            click.echo(f"Next: run without --only for the rest · safebench status {out}")
        return
    report_finished(outcome.card, outcome.lost, out, again=again)


def report_finished(card: Card, lost: Mapping[Run, str], out: Path, *, again: bool) -> None:
    """Print the numbers of a finished run, and what to do next."""
    click.echo("")
    print_summary(printer(), card)
    for (condition, seed), reason in lost.items():
        click.echo(f"\n{condition}, training seed {seed} is lost: {reason}")
    click.echo(f"\n{'Finished earlier' if again else 'Wrote'}: {out / 'card.yaml'}.")
    # Only what is trained here is trained again.
    is_trained = card.model.access == "weights" and card.is_tuned
    then = f"rerun {out}" if is_trained else f"score {out}"
    click.echo(f"Next: safebench validate {out} · safebench {then}")


@contextmanager
def _stoppable() -> Iterator[None]:
    """Treat a scheduler's SIGTERM as Ctrl-C: finished work is kept, and the user is told so."""

    def stop(*_: object) -> None:
        raise KeyboardInterrupt

    before = signal.signal(signal.SIGTERM, stop)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


def describe(plan: Plan) -> str:
    """Return one line that says what a plan will do."""
    seeds = {b.training_seed for b in plan.blocks if b.training_seed is not None}
    epochs = {b.checkpoint for b in plan.blocks if b.checkpoint is not None}
    conditions = list(dict.fromkeys(b.condition for b in plan.blocks))
    repeats = {b.decoding: b.repeats for b in plan.blocks}
    decodings = ", ".join(f"{name} x{times}" for name, times in repeats.items())
    cells = sum(b.repeats for b in plan.blocks) * len(plan.tasks)
    tuned = " + ".join(c for c in conditions if c != "base")
    tuned = f"({tuned})" if "+" in tuned else tuned
    grid = f"{tuned} x {count(len(seeds), 'training seed')} x {count(len(epochs), 'checkpoint')}"
    what = [*([grid] if seeds else []), *(["base"] if "base" in conditions else [])]
    part = "" if plan.shard == "1/1" else f", shard {plan.shard}"
    return (
        f"plan{part}: ({' + '.join(what) or 'nothing'}) x decodings ({decodings}) x "
        f"{count(len(plan.tasks), 'task')}: {count(cells, 'cell')}, "
        f"{count(plan.responses, 'response')}"
    )
