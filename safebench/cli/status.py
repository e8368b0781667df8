"""`safebench status`: how far a run is."""

from __future__ import annotations

import json
from dataclasses import asdict
from datetime import timedelta
from pathlib import Path

import click

from safebench.study.status import Status, read_status


@click.command(name="status", short_help="How far is a run?")
@click.argument(
    "folders", metavar="DIR...", nargs=-1, required=True, type=click.Path(path_type=Path)
)
@click.option("--format", "form", type=click.Choice(("text", "json")), default="text",
              show_default=True)  # fmt: skip
def command(folders: tuple[Path, ...], form: str) -> None:
    """Tell how far the runs in DIR are: the folders of --out, shards among them.

    Reads the folder alone, so that it can be asked while the run is at work, on any machine that
    sees it.
    """
    found = [read_status(folder) for folder in folders]
    if form == "json":
        click.echo(json.dumps([_as_json(status) for status in found], indent=2, ensure_ascii=False))
        return
    for status in found:
        for line in lines_of(status):
            click.echo(line)


def lines_of(status: Status) -> list[str]:
    """Return what is said of one folder."""
    who = f" ({status.holder})" if status.holder else ""
    part = "" if status.shard == "1/1" else f", shard {status.shard}"
    lines = [f"{status.folder}: {status.state}{who}{part}"]
    if status.state != "finished":
        done, cells = status.cells
        lines.append(
            f"  cells     {done} of {cells}; {status.responses[0]:,} of {status.responses[1]:,} "
            "responses"
        )
    lines.append(f"  runs      {status.runs[0]} of {status.runs[1]} finished")
    lines += [
        f"  {state.status:<9} {state.condition}, training seed {state.training_seed}: "
        f"{state.reason}"
        for state in status.lost
    ]
    if status.rate is not None and status.state != "finished":
        lines.append(f"  rate      {status.rate:,.1f} responses a second")
    if status.seconds_left is not None and status.state != "finished":
        left = timedelta(seconds=round(status.seconds_left))
        lines.append(f"  remaining about {left} at this rate, on one machine")
    lines += [f"  problem   {problem}" for problem in status.problems]
    if status.last:
        lines.append(f"  last      {status.last.get('event')}, {status.last.get('time')}")
    if status.state == "finished" and status.shard != "1/1":
        lines.append("Next: safebench merge, with the folders of all shards")
    if status.state == "interrupted":
        lines.append("Next: the same `safebench run` command goes on")
    return lines


def _as_json(status: Status) -> dict[str, object]:
    return {**asdict(status), "folder": str(status.folder)}
