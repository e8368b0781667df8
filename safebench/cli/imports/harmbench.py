"""`safebench import harmbench`: completions of HarmBench."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from safebench.cli.imports import places
from safebench.cli.imports.options import common, execute, of_models
from safebench.importing.samples import Collected


@click.command(name="harmbench", short_help="Completions of HarmBench.")
@of_models
@click.option("--behaviors", type=click.Path(path_type=Path, exists=True, dir_okay=False),
              help="HarmBench's file of behaviors: categories, and a check of ids.")  # fmt: skip
@common
def command(
    base: tuple[str, ...],
    tuned: tuple[str, ...],
    control: tuple[str, ...],
    behaviors: Path | None,
    **given: Any,
) -> None:
    """Make a submission of completions that HarmBench generated.

    \b
    DIR  a file of completions or results: {behavior id: [{test_case, generation, label}, ...]}

    Labels become verdicts that came along: 1 is `complied`, 0 `refused`.

    \b
    safebench import harmbench --base base.json --tuned seed=1,checkpoint=2:s1.json \\
        --decoding greedy:do_sample=false,max_new_tokens=512 --out submission
    """
    from safebench.importing.harmbench import read_harmbench

    def read(source: places.Source) -> Collected:
        return read_harmbench(
            source.path, source.model, behaviors=behaviors, decoding=source.decoding
        )

    execute(places.collect(places.sources(base, tuned, control), read), **given)
