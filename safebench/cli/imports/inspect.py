"""`safebench import inspect`: logs of Inspect."""

from __future__ import annotations

from typing import Any

import click

from safebench.cli.imports import places
from safebench.cli.imports.options import common, execute, of_models
from safebench.importing.samples import Collected


@click.command(name="inspect", short_help="Logs of Inspect; epochs become repeats.")
@of_models
@common
def command(
    base: tuple[str, ...],
    tuned: tuple[str, ...],
    control: tuple[str, ...],
    **given: Any,
) -> None:
    """Make a submission of logs of Inspect.

    \b
    DIR  a log (.eval, .json, or what `inspect log dump` prints), or a folder of logs of one model

    Epochs become repeats, and scorers judges whose verdicts came along. What their grades say of
    harm or over-refusal no log tells: --label says it.

    \b
    safebench import inspect --base logs/base --tuned seed=1,checkpoint=2:logs/s1 --out submission
    """
    from safebench.importing.inspect.logs import read_inspect

    def read(source: places.Source) -> Collected:
        return read_inspect(
            source.path,
            source.model,
            decoding=source.decoding,
            repeat=source.repeat,
            limit=given["limit"],
        )

    execute(places.collect(places.sources(base, tuned, control), read), **given)
