"""`safebench run`: execute a card."""

from __future__ import annotations

from pathlib import Path

import click

from safebench.card.measured import complete_results
from safebench.cli.console import TerminalProgress, printer
from safebench.cli.summary import print_summary


@click.command(name="run", short_help="Execute a card.")
@click.argument("card", type=click.Path(path_type=Path))
@click.option(
    "--out",
    required=True,
    type=click.Path(path_type=Path, file_okay=False),
    help="Folder of the submission that is written; a new one, or that of an interrupted run.",
)
@click.option("--batch-size", default=256, show_default=True, type=click.IntRange(min=1))
@click.option("--device", help="cpu, cuda, ...; the accelerator if there is one by default.")
@click.option(
    "--threads", type=click.IntRange(min=1), help="Threads of one CPU operation; torch's choice."
)
def command(
    card: Path, out: Path, batch_size: int, device: str | None, threads: int | None
) -> None:
    """Execute CARD: fine-tune, generate through lm-eval, judge, and fill in the results.

    \b
    The card, outcomes.parquet, responses.parquet, manifest.json, the adapters and the training
    data are written to --out. An interrupted run goes on where it stopped when the same command
    is given again.
    """
    from safebench.cli.heavy import needs_models
    from safebench.cli.sound import load_sound_card

    loaded = load_sound_card(card)
    with needs_models("run"):
        from safebench.study.execute import Settings, execute
        from safebench.study.plan import make_plan
    with TerminalProgress() as progress:
        plan = make_plan(loaded, card.parent, out)
        progress.say(describe(plan))
        filled = execute(plan, out, Settings(batch_size, device, threads), progress)
    results = complete_results(filled)
    if results is not None:
        click.echo("")
        print_summary(printer(), results)
    click.echo(f"\nWrote {out / 'card.yaml'}.")
    click.echo(f"Next: safebench validate {out} · safebench rerun {out} --out DIR")


def describe(plan: object) -> str:
    """Return one line that says what a plan will do."""
    from safebench.study.plan import Plan

    assert isinstance(plan, Plan)  # noqa: S101 - keeps torch out of this module's import
    seeds = {b.training_seed for b in plan.blocks if b.training_seed is not None}
    epochs = {b.checkpoint for b in plan.blocks if b.checkpoint is not None}
    repeats = {b.decoding: b.repeats for b in plan.blocks}
    decodings = ", ".join(f"{name} x{count}" for name, count in repeats.items())
    cells = sum(b.repeats for b in plan.blocks) * len(plan.tasks)
    tuned = f"{_count(len(seeds), 'training seed')} x {_count(len(epochs), 'checkpoint')} + "
    return (
        f"plan: ({tuned if seeds else ''}base) x decodings ({decodings}) x "
        f"{_count(len(plan.tasks), 'task')}: {cells} cells, {plan.responses:,} responses"
    )


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}{'' if number == 1 else 's'}"
