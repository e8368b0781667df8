"""A finished folder that is continued: with more training seeds, or from a trial to the whole.

What was made becomes the work of an unfinished run. The claim is written last: until then, the
folder still holds the finished submission.
"""

from __future__ import annotations

import json
import shutil
from collections import Counter
from collections.abc import Sequence
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from safebench.card.base import require
from safebench.card.card import Card
from safebench.card.decoding import Decoding
from safebench.errors import RunError
from safebench.evidence.claim import Claim, same_study
from safebench.evidence.columns import rows_with
from safebench.evidence.store import Store
from safebench.evidence.submission import Submission
from safebench.evidence.tables import RESPONSES
from safebench.harness.evaluate import Prompt
from safebench.study.cells import Block, weights_folder
from safebench.study.plan import Plan

_EARLIER = "earlier"
"""Name under which the responses of a trial are kept; no block has it."""
_EMPTY = RESPONSES.empty_table()
_OF_A_TRIAL = ("limit", "available", "prompts", "dataset_sha256", "clusters")
"""Fields of a task in which a trial and the whole differ."""


def extend(finished: Submission, plan: Plan, claim: Claim) -> None:
    """Turn the folder of a finished submission into an unfinished run of a plan with more seeds.

    Its responses become committed blocks, and its adapters stay where they are.

    Raises:
        RunError: the submission carries no responses.
    """
    store, responses = Store(finished.folder), finished.responses
    if responses is None:
        raise RunError(f"{finished.folder}: carries no responses to go on from")
    for block in plan.blocks:
        rows = rows_with(responses, block.place)
        if rows.num_rows:
            store.commit(block.name, rows.select(RESPONSES.names).cast(RESPONSES))
    _go_on(finished, store, claim)


def is_trial_of(finished: Card, wanted: Card) -> bool:
    """Whether a submission is a trial, by a limit, of a card that asks for more prompts."""
    limits = [
        (task.limit, more.limit)
        for task, more in zip(finished.task_list(), wanted.task_list(), strict=False)
    ]
    more = any(
        isinstance(old, int) and (new is None or (isinstance(new, int) and new > old))
        for old, new in limits
    )
    return more and _but_for_prompts(finished) == _but_for_prompts(wanted)


def extend_trial(finished: Submission, plan: Plan, claim: Claim) -> int:
    """Turn the folder of a trial into an unfinished run of the whole; return how much is kept.

    Responses of the same weights and seeds are kept for the run. A limit is part of the protocol,
    so derived seeds of the whole are different: adapters made under the old ones are removed, and
    the journal begins anew.
    """
    store, kept = Store(finished.folder), 0
    store.seals.begin(plan.card)
    if finished.responses is not None:
        rows = finished.responses.select(RESPONSES.names).cast(RESPONSES)
        seeds = rows["generation_seed"]
        same = pc.or_(pc.is_null(seeds), pc.fill_null(pc.equal(seeds, plan.generation_seed), False))
        rows = pa.concat_tables(
            [_EMPTY, *(rows_with(rows.filter(same), block.place) for block in plan.blocks)]
        )
        store.commit(_EARLIER, rows)
        kept = rows.num_rows
    wanted = {
        weights_folder(store.folder, b.condition, b.training_seed)
        for b in plan.blocks
        if b.training_seed is not None and b.weights not in plan.weights
    }
    for folder in (store.folder / "adapters").glob("*"):
        if folder in wanted:
            store.seals.put(folder, folder)
        else:
            shutil.rmtree(folder)
    before = require(require(finished.card.seeds, "seeds").generation, "seeds.generation")
    for answered in plan.self_answered:
        path = store.folder / answered.path
        if path.is_file() and before == plan.generation_seed:
            store.seals.put(path, path)
        else:
            path.unlink(missing_ok=True)
    store.journal.begin_again("trial", limited=finished.card.trials)
    _go_on(finished, store, claim)
    return kept


def earlier_rows(
    store: Store, block: Block, prompts: Sequence[Prompt], decoding: Decoding
) -> list[dict[str, Any]]:
    """Return the responses of a trial that a block takes over; none where there was no trial.

    Those drawn under another generation seed are not among them: `extend_trial` leaves them out.
    """
    # Repeats of a control vary the batches, which further prompts change.
    if not store.has(_EARLIER) or require(decoding.repeat_control, "decoding.repeat_control"):
        return []
    asked = {(p.task, str(p.document["prompt_id"])): p.document["prompt"] for p in prompts}
    rows = [
        row
        for row in rows_with(store.load(_EARLIER), block.place).to_pylist()
        if asked.get((row["task"], row["prompt_id"])) == row["prompt"]
    ]
    counts = Counter((row["task"], row["prompt_id"]) for row in rows)
    repeats = require(decoding.repeats, "decoding.repeats")
    return [row for row in rows if counts[row["task"], row["prompt_id"]] == repeats]


def _go_on(finished: Submission, store: Store, claim: Claim) -> None:
    if finished.card.environment is not None:
        fields = finished.card.environment.model_dump_json(exclude_none=True)
        store.check_environment(json.loads(fields))
    store.begin_again(claim)


def _but_for_prompts(card: Card) -> dict[str, Any]:
    """Return what a trial has in common with the whole."""
    cleared = card.model_copy(
        update={"environment": None, "results": None, "evidence": None, "spec": ""}
    )
    content = same_study(cleared)
    for task in content["tasks"]:
        for name in _OF_A_TRIAL:
            task.pop(name, None)
    for dataset in content.get("data", ()):  # answers of the base model follow from the seeds
        if "answers" in dataset:
            for name in ("path", "sha256", "rendered_sha256"):
                dataset.pop(name, None)
    content["model"].pop("weights", None)
    seeds = content["seeds"]
    if seeds["scheme"] == "derived":
        seeds["training"], seeds["generation"] = len(seeds["training"]), None
    return content
