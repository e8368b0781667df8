"""Where regenerated responses diverge from the original's, and how much the model prefers its own.

The same weights on another processor diverge where two tokens are nearly equal; other weights,
prompts or settings diverge anywhere.
"""

from __future__ import annotations

import statistics
from collections import defaultdict
from typing import Any

from safebench.analysis.same_text import responses_by_place
from safebench.card.base import require
from safebench.card.decoding import Decoding
from safebench.card.results import Condition
from safebench.evidence.submission import Submission
from safebench.evidence.verdicts import ResponsesCompared
from safebench.harness.evaluate import build_prompts, generation_settings
from safebench.models.interface import BASE
from safebench.models.loading import default_device
from safebench.models.sampling import Stream
from safebench.models.transformers_engine import HfEngine
from safebench.study.engines import Settings, make_engine
from safebench.study.plan import Plan

MOST = 20
"""Most responses of a decoding that are examined: their median tells rounding from other causes."""
BEYOND = 99.0
"""Stands for a token that the card's filters never let through."""
Row = dict[str, Any]
Weights = tuple[Condition, int | None, int | None]


def measure_gaps(
    original: Submission, rerun: Submission, plan: Plan, settings: Settings
) -> dict[str, ResponsesCompared]:
    """Return what is known of responses that differ, by decoding.

    Empty where all are equal, another backend generated, or a side lacks the responses; then
    nothing is loaded. `plan` is the rerun's.
    """
    pairs = responses_by_place(original, rerun) or []
    found = {}
    for decoding in require(plan.card.decoding, "decoding"):
        of_it = [pair for pair in pairs if pair[1]["decoding"] == decoding.name]
        differing = [(old, new) for old, new in of_it if old["response"] != new["response"]]
        if not differing or settings.backend != "hf":
            continue
        gaps = _gaps(differing[:: max(1, len(differing) // MOST)][:MOST], decoding, plan, settings)
        found[decoding.name] = ResponsesCompared(
            decoding=decoding.name,
            responses=len(of_it),
            equal=len(of_it) - len(differing),
            gaps=len(gaps),
            median_gap=round(min(statistics.median(gaps), BEYOND), 4) if gaps else None,
        )
    return found


def _gaps(
    pairs: list[tuple[Row, Row]], decoding: Decoding, plan: Plan, settings: Settings
) -> list[float]:
    engine = make_engine(plan, settings, settings.device or default_device())
    if not isinstance(engine, HfEngine):
        return []
    prompts = build_prompts(
        engine, plan.tasks, chat=plan.chat, system_prompt=plan.card.system_prompt
    )
    contexts = {(p.task, str(p.document["prompt_id"])): p.context for p in prompts}
    by_weights: dict[Weights, list[tuple[Row, Row]]] = defaultdict(list)
    for old, new in pairs:
        by_weights[new["condition"], new["training_seed"], new["checkpoint"]].append((old, new))
    gaps = []
    for key, of_them in by_weights.items():
        weights = plan.weights.get(key) or BASE
        with engine.using(weights):
            for old, new in of_them:
                context = contexts[new["task"], new["prompt_id"]]
                stream = Stream(plan.generation_seed, *key, decoding.name)
                noise = stream.key(new["task"], new["prompt_id"], new["repeat"])
                texts = old["response"], new["response"]
                gap = engine.lm.gap(context, *texts, generation_settings(decoding), noise)
                gaps += [] if gap is None else [gap]
    return gaps
