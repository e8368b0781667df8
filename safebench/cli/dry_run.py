"""What `safebench run --dry-run` prints: the cells of a plan, and what they take."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import click
from rich.table import Table

from safebench.cli.console import printer
from safebench.evidence.store import Store
from safebench.study.cells import Block, Nth, pick_only
from safebench.study.estimate import Estimate, Grid, estimate, grid_begun


def print_grid(grid: Grid, only: Sequence[str], out: Path | None, form: str) -> None:
    """Print the blocks of cells that would be executed; those that `out` has are finished."""
    store = None if out is None else Store(out)
    begun = None if store is None else grid_begun(grid, store)
    grid = begun or grid
    wanted = pick_only(only, grid.blocks)
    rows = []
    for block in filter(wanted, grid.blocks):
        done = (
            store is not None and begun is not None and (store.is_finished or store.has(block.name))
        )
        rows.append((block, "finished" if done else "to do"))
    found = estimate(replace(grid, blocks=tuple(block for block, _ in rows)))
    cells = sum(block.repeats for block, _ in rows) * len(grid.prompts)
    if form == "json":
        content = {
            "shard": grid.shard, "cells": cells, **asdict(found), "left_to_the_run": grid.uncounted,
            "blocks": [_as_json(block, grid, state) for block, state in rows],
        }  # fmt: skip
        click.echo(json.dumps(content, indent=2, ensure_ascii=False))
        return
    _print_blocks(rows, grid, has_states=store is not None)
    names = ", ".join(f"{name} ({count} prompts)" for name, count in grid.prompts.items())
    for line in _lines(found, f"{cells} cells: {names}"):
        click.echo(line)
    for text in grid.uncounted:
        click.echo(f"left to the run: {text}")


def _print_blocks(rows: Sequence[tuple[Block, str]], grid: Grid, *, has_states: bool) -> None:
    prompts = sum(grid.prompts.values())
    table = Table(box=None, pad_edge=False, header_style="bold")
    for heading in ("condition", "training seed", "checkpoint", "decoding"):
        table.add_column(heading)
    for heading in ("repeats", "cells", "responses"):
        table.add_column(heading, justify="right")
    table.add_column("")
    for block, state in rows:
        table.add_row(
            block.condition,
            "" if block.training_seed is None else str(block.training_seed),
            "" if block.checkpoint is None else f"{block.unit} {block.checkpoint}",
            block.decoding,
            str(block.repeats),
            str(block.repeats * len(grid.prompts)),
            f"{block.repeats * prompts:,}",
            state if has_states else "",
        )
    printer().print(table)


def _lines(found: Estimate, what: str) -> Iterator[str]:
    """Say what the cells take."""
    yield f"{what}; {found.responses:,} responses, at most {found.new_tokens:,} new tokens"
    if found.answers:
        yield f"{found.answers:,} answers of the base model become training data first"
    if found.fine_tunings:
        yield (
            f"{found.fine_tunings} fine-tunings of {found.updates:,} updates "
            f"({found.examples:,} examples each)"
        )
    elif found.given_weights:
        yield f"{found.given_weights} sets of weights are given; nothing is fine-tuned"


def _as_json(block: Block, grid: Grid, state: str) -> dict[str, Any]:
    seed = block.training_seed
    return {
        "condition": block.condition,
        "training_seed": str(seed) if isinstance(seed, Nth) else seed,
        "checkpoint": block.checkpoint,
        "decoding": block.decoding,
        "repeats": block.repeats,
        "tasks": list(grid.prompts),
        "responses": block.repeats * sum(grid.prompts.values()),
        "state": state.replace(" ", "_"),
    }
