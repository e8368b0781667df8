"""`safebench withdraw`: take a registered run out of an unfinished study, with a reason."""

from __future__ import annotations

from pathlib import Path

import click

from safebench.errors import RunError


@click.command(name="withdraw")
@click.argument("folder", metavar="DIR", type=click.Path(path_type=Path))
@click.option(
    "--training-seed",
    "seed",
    required=True,
    type=click.IntRange(min=0),
    help="Training seed of the run.",
)
@click.option(
    "--condition",
    type=click.Choice(("tuned", "control")),
    default="tuned",
    show_default=True,
    help="Condition of the run.",
)
@click.option("--reason", required=True, help="Reason, recorded in the card.")
def command(folder: Path, seed: int, condition: str, reason: str) -> None:
    """Withdraw a training seed from the unfinished study in DIR.

    This cannot be undone. The card lists the run as withdrawn, with the reason, and stability
    counts it as the worst case, so that leaving a seed out cannot improve a number.
    """
    from safebench.evidence.store import Store

    store = Store(folder)
    claim = store.claim()
    runs = {(size.condition, size.training_seed) for size in claim.blocks.values()}
    if (condition, seed) not in runs:
        seeds = sorted(str(s) for c, s in runs if c == condition)
        raise RunError(
            f"{folder}: no run of {condition}, training seed {seed} is registered",
            fix=f"its seeds are {', '.join(seeds)}"
            if seeds
            else f"it has no {condition} condition",
        )
    if not reason.strip():
        raise RunError("--reason is empty", fix="give the reason in a sentence")
    with store.opened(claim):
        # A run that was stopped early may have registered nothing yet.
        store.journal.register(sorted(runs, key=str))
        if (condition, seed) in store.journal.lost():
            raise RunError(f"{folder}: {condition}, training seed {seed} is already lost")
        store.journal.note("withdrawn", condition=condition, training_seed=seed, reason=reason)
    click.echo(f"Withdrawn: {condition}, training seed {seed}. The card will state the reason.")
