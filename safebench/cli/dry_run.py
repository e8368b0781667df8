"""What `safebench run --dry-run` prints: the cells of a plan, and the work that they are."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import click

from safebench.cli.console import print_json, printer
from safebench.cli.tables import Column, columns, print_cells
from safebench.errors import visible
from safebench.evidence.store import Store
from safebench.study.cells import Block, Nth, pick_only
from safebench.study.estimate import Estimate, Grid, estimate, grid_begun
from safebench.words import checkpoint, count, number


def print_grid(grid: Grid, only: Sequence[str], out: Path | None, style: str) -> None:
    """Print the blocks of cells that would be executed; those that `out` has are finished."""
    store = None if out is None else Store(out)
    begun = None if store is None else grid_begun(grid, store)
    grid = begun or grid
    chosen = pick_only(only, grid.blocks)
    rows = []
    for block in filter(chosen, grid.blocks):
        done = begun and store and (store.is_finished or store.has(block.name))
        rows.append((block, "finished" if done else "to do"))
    found = estimate(replace(grid, blocks=tuple(block for block, _ in rows)))
    cells = sum(block.repeats for block, _ in rows) * len(grid.prompts)
    if style == "json":
        content = {"shard": grid.shard, "cells": cells, **asdict(found)}
        content["left_to_the_run"] = grid.uncounted
        content["missing"] = [one._asdict() for one in grid.missing]
        content["blocks"] = [_as_json(block, grid, state) for block, state in rows]
        print_json(content)
        return
    _print_blocks(rows, grid, has_states=store is not None)
    names = ", ".join(f"{name} ({count(n, 'prompt')})" for name, n in grid.prompts.items())
    for line in _lines(found, f"{count(cells, 'cell')}: {names}"):
        click.echo(line)
    for text in grid.uncounted:
        click.echo(f"left to the run: {text}")
    for one in grid.missing:
        click.echo(f"not here: {visible(one.what)}\n  Get it: {visible(one.how)}")


def _print_blocks(rows: Sequence[tuple[Block, str]], grid: Grid, *, has_states: bool) -> None:
    prompts = sum(grid.prompts.values())
    heads = columns(
        *("condition", "training seed", "checkpoint", "decoding"),
        numbers=("repeats", "cells", "responses"),
    )
    cells = [
        (
            block.condition,
            "" if block.training_seed is None else str(block.training_seed),
            checkpoint(block.checkpoint, block.unit),
            block.decoding,
            number(block.repeats),
            number(block.repeats * len(grid.prompts)),
            number(block.repeats * prompts),
            state if has_states else "",
        )
        for block, state in rows
    ]
    print_cells(printer(), (*heads, Column("")), cells)


def _lines(found: Estimate, what: str) -> Iterator[str]:
    """Yield what the cells take."""
    responses, tokens = count(found.responses, "response"), count(found.new_tokens, "new token")
    yield f"{what}; {responses}, at most {tokens}"
    if found.answers:
        answers = count(found.answers, "answer")
        yield f"{answers} of the base model become training data first"
    if found.fine_tunings:
        runs, updates = count(found.fine_tunings, "fine-tuning"), count(found.updates, "update")
        yield f"{runs} of {updates} ({count(found.examples, 'example')} each)"
    elif found.given_weights:
        sets = count(found.given_weights, "set of weights", "sets of weights")
        yield f"{sets} provided; nothing is fine-tuned"


def _as_json(block: Block, grid: Grid, state: str) -> dict[str, Any]:
    seed = block.training_seed
    return block.place | {
        "training_seed": str(seed) if isinstance(seed, Nth) else seed,
        "repeats": block.repeats,
        "tasks": list(grid.prompts),
        "responses": block.repeats * sum(grid.prompts.values()),
        "state": state.replace(" ", "_"),
    }
