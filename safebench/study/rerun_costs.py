"""What a rerun takes on this machine, counted from the card and timed by a short probe."""

from __future__ import annotations

import shutil
import tempfile
import time
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

from safebench.card.base import require
from safebench.card.submission import Submitter
from safebench.card.training import Training
from safebench.errors import CardError
from safebench.evidence.submission import Submission
from safebench.judges.registry import missing
from safebench.study.estimate import Estimate, count_grid, estimate
from safebench.study.rerun import Extent, Repetition, primary_blocks, rerun_card
from safebench.words import duration

_PROMPTS = 16
"""Responses that a probe times."""
_UPDATES = (1, 4)
"""Updates of two short fine-tunings: the first shows what beginning costs."""


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
    time_here = _time(protocol, found, settings) if not lacking else "not measured"
    return Cost(
        found.responses * len(entries),
        found.responses,
        found.fine_tunings,
        found.updates,
        time_here,
        lacking,
    )


def _time(protocol: Submission, found: Estimate, settings: dict[str, Any]) -> str:
    """Generate a few responses and train a few steps; return what all of it would take."""
    try:
        seconds = _probe(protocol, found, settings)
    except ImportError:
        return "not measured: needs pip install 'safebench[run]'"
    return f"about {duration(seconds)}"


def _probe(protocol: Submission, found: Estimate, settings: dict[str, Any]) -> float:
    from safebench.harness.evaluate import build_prompts, generate
    from safebench.models.interface import PlacedWeights
    from safebench.models.loading import default_device
    from safebench.models.sampling import Stream
    from safebench.study.engines import Settings, make_engine
    from safebench.study.plan import make_plan
    from safebench.tuning.interface import Job
    from safebench.tuning.registry import trained, trainer_of

    chosen = Settings(**settings)
    device = chosen.device or default_device()
    scratch = Path(tempfile.mkdtemp())
    try:
        plan = make_plan(protocol, scratch / "plan")
        engine = make_engine(plan, chosen, device)
        decoding = require(plan.card.decoding, "decoding")[0].model_copy(update={"repeats": 1})
        with engine.using(PlacedWeights("base", None, None, "base", None)):
            prompts = build_prompts(
                engine, plan.tasks, chat=plan.chat, system_prompt=plan.card.system_prompt
            )
            some = prompts[:: max(1, len(prompts) // _PROMPTS)][:_PROMPTS]
            began = time.monotonic()
            stream = Stream(0, "base", None, None, decoding.name)
            generate(engine, some, decoding, stream, batch_size=len(some), on_batch=lambda _: None)
        seconds = (time.monotonic() - began) / len(some) * found.responses
        recipe = trained(plan.card)
        if found.fine_tunings and isinstance(recipe, Training):
            some_rows = next(iter(plan.rows.values()))
            job = partial(Job, base=plan.base, rows=some_rows, seed=0, tokenizer=plan.tokenizer)
            taken = []
            for updates in _UPDATES:
                short = {"steps": updates, "epochs": None, "checkpoints": (updates,)}
                began = time.monotonic()
                trainer_of(recipe).train(
                    job(
                        recipe=recipe.model_copy(update={**short, "checkpoint_unit": "step"}),
                        controls=(),
                        fixed={},
                        base_name="probe",
                        out=scratch / f"trained-{updates}",
                        device=device,
                        progress=lambda at, loss: None,
                    )
                )
                taken.append(time.monotonic() - began)
            more = max(0.0, taken[1] - taken[0]) / (_UPDATES[1] - _UPDATES[0])
            seconds += (taken[0] + more * found.updates) * found.fine_tunings
        return seconds
    finally:
        shutil.rmtree(scratch, ignore_errors=True)
