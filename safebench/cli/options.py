"""Options that several commands have, each worded once."""

from __future__ import annotations

import datetime
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import click

from safebench.words import CONSTRUCTS

FOLDER = click.Path(path_type=Path, file_okay=False)
EXISTING_FOLDER = click.Path(path_type=Path, file_okay=False, exists=True)
CONSTRUCT = click.Choice(CONSTRUCTS)
QUIET = "safebench.quiet"
"""Key in a command's context: whether progress is hidden."""
Command = TypeVar("Command", bound=Callable[..., Any])


def as_one(*options: Callable[[Any], Any]) -> Callable[[Command], Command]:
    """Return several options as one decorator; help lists them in the order given here."""

    def add(command: Command) -> Command:
        for option in reversed(options):  # click lists the option first that was added last
            command = option(command)
        return command

    return add


def format_option(*names: str, help_: str) -> Callable[[Command], Command]:
    """Return --format with these choices, text by default; with --json where that is one."""
    chosen = click.option(
        "--format",
        "style",
        type=click.Choice(names),
        default="text",
        show_default=True,
        help=help_,
    )
    if "json" not in names:
        return chosen
    as_json = click.option("--json", "style", flag_value="json", help="Short for --format json.")
    return as_one(chosen, as_json)


output_format = format_option(
    "text", "json", help_="Output format: text for people, json for programs."
)
quiet = click.option(
    "-q",
    "--quiet",
    is_flag=True,
    expose_value=False,
    callback=lambda context, _, is_set: context.meta.__setitem__(QUIET, is_set),
    help="Show no progress. Results and errors are printed all the same.",
)
batch_size = click.option(
    "--batch-size",
    default=256,
    show_default=True,
    type=click.IntRange(min=1),
    help="Number of responses generated at once; halved when memory runs out.",
)
device = click.option(
    "--device",
    help="Device to run on: cpu, cuda, ..., or auto to spread one model over all accelerators. "
    "Default: the accelerator, if there is one.",
)
threads = click.option(
    "--threads",
    type=click.IntRange(min=1),
    help="CPU threads per operation. Default: PyTorch's choice.",
)
save_state_every = click.option(
    "--save-state-every",
    default=15.0,
    show_default=True,
    metavar="MINUTES",
    type=click.FloatRange(min=0),
    help="Time between two saved states of a fine-tuning (weights, optimizer, random numbers). A "
    "fine-tuning that was killed resumes from its last state; on a CPU it ends with the same "
    "bytes. States are deleted when the fine-tuning has ended. 0 saves none.",
)


workers = as_one(
    click.option(
        "--workers",
        type=click.IntRange(min=1),
        metavar="N",
        help="Number of processes that fine-tune, generate and grade at the same time. "
        "Default: one for each GPU, or one on a CPU.",
    ),
    click.option(
        "--executor",
        type=click.Choice(["local", "ray"]),
        default="local",
        show_default=True,
        help="Where the worker processes run: local is this machine, ray all nodes of a Ray "
        "cluster (pip install 'safebench[ray]').",
    ),
    click.option(
        "--address",
        metavar="HOST:PORT",
        help="Ray cluster to use, or auto on one of its nodes. Default: an instance that is "
        "started for this command, and that only this machine can reach.",
    ),
)
"""Where the work is done, and by how many processes."""
key = click.option(
    "--key",
    metavar="FILE",
    type=click.Path(path_type=Path, dir_okay=False),
    help="Private Ed25519 key to sign with, in PEM. The passphrase of an encrypted key comes from "
    "SAFEBENCH_KEY_PASSPHRASE.",
)
_OF_PRIMARY = "instead of those of the primary estimands."
selection = as_one(
    click.option(
        "--task",
        "tasks",
        metavar="NAME",
        multiple=True,
        help="Only this task. May be repeated.",
    ),
    click.option(
        "--construct",
        "constructs",
        multiple=True,
        type=CONSTRUCT,
        help="Only this construct. May be repeated.",
    ),
    click.option("--decoding", metavar="NAME", help=f"The numbers of this decoding, {_OF_PRIMARY}"),
    click.option(
        "--checkpoint",
        type=click.IntRange(min=1),
        help=f"The numbers of this checkpoint, an epoch or step, {_OF_PRIMARY}",
    ),
    click.option("--judge", metavar="NAME", help=f"The numbers of this judge, {_OF_PRIMARY}"),
)
"""Which numbers are meant: the fields of `Selection`."""


def _day(context: click.Context, parameter: click.Parameter, value: str | None) -> str | None:
    try:
        found = None if value is None else datetime.date.fromisoformat(value).isoformat()
    except ValueError:
        found = None
    if found != value:
        raise click.BadParameter(f"{value!r} is no day YYYY-MM-DD.", context, parameter)
    return value


signer = as_one(
    click.option("--name", help="Name of the person or laboratory that signs."),
    click.option("--organisation", help="Organisation of whoever signs."),
    click.option("--date", callback=_day, help="Day of signing, YYYY-MM-DD. Default: none."),
)
"""Who signs, and when."""


def card_basics(command: Command) -> Command:
    """Add the options that say what a drafted card is called: the fields of `CardBasics`."""
    # Imported here: `run` and others share this module and draft no card.
    from safebench.importing.draft.start import METHODS

    return as_one(
        click.option("--id", help="Short name of the card, unique on a board."),
        click.option("--title", help="One-line title for readers of the board."),
        click.option("--submitter", metavar="NAME", help="Who is responsible for the card."),
        click.option("--contact", help="Contact for questions about the card."),
        click.option(
            "--method", type=click.Choice(METHODS), help="How the model is or was fine-tuned."
        ),
    )(command)
