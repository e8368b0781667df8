"""`safebench status`: the progress of a run."""

from __future__ import annotations

from dataclasses import asdict
from datetime import timedelta
from pathlib import Path

import click

from safebench.cli import options
from safebench.cli.console import print_json
from safebench.study.status import Status, read_status
from safebench.words import count, number, quantity


@click.command(name="status")
@click.argument(
    "folders", metavar="DIR...", nargs=-1, required=True, type=click.Path(path_type=Path)
)
@options.output_format
def command(folders: tuple[Path, ...], style: str) -> None:
    """Show the progress of the runs in DIR, the folders given to `safebench run --out`.

    It only reads the folders, so it can be used during a run and from any machine that sees them.
    """
    found = [read_status(folder) for folder in folders]
    if style == "json":
        print_json([asdict(status) | {"folder": str(status.folder)} for status in found])
        return
    for status in found:
        for line in lines_of(status):
            click.echo(line)


def lines_of(status: Status) -> list[str]:
    """Return the lines printed about one folder."""
    who = f" ({status.holder})" if status.holder else ""
    part = "" if status.shard == "1/1" else f", shard {status.shard}"
    lines = [f"{status.folder}: {status.state}{who}{part}"]
    if status.state != "finished":
        done, cells = status.cells
        responses = f"{number(status.responses[0])} of {count(status.responses[1], 'response')}"
        lines.append(f"  cells     {number(done)} of {number(cells)}; {responses}")
    lines.append(f"  runs      {number(status.runs[0])} of {number(status.runs[1])} finished")
    lines += [
        f"  {state.status:<9} {state.condition}, training seed {state.training_seed}: "
        f"{state.reason}"
        for state in status.lost
    ]
    if status.rate is not None and status.state != "finished":
        each = f" and worker, {status.workers} workers" if status.workers > 1 else ""
        lines.append(f"  rate      {quantity(status.rate)} responses a second{each}")
    if status.seconds_left is not None and status.state != "finished":
        left = timedelta(seconds=round(status.seconds_left))
        lines.append(f"  remaining about {left} at this rate")
    lines += [f"  problem   {problem}" for problem in status.problems]
    if status.last:
        lines.append(f"  last      {status.last.get('event')}, {status.last.get('time')}")
    if status.state == "finished" and status.shard != "1/1":
        lines.append("Next: safebench merge DIR... --out DIR, with the folders of all shards")
    if status.state == "interrupted":
        lines.append("Next: give the same `safebench run` command again to resume")
    return lines
