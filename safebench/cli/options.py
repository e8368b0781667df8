"""Options that several commands have, each worded once."""

from __future__ import annotations

from pathlib import Path

import click

from safebench.words import CONSTRUCTS

FOLDER = click.Path(path_type=Path, file_okay=False)
EXISTING_FOLDER = click.Path(path_type=Path, file_okay=False, exists=True)
CONSTRUCT = click.Choice(CONSTRUCTS)

output_format = click.option(
    "--format",
    "style",
    type=click.Choice(("text", "json")),
    default="text",
    show_default=True,
    help="Output format: text for people, json for programs.",
)
tasks = click.option(
    "--task", "tasks", metavar="NAME", multiple=True, help="Only this task. May be repeated."
)
batch_size = click.option(
    "--batch-size",
    default=256,
    show_default=True,
    type=click.IntRange(min=1),
    help="Responses generated at once; halved when memory runs out.",
)
device = click.option(
    "--device",
    help="cpu, cuda, ...; auto spreads one model over all accelerators. Default: the accelerator, "
    "if there is one.",
)
threads = click.option(
    "--threads",
    type=click.IntRange(min=1),
    help="CPU threads per operation. Default: PyTorch's choice.",
)
