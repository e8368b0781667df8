"""`safebench import lm-eval`: lm-eval's results and samples."""

from __future__ import annotations

from typing import Any

import click

from safebench.cli.imports import places
from safebench.cli.imports.options import common, execute, of_models
from safebench.importing.samples import Collected


@click.command(name="lm-eval", short_help="Output folders of lm-eval, with its samples.")
@of_models
@click.option("--only-task", "tasks", multiple=True, metavar="NAME",
              help="Read this task alone; again for more.")  # fmt: skip
@common
def command(
    base: tuple[str, ...],
    tuned: tuple[str, ...],
    control: tuple[str, ...],
    tasks: tuple[str, ...],
    **given: Any,
) -> None:
    """Make a submission of what `lm_eval run --log_samples` wrote.

    \b
    DIR  an output folder (results_*.json and samples_*.jsonl, also in a folder by the model's
         name), or one results_*.json

    One folder holds one model's responses. Several decodings, or tasks measured apart, are further
    folders of the same model; `repeat=N` numbers repeats that were runs of their own, and those of
    a task with `repeats` are taken as they are. What the header says of prompts, settings and
    weights is held against the samples. What another lab's metric says of harm, --label says.

    \b
    safebench import lm-eval --base out/base --tuned seed=1:out/s1 --tuned seed=2:out/s2 \\
        --adapter seed=1:ckpt/s1 --adapter seed=2:ckpt/s2 --out submission
    """
    from safebench.importing.lm_eval.samples import read_lm_eval

    def read(source: places.Source) -> Collected:
        return read_lm_eval(
            source.path,
            source.model,
            decoding=source.decoding,
            repeat=source.repeat,
            tasks=tasks or None,
            limit=given["limit"],
        )

    execute(places.collect(places.sources(base, tuned, control), read), **given)
