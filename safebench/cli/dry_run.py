"""What `safebench run --dry-run` prints: the cells of a plan, and what they take."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
from rich.table import Table

from safebench.cli.console import printer

if TYPE_CHECKING:
    from safebench.study.cells import Block
    from safebench.study.plan import Plan

FORMATS = ("text", "json")


def print_plan(plan: Plan, wanted: Callable[[Block], bool], out: Path | None, form: str) -> None:
    """Print the blocks of cells that would be executed, finished ones marked."""
    from dataclasses import asdict, replace

    from safebench.evidence.store import Store
    from safebench.study.estimate import estimate

    store = None if out is None else Store(out)
    rows = []
    for block in plan.blocks:
        if wanted(block):
            done = store is not None and (store.is_finished or store.has(block.name))
            rows.append((block, "finished" if done else "to do"))
    chosen = replace(plan, blocks=tuple(block for block, _ in rows))
    found = estimate(chosen)
    cells = sum(block.repeats for block, _ in rows) * len(plan.tasks)
    if form == "json":
        listed = [_as_json(block, plan, state) for block, state in rows]
        content = {"shard": plan.shard, "cells": cells, **asdict(found), "blocks": listed}
        click.echo(json.dumps(content, indent=2, ensure_ascii=False))
        return
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
            str(block.repeats * len(plan.tasks)),
            f"{block.repeats * plan.prompts:,}",
            "" if store is None else state,
        )
    console = printer()
    console.print(table)
    names = ", ".join(f"{t.name} ({len(t.documents)} prompts)" for t in plan.tasks)
    lines = [
        f"{cells} cells: {names}; {found.responses:,} responses, at most "
        f"{found.new_tokens:,} new tokens",
    ]
    if found.answers:
        lines.append(f"{found.answers:,} answers of the base model become training data first")
    if found.fine_tunings:
        lines.append(
            f"{found.fine_tunings} fine-tunings of {found.updates:,} updates "
            f"({found.examples:,} examples each)"
        )
    elif found.given_weights:
        lines.append(f"{found.given_weights} sets of weights are given; nothing is fine-tuned")
    for line in lines:
        click.echo(line)


def _as_json(block: Block, plan: Plan, state: str) -> dict[str, Any]:
    return {
        "condition": block.condition,
        "training_seed": block.training_seed,
        "checkpoint": block.checkpoint,
        "decoding": block.decoding,
        "repeats": block.repeats,
        "tasks": [task.name for task in plan.tasks],
        "responses": block.repeats * plan.prompts,
        "state": state.replace(" ", "_"),
    }
