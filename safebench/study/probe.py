"""What a study or its rerun takes on this machine: counted, and timed by doing a little of it."""

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

_PROMPTS, _FEW_PROMPTS = 16, 8
"""Responses that are timed, in a full and in a short probe."""
_TOKENS = 16
"""Longest response of a short probe."""
_UPDATES, _FEW_UPDATES = 4, 2
"""Updates that are timed, in a full and in a short probe."""


def time_here(
    protocol: Submission, found: Estimate, settings: dict[str, Any], *, is_short: bool = False
) -> str:
    """Generate a few responses and train a few steps; return the time of the whole, in words.

    `found` is the whole; `settings` are those of `Settings`. With `is_short`, responses are cut
    early: that takes seconds, and gives an upper bound.

    Raises:
        SafebenchError: the model or a task is not here.
    """
    try:
        seconds = _probe(protocol, found, settings, is_short=is_short)
    except ImportError:
        return "not measured: needs pip install 'safebench[run]'"
    return f"{'at most' if is_short else 'about'} {duration(seconds)}"


def _probe(
    protocol: Submission, found: Estimate, settings: dict[str, Any], *, is_short: bool
) -> float:
    from safebench.harness.evaluate import build_prompts, generate
    from safebench.models.interface import BASE
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
        longest = int(require(decoding.max_new_tokens, "decoding.max_new_tokens"))
        cut = min(longest, _TOKENS) if is_short else longest
        decoding = decoding.model_copy(update={"max_new_tokens": cut})
        with engine.using(BASE):
            prompts = build_prompts(
                engine, plan.tasks, chat=plan.chat, system_prompt=plan.card.system_prompt
            )
            most = _FEW_PROMPTS if is_short else _PROMPTS
            some = prompts[:: max(1, len(prompts) // most)][:most]
            stream = Stream(0, "base", None, None, decoding.name)
            ask = partial(generate, engine, stream=stream, on_batch=lambda _: None)
            first = decoding.model_copy(update={"max_new_tokens": 2})
            ask(some[:1], first, batch_size=1)  # what is done once is not counted
            began = time.monotonic()
            ask(some, decoding, batch_size=len(some))
        seconds = (time.monotonic() - began) / len(some) * longest / cut * found.responses
        recipe = trained(plan.card)
        if found.fine_tunings and isinstance(recipe, Training):
            some_rows = next(iter(plan.rows.values()))
            updates = _FEW_UPDATES if is_short else _UPDATES
            short = {"steps": updates, "epochs": None, "checkpoints": (updates,)}
            ends = [time.monotonic()]
            trainer_of(recipe).train(
                Job(
                    base=plan.base,
                    rows=some_rows,
                    seed=0,
                    tokenizer=plan.tokenizer,
                    recipe=recipe.model_copy(update={**short, "checkpoint_unit": "step"}),
                    controls=(),
                    fixed={},
                    base_name="probe",
                    out=scratch / "trained",
                    device=device,
                    progress=lambda at, loss: ends.append(time.monotonic()),
                )
            )
            # The first update includes what beginning costs; only the others are multiplied.
            more = (ends[updates] - ends[1]) / (updates - 1) * (found.updates - 1)
            seconds += (ends[1] - ends[0] + more) * found.fine_tunings
        return seconds
    finally:
        shutil.rmtree(scratch, ignore_errors=True)


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
    """What this machine lacks, each with how to get it."""


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
