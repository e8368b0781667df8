"""A finished rerun that goes on with more training seeds: what was made is work again."""

from __future__ import annotations

import json

from safebench.errors import RunError
from safebench.evidence.columns import rows_with
from safebench.evidence.store import Store
from safebench.evidence.submission import Submission
from safebench.evidence.tables import RESPONSES
from safebench.study.execute import claim_of
from safebench.study.plan import Plan


def extend(finished: Submission, plan: Plan) -> None:
    """Make the folder of a finished submission that of an unfinished run of a plan with more seeds.

    Its responses become committed blocks, and its adapters stay where they are. Until the claim is
    written, which comes last, the folder holds the finished submission.

    Raises:
        RunError: the submission carries no responses.
    """
    store, responses = Store(finished.folder), finished.responses
    if responses is None:
        raise RunError(f"{finished.folder}: carries no responses to go on from")
    for block in plan.blocks:
        place = {
            name: getattr(block, name)
            for name in ("condition", "training_seed", "checkpoint", "decoding")
        }
        rows = rows_with(responses, place)
        if rows.num_rows:
            store.commit(block.name, rows.select(RESPONSES.names).cast(RESPONSES))
    if finished.card.environment is not None:
        fields = finished.card.environment.model_dump_json(exclude_none=True)
        store.check_environment(json.loads(fields))
    store.begin_again(claim_of(plan))
