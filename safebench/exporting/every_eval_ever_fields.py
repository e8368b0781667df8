"""Fields of every_eval_ever that describe how a number was measured."""

from __future__ import annotations

import json
from typing import Any

from safebench.card.base import NotReported
from safebench.card.decoding import Decoding
from safebench.card.judge import Judge
from safebench.card.task import METRICS, Task
from safebench.evidence.arrays import OutcomeArray
from safebench.exporting.facts import UNKNOWN, Json, known, text


def _pinned(value: Any) -> str | None:
    """Return a revision as one text; None where it is absent or not reported."""
    return text(value) if value is None or isinstance(value, str | NotReported) else "unpinnable"


def metric(block: OutcomeArray, task: Task, judge: Judge | None) -> Json:
    """Return what a number is, and who judged the responses behind it."""
    name, direction = METRICS[block.construct]
    trial = f" (TRIAL, not a result: {task.trial})" if task.trial else ""
    details = {
        "safebench.construct": block.construct,
        "safebench.task_version": text(task.version),
        "safebench.trial": task.trial,
        "safebench.judge": block.judge,
        "safebench.judge_kind": text(getattr(judge, "kind", None)),
        "safebench.judge_id": text(getattr(judge, "id", None)),
        "safebench.judge_revision": _pinned(getattr(judge, "revision", None)),
    }
    config: Json = {
        "evaluation_description": f"{block.construct} of {block.task}: {name}{trial}",
        "metric_id": f"safebench.{block.construct}",
        "metric_name": name,
        "metric_kind": "mean" if block.construct == "severity" else "proportion",
        "metric_unit": "proportion",
        "lower_is_better": direction == "lower_is_better",
        "score_type": "continuous",
        "min_score": 0,
        "max_score": 1,
        "additional_details": known(details),
    }
    if judge is not None and judge.kind == "llm":
        who = text(judge.id) or UNKNOWN
        digest = text(getattr(judge, "prompt_template_sha256", None))
        where = {"deployment_type": UNKNOWN, "model_availability": UNKNOWN}
        config["llm_scoring"] = {
            "judges": [{"model_info": {"name": who, "id": who, "additional_details": where}}],
            "input_prompt": f"sha256:{digest}" if digest else "not reported",
        }
    return config


def source_data(task: Task, prompts: int) -> Json:
    """Return where a task's prompts come from."""
    name = text(task.dataset_id) or task.name
    details = known(
        {
            "safebench.dataset_revision": _pinned(task.dataset_revision),
            "safebench.dataset_sha256": text(task.dataset_sha256),
            "safebench.prompts": str(prompts),
        }
    )
    source: Json = {"dataset_name": name, "source_type": "other"}
    if isinstance(task.dataset_revision, str):
        source |= {"source_type": "hf_dataset", "hf_repo": name, "samples_number": prompts}
    return {**source, "additional_details": details}


def generation(decoding: Decoding | None, name: str) -> Json:
    """Return a decoding; what the format has no field for is written to the details."""
    if decoding is None:
        return {"additional_details": {"safebench.decoding": name}}
    values = decoding.model_dump(mode="json", exclude_none=True)
    arguments: Json = {} if decoding.do_sample else {"temperature": 0.0}
    for ours in ("temperature", "top_p", "top_k", "max_new_tokens"):
        if isinstance(values.get(ours), int | float):
            arguments["max_tokens" if ours == "max_new_tokens" else ours] = values.pop(ours)
    details = {
        f"safebench.{key}": value if isinstance(value, str) else json.dumps(value)
        for key, value in values.items()
        if not (isinstance(value, dict) and set(value) == {"not_reported"})
    }
    return {
        "generation_args": arguments,
        "additional_details": {**details, "safebench.decoding": name},
    }
