"""What a rerun takes on this machine, counted from the card and timed by a probe."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from safebench.card.base import require
from safebench.card.submission import Submitter
from safebench.errors import CardError
from safebench.evidence.submission import Submission
from safebench.judges.registry import missing
from safebench.study.estimate import count_grid, estimate
from safebench.study.probe import time_here
from safebench.study.rerun import Extent, Repetition, primary_blocks, rerun_card


@dataclass(frozen=True)
class Cost:
    """What one kind of rerun takes."""

    judgements: int
    responses: int
    """Responses to generate."""
    fine_tunings: int
    updates: int
    """Optimizer steps of each."""
    time: str
    """On this machine, in words."""
    missing: tuple[str, ...]
    """What is not here, with how to get it."""


def cost_of(
    original: Submission,
    kind: Repetition,
    submitter: Submitter,
    extent: Extent,
    base: Path | None,
    settings: dict[str, Any],
) -> Cost:
    """Count what a rerun of a kind takes, and time a little of it.

    Raises:
        SafebenchError: it cannot be done here.
    """
    card = rerun_card(original, kind, submitter, extent, base)
    entries = require(card.judge, "judge")
    lacking = tuple(f"{one.what}: {one.how}" for one in missing(entries, original.folder))
    if kind == "rejudge":
        if original.responses is None:
            raise CardError("the submission carries no responses")
        count = original.responses.num_rows * len(entries)
        is_cheap = all(entry.kind == "rule" for entry in entries)
        return Cost(count, 0, 0, 0, "seconds" if is_cheap else "not measured", lacking)
    protocol = original.with_card(card)
    grid = count_grid(protocol, shard="1/1", limit=None, elsewhere=False)
    is_needed = primary_blocks(original.card)
    found = estimate(replace(grid, blocks=tuple(b for b in grid.blocks if is_needed(b))))
    took = time_here(protocol, found, settings) if not lacking else "not measured"
    return Cost(
        found.responses * len(entries),
        found.responses,
        found.fine_tunings,
        found.updates,
        took,
        lacking,
    )
