"""From responses to outcomes: every judge reads every response."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import pyarrow as pa

from safebench.card.base import known
from safebench.card.judge import Judge
from safebench.evidence.tables import OUTCOMES, make_table
from safebench.harness.tasks import LoadedTask
from safebench.judges import get_judge
from safebench.study.progress import Progress

_COPIED = (
    "condition",
    "training_seed",
    "checkpoint",
    "decoding",
    "repeat",
    "generation_seed",
    "task",
    "prompt_id",
    "status",
)


def judge_responses(
    responses: pa.Table, tasks: Sequence[LoadedTask], judges: Iterable[Judge], progress: Progress
) -> pa.Table:
    """Return one outcome for every response and judge."""
    documents = {(t.name, d["prompt_id"]): d for t in tasks for d in t.documents}
    rows: list[dict[str, Any]] = []
    for entry in judges:
        judge = get_judge(known(entry.id, "judge.id"), str(known(entry.revision, "judge.revision")))
        # The same text under the same prompt gets the same verdict: tuned models repeat themselves.
        seen: dict[tuple[str, str, str], tuple[str | None, float]] = {}
        for row in responses.to_pylist():
            document = documents[row["task"], row["prompt_id"]]
            if entry.constructs is not None and document["construct"] not in entry.constructs:
                continue
            place = (row["task"], row["prompt_id"], row["response"])
            if place not in seen:
                judgement = judge.judge(
                    document["construct"],
                    document["prompt"],
                    row["response"],
                    document["target"] or None,
                )
                seen[place] = (judgement.verdict, judgement.score)
            verdict, score = seen[place]
            rows.append(
                {
                    **{name: row[name] for name in _COPIED},
                    "construct": document["construct"],
                    "category": document["category"] or None,
                    "judge": entry.name,
                    "verdict": verdict,
                    "score": score,
                }
            )
            progress.advance(1)
    return make_table(rows, OUTCOMES)
